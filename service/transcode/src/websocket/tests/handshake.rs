//! Who gets a socket, and what the others are told.

use http::{HeaderValue, Method, Version};
use hyper::ext::Protocol;
use tonic::Status;
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::*;
use crate::cors::Origins;

#[tokio::test]
async fn a_handshake_is_answered_as_the_rfc_has_it() {
    let server = Server::start(Config::default()).await;
    let request = Request::get(TALK).header("sec-websocket-protocol", "other, transcode.json");
    let (response, _) = server.ask(request).await;
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(response.headers()["sec-websocket-protocol"], "transcode.json");
    assert_eq!(response.headers()["upgrade"], "websocket");
    let (response, _) = server.ask(Request::get(TALK).header("sec-websocket-protocol", "other")).await;
    assert_eq!(response.status(), 101);
    assert!(!response.headers().contains_key("sec-websocket-protocol"));
}

#[tokio::test]
async fn a_handshake_that_is_not_in_order_is_refused() {
    let server = Server::start(Config::default()).await;
    for (path, name, value, status) in [
        (TALK, "sec-websocket-version", "8", 426),
        (TALK, "sec-websocket-key", "short", 400),
        (TALK, "x-server-timeout", "soon", 400),
        ("/v1/rooms/r/watch?nope=1", "x-any", "", 400),
        ("/v1/rooms/%zz/talk", "x-any", "", 400),
        ("/v1/nothing", "x-any", "", 404),
    ] {
        let (response, _) = server.ask(Request::get(path).header(name, value)).await;
        assert_eq!(response.status(), status, "{path} {name}: {value}");
        if status == 426 {
            assert_eq!(response.headers()["sec-websocket-version"], "13");
            assert_eq!(response.headers()["upgrade"], "websocket");
        }
        let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        assert!(body["status"].is_string(), "{path}: {body}");
    }
    server.until(|counts| &counts.open, 0).await;
}

#[tokio::test]
async fn pages_of_other_origins_open_no_sockets() {
    let list = Origins::List(vec![HeaderValue::from_static("https://app.example")]);
    for (origins, origin, status) in [
        (Origins::Loopback, "http://localhost:5173", 101),
        (Origins::Loopback, "https://app.example", 403),
        (Origins::Loopback, "null", 403),
        (list.clone(), "https://app.example", 101),
        (list.clone(), "http://localhost:5173", 403),
        (list, "https://app.example.evil", 403),
        (Origins::Any, "https://anywhere.example", 101),
    ] {
        let server = Server::start(Config { socket_origins: origins.clone(), ..Config::default() }).await;
        let (response, _) = server.ask(Request::get(TALK).header("origin", origin)).await;
        assert_eq!(response.status(), status, "{origin} with {origins:?}");
    }
    let none = Config { socket_origins: Origins::List(Vec::new()), ..Config::default() };
    let server = Server::start(none).await;
    let own = Request::get(TALK).header("host", "api.example").header("origin", "https://api.example");
    assert_eq!(server.ask(own).await.0.status(), 101, "the server's own pages may");
}

#[tokio::test]
async fn what_refuses_the_call_refuses_the_handshake() {
    let server = Server::start(Config::default()).await;
    let (response, _) = server.ask(Request::get(TALK).header("x-deny", "1")).await;
    assert_eq!(response.status(), 403, "the handler refuses before it reads");
    assert!(text(response).await.contains("not you"));

    let refuse = tower::service_fn(|request: Request<Body>| async move {
        drop(request);
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, Infallible>(Status::unauthenticated("who are you?").into_http::<Body>())
    });
    let address = listen(transcoder(Config::default()).edge().layer(refuse)).await;
    let server = Server { address, counts: Arc::default(), sockets: Sockets::default() };
    let (response, _) = server.ask(Request::get(TALK)).await;
    assert_eq!(response.status(), 401, "a layer refuses before the handler");
}

#[tokio::test]
async fn a_server_without_upgrades_says_so() {
    let request = Request::get(TALK)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = transcoder(Config::default()).serve(Board::default()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 501);
}

#[tokio::test]
async fn a_socket_opens_over_http_2() {
    let server = Server::start(Config::default()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // The server's settings, which allow it, come with its first answer.
    let first = Request::get(format!("http://{}/v1/nothing", server.address)).body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(sender.send_request(first).await.unwrap().status(), 404);
    for (origin, status) in [("https://other.example", 403), ("http://localhost", 200)] {
        let request = Request::builder()
            .method(Method::CONNECT)
            .version(Version::HTTP_2)
            .uri(format!("http://{}{TALK}", server.address))
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .header("origin", origin)
            .body(Empty::<Bytes>::new())
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), status);
        if status == 200 {
            let mut client = Client::of(response).await;
            client.say(r#"{"text":"a"}"#).await;
            assert_eq!(client.hear().await, r#"{"text":"a","room":"r"}"#);
            client.say("").await;
            assert_eq!(client.end().await.1, 1000);
        }
    }
    server.until(|counts| &counts.open, 0).await;
}

//! Whoever is refused is refused by the head of the request: no body is waited for, and no socket is opened.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body_util::{Empty, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::World;
use crate::support::soon;

/// What a server answers to this head within a second, while the body that it announces never comes.
async fn answer(world: &World, head: &str) -> String {
    let mut stream = TcpStream::connect(world.server.address()).await.unwrap();
    stream.write_all(format!("{head}content-length: 1000000\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut answer)).await;
    let length = read.map_or(0, |read| read.unwrap());
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_body_that_never_comes_still_gets_its_refusal() {
    let world = World::new().await;
    let reader = world.registrar.key_for(&["models.read"]).await;
    let talker = world.registrar.key_for(&["chat"]).await;
    let rest = "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let web = "POST /sabir.v1.Chat/CreateChatCompletion HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc-web\r\n";
    for waits in ["", "expect: 100-continue\r\n"] {
        let said = answer(&world, &format!("{rest}{waits}")).await;
        assert!(said.starts_with("HTTP/1.1 401 "), "{said}");
        let said = answer(&world, &format!("{rest}{waits}x-api-key: {reader}\r\n")).await;
        assert!(said.starts_with("HTTP/1.1 403 "), "{said}");
        let said = answer(&world, &format!("{web}{waits}")).await;
        assert!(said.contains("grpc-status: 16") || said.contains("grpc-status:16"), "{said}");
        let said = answer(&world, &format!("{web}{waits}x-api-key: {reader}\r\n")).await;
        assert!(said.contains("grpc-status: 7") || said.contains("grpc-status:7"), "{said}");
    }
    // It is the refusal that comes early: who is let in is waited for.
    assert_eq!(answer(&world, &format!("{rest}x-api-key: {talker}\r\n")).await, "");
}

#[tokio::test]
async fn over_http2_too() {
    let world = World::new().await;
    let reader = world.registrar.key_for(&["models.read"]).await;
    for (key, expected) in [(None, "16"), (Some(reader), "7")] {
        let io = TokioIo::new(TcpStream::connect(world.server.address()).await.unwrap());
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (mut sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, std::convert::Infallible>>());
        let mut request =
            Request::post(format!("http://{}/sabir.v1.Chat/CreateChatCompletion", world.server.address()))
                .header("content-type", "application/grpc")
                .header("te", "trailers");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = soon("a refusal", sender.send_request(request.body(never).unwrap())).await.unwrap();
        assert_eq!(response.headers()["grpc-status"], expected);
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer realm="));
    }
}

/// The answer to the handshake of a WebSocket that offers these subprotocols: its status and the one that is chosen.
async fn handshake(world: &World, offers: Option<String>, header: Option<&str>) -> (u16, Option<String>) {
    let mut request = Request::get("/v1/chat/completions")
        .header("host", world.server.address().to_string())
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    if let Some(offers) = offers {
        request = request.header("sec-websocket-protocol", offers);
    }
    if let Some(key) = header {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let stream = TokioIo::new(TcpStream::connect(world.server.address()).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = soon("the handshake", sender.send_request(request)).await.unwrap();
    let chosen = response.headers().get("sec-websocket-protocol");
    (response.status().as_u16(), chosen.map(|chosen| chosen.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn a_socket_is_opened_with_a_key_alone_and_a_page_offers_it_as_a_subprotocol() {
    let world = World::new().await;
    let reader = world.registrar.key_for(&["models.read"]).await;
    let talker = world.registrar.key_for(&["chat"]).await;
    let offer = |key: &str| Some(format!("transcode.json, bearer.{key}"));
    let chosen = Some("transcode.json".to_owned());
    assert_eq!(handshake(&world, None, None).await, (401, None));
    assert_eq!(handshake(&world, Some("transcode.json".to_owned()), None).await, (401, None));
    assert_eq!(handshake(&world, offer("sk-sabir-wrong"), None).await, (401, None));
    assert_eq!(handshake(&world, offer(&reader), None).await, (403, None));
    assert_eq!(handshake(&world, offer(&talker), None).await, (101, chosen.clone()));
    assert_eq!(handshake(&world, None, Some(&talker)).await, (101, None));
    // The header counts, where there is one.
    assert_eq!(handshake(&world, offer(&talker), Some(&reader)).await, (403, None));
    assert_eq!(handshake(&world, offer(&reader), Some(&talker)).await, (101, chosen));
}

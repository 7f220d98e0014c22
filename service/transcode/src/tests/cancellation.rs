//! Claims about callers that go away: whatever the call was doing, it is dropped.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tonic::Status;
use tonic::body::Body;

use super::support::{descriptors, framed};
use crate::Transcoder;

const SCHEMA: &str = r#"
syntax = "proto3"; package c; import "google/api/annotations.proto"; import "google/api/httpbody.proto";
message Ask { string name = 1; }
service Calls {
  rpc Get(Ask) returns (Ask) { option (google.api.http) = { get: "/get" additional_bindings { post: "/post" body: "*" }
    additional_bindings { post: "/unread" } }; }
  rpc Watch(Ask) returns (stream Ask) { option (google.api.http) = { get: "/watch" }; }
  rpc Upload(stream google.api.HttpBody) returns (Ask) { option (google.api.http) = { post: "/upload" body: "*" }; }
}
"#;

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Begun,
    Dropped,
}

/// Says when it is dropped.
struct Guard(mpsc::Sender<Event>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.try_send(Event::Dropped);
    }
}

/// A server whose calls never end, with a layer between edge and gate that says when a call begins and is dropped.
async fn serve() -> (std::net::SocketAddr, mpsc::Receiver<Event>) {
    let (events, told) = mpsc::channel(16);
    let transcoder = Transcoder::new(&descriptors(SCHEMA)).unwrap();
    let never = tower::service_fn(|request: Request<Body>| async move {
        let path = request.uri().path().to_owned();
        let mut body = request.into_body();
        if path.ends_with("Watch") {
            let first = futures_util::stream::once(async { Ok::<_, Status>(Frame::data(framed(b"").into())) });
            let rest = futures_util::stream::pending();
            let body = Body::new(StreamBody::new(futures_util::StreamExt::chain(first, rest)));
            return Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap());
        }
        if path.ends_with("Upload") {
            while body.frame().await.is_some_and(|frame| frame.is_ok()) {}
        }
        std::future::pending::<Result<Response<Body>, Infallible>>().await
    });
    let gate = tower_layer::Layer::layer(&transcoder.gate(), never);
    let guarded = tower::service_fn(move |request: Request<Body>| {
        let guard = Guard(events.clone());
        let mut gate = gate.clone();
        async move {
            guard.0.try_send(Event::Begun).unwrap();
            let response: Response<Body> = tower_service::Service::call(&mut gate, request).await?;
            Ok::<_, Infallible>(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &guard;
                    frame
                }))
            }))
        }
    });
    let service = tower_layer::Layer::layer(&transcoder.edge(), guarded);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (address, told)
}

async fn next(told: &mut mpsc::Receiver<Event>, what: &str) -> Event {
    tokio::time::timeout(Duration::from_secs(5), told.recv()).await.unwrap_or_else(|_| panic!("{what}")).unwrap()
}

#[tokio::test]
async fn a_call_is_dropped_when_its_caller_goes_away_in_any_phase() {
    let json = "content-type: application/json\r\n";
    for (phase, head, body) in [
        ("no body", "GET /get HTTP/1.1\r\n", ""),
        ("an empty body", "POST /post HTTP/1.1\r\ncontent-length: 0\r\n", ""),
        ("a body that is there whole", &format!("POST /post HTTP/1.1\r\n{json}content-length: 2\r\n"), "{}"),
        ("a body that is not there yet", &format!("POST /post HTTP/1.1\r\n{json}content-length: 20\r\n"), "{"),
        ("a body that nobody reads", "POST /unread HTTP/1.1\r\ncontent-length: 2\r\n", "{}"),
        ("a body that nobody reads, not there yet", "POST /unread HTTP/1.1\r\ncontent-length: 90000\r\n", "{"),
        ("a streamed answer", "GET /watch HTTP/1.1\r\n", ""),
        ("an upload", "POST /upload HTTP/1.1\r\ntransfer-encoding: chunked\r\n", "1\r\nx\r\n"),
        ("an upload that has ended", "POST /upload HTTP/1.1\r\ncontent-length: 1\r\n", "x"),
    ] {
        let (address, mut told) = serve().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}host: x\r\n\r\n{body}").as_bytes()).await.unwrap();
        assert_eq!(next(&mut told, phase).await, Event::Begun, "{phase}");
        // Long enough for the call to come to rest where it waits.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(told.try_recv().is_err(), "{phase}: dropped while its caller was there");
        drop(stream);
        assert_eq!(next(&mut told, phase).await, Event::Dropped, "{phase}");
    }
}

#[tokio::test]
async fn a_call_over_http_2_is_dropped_when_its_stream_is_reset() {
    for (verb, path, body) in [("GET", "/get", ""), ("POST", "/post", "{}"), ("GET", "/watch", "")] {
        let (address, mut told) = serve().await;
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::builder().method(verb).uri(format!("http://{address}{path}"));
        let request = request.header("content-type", "application/json");
        let call = client.send_request(request.body(http_body_util::Full::<Bytes>::from(body)).unwrap());
        let call = tokio::time::timeout(Duration::from_millis(100), async {
            let answer = call.await.unwrap();
            answer.into_body().collect().await.unwrap();
        });
        assert!(call.await.is_err(), "{path} was answered to its end");
        assert_eq!(next(&mut told, path).await, Event::Begun);
        assert_eq!(next(&mut told, path).await, Event::Dropped, "{path}");
        connection.abort();
    }
}

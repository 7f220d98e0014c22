//! A service that answers with what it was asked, its schema, and ways to ask it: what tests of the whole share.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;
use tower_service::Service;

use crate::{Config, Deadline, Limits, Protocol, Transcoder};

pub(crate) const SCHEMA: &str = r#"
syntax = "proto3";
package e;
import "google/api/annotations.proto";
import "transcode/v1/options.proto";
message Inner { string id = 1; repeated string tags = 2; bool on = 3; }
message Thing {
  string name = 1; Inner inner = 2; int64 number = 3; repeated int32 many = 4; bool stream = 5; oneof one { string a = 6; string b = 7; }
  optional string maybe = 8; double ratio = 9;
}
service Echo {
  rpc Get(Thing) returns (Thing) { option (google.api.http) = { get: "/v1/things/{name}" additional_bindings { get: "/v1/inner/{inner.id}/x" } }; }
  rpc Deep(Thing) returns (Thing) { option (google.api.http) = { get: "/v1/{name=files/**}" }; }
  rpc Verb(Thing) returns (Thing) { option (google.api.http) = { post: "/v1/things/{name}:do" body: "*" }; }
  rpc Put(Thing) returns (Thing) { option (google.api.http) = { put: "/v1/things/{name}" body: "inner" response_body: "inner" }; }
  rpc Any(Thing) returns (Thing) { option (google.api.http) = { custom: { kind: "*" path: "/v1/any" } }; }
  rpc Unary(Thing) returns (Thing) {
    option (google.api.http) = { post: "/v1/ask" body: "*" };
    option (transcode.v1.method).stream_twin = { field: "stream", method: "Stream" };
  }
  rpc Stream(Thing) returns (stream Thing) {
    option (google.api.http) = { post: "/v1/ask" body: "*" };
    option (transcode.v1.method).terminator = "[DONE]";
  }
  rpc Plain(Thing) returns (stream Thing) { option (google.api.http) = { get: "/v1/plain/{name}" }; }
}
"#;

struct Memory;

impl protox::file::FileResolver for Memory {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        match name {
            "e.proto" => protox::file::File::from_source(name, SCHEMA),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

pub(crate) fn descriptors(extra: &str) -> Vec<u8> {
    struct Extra(String);
    impl protox::file::FileResolver for Extra {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            match name {
                "x.proto" => protox::file::File::from_source(name, &self.0),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(protox::file::IncludeFileResolver::new(crate::PROTO_DIR.into()));
    resolver.add(Memory);
    resolver.add(Extra(extra.to_owned()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("e.proto").unwrap();
    if !extra.is_empty() {
        compiler.open_file("x.proto").unwrap();
    }
    compiler.encode_file_descriptor_set()
}

/// Answers with the request message. Names steer it: `fail` fails at once, `late` after one message, `cut` ends without
/// trailers, `never` does not answer, `silent` goes silent after one message.
#[derive(Clone)]
pub(crate) struct Echo;

impl Service<Request<Body>> for Echo {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = futures_util::future::BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let path = parts.uri.path().to_owned();
            let message = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(status) => return Ok(status.into_http()),
            };
            let says = |word: &str| message.windows(word.len()).any(|window| window == word.as_bytes());
            if says("fail") {
                return Ok(Status::not_found("no such thing").into_http());
            }
            if says("never") {
                std::future::pending::<()>().await;
            }
            let streams = path.ends_with("Stream") || path.ends_with("Plain");
            let mut frames: Vec<Result<Frame<Bytes>, Status>> = vec![Ok(Frame::data(message.clone()))];
            if streams {
                frames.push(Ok(Frame::data(message.clone())));
            }
            let mut trailers = HeaderMap::new();
            let end = if says("late") { Status::unavailable("lost") } else { Status::ok("") };
            end.add_header(&mut trailers).unwrap();
            if !says("cut") {
                frames.push(Ok(Frame::trailers(trailers)));
            }
            let silent = says("silent");
            let stream = futures_util::stream::unfold(frames.into_iter(), move |mut frames| async move {
                if silent && frames.len() == 2 {
                    std::future::pending::<()>().await;
                }
                frames.next().map(|frame| (frame, frames))
            });
            let mut response = Response::new(Body::new(StreamBody::new(stream)));
            let headers = response.headers_mut();
            headers.insert("content-type", "application/grpc".parse().unwrap());
            headers.insert("x-path", path.parse().unwrap());
            let protocol = parts.extensions.get::<Protocol>().map_or("none", |protocol| protocol.name());
            headers.insert("x-protocol", protocol.parse().unwrap());
            headers.insert("x-deadline", parts.extensions.get::<Deadline>().is_some().to_string().parse().unwrap());
            if let Some(value) = parts.headers.get("x-mine") {
                headers.insert("x-mine", value.clone());
            }
            Ok(response)
        })
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub(crate) fn transcoder() -> Transcoder {
    Transcoder::with_config(
        &descriptors(""),
        Config { limits: Limits { max_body: 1000, ..Limits::default() }, ..Config::default() },
    )
    .unwrap()
}

pub(crate) async fn send(request: Request<Full<Bytes>>) -> Answer {
    let response = transcoder().serve(Echo).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

pub(crate) async fn ask(verb: &str, path: &str, body: &str) -> Answer {
    let mut request = Request::builder().method(verb).uri(path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    send(request.body(Full::from(body.to_owned())).unwrap()).await
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

pub(crate) async fn grpc(body: Vec<u8>) -> (Option<Status>, Answer) {
    let request = Request::post("/e.Echo/Unary")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(Full::<Bytes>::from(body))
        .unwrap();
    let answer = send(request).await;
    (Status::from_header_map(&answer.headers), answer)
}

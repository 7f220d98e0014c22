//! Claims about answers, through the front door: a service that answers as a test says, asked over HTTP.

mod download;
mod errors;
mod property;
mod stream;
mod trailers;
mod unary;

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;
use tower_service::Service;

use crate::json::Mode;
use crate::tests::support::{descriptors, framed};
use crate::{Config, Transcoder};

const SCHEMA: &str = r#"
syntax = "proto3";
package r;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "transcode/v1/options.proto";
message Query { string name = 1; bool stream = 2; }
enum Kind { KIND_UNSPECIFIED = 0; KIND_MADE = 1; end = 2; }
message Inner { string id = 1; sint64 at = 2; }
message Item {
  string text = 1; Kind kind = 2; Inner inner = 3; repeated Inner many = 4; map<string, int32> counts = 5; string raw = 6 [(transcode.v1.field).raw = true];
  int64 number = 7; string name = 8; google.api.HttpBody file = 9; repeated string words = 10; optional bool flag = 11;
  google.protobuf.Timestamp when = 12; google.protobuf.StringValue maybe = 13; google.protobuf.ListValue list = 14; google.protobuf.Struct object = 15;
}
message Problem { string what = 1; int64 size = 2; }
service Answers {
  rpc One(Query) returns (Item) { option (google.api.http) = { get: "/one"
    additional_bindings { get: "/one/text" response_body: "text" } additional_bindings { get: "/one/inner" response_body: "inner" }
    additional_bindings { get: "/one/many" response_body: "many" } additional_bindings { get: "/one/counts" response_body: "counts" }
    additional_bindings { get: "/one/words" response_body: "words" } additional_bindings { get: "/one/number" response_body: "number" }
    additional_bindings { get: "/one/flag" response_body: "flag" } additional_bindings { get: "/one/kind" response_body: "kind" }
    additional_bindings { get: "/one/when" response_body: "when" } additional_bindings { get: "/one/maybe" response_body: "maybe" }
    additional_bindings { get: "/one/list" response_body: "list" } additional_bindings { get: "/one/object" response_body: "object" }
    additional_bindings { get: "/one/file" response_body: "file" } }; }
  rpc Watch(Query) returns (stream Item) { option (google.api.http) = { get: "/watch" additional_bindings { get: "/watch/inner" response_body: "inner" }
    additional_bindings { get: "/watch/file" response_body: "file" } }; }
  rpc Follow(Query) returns (stream Item) { option (google.api.http) = { get: "/follow" };
    option (transcode.v1.method).stream = { id_field: "inner.at" event_field: "kind" retry_millis: 1500 }; }
  rpc Named(Query) returns (stream Item) { option (google.api.http) = { get: "/named" };
    option (transcode.v1.method).stream = { id_field: "text" event_field: "name" }; }
  rpc Ask(Query) returns (Item) { option (google.api.http) = { post: "/ask" body: "*" };
    option (transcode.v1.method).stream_twin = { field: "stream", method: "Tell" }; }
  rpc Tell(Query) returns (stream Item) { option (google.api.http) = { post: "/ask" body: "*" }; option (transcode.v1.method).terminator = "[DONE]"; }
  rpc Get(Query) returns (google.api.HttpBody) { option (google.api.http) = { get: "/file" }; }
  rpc Down(Query) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/files" }; }
}
service Other {
  option (transcode.v1.service).error_shape = ERROR_SHAPE_OPENAI;
  rpc Watch(Query) returns (stream Item) { option (google.api.http) = { get: "/other" }; }
}
"#;

/// One for all tests: compiling it takes longer than asking it.
fn transcoder() -> Transcoder {
    static TRANSCODER: LazyLock<Transcoder> = LazyLock::new(|| transcoder_with(Config::default()));
    TRANSCODER.clone()
}

fn transcoder_with(config: Config) -> Transcoder {
    Transcoder::with_config(&descriptors(SCHEMA), config).unwrap()
}

/// A message of `r` in its frame, given as JSON.
fn message(name: &str, json: &str) -> Bytes {
    let plans = transcoder().plans();
    let mut wire = Vec::new();
    plans.read(plans.message(name).unwrap(), json.as_bytes(), Mode::Strict, &mut wire).unwrap();
    framed(&wire).into()
}

fn item(json: &str) -> Piece {
    Piece::Data(message("r.Item", json))
}

/// What a service sends, piece by piece.
#[derive(Debug, Clone)]
enum Piece {
    Data(Bytes),
    /// The end, with trailers.
    End(Box<Status>, Vec<(&'static str, &'static str)>),
    /// The body breaks.
    Broken,
    /// Nothing more, and no end.
    Silence,
}

fn good() -> Piece {
    Piece::End(Box::new(Status::ok("")), Vec::new())
}

fn bad() -> Piece {
    Piece::End(Box::new(Status::unavailable("lost")), Vec::new())
}

/// A service that answers every call with the same pieces.
#[derive(Clone)]
struct Script {
    headers: HeaderMap,
    pieces: Vec<Piece>,
    /// Held for as long as a call lasts.
    held: Arc<()>,
}

impl Script {
    fn new(pieces: impl Into<Vec<Piece>>) -> Self {
        Self { headers: HeaderMap::new(), pieces: pieces.into(), held: Arc::default() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    /// How many calls are going on.
    fn open(&self) -> usize {
        Arc::strong_count(&self.held) - 1
    }
}

impl Service<Request<Body>> for Script {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { mut headers, pieces, held } = self.clone();
        Box::pin(async move {
            headers.insert("content-type", "application/grpc".parse().unwrap());
            if let Some(id) = request.headers().get("last-event-id") {
                headers.insert("x-seen", id.clone());
            }
            if let [Piece::End(status, metadata)] = &*pieces
                && status.code() != tonic::Code::Ok
            {
                status.add_header(&mut headers).unwrap();
                for (name, value) in metadata {
                    headers.append(*name, value.parse().unwrap());
                }
                let mut response = Response::new(Body::empty());
                *response.headers_mut() = headers;
                return Ok(response);
            }
            let stream = futures_util::stream::unfold((pieces.into_iter(), held), |(mut pieces, held)| async move {
                let frame = match pieces.next()? {
                    Piece::Data(data) => Ok(Frame::data(data)),
                    Piece::End(status, metadata) => {
                        let mut trailers = HeaderMap::new();
                        status.add_header(&mut trailers).unwrap();
                        for (name, value) in metadata {
                            trailers.append(name, value.parse().unwrap());
                        }
                        Ok(Frame::trailers(trailers))
                    }
                    Piece::Broken => Err(Status::unavailable("lost")),
                    Piece::Silence => std::future::pending().await,
                };
                Some((frame, (pieces, held)))
            });
            let mut response = Response::new(Body::new(StreamBody::new(stream)));
            *response.headers_mut() = headers;
            Ok(response)
        })
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    trailers: HeaderMap,
    /// Whether the body broke off.
    broken: bool,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

fn get(path: &str, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::default()).unwrap()
}

/// Sends one request to the script and reads the answer to its end.
async fn ask(script: &Script, request: Request<Full<Bytes>>) -> Answer {
    ask_with(transcoder(), script, request).await
}

async fn ask_with(transcoder: Transcoder, script: &Script, request: Request<Full<Bytes>>) -> Answer {
    let response = transcoder.serve(script.clone()).oneshot(request).await.unwrap();
    let (parts, mut body) = response.into_parts();
    let mut answer = Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::new(),
        trailers: HeaderMap::new(),
        broken: false,
    };
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => answer.body.push_str(std::str::from_utf8(&data).unwrap()),
            Ok(Err(frame)) => answer.trailers = frame.into_trailers().unwrap(),
            Err(_) => answer.broken = true,
        }
    }
    answer
}

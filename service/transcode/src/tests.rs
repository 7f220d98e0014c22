//! Claims about the transcoder as a whole, on a service that answers with what it was asked.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;
use tower_service::Service;

use crate::{Config, Deadline, Protocol, Transcoder, UnknownQuery};

const SCHEMA: &str = r#"
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

fn descriptors(extra: &str) -> Vec<u8> {
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
struct Echo;

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

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

fn transcoder() -> Transcoder {
    Transcoder::with_config(&descriptors(""), Config { max_body: 1000, ..Config::default() }).unwrap()
}

async fn send(request: Request<Full<Bytes>>) -> Answer {
    let response = transcoder().serve(Echo).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

async fn ask(verb: &str, path: &str, body: &str) -> Answer {
    let mut request = Request::builder().method(verb).uri(path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    send(request.body(Full::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn paths_reach_their_rpc_and_fill_their_fields() {
    for (verb, path, rpc, expected) in [
        ("GET", "/v1/things/a%2Fb", "Get", r#"{"name":"a/b"}"#),
        ("GET", "/v1/things/user:1", "Get", r#"{"name":"user:1"}"#),
        ("GET", "/v1/things/a%20b?number=5&many=1&many=2", "Get", r#"{"name":"a b","number":"5","many":[1,2]}"#),
        (
            "GET",
            "/v1/things/x?inner.id=i&inner.tags=a%2Bb&inner.tags=c+d&inner.on=true",
            "Get",
            r#"{"name":"x","inner":{"id":"i","tags":["a+b","c d"],"on":true}}"#,
        ),
        ("GET", "/v1/inner/7/x", "Get", r#"{"inner":{"id":"7"}}"#),
        ("GET", "/v1/files/a/b%2Fc", "Deep", r#"{"name":"files/a/b%2Fc"}"#),
        ("GET", "/v1/files", "Deep", r#"{"name":"files"}"#),
        ("HEAD", "/v1/things/x", "Get", ""),
        ("LINK", "/v1/any?name=q", "Any", r#"{"name":"q"}"#),
    ] {
        let answer = ask(verb, path, "").await;
        assert_eq!(answer.status, 200, "{verb} {path}: {}", answer.body);
        assert_eq!(answer.headers["x-path"], format!("/e.Echo/{rpc}"), "{path}");
        assert_eq!(answer.body, expected, "{path}");
    }
    let answer = ask("POST", "/v1/things/x:do", r#"{"number":3}"#).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, r#"{"name":"x","number":"3"}"#));
    let answer = ask("PUT", "/v1/things/x?number=9", r#"{"id":"i"}"#).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.body),
        (200, r#"{"id":"i","tags":[],"on":false}"#.replace(r#","tags":[],"on":false"#, "").as_str())
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_right_code_and_the_field() {
    for (verb, path, body, status, says) in [
        ("GET", "/v1/nothing", "", 404, "/v1/nothing"),
        ("GET", "/v1/things/", "", 404, ""),
        ("GET", "/v1/things/a/b", "", 404, ""),
        ("DELETE", "/v1/things/a", "", 405, "DELETE"),
        ("GET", "/v1/things/x:do", "", 200, ""),
        ("GET", "/v1/things/%zz", "", 400, "percent"),
        ("GET", "/v1/things/a?number=x", "", 400, "number"),
        ("GET", "/v1/things/a?number=1&number=2", "", 400, "twice"),
        ("GET", "/v1/things/a?name=b", "", 400, "given by the path"),
        ("GET", "/v1/things/a?what=b", "", 400, "what"),
        ("GET", "/v1/things/a?inner=b", "", 400, "inner"),
        ("PUT", "/v1/things/x?inner.id=9", r#"{"id":"i"}"#, 400, "given by the body"),
        ("POST", "/v1/things/x:do", r#"{"name":"y"}"#, 400, "another value than the path"),
        ("POST", "/v1/ask", r#"{"number":"x"}"#, 400, "number"),
        ("POST", "/v1/ask", r#"{"a":"1","b":"2"}"#, 400, "only one of"),
        ("POST", "/v1/ask", r#"{"nam":"y"}"#, 400, "nam"),
        ("POST", "/v1/ask", "{", 400, "malformed JSON"),
        ("POST", "/v1/ask", r#"{"name":"fail"}"#, 404, "no such thing"),
    ] {
        let answer = ask(verb, path, body).await;
        assert_eq!(answer.status, status, "{verb} {path}: {}", answer.body);
        if status != 200 {
            let json = answer.json();
            assert!(json["message"].as_str().unwrap().contains(says), "{path}: {json}");
            assert!(json["code"].is_number() && json["status"].is_string(), "{path}: {json}");
        }
    }
}

#[tokio::test]
async fn a_wrong_verb_lists_the_right_ones() {
    let answer = ask("POST", "/v1/things/a", "").await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers["allow"], "GET, PUT, HEAD, OPTIONS");
    let answer = ask("OPTIONS", "/v1/things/a", "").await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn bodies_are_refused_by_their_headers() {
    for (content_type, status) in [
        (Some("application/json; charset=utf-8"), 200),
        (Some("application/vnd.x+json"), 200),
        (Some("application/json; charset=latin1"), 415),
        (Some("text/plain"), 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (None, 415),
    ] {
        let mut request = Request::post("/v1/ask");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = send(request.body(Full::from("{}")).unwrap()).await;
        assert_eq!(answer.status, status, "{content_type:?}: {}", answer.body);
    }
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(2000));
    for length in [true, false] {
        let mut request = Request::post("/v1/ask").header("content-type", "application/json");
        if length {
            request = request.header("content-length", long.len());
        }
        assert_eq!(send(request.body(Full::from(long.clone())).unwrap()).await.status, 413);
    }
}

#[tokio::test]
async fn the_body_is_not_read_before_the_layers_between_edge_and_gate() {
    let refuse = tower::service_fn(|request: Request<Body>| async move {
        drop(request);
        Ok::<_, Infallible>(Status::unauthenticated("who are you?").into_http::<Body>())
    });
    let body = futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<Result<Frame<Bytes>, Status>>> {
        panic!("the body was read")
    });
    let request = Request::post("/v1/ask").header("content-type", "application/json");
    let request = request.body(StreamBody::new(body)).unwrap();
    let response = tower_layer::Layer::layer(&transcoder().edge(), refuse).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn a_member_of_the_body_selects_the_streaming_twin() {
    let answer = ask("POST", "/v1/ask", r#"{"name":"x"}"#).await;
    assert_eq!(answer.headers["x-path"], "/e.Echo/Unary");
    assert_eq!(answer.headers["content-type"], "application/json");
    let answer = ask("POST", "/v1/ask", r#"{"name":"x","stream":true}"#).await;
    assert_eq!(answer.headers["x-path"], "/e.Echo/Stream");
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    assert_eq!(answer.headers["cache-control"], "no-cache");
    let event = "data: {\"name\":\"x\",\"stream\":true}\n\n";
    assert_eq!(answer.body, format!("{event}{event}data: [DONE]\n\n"));
}

#[tokio::test]
async fn a_stream_ends_in_a_way_that_cannot_be_mistaken() {
    let good = ask("GET", "/v1/plain/x", "").await;
    assert!(good.body.ends_with("event: end\ndata: {}\n\n"), "{}", good.body);
    for (name, code) in [("late", "lost"), ("cut", "before it was complete")] {
        let bad = ask("GET", &format!("/v1/plain/{name}"), "").await;
        assert_eq!(bad.status, 200);
        let (events, error) = bad.body.split_once("event: error\ndata: ").unwrap_or_else(|| panic!("{}", bad.body));
        assert!(events.starts_with("data: {"), "{events}");
        assert!(error.contains("\"UNAVAILABLE\"") && error.contains(code), "{error}");
        assert!(!bad.body.contains("event: end"));
    }
    let early = ask("GET", "/v1/plain/fail", "").await;
    assert_eq!(early.status, 404, "an error before the first message has its own status");
}

#[tokio::test]
async fn metadata_travels_both_ways_and_a_deadline_is_noted() {
    let request = Request::get("/v1/things/x").header("x-mine", "v").header("x-server-timeout", "5");
    let answer = send(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.headers["x-mine"], "v");
    assert_eq!(answer.headers["x-deadline"], "true");
    assert_eq!(answer.headers["x-protocol"], "rest");
    assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("grpc-")), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_deadline_ends_the_call_before_and_within_the_answer() {
    for (path, status) in [("/v1/things/never", 504), ("/v1/plain/silent", 200)] {
        let request = Request::get(path).header("x-server-timeout", "0.05").body(Full::default()).unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(5), send(request)).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.contains("DEADLINE_EXCEEDED"), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_silent_stream_is_kept_alive() {
    let config = Config { keep_alive: Duration::from_millis(20), ..Config::default() };
    let transcoder = Transcoder::with_config(&descriptors(""), config).unwrap();
    let request = Request::get("/v1/plain/silent").body(Full::<Bytes>::default()).unwrap();
    let mut body = transcoder.serve(Echo).oneshot(request).await.unwrap().into_body();
    let mut text = String::new();
    while text.matches(": keep-alive\n\n").count() < 2 {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend_from_slice(&(message.len() as u32).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

async fn grpc(body: Vec<u8>) -> (Option<Status>, Answer) {
    let request = Request::post("/e.Echo/Unary")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(Full::<Bytes>::from(body))
        .unwrap();
    let answer = send(request).await;
    (Status::from_header_map(&answer.headers), answer)
}

#[tokio::test]
async fn the_gate_checks_grpc_messages_too() {
    use tonic::Code;
    let mut two = framed(b"");
    two.extend_from_slice(&framed(b""));
    let mut huge = vec![0];
    huge.extend_from_slice(&u32::MAX.to_be_bytes());
    for (body, code, says) in [
        (Vec::new(), Code::Unimplemented, "no message"),
        (vec![0, 0], Code::InvalidArgument, "cut short"),
        (framed(&[0x0a, 5, b'a'])[..7].to_vec(), Code::InvalidArgument, "cut short"),
        (framed(&[0x0a, 5, b'a']), Code::InvalidArgument, "well-formed"),
        (framed(&[0x0a, 1, 0xff]), Code::InvalidArgument, "name: the string is not UTF-8"),
        (framed(&[0x12, 3, 0x0a, 1, 0xff]), Code::InvalidArgument, "inner.id: "),
        (framed(&[0x08, 1]), Code::InvalidArgument, "name: the wire type is wrong"),
        (two, Code::Unimplemented, "more than one"),
        (huge, Code::ResourceExhausted, "limit"),
        (framed(&[0x0a; 2000]), Code::ResourceExhausted, "limit"),
    ] {
        let (status, _) = grpc(body.clone()).await;
        let status = status.unwrap_or_else(|| panic!("{body:?} was let through"));
        assert_eq!(status.code(), code, "{body:?}: {status:?}");
        assert!(status.message().contains(says), "{status:?}");
    }
    let (status, answer) = grpc(framed(&[0x0a, 1, b'x'])).await;
    assert!(status.is_none(), "{status:?}");
    assert_eq!(answer.headers["x-protocol"], "grpc");
}

#[tokio::test]
async fn grpc_over_http_1_is_told_what_to_do() {
    let request = Request::post("/e.Echo/Unary").header("content-type", "application/grpc");
    let answer = send(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("gRPC-Web"), "{}", answer.body);
}

#[tokio::test]
async fn grpc_web_carries_its_status_in_the_body() {
    let request = Request::post("/e.Echo/Stream")
        .header("content-type", "application/grpc-web+proto")
        .body(Full::<Bytes>::from(framed(b"\x0a\x04late")))
        .unwrap();
    let answer = send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-protocol"], "grpc-web");
    assert!(answer.body.contains("grpc-status:14"), "{:?}", answer.body);
}

#[tokio::test]
async fn unknown_query_parameters_can_be_ignored() {
    let config = Config { unknown_query: UnknownQuery::Ignore, ..Config::default() };
    let transcoder = Transcoder::with_config(&descriptors(""), config).unwrap();
    let request = Request::get("/v1/things/x?what=1").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(transcoder.serve(Echo).oneshot(request).await.unwrap().status(), 200);
}

#[test]
fn clashing_and_broken_rules_are_refused_by_name() {
    for (rule, says) in [
        (r#"get: "/v1/things/{a}""#, "e.Echo/Get"),
        (r#"get: "/v2/{nope}""#, "nope"),
        (r#"get: "/v2/{m}""#, "single scalar"),
        (r#"get: "v2""#, "v2"),
        (r#"post: "/v2" body: "nope""#, "nope"),
        (r#"get: "/v2" response_body: "nope""#, "nope"),
    ] {
        let schema = format!(
            r#"syntax = "proto3"; package x; import "google/api/annotations.proto"; import "e.proto";
            message M {{ string a = 1; M m = 2; }}
            service S {{ rpc R(M) returns (M) {{ option (google.api.http) = {{ {rule} }}; }} }}"#
        );
        let error = Transcoder::new(&descriptors(&schema)).unwrap_err().to_string();
        assert!(error.contains("x.S/R") && error.contains(says), "{rule}: {error}");
    }
}

//! Claims about limits: what is too long, too much at once or too late, and how it is answered.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tower::ServiceExt as _;

use super::support::{Echo, ask, descriptors, framed, transcoder};
use crate::{Config, Limits, Transcoder};

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

async fn call(transcoder: &Transcoder, request: Request<Full<Bytes>>) -> Response<Body> {
    transcoder.serve(Echo).oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_long_url_is_414_and_large_headers_are_431() {
    let transcoder = transcoder();
    let answer = call(&transcoder, get(&format!("/v1/things/{}", "x".repeat(9000)))).await;
    assert_eq!(answer.status(), 414);
    assert!(text(answer).await.contains("INVALID_ARGUMENT"));
    let request = Request::get("/v1/things/x").header("x-long", "x".repeat(40_000)).body(Full::default()).unwrap();
    let answer = call(&transcoder, request).await;
    assert_eq!(answer.status(), 431);
    let grpc = Request::post("/e.Echo/Get")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("x-long", "x".repeat(40_000))
        .body(Full::from(framed(b"")))
        .unwrap();
    assert_eq!(call(&transcoder, grpc).await.headers()["grpc-status"], "8");
}

#[tokio::test]
async fn a_method_has_limits_of_its_own_by_option_or_by_the_builder() {
    let extra = r#"syntax = "proto3"; package x; import "google/api/annotations.proto"; import "transcode/v1/options.proto";
        import "e.proto";
        service Small {
          rpc Unary(e.Thing) returns (e.Thing) {
            option (google.api.http) = { post: "/v1/small" body: "*" };
            option (transcode.v1.method).limits = { max_body_bytes: 20 first_message_timeout_ms: 30 max_json_items: 2 };
          }
        }"#;
    let set = descriptors(extra);
    let post = |path: &str, name: &str| {
        let body = format!("{{\"name\":\"{name}\"}}");
        Request::post(path).header("content-type", "application/json").body(Full::from(body)).unwrap()
    };
    let transcoder = Transcoder::builder(&set).limits("e.Echo/Unary", |limits| limits.max_body = 30).build().unwrap();
    assert_eq!(call(&transcoder, post("/v1/small", "short")).await.status(), 200);
    assert_eq!(call(&transcoder, post("/v1/small", "longer than it")).await.status(), 413);
    assert_eq!(call(&transcoder, post("/v1/small", "never")).await.status(), 504);
    let many =
        Request::post("/v1/small").header("content-type", "application/json").body(Full::from("{\"many\":[1,2,3]}"));
    assert_eq!(call(&transcoder, many.unwrap()).await.status(), 400);
    assert_eq!(call(&transcoder, post("/v1/ask", "longer than it")).await.status(), 200);
    assert_eq!(call(&transcoder, post("/v1/ask", "even longer than the other")).await.status(), 413);
    let error = Transcoder::builder(&set).limits("e.Echo/Unarz", |_| {}).build().unwrap_err().to_string();
    assert!(error.contains("e.Echo/Unarz"), "{error}");
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_until_one_ends() {
    let config = Config { max_open_streams: 1, ..Config::default() };
    let transcoder = Transcoder::with_config(&descriptors(""), config).unwrap();
    let first = call(&transcoder, get("/v1/plain/silent")).await;
    assert_eq!(first.status(), 200);
    let second = call(&transcoder, get("/v1/plain/x")).await;
    assert_eq!(second.status(), 429);
    assert!(text(second).await.contains("RESOURCE_EXHAUSTED"));
    assert_eq!(call(&transcoder, get("/v1/things/x")).await.status(), 200, "unary calls are no streams");
    drop(first);
    let third = call(&transcoder, get("/v1/plain/x")).await;
    assert_eq!(third.status(), 200);
    assert!(text(third).await.contains("event: end"));
    assert_eq!(call(&transcoder, get("/v1/plain/x")).await.status(), 200, "a stream that has ended is not open");
}

#[tokio::test]
async fn calls_of_a_method_beyond_its_limit_are_refused() {
    let set = descriptors("");
    let transcoder =
        Transcoder::builder(&set).limits("e.Echo/Plain", |limits| limits.max_open = Some(1)).build().unwrap();
    let first = call(&transcoder, get("/v1/plain/silent")).await;
    assert_eq!(call(&transcoder, get("/v1/plain/x")).await.status(), 429);
    drop(first);
    assert_eq!(call(&transcoder, get("/v1/plain/x")).await.status(), 200);
}

#[tokio::test]
async fn bytes_in_flight_are_bounded_over_all_calls() {
    let config = Config { max_in_flight: 64, ..Config::default() };
    let transcoder = Transcoder::with_config(&descriptors(""), config).unwrap();
    let post = |name: &str| {
        let body = format!("{{\"name\":\"{name}\"}}");
        Request::post("/v1/ask").header("content-type", "application/json").body(Full::from(body)).unwrap()
    };
    // Its body stays in memory for as long as the service does not answer.
    let never = tokio::spawn(transcoder.serve(Echo).oneshot(post("never, and 40 bytes")));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(call(&transcoder, post("this is too much with the other")).await.status(), 429);
    never.abort();
    let _ = never.await;
    assert_eq!(call(&transcoder, post("this is too much with the other")).await.status(), 200);
}

#[tokio::test]
async fn an_answer_that_does_not_begin_or_falls_silent_is_given_up() {
    let limits = Limits {
        first_message_timeout: Some(Duration::from_millis(40)),
        answer_idle_timeout: Some(Duration::from_millis(40)),
        ..Limits::default()
    };
    let transcoder = Transcoder::with_config(&descriptors(""), Config { limits, ..Config::default() }).unwrap();
    for (path, status, problem) in [
        ("/v1/things/never", 504, "did not begin"),
        ("/v1/plain/silent", 200, "fell silent"),
        ("/v1/plain/x", 200, "end"),
    ] {
        let answer = call(&transcoder, get(path)).await;
        assert_eq!(answer.status(), status, "{path}");
        let body = tokio::time::timeout(Duration::from_secs(5), text(answer)).await.unwrap();
        assert!(body.contains(problem), "{path}: {body}");
    }
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_it_and_streams_are_not() {
    let body = format!("{{\"name\":\"{}\"}}", "x".repeat(900));
    let post = |encoding: &str, body: &str| {
        let request =
            Request::post("/v1/ask").header("content-type", "application/json").header(ACCEPT_ENCODING, encoding);
        request.body(Full::from(body.to_owned())).unwrap()
    };
    let config = Config { compress_from: Some(500), ..Config::default() };
    let transcoder = Transcoder::with_config(&descriptors(""), config).unwrap();
    for encoding in ["gzip", "br", "zstd"] {
        let answer = call(&transcoder, post(encoding, &body)).await;
        assert_eq!(answer.headers()[CONTENT_ENCODING], encoding);
        assert_eq!(answer.headers()[VARY], "accept-encoding");
        assert!(!answer.headers().contains_key(CONTENT_LENGTH));
        let compressed = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(compressed.len() < 200, "{encoding}: {}", compressed.len());
    }
    for (encoding, body) in
        [("identity", body.as_str()), ("gzip;q=0", &body), ("gzip", "{\"name\":\"x\"}"), ("gzip", "{\"stream\":true}")]
    {
        let answer = call(&transcoder, post(encoding, body)).await;
        assert!(!answer.headers().contains_key(CONTENT_ENCODING), "{encoding} {body}");
    }
}

#[tokio::test]
async fn binary_metadata_that_is_not_base64_is_refused() {
    let request = Request::get("/v1/things/x").header("x-data-bin", "not base64!").body(Full::default()).unwrap();
    assert_eq!(call(&transcoder(), request).await.status(), 400);
    assert_eq!(ask("GET", "/v1/things/x", "").await.status, 200);
}

//! Claims about streamed answers.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;

use super::support::{Echo, ask, descriptors};
use crate::{Config, Transcoder};

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

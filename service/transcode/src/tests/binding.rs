//! Claims about how path, query and body become a message, and what is refused.

use std::convert::Infallible;

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::support::{Echo, ask, descriptors, send, transcoder};
use crate::{Config, Transcoder, UnknownQuery};

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
async fn bodies_are_refused_by_their_headers() {
    for (content_type, status) in [
        (Some("application/json; charset=utf-8"), 200),
        (Some("application/vnd.x+json"), 200),
        (Some("application/json; charset=latin1"), 415),
        (Some("text/plain"), 415),
        (Some("application/xml"), 415),
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
async fn unknown_query_parameters_can_be_ignored() {
    let config = Config { unknown_query: UnknownQuery::Ignore, ..Config::default() };
    let transcoder = Transcoder::with_config(&descriptors(""), config).unwrap();
    let request = Request::get("/v1/things/x?what=1").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(transcoder.serve(Echo).oneshot(request).await.unwrap().status(), 200);
}

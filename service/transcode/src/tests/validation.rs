//! Claims about validation: the same refusal whatever the protocol, for single messages and for those of a stream.

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::ServiceExt as _;

use super::notes::Board;
use super::support::framed;
use crate::bind::coding::tests::{ALL, encode};
use crate::{Config, Transcoder};

const SCHEMA: &str = r#"
syntax = "proto3";
package n;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
message Note {
  string text = 1 [(buf.validate.field).string.min_len = 1];
  int64 number = 2 [(buf.validate.field).int64.lte = 9];
  string room = 3;
  repeated Note replies = 4 [(buf.validate.field).repeated.max_items = 2];
}
message Notes { repeated Note notes = 1; }
service Board {
  rpc Collect(stream Note) returns (Notes) { option (google.api.http) = { post: "/v1/notes" body: "*" }; }
  rpc Watch(Note) returns (stream Note) {
    option (google.api.http) = { post: "/v1/watch" body: "*" additional_bindings { get: "/v1/watch" } };
  }
}
"#;

fn transcoder() -> Transcoder {
    let descriptors = crate::validate::tests::descriptors(SCHEMA);
    Transcoder::with_config(&descriptors, Config::default()).unwrap()
}

/// A request's answer: all of its headers and trailers, and its body.
async fn send(request: http::request::Builder, body: impl Into<Bytes>) -> (HeaderMap, Bytes) {
    let request = request.body(Full::from(body.into())).unwrap();
    let response = transcoder().serve(Board::default()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let mut headers = parts.headers;
    headers.extend(collected.trailers().cloned().unwrap_or_default());
    (headers, collected.to_bytes())
}

/// Field, description and reason of each violation.
type Details = Vec<[String; 3]>;

fn details(status: &Status) -> Details {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    violations.into_iter().map(|one| [one.field, one.description, one.reason]).collect()
}

fn json_details(body: &[u8]) -> Details {
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["status"], "INVALID_ARGUMENT", "{body}");
    let violations = body["details"][0]["fieldViolations"].as_array().unwrap_or_else(|| panic!("{body}"));
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    violations.iter().map(|one| ["field", "description", "reason"].map(|name| text(one, name))).collect()
}

fn grpc(path: &str) -> http::request::Builder {
    Request::post(path).version(http::Version::HTTP_2).header("content-type", "application/grpc")
}

/// The status in the body of a gRPC-Web answer.
fn web_status(headers: &HeaderMap, body: &[u8]) -> Status {
    let text = String::from_utf8_lossy(body).into_owned();
    let lines = text.split("\r\n").filter_map(|line| line[line.find("grpc-")?..].split_once(':'));
    let in_body = lines.map(|(name, value)| (name.parse().unwrap(), value.trim().parse().unwrap()));
    let in_body = HeaderMap::from_iter(in_body.collect::<Vec<_>>());
    Status::from_header_map(&in_body).or_else(|| Status::from_header_map(headers)).unwrap()
}

fn expected(prefix: &str) -> Details {
    let one =
        |field: &str, description: &str, reason: &str| [format!("{prefix}{field}"), description.into(), reason.into()];
    vec![
        one("text", "must not be empty", "string.min_len"),
        one("number", "must be at most 9", "int64.lte"),
        one("replies[1].text", "must not be empty", "string.min_len"),
    ]
}

const BAD: &str = r#"{"number": 10, "replies": [{"text": "x"}, {"room": "r"}]}"#;

fn bad() -> Vec<u8> {
    let plans = transcoder().plans();
    let mut wire = Vec::new();
    plans.read(plans.message("n.Note").unwrap(), BAD.as_bytes(), crate::json::Mode::Strict, &mut wire).unwrap();
    wire
}

#[tokio::test]
async fn every_protocol_gives_the_same_details_for_the_same_message() {
    let (headers, _) = send(grpc("/n.Board/Watch"), framed(&bad())).await;
    assert_eq!(details(&Status::from_header_map(&headers).unwrap()), expected(""));

    for (content_type, encode) in [("application/grpc-web+proto", false), ("application/grpc-web-text+proto", true)] {
        let body = framed(&bad());
        let engine = base64::engine::general_purpose::STANDARD;
        let body = if encode { engine.encode(body).into_bytes() } else { body };
        let request = Request::post("/n.Board/Watch").header("content-type", content_type);
        let (headers, body) = send(request, body).await;
        let body = if encode { engine.decode(body).unwrap().into() } else { body };
        assert_eq!(details(&web_status(&headers, &body)), expected(""), "{content_type}");
    }

    let json = || Request::post("/v1/watch").header("content-type", "application/json");
    let (_, body) = send(json(), BAD).await;
    assert_eq!(json_details(&body), expected(""));

    // What a query makes is held to the same rules.
    let (_, body) = send(Request::get("/v1/watch?number=10&text=x"), "").await;
    assert_eq!(json_details(&body), expected("")[1..2]);
    let (headers, _) = send(json(), r#"{"text": "x"}"#).await;
    assert_eq!(headers["content-type"], "text/event-stream");
}

#[tokio::test]
async fn a_message_of_a_stream_is_named_by_its_index() {
    let good = framed(b"\x0a\x01x");
    let stream = [&good[..], &good, &framed(&bad()), &good].concat();
    let (headers, _) = send(grpc("/n.Board/Collect"), stream.clone()).await;
    assert_eq!(details(&Status::from_header_map(&headers).unwrap()), expected("[2]."));

    let request = Request::post("/n.Board/Collect").header("content-type", "application/grpc-web+proto");
    let (headers, body) = send(request, stream).await;
    assert_eq!(details(&web_status(&headers, &body)), expected("[2]."));

    let lines = format!("{{\"text\": \"x\"}}\n{{\"text\": \"x\"}}\n{}\n", BAD.replace('\n', ""));
    for (content_type, text) in
        [("application/x-ndjson", lines), ("application/json", format!("[{}, {0}, {BAD}]", r#"{"text": "x"}"#))]
    {
        let (_, body) = send(Request::post("/v1/notes").header("content-type", content_type), text).await;
        assert_eq!(json_details(&body), expected("[2]."), "{content_type}");
    }
}

#[tokio::test]
async fn a_handler_that_takes_a_bad_message_for_the_end_does_not_hide_it() {
    let stream = [framed(b"\x0a\x07swallow"), framed(b"")].concat();
    let (headers, _) = send(grpc("/n.Board/Collect"), stream).await;
    let status = Status::from_header_map(&headers).unwrap();
    assert_eq!(status.message(), "[1].text: must not be empty");
}

#[tokio::test]
async fn the_messages_of_a_stream_are_checked_as_single_ones_are() {
    let good = framed(b"\x0a\x01x");
    for (bad, code, says) in [
        (framed(b"\x0a\x01\xff"), Code::InvalidArgument, "[1].text: the string is not UTF-8"),
        (framed(b"\x0a"), Code::InvalidArgument, "[1]: the bytes are not a well-formed"),
        (good[..6].to_vec(), Code::InvalidArgument, "cut short"),
        (vec![0, 0xff, 0, 0, 0], Code::ResourceExhausted, "limit"),
        (vec![9, 0, 0, 0, 0], Code::Internal, "flag 9"),
        (vec![1, 0, 0, 0, 0], Code::Internal, "compress"),
    ] {
        let (headers, _) = send(grpc("/n.Board/Collect"), [&good[..], &bad].concat()).await;
        let status = Status::from_header_map(&headers).unwrap();
        assert_eq!(status.code(), code, "{bad:?}: {status:?}");
        assert!(status.message().contains(says), "{status:?}");
    }
    let (headers, body) = send(grpc("/n.Board/Collect"), [&good[..], &good].concat()).await;
    assert_eq!(Status::from_header_map(&headers).unwrap().code(), Code::Ok);
    assert_eq!(body.len(), 5 + 2 * 6);
}

#[tokio::test]
async fn compression_hides_nothing() {
    for (coding, name) in ALL.into_iter().zip(["gzip", "deflate", "br", "zstd"]).filter(|(_, name)| *name != "br") {
        let squeeze = |message: &[u8]| {
            let mut frame = framed(&encode(coding, message));
            frame[0] = 1;
            frame
        };
        let request = || grpc("/n.Board/Collect").header("grpc-encoding", name);
        let mixed = [squeeze(b"\x0a\x01x"), framed(b"\x0a\x01y"), squeeze(&bad())].concat();
        let (headers, _) = send(request(), mixed).await;
        assert_eq!(details(&Status::from_header_map(&headers).unwrap()), expected("[2]."), "{name}");

        let (headers, body) = send(request(), [framed(b"\x0a\x01y"), squeeze(b"\x0a\x01x")].concat()).await;
        assert_eq!(Status::from_header_map(&headers).unwrap().code(), Code::Ok, "{name}");
        assert_eq!(&body[5..], b"\x0a\x83\x00\x0a\x01y\x0a\x83\x00\x0a\x01x", "{name}");

        let (headers, _) = send(request(), squeeze(&vec![0; 5 << 20])).await;
        assert_eq!(Status::from_header_map(&headers).unwrap().code(), Code::ResourceExhausted, "{name}");

        let watch = grpc("/n.Board/Watch").header("grpc-encoding", name);
        let (headers, _) = send(watch, squeeze(&bad())).await;
        assert_eq!(details(&Status::from_header_map(&headers).unwrap()), expected(""), "{name}");
    }
}

#[tokio::test]
async fn the_limits_of_a_document_hold_for_bytes_too() {
    let limits = crate::Limits { json: crate::json::Limits { max_depth: 3, max_items: 3 }, ..Default::default() };
    let config = Config { limits, ..Config::default() };
    let transcoder = Transcoder::with_config(&crate::validate::tests::descriptors(SCHEMA), config).unwrap();
    let note = |json: Value| {
        let (plans, mut wire) = (transcoder.plans(), Vec::new());
        let message = plans.message("n.Note").unwrap();
        plans.read(message, json.to_string().as_bytes(), crate::json::Mode::Strict, &mut wire).unwrap();
        wire
    };
    let deep = json!({"text": "x", "replies": [{"text": "x", "replies": [{"text": "x", "replies": [{"text": "x"}]}]}]});
    let wide =
        json!({"text": "x", "replies": [{"text": "x", "replies": [{"text": "x"}, {"text": "x"}]}, {"text": "x"}]});
    let fits = json!({"text": "x", "replies": [{"text": "x"}, {"text": "x"}]});
    for (json, says) in [
        (deep, Some("replies[0].replies[0].replies[0]: nested deeper than 3 levels")),
        (wide, Some("replies[1]: more than 3 elements")),
        (fits, None),
    ] {
        let request = grpc("/n.Board/Watch").body(Full::<Bytes>::from(framed(&note(json.clone())))).unwrap();
        let response = transcoder.clone().serve(Board::default()).oneshot(request).await.unwrap();
        let status = Status::from_header_map(response.headers());
        match (says, status) {
            (Some(says), Some(status)) => assert!(status.message().contains(says), "{status:?}"),
            (None, None) => {}
            (_, status) => panic!("{json}: {status:?}"),
        }
    }
}

//! Claims about bodies that are not JSON: raw ones into `google.api.HttpBody`, and multipart forms, whole and streamed.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt as _;

use super::support::{Answer, descriptors, framed};
use crate::{Config, Limits, Transcoder, UnknownQuery};

const SCHEMA: &str = r#"
syntax = "proto3"; package f; import "google/api/annotations.proto"; import "google/api/httpbody.proto";
message Meta { string title = 1; int32 size = 2; repeated string tags = 3; }
message File {
  string name = 1; google.api.HttpBody file = 2; Meta meta = 3; bytes icon = 4; repeated bytes pages = 5;
  map<string, string> labels = 6; map<string, bytes> blobs = 7;
}
message Piece { oneof kind { Meta meta = 1; bytes chunk = 2; google.api.HttpBody file = 3; } string name = 4; }
message Done { string text = 1; }
service Files {
  rpc Raw(google.api.HttpBody) returns (Done) { option (google.api.http) = { post: "/raw" body: "*" }; }
  rpc Put(File) returns (Done) { option (google.api.http) = { put: "/files/{name}" body: "file"
    additional_bindings { post: "/form/{name}" body: "*" }
    additional_bindings { post: "/meta" body: "meta" } }; }
  rpc RawStream(stream google.api.HttpBody) returns (Done) { option (google.api.http) = { post: "/raw-stream" body: "*" }; }
  rpc PutStream(stream File) returns (Done) { option (google.api.http) = { put: "/file-stream/{name}" body: "file" }; }
  rpc Pieces(stream Piece) returns (Done) { option (google.api.http) = { post: "/pieces" body: "*"
    additional_bindings { post: "/pieces/{name}" body: "*" } }; }
}
"#;

fn build(change: impl FnOnce(&mut Config)) -> Transcoder {
    let mut config = Config::default();
    change(&mut config);
    Transcoder::with_config(&descriptors(SCHEMA), config).unwrap()
}

static PLAIN: LazyLock<Transcoder> = LazyLock::new(|| build(|_| {}));

/// Takes gRPC frames apart, and says where each ended with an error.
async fn collect(mut body: Body) -> (Vec<Bytes>, Option<Status>) {
    let (mut deframer, mut messages) = (crate::frame::Deframer::default(), Vec::new());
    while let Some(frame) = body.frame().await {
        match frame {
            Err(status) => return (messages, Some(status)),
            Ok(frame) => deframer.push(frame.into_data().unwrap()),
        }
        while let Some(message) = deframer.next().unwrap() {
            messages.push(message);
        }
    }
    assert!(deframer.is_empty());
    (messages, None)
}

/// Sends a request to a service that takes every message, and tells them as JSON.
async fn send(transcoder: &Transcoder, request: Request<Body>) -> (Answer, Vec<Value>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (plans, told) = (transcoder.plans(), seen.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (plans, told) = (plans.clone(), told.clone());
        async move {
            let input = match request.uri().path() {
                "/f.Files/Raw" | "/f.Files/RawStream" => "google.api.HttpBody",
                "/f.Files/Pieces" => "f.Piece",
                _ => "f.File",
            };
            let (messages, error) = collect(request.into_body()).await;
            for message in messages {
                let mut json = Vec::new();
                plans.write(plans.message(input).unwrap(), &message, &mut json).unwrap();
                told.lock().unwrap().push(serde_json::from_slice(&json).unwrap());
            }
            // A handler that wraps the error of its stream, as handlers do.
            if let Some(error) = error {
                return Ok(Status::internal(format!("upload: {}", error.message())).into_http());
            }
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let frames = [Ok::<_, Status>(Frame::data(framed(b"").into())), Ok(Frame::trailers(trailers))];
            let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
            Ok::<_, Infallible>(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
        }
    });
    let (parts, body) = transcoder.serve(service).oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (Answer { status: parts.status, headers: parts.headers, body }, seen)
}

fn request(verb: &str, path: &str, content_type: &str, body: impl Into<Bytes>) -> Request<Body> {
    let mut request = Request::builder().method(verb).uri(path);
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    request.body(Body::new(Full::from(body.into()))).unwrap()
}

fn base64(data: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(data)
}

#[tokio::test]
async fn a_raw_body_arrives_as_it_is_whatever_its_type() {
    for (content_type, data) in [
        ("image/png", &b"\x89PNG\r\n\x00\xff"[..]),
        ("application/json", b"{\"not\": parsed"),
        ("application/x-www-form-urlencoded", b"a=b"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("text/plain; charset=latin1", b"\xe9"),
        ("", b"untyped"),
        ("text/empty", b""),
    ] {
        let mut file = json!({});
        if !content_type.is_empty() {
            file["contentType"] = content_type.into();
        }
        if !data.is_empty() {
            file["data"] = base64(data).into();
        }
        let (answer, seen) = send(&PLAIN, request("POST", "/raw", content_type, data)).await;
        assert_eq!((answer.status.as_u16(), &seen[..]), (200, &[file.clone()][..]), "{}", answer.body);
        let (_, seen) = send(&PLAIN, request("POST", "/raw-stream", content_type, data)).await;
        assert_eq!(seen, [file.clone()], "streamed");
        let path = "/files/x?meta.title=t&labels%5Ba%5D=b";
        let (_, seen) = send(&PLAIN, request("PUT", path, content_type, data)).await;
        assert_eq!(seen, [json!({"name": "x", "file": file, "meta": {"title": "t"}, "labels": {"a": "b"}})]);
    }
}

#[tokio::test]
async fn a_streamed_upload_is_cut_into_pieces_and_says_its_type_once() {
    let data: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let (_, seen) = send(&PLAIN, request("PUT", "/file-stream/x?meta.size=7", "a/b", data.clone())).await;
    let first =
        json!({"name": "x", "meta": {"size": 7}, "file": {"contentType": "a/b", "data": base64(&data[..65536])}});
    assert_eq!(seen[0], first);
    assert_eq!(seen.len(), 4);
    for (piece, seen) in data.chunks(65536).zip(&seen).skip(1) {
        assert_eq!(*seen, json!({"file": {"data": base64(piece)}}));
    }
}

#[tokio::test]
async fn a_streamed_upload_is_read_no_faster_than_it_is_taken() {
    let multipart = "--B\r\ncontent-disposition: form-data; name=\"chunk\"\r\n\r\n";
    for (path, content_type) in [("/raw-stream", "a/b"), ("/pieces", "multipart/form-data; boundary=B")] {
        let (read, mut reads) = mpsc::channel::<u32>(1000);
        let chunks = futures_util::stream::iter(0..1000u32).map(move |n| {
            let text = if n == 0 { multipart.to_owned() } else { "x".repeat(1000) };
            read.try_send(n).unwrap();
            Ok::<_, Status>(Frame::data(Bytes::from(text)))
        });
        let service = tower::service_fn(move |request: Request<Body>| async move {
            let mut body = request.into_body();
            for _ in 0..3 {
                body.frame().await.unwrap().unwrap();
            }
            Ok::<_, Infallible>(Status::unavailable("that will do").into_http::<Body>())
        });
        // Over HTTP/1.1 the rest of a body would be read and thrown away.
        let request = Request::post(path).version(http::Version::HTTP_2).header("content-type", content_type);
        let request = request.body(StreamBody::new(chunks)).unwrap();
        assert_eq!(PLAIN.serve(service).oneshot(request).await.unwrap().status(), 503);
        let mut count = 0;
        while reads.recv().await.is_some() {
            count += 1;
        }
        assert!(count <= 6, "{path}: {count} chunks were read for 3 messages");
    }
}

#[tokio::test]
async fn an_upload_beyond_its_limit_or_broken_off_is_an_error_to_both_sides() {
    let small = build(|config| config.limits = Limits { max_upload: 1000, max_body: 500, ..Limits::default() });
    let part = |data: &str| format!("--B\r\ncontent-disposition: form-data; name=\"chunk\"\r\n\r\n{data}\r\n--B--");
    for (path, content_type, body, limit) in [
        ("/raw", "a/b", "x".repeat(501), 500),
        ("/raw-stream", "a/b", "x".repeat(1001), 1000),
        ("/pieces", "multipart/form-data; boundary=B", part(&"x".repeat(1000)), 1000),
        ("/form/x", "multipart/form-data; boundary=B", part(&"x".repeat(500)).replace("chunk", "icon"), 500),
    ] {
        for length in [true, false] {
            let mut request = request("POST", path, content_type, body.clone());
            if length {
                request.headers_mut().insert("content-length", body.len().into());
            }
            let (answer, _) = send(&small, request).await;
            assert_eq!(answer.status, 413, "{path}: {}", answer.body);
            assert!(answer.body.contains(&format!("limit of {limit} bytes")), "{}", answer.body);
        }
    }
    for (path, content_type) in [("/raw-stream", "a/b"), ("/pieces", "multipart/form-data; boundary=B")] {
        let chunks = vec![Ok(Frame::data(Bytes::from(part("data")).slice(..56))), Err(Status::unknown("reset"))];
        let body = Body::new(StreamBody::new(futures_util::stream::iter(chunks)));
        let request = Request::post(path).header("content-type", content_type).body(body).unwrap();
        let (answer, _) = send(&PLAIN, request).await;
        assert!(answer.body.contains("broke off"), "{path}: {} {}", answer.status, answer.body);
    }
}

/// A multipart body of parts: name, further headers, data.
fn multipart(parts: &[(&str, &str, &str)]) -> String {
    let mut body = String::new();
    for (name, more, data) in parts {
        body.push_str(&format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{data}\r\n"));
    }
    body + "--B--\r\n"
}

async fn form(transcoder: &Transcoder, path: &str, parts: &[(&str, &str, &str)]) -> (Answer, Vec<Value>) {
    send(transcoder, request("POST", path, "multipart/form-data; boundary=\"B\"", multipart(parts))).await
}

const PNG: &str = "; filename=\"a.png\"\r\nContent-Type: image/png";
const JSON: &str = "\r\nContent-Type: application/json; charset=utf-8";

#[tokio::test]
async fn the_parts_of_a_form_make_one_message() {
    for (path, parts, expected) in [
        (
            "/form/x",
            &[("file", PNG, "pixels"), ("meta.title", "", "a & b"), ("meta.tags", "", "t"), ("meta.tags", "", "u")][..],
            json!({"name": "x", "file": {"contentType": "image/png", "data": base64(b"pixels")}, "meta": {"title": "a & b", "tags": ["t", "u"]}}),
        ),
        ("/form/x", &[("icon", PNG, "\r\n--")], json!({"name": "x", "icon": base64(b"\r\n--")})),
        ("/form/x", &[("icon", "", "not base64")], json!({"name": "x", "icon": base64(b"not base64")})),
        ("/form/x", &[("file", "", "")], json!({"name": "x", "file": {}})),
        ("/form/x", &[("file", "; filename=\"\"\r\nContent-Type: application/octet-stream", "")], json!({"name": "x"})),
        (
            "/form/x",
            &[("pages", PNG, "1"), ("pages", PNG, "2")],
            json!({"name": "x", "pages": [base64(b"1"), base64(b"2")]}),
        ),
        ("/form/x", &[("labels[a.b]", "", "c")], json!({"name": "x", "labels": {"a.b": "c"}})),
        ("/form/x", &[("blobs[a]", "", "AQ==")], json!({"name": "x", "blobs": {"a": "AQ=="}})),
        (
            "/form/x",
            &[("meta", JSON, r#"{"title":"t","size":1}"#)],
            json!({"name": "x", "meta": {"title": "t", "size": 1}}),
        ),
        ("/form/x", &[("meta.tags", JSON, r#"["a"]"#)], json!({"name": "x", "meta": {"tags": ["a"]}})),
        ("/form/x", &[("name", "", "x")], json!({"name": "x"})),
        ("/form/x", &[], json!({"name": "x"})),
        ("/meta?name=n", &[("title", "", "t")], json!({"name": "n", "meta": {"title": "t"}})),
    ] {
        let (answer, seen) = form(&PLAIN, path, parts).await;
        assert_eq!((answer.status.as_u16(), &seen[..]), (200, &[expected][..]), "{parts:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn parts_that_do_not_fit_are_refused_by_name() {
    for (parts, field, says) in [
        (&[("what", "", "x")][..], "what", "not a field of this form"),
        (&[("file", PNG, "1"), ("file", PNG, "2")], "file", "twice"),
        (&[("meta", "", "x")], "meta", "is a message"),
        (&[("meta", JSON, r#"{"size":"x"}"#)], "meta.size", "32-bit"),
        (&[("meta.tags", JSON, r#"[1]"#)], "meta.tags[0]", "a string"),
        (&[("meta.size", "", "x")], "meta.size", "32-bit"),
        (&[("name", "", "y")], "name", "another value than the path"),
    ] {
        let (answer, _) = form(&PLAIN, "/form/x", parts).await;
        assert_eq!(answer.status, 400, "{parts:?}: {}", answer.body);
        let error = answer.json();
        let violation = &error["details"][0]["fieldViolations"][0];
        assert_eq!(violation["field"], field, "{error}");
        assert!(violation["description"].as_str().unwrap().contains(says), "{error}");
    }
    let ignoring = build(|config| config.unknown_query = UnknownQuery::Ignore);
    let (_, seen) = form(&ignoring, "/form/x", &[("what", PNG, "x"), ("icon", "", "i")]).await;
    assert_eq!(seen, [json!({"name": "x", "icon": base64(b"i")})]);
}

#[tokio::test]
async fn malformed_and_endless_multipart_is_refused() {
    let whole = multipart(&[("icon", "", "data")]);
    let good = "multipart/form-data; boundary=B";
    let huge = format!("--B\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    for (path, content_type, body, status, says) in [
        ("/form/x", good, &whole[..whole.len() - 6], 400, "ends before its last boundary"),
        ("/form/x", good, "no boundary at all", 400, "ends before its last boundary"),
        ("/form/x", good, "--B\r\nnot a header\r\n\r\nx\r\n--B--", 400, "headers of a part"),
        ("/form/x", good, "--B\r\ncontent-type: a/b\r\n\r\nx\r\n--B--", 400, "has no name"),
        ("/form/x", good, &huge, 400, "between the parts"),
        ("/pieces", good, &huge, 400, "between the parts"),
        ("/form/x", "multipart/form-data", &whole, 415, "multipart/form-data"),
        ("/form/x", "multipart/mixed; boundary=B", &whole, 415, "multipart/form-data"),
    ] {
        let body = Bytes::from(body.to_owned());
        let chunks: Vec<_> =
            body.chunks(20_000).map(|chunk| Ok::<_, Status>(Frame::data(body.slice_ref(chunk)))).collect();
        let body = Body::new(StreamBody::new(futures_util::stream::iter(chunks)));
        let request = Request::post(path).header("content-type", content_type).body(body).unwrap();
        let (answer, _) = send(&PLAIN, request).await;
        assert_eq!(answer.status, status, "{path} {content_type}: {}", answer.body);
        assert!(answer.body.contains(says), "{}", answer.body);
    }
    let many = vec![("pages", "", "x"); 201];
    let (answer, _) = form(&PLAIN, "/form/x", &many).await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("too many: 200"), "{}", answer.body);
}

#[tokio::test]
async fn parts_make_a_stream_of_messages_in_their_order() {
    let long = "x".repeat(70_000);
    let (answer, seen) = form(
        &PLAIN,
        "/pieces/n",
        &[("meta.title", "", "t"), ("meta.size", "", "5"), ("chunk", PNG, &long), ("file", PNG, "f")],
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut chunks = Vec::new();
    for message in &seen[1..seen.len() - 1] {
        let text = message["chunk"].as_str().unwrap_or_else(|| panic!("{message}"));
        assert_eq!(message.as_object().unwrap().len(), 1, "{message}");
        chunks.push(text.to_owned());
    }
    assert_eq!(seen[0], json!({"name": "n", "meta": {"title": "t", "size": 5}}));
    assert_eq!(chunks, [base64(&long.as_bytes()[..65536]), base64(&long.as_bytes()[65536..])]);
    assert_eq!(seen[seen.len() - 1], json!({"file": {"contentType": "image/png", "data": base64(b"f")}}));

    for (parts, expected) in [
        (
            &[("meta", JSON, r#"{"title":"t"}"#), ("chunk", "", "c")][..],
            vec![json!({"meta": {"title": "t"}}), json!({"chunk": base64(b"c")})],
        ),
        (&[("chunk", "", "")], vec![json!({"chunk": ""})]),
        (&[("chunk", "; filename=\"\"", "")], vec![]),
        (&[("file", PNG, "")], vec![json!({"file": {"contentType": "image/png"}})]),
        (&[("chunk", "", "c"), ("name", "", "after")], vec![json!({"chunk": base64(b"c")}), json!({"name": "after"})]),
        (&[], vec![]),
    ] {
        let (answer, seen) = form(&PLAIN, "/pieces", parts).await;
        assert_eq!((answer.status.as_u16(), seen), (200, expected), "{parts:?}: {}", answer.body);
    }
    for (parts, says) in [
        (&[("chunk", "", "c"), ("chunk", "", "d")][..], "chunk: is given twice"),
        (&[("name", "", "a"), ("chunk", "", "d"), ("name", "", "b")], "name: is given twice"),
        (&[("meta.title", "", "a"), ("meta.what", "", "d")], "meta.what: is not a field"),
    ] {
        let (answer, _) = form(&PLAIN, "/pieces", parts).await;
        assert_eq!(answer.status, 400, "{parts:?}: {}", answer.body);
        assert!(answer.json()["message"].as_str().unwrap().starts_with(says), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_multipart_body_is_read_however_it_is_cut() {
    let body = multipart(&[("meta.title", "", "t"), ("file", PNG, "one\r\n--not-B\r\n-"), ("icon", PNG, "\r\n")]);
    let expected = json!({"name": "x", "meta": {"title": "t"}, "file": {"contentType": "image/png", "data": base64(b"one\r\n--not-B\r\n-")}, "icon": base64(b"\r\n")});
    for size in 1..=body.len() {
        let chunks: Vec<_> = body
            .as_bytes()
            .chunks(size)
            .map(|chunk| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(chunk))))
            .collect();
        let stream = Body::new(StreamBody::new(futures_util::stream::iter(chunks)));
        let request =
            Request::post("/form/x").header("content-type", "multipart/form-data; boundary=B").body(stream).unwrap();
        let (answer, seen) = send(&PLAIN, request).await;
        assert_eq!(seen, std::slice::from_ref(&expected), "in chunks of {size}: {}", answer.body);
    }
}

proptest! {
    #[test]
    fn a_damaged_multipart_body_is_taken_or_refused(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        size in 1..200usize,
        streamed: bool,
    ) {
        let mut body = multipart(&[("meta.title", "", "t"), ("file", PNG, "data\r\n--B"), ("meta", JSON, "{}")]).into_bytes();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let chunks: Vec<_> = body.chunks(size).map(|chunk| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
        let stream = Body::new(StreamBody::new(futures_util::stream::iter(chunks)));
        let path = if streamed { "/pieces" } else { "/form/x" };
        let request = Request::post(path).header("content-type", "multipart/form-data; boundary=B").body(stream).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answer, _) = runtime.block_on(async {
            tokio::time::timeout(std::time::Duration::from_secs(20), send(&PLAIN, request)).await.unwrap()
        });
        prop_assert!(matches!(answer.status.as_u16(), 200 | 400), "{}: {}", answer.status, answer.body);
    }
}

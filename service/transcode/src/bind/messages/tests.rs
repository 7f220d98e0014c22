//! Claims about request streams in JSON, through the front door, in front of tonic's own server.

mod connection;

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tower::ServiceExt as _;

use crate::tests::notes::{Board, transcoder};
use crate::{Config, Limits, Transcoder};

const ROOM: &str = "/v1/rooms/r/notes";

/// Sends the pieces of a body to a path and answers with the HTTP status and the JSON.
async fn send(
    board: &Board,
    transcoder: Transcoder,
    path: &str,
    content_type: &str,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> (StatusCode, serde_json::Value) {
    let body = StreamBody::new(pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece))));
    let request = Request::post(path).header("content-type", content_type).body(body).unwrap();
    let response = transcoder.serve(board.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    (status, serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

fn pieces(body: &str, size: usize) -> impl Stream<Item = Bytes> + Send + 'static {
    let pieces: Vec<_> = body.as_bytes().chunks(size).map(Bytes::copy_from_slice).collect();
    futures_util::stream::iter(pieces)
}

async fn ask(path: &str, body: &str) -> (StatusCode, serde_json::Value) {
    send(&Board::default(), transcoder(Config::default()), path, "application/json", pieces(body, 5)).await
}

#[tokio::test]
async fn lines_and_arrays_become_messages_wherever_the_body_is_cut() {
    let lines = "{\"text\":\"a\"}\n{\"text\":\"}\\\"]\",\"number\":\"2\"}\n{}\n";
    let array = "[{\"text\":\"a\"}, {\"text\":\"}\\\"]\",\"number\":\"2\"}, {}]";
    let expected = serde_json::json!({"notes": [{"text": "a", "room": "r"}, {"text": "}\"]", "number": "2"}, {}]});
    let transcoder = transcoder(Config::default());
    for body in [lines, array] {
        for size in 1..=body.len() {
            for content_type in ["application/json", "application/x-ndjson; charset=utf-8", "application/JSONL"] {
                if body == array && content_type != "application/json" {
                    continue;
                }
                let (status, json) =
                    send(&Board::default(), transcoder.clone(), ROOM, content_type, pieces(body, size)).await;
                assert_eq!((status.as_u16(), &json), (200, &expected), "{content_type} in pieces of {size}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_without_messages_stays_without() {
    for body in [" ", "[]", "\n\n"] {
        let (status, json) = ask(ROOM, body).await;
        assert_eq!((status.as_u16(), json), (200, serde_json::json!({})), "{body:?}");
    }
}

#[tokio::test]
async fn the_body_can_be_one_field_of_each_message() {
    let (status, json) = ask("/v1/numbers?text=t", "1 2\n3").await;
    let expected = serde_json::json!({"notes": [{"text": "t", "number": "1"}, {"number": "2"}, {"number": "3"}]});
    assert_eq!((status.as_u16(), json), (200, expected));
    let (status, json) = ask("/v1/replies", r#"[[{"text":"a"}],[{"text":"b"},{}]]"#).await;
    let expected = serde_json::json!({"notes": [{"replies": [{"text": "a"}]}, {"replies": [{"text": "b"}, {}]}]});
    assert_eq!((status.as_u16(), json), (200, expected));
}

#[tokio::test]
async fn what_is_wrong_is_said_under_the_index_of_its_message() {
    for (path, body, says) in [
        (ROOM, r#"{"text":"a"}{"text":"b"}{"number":"x"}"#, "[2].number: "),
        (ROOM, r#"[{}, {"replies":[{},{"number":true}]}]"#, "[1].replies[1].number: "),
        (ROOM, r#"[{}, 5]"#, "[1]: "),
        (ROOM, "{}\nnull", "[1]: "),
        (ROOM, "{}\n{\"nope\":1}", "[1]: unknown member `nope`"),
        (ROOM, "{}\n{\"text\":}", "[1]: malformed JSON"),
        (ROOM, "{}\n{]\n", "[1]: malformed JSON"),
        (ROOM, r#"{"room":"another"}"#, "room: the body gives another value than the path"),
        (ROOM, r#"{}, {}"#, "expected a value, not `,`"),
        (ROOM, r#"[{} {}]"#, "expected a comma"),
        (ROOM, r#"[{}"#, "ends before its array does"),
        (ROOM, r#"{}{"text":"a"#, "ends within a message"),
        ("/v1/numbers?number=5", "1", "number: is given by the body"),
        ("/v1/numbers?what=5", "1", "what: is not a query parameter"),
    ] {
        let (status, json) = ask(path, body).await;
        assert_eq!(status, 400, "{body}: {json}");
        assert_eq!(json["status"], "INVALID_ARGUMENT", "{body}");
        assert!(json["message"].as_str().unwrap().contains(says), "{body}: {json}");
    }
    let (_, json) = ask(ROOM, r#"{}{"number":"x"}"#).await;
    assert_eq!(json["details"][0]["fieldViolations"][0]["field"], "[1].number");
}

#[tokio::test]
async fn a_handler_that_swallows_the_error_does_not_hide_it() {
    let board = Board::default();
    let body = r#"{"text":"swallow"}{"number":"x"}"#;
    let (status, json) = send(&board, transcoder(Config::default()), ROOM, "application/json", pieces(body, 3)).await;
    assert_eq!(board.counts.ended.load(Ordering::SeqCst), 1, "the handler ended well");
    assert_eq!((status.as_u16(), json["message"].as_str().unwrap().contains("[1].number")), (400, true), "{json}");
    let (status, json) = ask(ROOM, r#"{"text":"fail"}"#).await;
    assert_eq!((status.as_u16(), &json["status"]), (404, &"NOT_FOUND".into()), "the handler's own error stays");
}

#[tokio::test]
async fn an_error_after_the_first_answer_ends_the_answer() {
    let request = Request::post("/v1/rooms/r/talk").header("content-type", "application/x-ndjson");
    let body = "{\"text\":\"a\"}\n{\"number\":\"x\"}\n";
    let request = request.body(StreamBody::new(pieces(body, 13).map(|piece| Ok::<_, Infallible>(Frame::data(piece)))));
    let response = transcoder(Config::default()).serve(Board::default()).oneshot(request.unwrap()).await.unwrap();
    let answer = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&answer).unwrap();
    assert!(text.starts_with("data: {\"text\":\"a\",\"room\":\"r\"}\n\nevent: error\n"), "{text}");
    assert!(text.contains("[1].number"), "{text}");
}

#[tokio::test]
async fn the_limit_holds_for_each_message_and_not_for_the_stream() {
    let transcoder = transcoder(Config { limits: Limits { max_body: 200, ..Limits::default() }, ..Config::default() });
    let body = format!("{{\"text\":\"{}\"}}\n", "x".repeat(150)).repeat(50);
    let board = Board::default();
    let (status, _) = send(&board, transcoder.clone(), ROOM, "application/json", pieces(&body, 1000)).await;
    assert_eq!((status.as_u16(), board.counts.read.load(Ordering::SeqCst)), (200, 50));
    let huge = format!("{{\"text\":\"{}\"}}", "x".repeat(300));
    for size in [7, 1000] {
        let (status, json) = send(&board, transcoder.clone(), ROOM, "application/json", pieces(&huge, size)).await;
        assert_eq!((status.as_u16(), &json["status"]), (413, &"RESOURCE_EXHAUSTED".into()), "{json}");
    }
}

#[tokio::test]
async fn messages_arrive_before_the_body_ends_and_the_body_is_read_as_they_are_taken() {
    let board = Board::default();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let pieces = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
    let request = Request::post("/v1/rooms/r/talk").header("content-type", "application/json");
    let request = request.body(StreamBody::new(pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece))))).unwrap();
    sender.send(Bytes::from_static(b"[{\"text\":\"a\"}")).await.unwrap();
    let response = transcoder(Config::default()).serve(board.clone()).oneshot(request).await.unwrap();
    let mut answers = response.into_body();
    let first = answers.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&first[..], b"data: {\"text\":\"a\",\"room\":\"r\"}\n\n");
    assert!(answers.frame().now_or_never().is_none(), "the body has not ended");
    sender.send(Bytes::from_static(b",{\"text\":\"b\"}]")).await.unwrap();
    drop(sender);
    let rest = answers.collect().await.unwrap().to_bytes();
    assert_eq!(&rest[..], b"data: {\"text\":\"b\"}\n\nevent: end\ndata: {}\n\n");
}

#[tokio::test]
async fn a_body_is_not_read_ahead_of_the_handler() {
    let board = Board::default();
    let read = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let pieces = futures_util::stream::repeat_with({
        let read = read.clone();
        move || {
            read.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{\"text\":\"a\"}\n{\"text\":\"stall\"}\n")))
        }
    });
    let request = Request::post("/v1/rooms/r/talk").header("content-type", "application/json");
    let request = request.body(StreamBody::new(pieces)).unwrap();
    let response = transcoder(Config::default()).serve(board.clone()).oneshot(request).await.unwrap();
    let mut answers = response.into_body();
    drop(answers.frame().await);
    for _ in 0..100 {
        assert!(answers.frame().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    assert!(read.load(Ordering::SeqCst) <= 2, "{read:?} pieces were read for a handler that waits");
    drop(answers);
    assert_eq!(board.counts.open.load(Ordering::SeqCst), 0, "the call is dropped with its answer");
}

#[tokio::test]
async fn a_body_that_pauses_too_long_is_given_up() {
    let config = Config {
        limits: Limits { body_idle_timeout: Duration::from_millis(30), ..Limits::default() },
        ..Config::default()
    };
    let pieces = pieces("{}\n", 3).chain(futures_util::stream::pending());
    let (status, json) = send(&Board::default(), transcoder(config), ROOM, "application/json", pieces).await;
    assert_eq!((status.as_u16(), &json["status"]), (408, &"DEADLINE_EXCEEDED".into()), "{json}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_a_normal_end() {
    let board = Board::default();
    let broken = futures_util::stream::iter([
        Ok(Frame::data(Bytes::from_static(b"{\"text\":\"a\"}\n"))),
        Err(tonic::Status::unknown("connection reset")),
    ]);
    let request = Request::post(ROOM).header("content-type", "application/json").body(StreamBody::new(broken)).unwrap();
    let response = transcoder(Config::default()).serve(board.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 409);
    assert_eq!(board.counts.ended.load(Ordering::SeqCst), 0, "the handler must not see a normal end");
}

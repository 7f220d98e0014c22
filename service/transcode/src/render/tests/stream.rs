//! Claims about streamed answers in each framing.

use std::time::{Duration, Instant};

use tower::ServiceExt as _;

use super::*;

const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";
const ARRAY: &str = "application/json";

async fn watch(accept: &str, pieces: impl Into<Vec<Piece>>) -> Answer {
    ask(&Script::new(pieces), get("/watch", &[("accept", accept)])).await
}

/// Whether a client takes the body for a stream that came to a good end, by nothing but what this framing promises.
fn is_complete(accept: &str, body: &str) -> bool {
    match accept {
        EVENTS => body.ends_with("event: end\ndata: {}\n\n"),
        LINES => body.lines().last() == Some(r#"{"@end":{}}"#),
        _ => serde_json::from_str::<Vec<serde_json::Value>>(body).is_ok(),
    }
}

#[tokio::test]
async fn accept_chooses_the_framing() {
    let one = r#"{"text":"a"}"#;
    let two = r#"{"text":"b"}"#;
    let events = format!("data: {one}\n\ndata: {two}\n\nevent: end\ndata: {{}}\n\n");
    let lines = format!("{one}\n{two}\n{{\"@end\":{{}}}}\n");
    let array = format!("[{one},\n{two}]");
    for (accept, content_type, expected) in [
        ("*/*", EVENTS, &events),
        (EVENTS, EVENTS, &events),
        ("image/png", EVENTS, &events),
        (LINES, LINES, &lines),
        ("application/jsonl", "application/jsonl", &lines),
        ("application/json;q=0.2, application/ndjson", "application/ndjson", &lines),
        (ARRAY, ARRAY, &array),
        ("application/json, text/plain, */*", ARRAY, &array),
    ] {
        let answer = watch(accept, [item(one), item(two), good()]).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, content_type), "{accept}");
        assert_eq!(&answer.body, expected, "{accept}");
        assert_eq!(answer.header("cache-control"), "no-cache", "{accept}");
        assert_eq!(answer.header("x-accel-buffering"), "no", "{accept}");
        assert_eq!(answer.header("vary"), "accept", "{accept}");
    }
    let answer = ask(&Script::new([good()]), get("/watch", &[])).await;
    assert_eq!(answer.header("content-type"), EVENTS, "without Accept");
}

#[tokio::test]
async fn a_stream_without_messages_is_complete_too() {
    for (accept, body) in [(EVENTS, "event: end\ndata: {}\n\n"), (LINES, "{\"@end\":{}}\n"), (ARRAY, "[]")] {
        let answer = watch(accept, [good()]).await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (200, body));
    }
}

#[tokio::test]
async fn no_framing_lets_a_stream_that_failed_look_complete() {
    let first = r#"{"text":"a"}"#;
    let half = Piece::Data(message("r.Item", r#"{"text":"b"}"#).slice(..7));
    let not_an_item = Piece::Data(framed(&[0x0a, 5, b'a']).into());
    let compressed = Piece::Data(Bytes::from_static(&[1, 0, 0, 0, 0]));
    for (pieces, code, says) in [
        (vec![item(first), bad()], "UNAVAILABLE", "lost"),
        (vec![item(first), Piece::Broken], "UNAVAILABLE", "lost"),
        (vec![item(first)], "UNAVAILABLE", "before it was complete"),
        (vec![item(first), half.clone()], "UNAVAILABLE", "before it was complete"),
        (vec![item(first), half, good()], "UNAVAILABLE", "before it was complete"),
        (vec![item(first), not_an_item, good()], "INTERNAL", "well-formed"),
        (vec![item(first), compressed, good()], "INTERNAL", "compressed"),
    ] {
        for (accept, start, end) in [
            (EVENTS, "data: {\"text\":\"a\"}\n\nevent: error\ndata: ", "\n\n"),
            (LINES, "{\"text\":\"a\"}\n{\"@error\":", "}\n"),
            (ARRAY, "[{\"text\":\"a\"},\n{\"@error\":", "}"),
        ] {
            let answer = watch(accept, pieces.clone()).await;
            assert_eq!((answer.status.as_u16(), answer.broken), (200, false), "{accept}");
            assert!(!is_complete(accept, &answer.body), "{accept}: {}", answer.body);
            let error = answer.body.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            let error = error.unwrap_or_else(|| panic!("{accept}: {}", answer.body));
            let error: serde_json::Value = serde_json::from_str(error).unwrap();
            assert_eq!(error["status"], code, "{accept}");
            assert!(error["message"].as_str().unwrap().contains(says), "{accept}: {error}");
        }
    }
}

#[tokio::test]
async fn every_part_of_a_stream_looks_cut() {
    for accept in [EVENTS, LINES, ARRAY] {
        let whole = watch(accept, [item(r#"{"text":"a"}"#), item("{}"), good()]).await.body;
        assert!(is_complete(accept, &whole));
        // Behind the last line feed nothing is said any more.
        for length in 0..whole.trim_end().len() {
            assert!(!is_complete(accept, &whole[..length]), "{accept}: {}", &whole[..length]);
        }
    }
}

#[tokio::test]
async fn an_error_before_the_first_message_has_its_own_status_in_every_framing() {
    let half = Piece::Data(message("r.Item", r#"{"text":"b"}"#).slice(..7));
    let not_an_item = Piece::Data(framed(&[0x0a, 5, b'a']).into());
    for (pieces, http) in [
        (vec![bad()], 503),
        (vec![Piece::Data(Bytes::new()), bad()], 503),
        (vec![half.clone(), bad()], 503),
        (vec![half, good()], 503),
        (vec![Piece::Broken], 503),
        (vec![], 503),
        (vec![not_an_item, good()], 500),
        (vec![Piece::Data(Bytes::from_static(&[1, 0, 0, 0, 0])), good()], 500),
    ] {
        for accept in [EVENTS, LINES, ARRAY] {
            let answer = watch(accept, pieces.clone()).await;
            assert_eq!(answer.status, http, "{accept} {pieces:?}");
            assert_eq!(answer.header("content-type"), "application/json");
            assert!(answer.json()["message"].is_string());
        }
    }
}

#[tokio::test]
async fn the_error_has_the_shape_of_the_api_in_every_framing() {
    let script = Script::new([item("{}"), bad()]);
    let error = r#"{"message":"lost","type":"server_error","param":null,"code":null}"#;
    for (accept, expected) in [
        (EVENTS, format!("data: {{}}\n\ndata: {{\"error\":{error}}}\n\n")),
        (LINES, format!("{{}}\n{{\"@error\":{error}}}\n")),
        (ARRAY, format!("[{{}},\n{{\"@error\":{error}}}")),
    ] {
        assert_eq!(ask(&script, get("/other", &[("accept", accept)])).await.body, expected);
    }
}

#[tokio::test]
async fn a_twin_streams_events_unless_lines_are_asked_for() {
    let script = Script::new([item("{}"), good()]);
    for (accept, content_type, body) in [
        ("application/json", EVENTS, "data: {}\n\ndata: [DONE]\n\n"),
        ("application/json, */*", EVENTS, "data: {}\n\ndata: [DONE]\n\n"),
        ("application/json, application/x-ndjson", LINES, "{}\n{\"@end\":{}}\n"),
    ] {
        let request = Request::post("/ask").header("content-type", "application/json").header("accept", accept);
        let answer = ask(&script, request.body(r#"{"stream":true}"#.into()).unwrap()).await;
        assert_eq!((answer.header("content-type"), &*answer.body), (content_type, body), "{accept}");
    }
}

#[tokio::test]
async fn a_message_stays_on_its_line_whatever_it_holds_verbatim() {
    let raw = Piece::Data(framed(b"\x32\x0b{\n\"a\":\r\n 1}").into());
    for (accept, message) in [(EVENTS, "data: {\"raw\":{ \"a\":   1}}\n\n"), (LINES, "{\"raw\":{ \"a\":   1}}\n")] {
        let answer = watch(accept, [raw.clone(), good()]).await;
        assert!(answer.body.starts_with(message), "{:?}", answer.body);
    }
    assert_eq!(watch(ARRAY, [raw, good()]).await.json()[0]["raw"]["a"], 1);
}

#[tokio::test]
async fn a_field_of_each_message_can_be_what_is_streamed() {
    let script = Script::new([item(r#"{"inner":{"id":"x"}}"#), item("{}"), good()]);
    let answer = ask(&script, get("/watch/inner", &[("accept", ARRAY)])).await;
    assert_eq!(answer.body, "[{\"id\":\"x\"},\n{}]");
    let broken = Piece::Data(framed(b"\x1a\x04\x10\x02\x0a\xff").into());
    let script = Script::new([item(r#"{"inner":{"id":"x"}}"#), broken, good()]);
    let answer = ask(&script, get("/watch/inner", &[("accept", ARRAY)])).await;
    assert!(answer.body.starts_with("[{\"id\":\"x\"},\n{\"@error\":{\"code\":13,"), "{}", answer.body);
}

#[tokio::test]
async fn events_carry_the_ids_and_names_that_the_method_says() {
    let made = item(r#"{"kind":"KIND_MADE","inner":{"at":"-7"}}"#);
    let answer = ask(&Script::new([made, item(r#"{"kind":"end"}"#), good()]), get("/follow", &[])).await;
    let made = r#"data: {"kind":"KIND_MADE","inner":{"at":"-7"}}"#;
    let expected = format!(
        "retry: 1500\n\nid: -7\nevent: KIND_MADE\n{made}\n\ndata: {{\"kind\":\"end\"}}\n\nevent: end\ndata: {{}}\n\n"
    );
    assert_eq!(answer.body, expected);
    let lines = ask(&Script::new([good()]), get("/follow", &[("accept", LINES)])).await;
    assert_eq!(lines.body, "{\"@end\":{}}\n", "only events have them");
}

#[tokio::test]
async fn ids_and_names_cannot_break_out_of_their_line() {
    for (text, name, head) in [
        ("7", "made", "id: 7\nevent: made\n"),
        ("", "", ""),
        ("a\\nb", "a\\rdata: x", ""),
        ("a\\u0000", "error", ""),
        ("é", "end", "id: é\n"),
    ] {
        let json = format!(r#"{{"text":"{text}","name":"{name}"}}"#);
        let answer = ask(&Script::new([item(&json), good()]), get("/named", &[])).await;
        let (found, _) = answer.body.split_once("data: {").unwrap();
        assert_eq!(found, head, "{json}");
    }
}

#[test]
fn an_id_that_is_no_single_scalar_is_refused_at_the_start() {
    for (option, says) in [
        (r#"id_field: "nope""#, "id_field: nope"),
        (r#"id_field: "inner""#, "inner is not a single string"),
        (r#"event_field: "words""#, "words is not a single string"),
        (r#"event_field: "many.id""#, "event_field: many.id: "),
        (r#"id_field: "file.data""#, "file.data is not a single string"),
    ] {
        let schema = SCHEMA.replace(r#"id_field: "text" event_field: "name""#, option);
        let error = Transcoder::new(&descriptors(&schema)).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("r.Answers/Named") && error.contains(says), "{option}: {error}");
    }
}

#[tokio::test]
async fn the_last_event_id_reaches_the_service_as_metadata() {
    let script = Script::new([good()]);
    let answer = ask(&script, get("/follow", &[("last-event-id", "-7")])).await;
    assert_eq!(answer.header("x-seen"), "-7");
}

#[tokio::test]
async fn silence_is_bridged_by_what_no_reader_sees() {
    let transcoder = transcoder_with(Config { keep_alive: Duration::from_millis(10), ..Config::default() });
    let script = Script::new([item("{}"), Piece::Silence]);
    for (accept, expected) in
        [(EVENTS, "data: {}\n\n: keep-alive\n\n: keep-alive\n\n"), (LINES, "{}\n  "), (ARRAY, "[{}  ")]
    {
        let request = get("/watch", &[("accept", accept)]);
        let mut body = transcoder.serve(script.clone()).oneshot(request).await.unwrap().into_body();
        let mut text = String::new();
        while text.len() < expected.len() {
            let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.unwrap().unwrap().unwrap();
            text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn a_call_ends_when_nobody_listens_any_more() {
    for (path, pieces) in [
        ("/watch", vec![item("{}"), Piece::Silence]),
        ("/files", vec![Piece::Data(framed(b"\x12\x01x").into()), Piece::Silence]),
    ] {
        let script = Script::new(pieces);
        let response = transcoder().serve(script.clone()).oneshot(get(path, &[])).await.unwrap();
        assert_eq!(script.open(), 1, "{path}");
        drop(response);
        assert_eq!(script.open(), 0, "{path}: the body was dropped");
    }
    for path in ["/watch", "/files", "/one"] {
        let script = Script::new([Piece::Silence]);
        let call = transcoder().serve(script.clone()).oneshot(get(path, &[]));
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
        assert_eq!(script.open(), 0, "{path}: given up while the first message was waited for");
    }
    // Nor does it wait for a message.
    let script = Script::new([Piece::Silence]);
    let mut head = get("/watch", &[]);
    *head.method_mut() = http::Method::HEAD;
    let response = transcoder().serve(script.clone()).oneshot(head).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &EVENTS.parse().unwrap()));
    assert_eq!(script.open(), 0, "a HEAD holds no stream open");
}

#[tokio::test]
async fn nothing_is_asked_of_a_service_before_its_client_wants_it() {
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    let service = tower::service_fn(move |_: Request<Body>| {
        let count = count.clone();
        async move {
            let one = message("r.Item", r#"{"text":"a"}"#);
            let stream = futures_util::stream::repeat_with(move || {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                Ok::<_, Status>(Frame::data(one.clone()))
            });
            Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(stream))))
        }
    });
    for accept in [EVENTS, LINES, ARRAY] {
        asked.store(0, std::sync::atomic::Ordering::SeqCst);
        let response = transcoder().serve(service.clone()).oneshot(get("/watch", &[("accept", accept)])).await.unwrap();
        let mut body = response.into_body();
        for frames in 1..10 {
            assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), frames.max(2) - 1, "{accept}");
            body.frame().await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_service_back() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hyper_util::rt::{TokioExecutor, TokioIo};

    for http2 in [false, true] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let service = tower::service_fn(move |_: Request<Body>| {
            let count = count.clone();
            async move {
                let one = message("r.Item", &format!(r#"{{"text":"{}"}}"#, "x".repeat(1 << 14)));
                let stream = futures_util::stream::repeat_with(move || {
                    count.fetch_add(1, Ordering::SeqCst);
                    Ok::<_, Status>(Frame::data(one.clone()))
                });
                Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(stream))))
            }
        });
        let (client, server) = tokio::io::duplex(1 << 16);
        let service = hyper_util::service::TowerToHyperService::new(transcoder().serve(service));
        let server = tokio::spawn(async move {
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let served = builder.serve_connection(TokioIo::new(server), service).await;
            drop(served);
        });
        let request = Request::get("http://localhost/watch").header("host", "localhost");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let response = if http2 {
            let io = TokioIo::new(client);
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        // What fits into the buffers between them is sent; then nothing more is asked for.
        let mut before = usize::MAX;
        while before != asked.load(Ordering::SeqCst) {
            before = asked.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!((1..1000).contains(&before), "HTTP/2: {http2}: {before} messages of 16 KiB were taken unread");
        drop(response);
        server.abort();
    }
}

#[tokio::test]
async fn the_first_event_leaves_within_a_millisecond_of_the_first_message() {
    let mut delays = Vec::new();
    for _ in 0..41 {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, Status>>(1);
        let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
        let service = tower::service_fn(move |_: Request<Body>| {
            let receiver = receiver.lock().unwrap().take().unwrap();
            async move {
                let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
                    Some((receiver.recv().await?, receiver))
                });
                Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(stream))))
            }
        });
        let frame = message("r.Item", r#"{"text":"a"}"#);
        let answer = tokio::spawn(async move {
            let response = transcoder().serve(service).oneshot(get("/watch", &[])).await.unwrap();
            let mut body = response.into_body();
            body.frame().await.unwrap().unwrap();
            Instant::now()
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
        let sent = Instant::now();
        sender.send(Ok(Frame::data(frame))).await.unwrap();
        delays.push(answer.await.unwrap() - sent);
    }
    delays.sort();
    // A busy machine may be late at times; a timer in between would always be.
    assert!(delays[delays.len() / 4] < Duration::from_millis(1), "{delays:?}");
}

//! Claims about calls over a socket.

use futures_util::StreamExt as _;
use sabir_proto::v1::{ChatMessage, CreateChatCompletionRequest, Role, chat_message::Content};
use transcode::json::Plans;

use super::*;
use crate::credentials::{Authentication, Secret};
use crate::openai::{OpenAi, Quirks};
use crate::scripted::{Act, Scripted, answer, piece, stream_end, stream_head};
use crate::transport::TransportConfig;

fn chunk(text: &str) -> String {
    let choice = format!(r#"{{"index":0,"delta":{{"content":"{text}"}},"logprobs":null,"finish_reason":null}}"#);
    let head = r#""id":"c","object":"chat.completion.chunk","created":1,"model":"m""#;
    format!("data: {{{head},\"choices\":[{choice}]}}\n\n")
}

const DONE: &str = "data: [DONE]\n\n";

fn upstream_with(server: &Scripted, config: TransportConfig) -> HttpUpstream<OpenAi> {
    let plans = Arc::new(Plans::compile(sabir_proto::FILE_DESCRIPTOR_SET).unwrap());
    let protocol = OpenAi::new(plans, Quirks::NONE).unwrap();
    let key = Some(Secret::new("sk-hidden"));
    let endpoint = Endpoint::new(&server.url(), Authentication::Bearer, key).unwrap();
    HttpUpstream::new(protocol, endpoint, Transport::new(config)).unwrap()
}

fn upstream(server: &Scripted) -> HttpUpstream<OpenAi> {
    upstream_with(server, TransportConfig::default())
}

fn call() -> ChatCall {
    let content = Some(Content::Text("Hello".to_owned()));
    let message = ChatMessage { role: Role::User.into(), content, ..ChatMessage::default() };
    let request = CreateChatCompletionRequest {
        model: "vendor/model".to_owned(),
        messages: vec![message],
        ..CreateChatCompletionRequest::default()
    };
    ChatCall {
        model: "model".to_owned(),
        request: Box::new(request),
        deadline: None,
        on_unsupported: Default::default(),
        origin: Default::default(),
        trace: None,
    }
}

/// The texts of a stream, and how it ended.
async fn drain(stream: Reply<ChunkStream>) -> (Vec<String>, Option<UpstreamErrorKind>) {
    let mut texts = Vec::new();
    let mut stream = stream.body;
    while let Some(item) = stream.next().await {
        match item {
            Ok(chunk) => texts.push(chunk.choices[0].delta.clone().unwrap().content.unwrap()),
            Err(error) => {
                assert!(stream.next().await.is_none(), "nothing follows an error");
                return (texts, Some(error.kind));
            }
        }
    }
    assert!(stream.next().await.is_none());
    (texts, None)
}

#[tokio::test]
async fn the_request_says_what_it_must() {
    let body = concat!(
        r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[],"#,
        r#""usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#
    );
    let server = Scripted::start(move |_| vec![answer("200 OK", "", body)]).await;
    let completion = upstream(&server).chat(call()).await.unwrap();
    assert_eq!(completion.body.usage.unwrap().total_tokens, 3);
    let request = server.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    for header in [
        "authorization: Bearer sk-hidden",
        "content-type: application/json",
        &format!("host: {}", server.address),
        concat!("user-agent: sabir/", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(head.matches(header).count(), 1, "{header} in {head}");
    }
    assert_eq!(body, r#"{"model":"model","messages":[{"role":"user","content":"Hello"}]}"#);
}

#[tokio::test]
async fn a_stream_is_read_to_its_marker_and_its_connection_used_again() {
    for pause in [0, 10] {
        let server = Scripted::start(move |_| {
            let end = [piece(DONE), Act::Wait(Duration::from_millis(pause)), stream_end()];
            [vec![stream_head(), piece(&chunk("a")), piece(&(chunk("b") + &chunk("c")))], end.to_vec()].concat()
        });
        let server = server.await;
        let upstream = upstream(&server);
        for _ in 0..3 {
            let stream = upstream.stream_chat(call()).await.unwrap();
            assert_eq!(drain(stream).await, (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], None));
        }
        assert_eq!(server.connections(), 1, "pause of {pause} ms before the end of the body");
        assert!(server.requests()[0].contains(r#""stream":true,"stream_options":{"include_usage":true}"#));
    }
}

#[tokio::test]
async fn a_body_that_stays_open_after_the_marker_does_not_hold_the_stream_open() {
    let server = Scripted::start(|_| vec![stream_head(), piece(&(chunk("a") + DONE)), Act::AwaitClose]).await;
    let stream = upstream(&server).stream_chat(call()).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), drain(stream)).await.unwrap();
    assert_eq!(ended, (vec!["a".to_owned()], None));
    server.closed().await;
}

#[tokio::test]
async fn a_stream_without_its_marker_is_truncated() {
    for acts in [
        vec![stream_end()],
        vec![Act::Close],
        vec![piece("data: {\"choices\":[{\"delta\":{\"content\":\"\u{e4}"), Act::Close],
        vec![piece("data: {\"choices\":["), stream_end()],
    ] {
        let server = Scripted::start(move |_| [vec![stream_head(), piece(&chunk("a"))], acts.clone()].concat()).await;
        let stream = upstream(&server).stream_chat(call()).await.unwrap();
        assert_eq!(drain(stream).await, (vec!["a".to_owned()], Some(UpstreamErrorKind::Truncated)));
    }
}

#[tokio::test]
async fn an_early_failure_is_the_error_of_the_call_and_not_of_the_stream() {
    let refused =
        r#"{"error":{"message":"slow down sk-hidden","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let cases = [
        (vec![answer("429 Too Many Requests", "retry-after: 7\r\n", refused)], UpstreamErrorKind::RateLimited),
        (vec![stream_head(), Act::Close], UpstreamErrorKind::Truncated),
        (
            vec![stream_head(), piece("data: {\"error\":{\"message\":\"m\",\"code\":503}}\n\n")],
            UpstreamErrorKind::Overloaded,
        ),
        (vec![stream_head(), piece("data: garbage\n\n")], UpstreamErrorKind::Protocol),
        (vec![answer("302 Found", "location: http://127.0.0.1:1/\r\n", "")], UpstreamErrorKind::Protocol),
        (vec![answer("200 OK", "content-type: application/json\r\n", refused)], UpstreamErrorKind::RateLimited),
        (vec![answer("200 OK", "content-type: application/json\r\n", "{\"choices\":[]}")], UpstreamErrorKind::Protocol),
        (
            vec![answer("200 OK", "content-type: Application/Problem+JSON; charset=utf-8\r\n", refused)],
            UpstreamErrorKind::RateLimited,
        ),
        (vec![answer("200 OK", "content-type: text/html\r\n", "<html></html>")], UpstreamErrorKind::Protocol),
        // Read as a stream, this one would be a good answer.
        (vec![answer("200 OK", "content-type: text/plain\r\n", &(chunk("a") + DONE))], UpstreamErrorKind::Protocol),
    ];
    for (acts, kind) in cases {
        let server = Scripted::start({
            let acts = acts.clone();
            move |_| acts.clone()
        });
        let server = server.await;
        let error = upstream(&server).stream_chat(call()).await.err().unwrap();
        assert_eq!(error.kind, kind, "{error} after {acts:?}");
        assert!(!error.message.contains("sk-hidden"), "{error}");
        if error.status == Some(429) {
            assert_eq!(error.message, "slow down [redacted]");
            assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
        }
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_is_known_by_its_type_or_by_none_at_all() {
    for header in ["", "content-type: text/event-stream\r\n", "content-type: Text/Event-Stream; charset=utf-8\r\n"] {
        let server = Scripted::start(move |_| vec![answer("200 OK", header, &(chunk("a") + DONE))]).await;
        let stream = upstream(&server).stream_chat(call()).await.unwrap();
        assert_eq!(drain(stream).await, (vec!["a".to_owned()], None), "{header:?}");
    }
}

#[tokio::test]
async fn silence_within_a_stream_is_a_timeout() {
    let server = Scripted::start(|_| vec![stream_head(), piece(&chunk("a")), Act::AwaitClose]).await;
    let config = TransportConfig { idle_timeout: Duration::from_millis(50), ..TransportConfig::default() };
    let stream = upstream_with(&server, config).stream_chat(call()).await.unwrap();
    assert_eq!(drain(stream).await, (vec!["a".to_owned()], Some(UpstreamErrorKind::Timeout)));
    server.closed().await;
}

#[tokio::test]
async fn slow_events_are_not_silence() {
    let server = Scripted::start(|_| {
        let paced = (0..6).flat_map(|_| [piece(&chunk("a")), Act::Wait(Duration::from_millis(40))]);
        [vec![stream_head()], paced.collect(), vec![piece(DONE), stream_end()]].concat()
    });
    let server = server.await;
    let config = TransportConfig { idle_timeout: Duration::from_millis(150), ..TransportConfig::default() };
    let stream = upstream_with(&server, config).stream_chat(call()).await.unwrap();
    assert_eq!(drain(stream).await, (vec!["a".to_owned(); 6], None));
}

#[tokio::test]
async fn the_deadline_ends_a_call_and_a_stream() {
    let late = || ChatCall { deadline: Some(Instant::now() + Duration::from_millis(60)), ..call() };
    let server = Scripted::start(|_| vec![Act::AwaitClose]).await;
    assert_eq!(upstream(&server).chat(late()).await.unwrap_err().kind, UpstreamErrorKind::Timeout);
    server.closed().await;

    let server = Scripted::start(|_| vec![stream_head(), piece(&chunk("a")), Act::AwaitClose]).await;
    let stream = upstream(&server).stream_chat(late()).await.unwrap();
    assert_eq!(drain(stream).await, (vec!["a".to_owned()], Some(UpstreamErrorKind::Timeout)));
    server.closed().await;

    let passed = ChatCall { deadline: Some(Instant::now()), ..call() };
    assert_eq!(upstream(&server).chat(passed).await.unwrap_err().kind, UpstreamErrorKind::Timeout);
    assert_eq!(server.requests().len(), 1, "a call without time must not be made");
}

#[tokio::test]
async fn dropping_a_stream_closes_the_connection_at_once() {
    let server = Scripted::start(|_| vec![stream_head(), piece(&chunk("a")), Act::AwaitClose]).await;
    let mut stream = upstream(&server).stream_chat(call()).await.unwrap().body;
    stream.next().await.unwrap().unwrap();
    let dropped = Instant::now();
    drop(stream);
    server.closed().await;
    assert!(dropped.elapsed() < Duration::from_secs(1), "{:?}", dropped.elapsed());
}

#[tokio::test]
async fn models_are_listed() {
    let body = r#"{"object":"list","data":[{"id":"a/b","object":"model","created":5,"owned_by":"o"},{"id":"c"}]}"#;
    let server = Scripted::start(move |_| vec![answer("200 OK", "", body)]).await;
    let models = upstream(&server).models().await.unwrap();
    let ids: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.created)).collect();
    assert_eq!(ids, [("a/b", Some(5)), ("c", None)]);
    assert!(server.requests()[0].starts_with("GET /v1/models HTTP/1.1\r\n"));
}

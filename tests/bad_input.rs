//! Claims about bad input: the right code, a message that names the field, in the error shape of the surface; never a
//! success, a hang or a dead server.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::support::{
    Call, Protocol, Server, Upstream,
    http::{Exchange, http1, http2},
    world,
};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn every_protocol_refuses_the_same_requests_and_names_the_field() {
    let (upstream, server) = world().await;
    let say = || Call::say("scripted/echo", "Hi");
    let empty_stop = vec![String::new()];
    let calls = [
        (Call::say("nobody/nothing", "Hi"), "NOT_FOUND", "model"),
        (Call::say("", "Hi"), "INVALID_ARGUMENT", "model"),
        (say().with(|request| request.messages.clear(), json!({"messages": []})), "INVALID_ARGUMENT", "messages"),
        (
            say().with(|request| request.max_tokens = Some(-1), json!({"max_tokens": -1})),
            "INVALID_ARGUMENT",
            "max_tokens",
        ),
        (
            say().with(|request| request.temperature = Some(3.5), json!({"temperature": 3.5})),
            "INVALID_ARGUMENT",
            "temperature",
        ),
        (say().with(|request| request.stop = empty_stop, json!({"stop": ""})), "INVALID_ARGUMENT", "stop[0]"),
        (say().with(|request| request.n = Some(0), json!({"n": 0})), "INVALID_ARGUMENT", "n"),
        (
            say().with(|request| request.messages[0].content = None, json!({"messages": [{"role": "user"}]})),
            "INVALID_ARGUMENT",
            "messages[0].content",
        ),
    ];
    for protocol in Protocol::ALL {
        for (call, code, field) in &calls {
            let unary = protocol.unary(server.address(), call).await.unwrap_err();
            let Err(streamed) = protocol.stream(server.address(), call).await else { panic!("{protocol:?}: {call:?}") };
            for failure in [unary, streamed] {
                assert_eq!(failure.code, *code, "{protocol:?}, {field}: {failure:?}");
                assert_eq!(failure.field.as_deref(), Some(*field), "{protocol:?}: {failure:?}");
                assert!(!failure.message.is_empty(), "{protocol:?}: {failure:?}");
            }
        }
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
}

#[tokio::test]
async fn json_that_does_not_fit_is_refused_with_its_path() {
    let (upstream, server) = world().await;
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let cases = [
        (json!({"model": 5, "messages": messages}), "model"),
        (json!({"model": "scripted/echo", "messages": "Hi"}), "messages"),
        (json!({"model": "scripted/echo", "messages": [5]}), "messages[0]"),
        (json!({"model": "scripted/echo", "messages": [{"role": "nobody", "content": "Hi"}]}), "messages[0].role"),
        (json!({"model": "scripted/echo", "messages": [{"role": "user", "content": 5}]}), "messages[0].content"),
        (json!({"model": "scripted/echo", "messages": messages, "stream": "yes"}), "stream"),
        (json!({"model": "scripted/echo", "messages": messages, "max_tokens": "many"}), "max_tokens"),
        (json!({"model": "scripted/echo", "messages": messages, "max_tokens": 1.5}), "max_tokens"),
        (json!({"model": "scripted/echo", "messages": messages, "tool_choice": "perhaps"}), "tool_choice"),
        (json!({"model": "scripted/echo", "messages": messages, "tools": [{"type": "magic"}]}), "tools[0]"),
    ];
    for (document, path) in cases {
        let exchange = post(server.address(), document.to_string().into_bytes(), "application/json").await;
        let (status, error) = error_of(exchange).await;
        assert_eq!(status, 400, "{document}: {error}");
        let told = error["param"].as_str().unwrap_or_default();
        assert!(told.starts_with(path), "{document}: {error}");
        assert_eq!(error["type"], "invalid_request_error", "{document}: {error}");
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let (_upstream, server) = world().await;
    let deep = [br#"{"model":"m","x":"#.to_vec(), vec![b'['; 100_000], vec![b']'; 100_000], b"}".to_vec()].concat();
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"not json",
        b"{\"model\": \"\xff\xfe\"}",
        br#"{"model":"scripted/echo","messages":[]} trailing"#,
        &deep,
    ];
    for body in bodies {
        let exchange = post(server.address(), body.to_vec(), "application/json").await;
        let (status, error) = error_of(exchange).await;
        assert_eq!(status, 400, "{}: {error}", String::from_utf8_lossy(&body[..body.len().min(60)]));
    }
}

#[tokio::test]
async fn wrong_paths_methods_and_types_have_their_codes() {
    let (_upstream, server) = world().await;
    let document = br#"{"model":"scripted/echo","messages":[{"role":"user","content":"Hi"}]}"#.to_vec();

    let exchange = post(server.address(), document.clone(), "text/plain").await;
    assert_eq!(error_of(exchange).await.0, 415);

    for method in [Method::GET, Method::DELETE] {
        let request = Request::builder().method(method.clone()).uri(CHAT).body(Bytes::new()).unwrap();
        let exchange = http1(server.address(), request).await;
        assert!(exchange.header("allow").is_some_and(|allow| allow.contains("POST")), "{method}: {:?}", exchange.head);
        assert_eq!(error_of(exchange).await.0, 405, "{method}");
    }
    for path in ["/v1/nothing", "/v1/chat/completions/more"] {
        let request = Request::post(path).header("content-type", "application/json");
        let exchange = http1(server.address(), request.body(Bytes::from(document.clone())).unwrap()).await;
        assert_eq!(error_of(exchange).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let upstream = Upstream::start();
    let config = format!("{}[server]\nbody_limit = 4096\n", Server::config_for(&upstream.base_url()));
    let server = Server::start(&config).await;
    let call = Call::say("scripted/echo", &"x".repeat(10_000));
    for protocol in Protocol::ALL {
        let failure = protocol.unary(server.address(), &call).await.unwrap_err();
        if protocol == Protocol::Rest {
            assert_eq!(failure.http, Some(413), "{failure:?}");
        } else {
            assert_eq!(failure.code, "RESOURCE_EXHAUSTED", "{protocol:?}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn broken_frames_are_refused() {
    let (_upstream, server) = world().await;
    // Too short for its length; a length beyond all reason; bytes that are no message.
    let bodies: [&[u8]; 3] = [b"\0\0\0\0\x20short", b"\0\xff\xff\xff\xffx", b"\0\0\0\0\x03\xff\xff\xff"];
    for body in bodies {
        for content_type in ["application/grpc", "application/grpc-web+proto"] {
            let request = Request::post("/sabir.v1.Chat/CreateChatCompletion")
                .header("content-type", content_type)
                .header("te", "trailers");
            let request = request.body(Bytes::copy_from_slice(body)).unwrap();
            let status = if content_type == "application/grpc" {
                let exchange = http2(server.address(), request).await;
                let in_head = exchange.header("grpc-status").map(str::to_owned);
                let (_, trailers) = exchange.body_and_trailers().await;
                let in_trailers =
                    trailers.and_then(|trailers| Some(trailers.get("grpc-status")?.to_str().ok()?.to_owned()));
                in_head.or(in_trailers)
            } else {
                let exchange = http1(server.address(), request).await;
                let in_head = exchange.header("grpc-status").map(str::to_owned);
                let body = exchange.body().await;
                let text = String::from_utf8_lossy(&body).into_owned();
                in_head.or_else(|| Some(text.split("grpc-status:").nth(1)?.split('\r').next()?.trim().to_owned()))
            };
            assert!(status.as_deref().is_some_and(|status| status != "0"), "{content_type}, {body:?}: {status:?}");
        }
    }
    for protocol in Protocol::ALL {
        protocol.unary(server.address(), &Call::say("scripted/echo", "still there?")).await.unwrap();
    }
}

async fn post(server: SocketAddr, body: Vec<u8>, content_type: &str) -> Exchange {
    let request = Request::post(CHAT).header("content-type", content_type);
    http1(server, request.body(Bytes::from(body)).unwrap()).await
}

/// Status and error object of an answer, which must have OpenAI's shape.
async fn error_of(exchange: Exchange) -> (u16, Value) {
    let status = exchange.status();
    let body = exchange.body().await;
    let document: Value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| panic!("{status}: an error is JSON, not {:?}", String::from_utf8_lossy(&body)));
    let error = document["error"].clone();
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{status}: {document}");
    (status, error)
}

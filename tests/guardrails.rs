//! Claims about guardrails: what is taken out of questions and put back into answers, what is refused, what others judge,
//! over every protocol alike.

use std::net::SocketAddr;

use sabir_proto::guard::v1::guardrail_server::{Guardrail, GuardrailServer};
use sabir_proto::guard::v1::{Action, JudgeRequest, JudgeResponse, Stage};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{
    Call, Protocol, Server, Upstream,
    http::post,
    script,
    upstream::{ChatRequest, Reply},
};

/// A server behind guardrails.
async fn guarded(rails: &str) -> (Upstream, Server) {
    let upstream = Upstream::start();
    upstream.script("spell", spelled());
    let config = format!("{}\n{rails}", Server::config_for(&upstream.base_url()));
    (upstream, Server::start(&config).await)
}

/// Says the last user message again, letter by letter where it is streamed.
fn spelled() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    let whole = script::echo();
    move |request| {
        if !request.stream() {
            return whole(request);
        }
        let text = request.last_user_text();
        let mut steps = vec![script::chunk(request, json!({"role": "assistant", "content": ""}), None)];
        steps.extend(text.chars().map(|letter| script::chunk(request, json!({"content": letter.to_string()}), None)));
        steps.extend(script::ending(request, "stop"));
        Reply::events(steps)
    }
}

/// What the upstream was last asked.
fn asked(upstream: &Upstream) -> Value {
    upstream.requests().last().unwrap().json()
}

/// The answer to a question over a protocol, whole and streamed, which must agree.
async fn answer(server: &Server, protocol: Protocol, call: &Call) -> Result<String, String> {
    let whole = protocol.unary(server.address(), call).await;
    let streamed = protocol.stream_all(server.address(), call).await;
    match whole {
        Ok(whole) => {
            streamed.assert_complete(protocol);
            assert_eq!(whole.text.as_deref(), Some(&*streamed.text()), "{protocol:?}");
            Ok(streamed.text())
        }
        Err(failure) => {
            assert!(!streamed.ended, "{protocol:?}: {streamed:?}");
            // An error within a stream of events has no code of its own.
            assert_eq!(failure.message, streamed.failure.unwrap().message, "{protocol:?}");
            assert_eq!(failure.code, "INVALID_ARGUMENT", "{protocol:?}: {failure:?}");
            Err(failure.message)
        }
    }
}

#[tokio::test]
async fn personal_data_does_not_reach_the_model_and_comes_back_in_its_answer() {
    let (upstream, server) = guarded("[guardrails.pii]\nfind = [\"email\", \"phone\"]\n").await;
    let text = "Write to ada@example.org, or call +49 89 123456; then ada@example.org again [EMAIL_9] [x";
    for protocol in Protocol::ALL {
        for model in ["scripted/echo", "scripted/spell"] {
            let call = Call::say(model, text);
            assert_eq!(answer(&server, protocol, &call).await.as_deref(), Ok(text), "{protocol:?}, {model}");
            let said = asked(&upstream)["messages"][0]["content"].as_str().unwrap().to_owned();
            assert_eq!(said, "Write to [EMAIL_1], or call [PHONE_1]; then [EMAIL_1] again [EMAIL_9] [x");
        }
    }
    // Arguments of calls are put back too, as JSON.
    upstream.script("tool", script::tool_calls(&[("send", r#"{"to":"[EMAIL_1]"}"#)], script::ToolDeltas::Usual));
    for protocol in Protocol::ALL {
        let call = Call::say("scripted/tool", "To ada@example.org");
        let whole = protocol.unary(server.address(), &call).await.unwrap();
        assert_eq!(whole.tool_calls[0].arguments, r#"{"to":"ada@example.org"}"#, "{protocol:?}");
        let streamed = protocol.stream_all(server.address(), &call).await;
        assert_eq!(streamed.tool_calls()[0].arguments, r#"{"to":"ada@example.org"}"#, "{protocol:?}");
    }
    let body = json!({"model": "scripted/echo", "messages": [{"role": "user", "content": "ada@example.org"}]});
    let told = post(server.address(), "/v1/chat/completions", &body, &[]).await;
    assert_eq!(told.header("sabir-guardrails"), Some("pii"));
}

#[tokio::test]
async fn what_is_taken_out_for_good_stays_out() {
    let rails = "[guardrails.pii]\nfind = [\"email\"]\nrestore = false\non = [\"input\", \"output\"]\n";
    let (upstream, server) = guarded(rails).await;
    upstream.script("leaks", script::text("It is bob@example.org, I believe."));
    for protocol in Protocol::ALL {
        let call = Call::say("scripted/spell", "I am ada@example.org.");
        assert_eq!(answer(&server, protocol, &call).await.as_deref(), Ok("I am [EMAIL_1]."), "{protocol:?}");
        let call = Call::say("scripted/leaks", "Who?");
        assert_eq!(answer(&server, protocol, &call).await.as_deref(), Ok("It is [email], I believe."), "{protocol:?}");
    }
}

#[tokio::test]
async fn words_that_must_not_be_said_are_refused_both_ways() {
    let rails = "[guardrails.xanadu]\nfind = [\"regex:(?i)project xanadu\"]\naction = \"block\"\nmodels = [\"scripted/*\"]\n\
                 [guardrails.note]\nfind = [\"regex:poem\"]\naction = \"annotate\"\n";
    let (upstream, server) = guarded(rails).await;
    upstream.script("tells", script::text("You may have heard of Project Xanadu, which is secret."));
    for protocol in Protocol::ALL {
        let before = upstream.requests().len();
        let refusal = answer(&server, protocol, &Call::say("scripted/echo", "What is PROJECT XANADU?")).await;
        assert!(refusal.unwrap_err().contains("guardrail xanadu refuses"), "{protocol:?}");
        assert_eq!(upstream.requests().len(), before, "{protocol:?}: nobody is asked");
        let call = Call::say("scripted/tells", "Tell me something");
        assert!(answer(&server, protocol, &call).await.is_err(), "{protocol:?}");
        let streamed = protocol.stream_all(server.address(), &call).await;
        assert!(!streamed.text().contains("Xan"), "{protocol:?}: {}", streamed.text());
    }
    let body = json!({"model": "scripted/echo", "messages": [{"role": "user", "content": "a poem"}]});
    let told = post(server.address(), "/v1/chat/completions", &body, &[]).await;
    assert_eq!((told.status, told.header("sabir-guardrails")), (200, Some("note")));
}

#[tokio::test]
async fn a_model_judges_questions_and_answers() {
    let rails = "[guardrails.safety]\nmodel = \"scripted/judge\"\nmodels = [\"scripted/echo\"]\n";
    let (upstream, server) = guarded(rails).await;
    let (harmless, harmful) = (
        script::text(r#"{"action":"allow","reason":""}"#),
        script::text("```json\n{\"action\":\"block\",\"reason\":\"it is about bombs\"}\n```"),
    );
    upstream.script("judge", move |request| {
        if request.last_user_text().contains("bomb") { harmful(request) } else { harmless(request) }
    });
    for protocol in Protocol::ALL {
        let call = Call::say("scripted/echo", "How do birds fly?");
        assert_eq!(answer(&server, protocol, &call).await.as_deref(), Ok("How do birds fly?"), "{protocol:?}");
        let refusal = answer(&server, protocol, &Call::say("scripted/echo", "How is a bomb built?")).await;
        assert!(refusal.unwrap_err().contains("it is about bombs"), "{protocol:?}");
    }
    // A judge who cannot be asked lets nobody through.
    upstream.script("judge", script::failing(500, "server_error", None, "no"));
    let refusal = answer(&server, Protocol::Rest, &Call::say("scripted/echo", "Hi")).await;
    assert!(refusal.unwrap_err().contains("could not be checked"));
}

/// A webhook that refuses what speaks of the moon, and notes what speaks of the sun.
async fn webhook() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"]}") {
                if socket.read_buf(&mut asked).await.is_ok_and(|read| read > 0) {
                    continue;
                }
                break;
            }
            let asked = String::from_utf8_lossy(&asked).into_owned();
            assert!(asked.contains("\"stage\":\"input\"") || asked.contains("\"stage\":\"output\""), "{asked}");
            let judgement = match (asked.contains("moon"), asked.contains("sun")) {
                (true, _) => r#"{"action":"block","reason":"not the moon"}"#,
                (_, true) => r#"{"action":"annotate"}"#,
                _ => r#"{"action":"allow"}"#,
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{judgement}",
                judgement.len()
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_webhook_judges_questions_and_answers() {
    let rails = format!("[guardrails.policy]\nwebhook = \"http://{}/check\"\n", webhook().await);
    let (upstream, server) = guarded(&rails).await;
    upstream.script("moony", script::text("Look at the moon."));
    for protocol in Protocol::ALL {
        assert_eq!(answer(&server, protocol, &Call::say("scripted/echo", "Hi")).await.as_deref(), Ok("Hi"));
        for (model, text) in [("scripted/echo", "The moon?"), ("scripted/moony", "What do you see?")] {
            let refusal = answer(&server, protocol, &Call::say(model, text)).await;
            assert!(refusal.unwrap_err().contains("policy refuses this: not the moon"), "{protocol:?}, {model}");
        }
    }
    let body = json!({"model": "scripted/echo", "messages": [{"role": "user", "content": "the sun"}]});
    let told = post(server.address(), "/v1/chat/completions", &body, &[]).await;
    assert_eq!(told.header("sabir-guardrails"), Some("policy"));
}

/// The same by gRPC.
struct Policy;

#[tonic::async_trait]
impl Guardrail for Policy {
    async fn judge(
        &self,
        request: tonic::Request<JudgeRequest>,
    ) -> Result<tonic::Response<JudgeResponse>, tonic::Status> {
        assert!(request.metadata().contains_key("grpc-timeout"));
        let JudgeRequest { stage, messages, .. } = request.into_inner();
        assert_ne!(stage, i32::from(Stage::Unspecified));
        let says = |word: &str| messages.iter().any(|message| message.text.contains(word));
        let (action, reason) = match (says("moon"), says("sun")) {
            (true, _) => (Action::Block, "not the moon"),
            (_, true) => (Action::Annotate, ""),
            _ => (Action::Allow, ""),
        };
        Ok(tonic::Response::new(JudgeResponse { action: action.into(), reason: reason.to_owned() }))
    }
}

#[tokio::test]
async fn a_service_judges_by_grpc_also_what_becomes_a_vector() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let service = tonic::transport::Server::builder().add_service(GuardrailServer::new(Policy));
    tokio::spawn(service.serve_with_incoming(incoming));
    let (upstream, server) = guarded(&format!("[guardrails.policy]\ngrpc = \"http://{address}\"\n")).await;
    upstream.script("moony", script::text("Look at the moon."));
    for protocol in Protocol::ALL {
        assert_eq!(answer(&server, protocol, &Call::say("scripted/echo", "Hi")).await.as_deref(), Ok("Hi"));
        for (model, text) in [("scripted/echo", "The moon?"), ("scripted/moony", "What do you see?")] {
            let refusal = answer(&server, protocol, &Call::say(model, text)).await;
            assert!(refusal.unwrap_err().contains("policy refuses this: not the moon"), "{protocol:?}, {model}");
        }
    }
    for (path, body) in [
        (
            "/v1/chat/completions",
            json!({"model": "scripted/echo", "messages": [{"role": "user", "content": "the sun"}]}),
        ),
        ("/v1/embeddings", json!({"model": "scripted/embed", "input": ["the sun"]})),
    ] {
        let told = post(server.address(), path, &body, &[]).await;
        assert_eq!((told.status, told.header("sabir-guardrails")), (200, Some("policy")), "{path}: {told:?}");
    }
    let body = json!({"model": "scripted/embed", "input": ["the sea", "the moon"]});
    let told = post(server.address(), "/v1/embeddings", &body, &[]).await;
    assert!(told.status == 400 && told.json.to_string().contains("not the moon"), "{told:?}");
}

#[tokio::test]
async fn what_is_masked_does_not_become_a_vector() {
    let (upstream, server) = guarded("[guardrails.pii]\nfind = [\"email\"]\n").await;
    let body = json!({"model": "scripted/embed", "input": ["Write to ada@example.org", "or not"]});
    let told = post(server.address(), "/v1/embeddings", &body, &[]).await;
    assert_eq!((told.status, told.header("sabir-guardrails")), (200, Some("pii")), "{told:?}");
    assert_eq!(asked(&upstream)["input"], json!(["Write to [EMAIL_1]", "or not"]));
}

#[tokio::test]
async fn a_guardrail_that_makes_no_sense_is_refused_at_the_start() {
    for (rails, key) in [
        ("[guardrails.x]\n", "guardrails.x"),
        ("[guardrails.x]\nfind = [\"email\"]\nwebhook = \"https://example.org\"\n", "guardrails.x"),
        ("[guardrails.x]\nfind = [\"name\"]\n", "guardrails.x.find"),
        ("[guardrails.x]\nfind = [\"regex:(\"]\n", "guardrails.x.find"),
        ("[guardrails.x]\nfind = [\"email\"]\naction = \"shout\"\n", "guardrails.x.action"),
        ("[guardrails.x]\nwebhook = \"http://example.org\"\n", "guardrails.x.webhook"),
        ("[guardrails.x]\nfind = [\"email\"]\non = [\"both\"]\n", "guardrails.x.on"),
    ] {
        let (status, told) = Server::refuse(rails);
        assert!(!status.success() && told.contains(key), "{rails}: {told}");
    }
}

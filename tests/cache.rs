//! Claims about answers that are kept and given again, over every protocol alike.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sabir_store::{Outcome, TokenSource};
use serde_json::json;

use crate::support::{
    Call, Protocol, Server, Upstream,
    http::post,
    identity::{Registrar, required},
    postgres::Database,
    script,
};

/// A server that keeps answers, with further lines in its section.
async fn keeping(lines: &str) -> (Upstream, Server) {
    let upstream = Upstream::start();
    let config = format!("{}\n[cache]\nenabled = true\n{lines}", Server::config_for(&upstream.base_url()));
    (upstream, Server::start(&config).await)
}

/// What the answer's headers say of how it was found.
async fn found(server: &Server, text: &str, headers: &[(&str, &str)]) -> (Option<String>, Option<String>) {
    let body = json!({"model": "scripted/echo", "messages": [{"role": "user", "content": text}]});
    let told = post(server.address(), "/v1/chat/completions", &body, headers).await;
    (told.header("sabir-cache").map(str::to_owned), told.header("age").map(str::to_owned))
}

fn miss() -> (Option<String>, Option<String>) {
    (Some("miss".to_owned()), None)
}

fn hit() -> (Option<String>, Option<String>) {
    (Some("hit".to_owned()), Some("0".to_owned()))
}

#[tokio::test]
async fn a_question_that_was_answered_is_not_asked_again_whichever_way_it_comes() {
    let (upstream, server) = keeping("").await;
    upstream.script(
        "tools",
        script::tool_calls(&[("look", r#"{"at":"the sea"}"#), ("listen", "{}")], script::ToolDeltas::Usual),
    );
    for model in ["scripted/echo", "scripted/tools"] {
        let before = upstream.requests().len();
        let call = Call::say(model, "one two three").with_usage();
        let first = Protocol::Rest.unary(server.address(), &call).await.unwrap();
        for protocol in Protocol::ALL {
            assert_eq!(protocol.unary(server.address(), &call).await.unwrap(), first, "{protocol:?}");
            let streamed = protocol.stream_all(server.address(), &call).await;
            streamed.assert_complete(protocol);
            assert_eq!(streamed.text(), first.text.clone().unwrap_or_default(), "{protocol:?}");
            assert_eq!(streamed.finish_reason(), first.finish_reason.as_deref(), "{protocol:?}");
            assert_eq!(streamed.usage(), first.usage, "{protocol:?}");
            let calls: Vec<_> =
                streamed.tool_calls().into_iter().map(|call| (call.id, call.name, call.arguments)).collect();
            let expected: Vec<_> =
                first.tool_calls.iter().cloned().map(|call| (call.id, call.name, call.arguments)).collect();
            assert_eq!(calls, expected, "{protocol:?}");
            assert!(streamed.chunks.iter().all(|chunk| chunk.id == first.id), "{protocol:?}");
        }
        assert_eq!(upstream.requests().len() - before, 1, "{model}");
    }
    // Whoever streams first is repeated to those who want it whole.
    let call = Call::say("scripted/echo", "four five six");
    let streamed = Protocol::Grpc.stream_all(server.address(), &call).await;
    let whole = Protocol::GrpcWeb.unary(server.address(), &call).await.unwrap();
    assert_eq!(Some(streamed.text()), whole.text);
    assert_eq!(upstream.requests().len(), 3);
    let rows = server.usage_rows(16).await;
    let kept: Vec<_> = rows.iter().filter(|row| row.provider.as_deref() == Some("cache")).collect();
    assert_eq!(kept.len(), 13);
    for row in kept {
        assert_eq!((row.prompt_tokens, row.completion_tokens, row.token_source), (0, 0, TokenSource::None), "{row:?}");
        assert!(matches!(row.outcome, Outcome::Complete | Outcome::ToolCalls), "{row:?}");
    }
}

#[tokio::test]
async fn servers_with_one_database_share_answers() {
    let database = Database::fresh();
    sabir_store_postgres::migrate(database.url()).await.unwrap();
    let upstream = Upstream::start();
    let config = format!("{}\n[cache]\nenabled = true\nshared = true\n", Server::config_for(&upstream.base_url()));
    let variables = [("DATABASE_URL", database.url())];
    let (one, other) = (Server::start_with(&config, &variables).await, Server::start_with(&config, &variables).await);
    assert_eq!(found(&one, "shared", &[]).await, miss());
    // It is written behind the caller's back.
    let deadline = Instant::now() + Duration::from_secs(20);
    while database.run("SELECT count(*) FROM kept_answer") != "1" {
        assert!(Instant::now() < deadline, "the answer is not in the database");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(found(&other, "shared", &[]).await.0.as_deref(), Some("hit"));
    assert_eq!(found(&other, "shared", &[("cache-control", "no-cache")]).await, miss());
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_question_in_other_words_gets_the_same_answer_where_a_route_says_so() {
    let upstream = Upstream::start();
    let lines = "[cache]\nenabled = true\nembedding_model = \"local/all-minilm-l6-v2\"\n\
                 [routes.like]\ntargets = [\"scripted/echo\"]\ncache_similarity = 0.85\n";
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/models/all-MiniLM-L6-v2");
    let config = Server::config_for(&upstream.base_url());
    let config = config.replace("[local]\nenabled = false", &format!("[local]\nembedding_model = \"{folder}\""));
    let server = Server::start(&format!("{config}\n{lines}")).await;
    let ask = async |model: &str, text: &str, temperature: f64| {
        let messages = json!([{"role": "user", "content": text}]);
        let body = json!({"model": model, "messages": messages, "temperature": temperature});
        let told = post(server.address(), "/v1/chat/completions", &body, &[]).await;
        assert_eq!(told.status, 200, "{told:?}");
        let likeness = told.header("sabir-cache-similarity").map(|cosine| cosine.parse::<f64>().unwrap());
        (told.header("sabir-cache").unwrap().to_owned(), likeness)
    };
    let question = "How do I reset the password of my account?";
    assert_eq!(ask("like", question, 0.0).await, ("miss".to_owned(), None));
    let (state, likeness) = ask("like", "How can I reset my account password?", 0.0).await;
    assert!(
        state == "similar" && likeness.is_some_and(|cosine| (0.85..=1.0).contains(&cosine)),
        "{state} {likeness:?}"
    );
    for (model, text, temperature, expected) in [
        ("like", "How can I reset my account password?", 0.0, "hit"),
        ("like", "How do I reset the password of my account?", 0.5, "miss"),
        ("like", "Why is the sea salty?", 0.0, "miss"),
        ("like", "How many are 2 apples and 3 apples?", 0.0, "miss"),
        ("like", "How many are 2 apples and 4 apples?", 0.0, "miss"),
        // One that is named itself is no route, and this one has not been asked.
        ("scripted/echo", "How can I reset my account's password?", 0.0, "miss"),
    ] {
        assert_eq!(ask(model, text, temperature).await.0, expected, "{model}: {text}");
    }
}

#[tokio::test]
async fn callers_say_how_old_an_answer_may_be() {
    let (upstream, server) = keeping("ttl = \"1s\"").await;
    assert_eq!(found(&server, "x", &[]).await, miss());
    assert_eq!(found(&server, "x", &[]).await, hit());
    assert_eq!(found(&server, "x", &[("cache-control", "max-age=60")]).await, hit());
    assert_eq!(found(&server, "x", &[("cache-control", "no-store")]).await, (None, None));
    assert_eq!(found(&server, "x", &[("cache-control", "no-cache")]).await, miss());
    assert_eq!(found(&server, "x", &[("cache-control", "max-age=0")]).await, miss());
    assert_eq!(found(&server, "y", &[]).await, miss());
    assert_eq!(upstream.requests().len(), 5);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(found(&server, "x", &[]).await, miss(), "nothing is kept for longer than it should be");
}

#[tokio::test]
async fn what_does_not_change_an_answer_does_not_change_the_question() {
    let (upstream, server) = keeping("").await;
    let ask = async |members: serde_json::Value| {
        let call = Call::say("scripted/echo", "Hi").with(|_| {}, members);
        Protocol::Rest.unary(server.address(), &call).await.unwrap()
    };
    let upstream_is_asked = |times: usize| assert_eq!(upstream.requests().len(), times);
    ask(json!({})).await;
    ask(json!({"user": "somebody", "metadata": {"a": "b"}, "prompt_cache_key": "k"})).await;
    upstream_is_asked(1);
    for (times, members) in [(2, json!({"temperature": 0.5})), (3, json!({"top_k": 4})), (4, json!({"seed": 1}))] {
        ask(members).await;
        upstream_is_asked(times);
    }
    // What the vendor is to keep has to reach the vendor.
    ask(json!({"store": true})).await;
    ask(json!({"store": true})).await;
    upstream_is_asked(6);
}

#[tokio::test]
async fn those_who_ask_the_same_at_once_wait_for_one_answer() {
    let (upstream, server) = keeping("").await;
    upstream.script("slow", script::paced(4, Duration::from_millis(50)));
    for protocol in Protocol::ALL {
        let before = upstream.requests().len();
        let call = Call::say("scripted/slow", &format!("{protocol:?}"));
        let answers = join_all((0..12).map(|number| {
            let call = &call;
            let address = server.address();
            async move {
                if number % 2 == 0 {
                    protocol.unary(address, call).await.unwrap().text.unwrap()
                } else {
                    protocol.stream_all(address, call).await.text()
                }
            }
        }))
        .await;
        assert!(answers.iter().all(|answer| *answer == answers[0] && !answer.is_empty()), "{answers:?}");
        assert_eq!(upstream.requests().len() - before, 1, "{protocol:?}");
    }
}

#[tokio::test]
async fn when_the_one_who_asks_fails_or_leaves_the_next_one_asks() {
    let (upstream, server) = keeping("").await;
    upstream.script("broken", script::failing(400, "invalid_request_error", None, "no"));
    let call = Call::say("scripted/broken", "Hi");
    for _ in 0..2 {
        Protocol::Rest.unary(server.address(), &call).await.unwrap_err();
    }
    assert_eq!(upstream.requests().len(), 2, "errors are not kept");
    upstream.script("cut", script::cut_mid_event());
    let call = Call::say("scripted/cut", "Hi");
    for _ in 0..2 {
        assert!(!Protocol::Grpc.stream_all(server.address(), &call).await.ended);
    }
    assert_eq!(upstream.requests().len(), 4, "what was broken off is not kept");
    upstream.script("slow", script::paced(6, Duration::from_millis(50)));
    let call = Call::say("scripted/slow", "Hi");
    let leaver = Protocol::Rest.stream(server.address(), &call).await.unwrap();
    let waiter = tokio::spawn({
        let (address, call) = (server.address(), call.clone());
        async move { Protocol::Rest.unary(address, &call).await }
    });
    tokio::time::sleep(Duration::from_millis(80)).await;
    drop(leaver);
    assert!(waiter.await.unwrap().unwrap().text.is_some());
    assert_eq!(upstream.requests().len(), 6);
}

#[tokio::test]
async fn a_key_gets_no_answer_of_another_unless_they_share() {
    for (lines, requests) in [("", 2), ("scope = \"everyone\"", 1)] {
        let upstream = Upstream::start();
        let config =
            format!("{}{}\n[cache]\nenabled = true\n{lines}", Server::config_for(&upstream.base_url()), required());
        let server = Server::start(&config).await;
        let registrar = Registrar::of(&server).await;
        for key in [registrar.key_for(&["chat"]).await, registrar.key_for(&["chat"]).await] {
            let headers = vec![("authorization", format!("Bearer {key}"))];
            let call = Call { headers, ..Call::say("scripted/echo", "Hi") };
            for protocol in Protocol::ALL {
                protocol.unary(server.address(), &call).await.unwrap();
            }
        }
        assert_eq!(upstream.requests().len(), requests, "{lines:?}");
    }
}

//! Claims about routes: several models under one name, of which one answers, whatever becomes of the others.

use std::time::{Duration, Instant};

use sabir_store::{UsageAttempt, UsageRow};
use serde_json::json;

use crate::support::{
    Call, Protocol, Server, Upstream,
    http::{get, post},
    script,
    upstream::closed_port,
};

/// A server whose route `smart` is this, over a provider that works and one that nobody is at home at.
async fn world_with(route: &str) -> (Upstream, Server) {
    let upstream = Upstream::start();
    let config = Server::config_for(&upstream.base_url());
    let dead = format!("[providers.dead]\nvendor = \"openai\"\nbase_url = \"http://{}/v1\"\n", closed_port());
    let server = Server::start(&format!("{config}{dead}\n[routes.smart]\n{route}\n")).await;
    (upstream, server)
}

#[tokio::test]
async fn with_one_of_two_targets_dead_no_call_fails() {
    let (_upstream, server) = world_with("targets = [\"dead/x\", \"scripted/echo\"]").await;
    for protocol in Protocol::ALL {
        for number in 0..20 {
            let call = Call::say("smart", "still there?");
            let answer = protocol.unary(server.address(), &call).await;
            let answer = answer.unwrap_or_else(|failure| panic!("{protocol:?}, call {number}: {failure:?}"));
            assert_eq!(answer.text.as_deref(), Some("still there?"), "{protocol:?}");
            let streamed = protocol.stream_all(server.address(), &call).await;
            streamed.assert_complete(protocol);
        }
    }
}

#[tokio::test]
async fn the_headers_say_who_answered_and_at_which_attempt() {
    let (upstream, server) = world_with("targets = [\"scripted/busy\", \"scripted/echo\"]").await;
    upstream.script("busy", script::rate_limited(60));
    let body = json!({"model": "smart", "messages": [{"role": "user", "content": "Hi"}]});
    let ask = || post(server.address(), "/v1/chat/completions", &body, &[]);
    let first = ask().await;
    assert_eq!(
        (first.status, first.header("sabir-model-used"), first.header("sabir-attempt")),
        (200, Some("scripted/echo"), Some("2"))
    );
    // It asked to be left alone for a minute.
    let second = ask().await;
    assert_eq!((second.header("sabir-model-used"), second.header("sabir-attempt")), (Some("scripted/echo"), Some("1")));
    assert_eq!(upstream.requests().len(), 3);
    let mut rows = server.usage_rows(2).await;
    rows.sort_by_key(|row| row.started_at_micros);
    let attempts = |row: &UsageRow| {
        let attempts = row.attempts.iter().map(|attempt| format!("{} {}", attempt.model, attempt.outcome));
        attempts.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(attempts(&rows[0]), "scripted/busy rate_limited, scripted/echo served");
    assert_eq!(attempts(&rows[1]), "");
}

#[tokio::test]
async fn a_hedge_overtakes_a_target_that_is_slow_and_the_slow_call_is_dropped() {
    let (upstream, server) =
        world_with("targets = [\"scripted/silent\", \"scripted/echo\"]\nhedge_after = \"100ms\"").await;
    upstream.script("silent", script::silent());
    for protocol in Protocol::ALL {
        let began = Instant::now();
        let answer = protocol.unary(server.address(), &Call::say("smart", "Hi")).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some("Hi"), "{protocol:?}");
        assert!((Duration::from_millis(100)..Duration::from_secs(5)).contains(&began.elapsed()), "{protocol:?}");
    }
    for row in server.usage_rows(Protocol::ALL.len()).await {
        let attempts: Vec<_> = row.attempts.iter().map(|attempt| (attempt.number, &*attempt.outcome)).collect();
        assert_eq!(attempts, [(1, UsageAttempt::OVERTAKEN), (2, UsageAttempt::SERVED)]);
        assert!(row.attempts[1].after_micros >= 100_000, "{row:?}");
    }
    for record in upstream.requests().iter().filter(|record| record.json()["model"] == "silent") {
        record.dropped_after(Instant::now()).await;
    }
}

#[tokio::test]
async fn calls_with_a_header_go_elsewhere() {
    let rule =
        "targets = [\"dead/x\"]\n[routes.smart.when.gold]\nheader = \"x-tier: gold\"\ntargets = [\"scripted/echo\"]";
    let (_upstream, server) = world_with(rule).await;
    for protocol in Protocol::ALL {
        let mut call = Call::say("smart", "Hi");
        protocol.unary(server.address(), &call).await.unwrap_err();
        call.headers.push(("x-tier", "gold".to_owned()));
        assert_eq!(protocol.unary(server.address(), &call).await.unwrap().text.as_deref(), Some("Hi"), "{protocol:?}");
    }
}

#[tokio::test]
async fn routes_are_listed_as_models() {
    let (_upstream, server) = world_with("targets = [\"scripted/echo\", \"dead/x\"]").await;
    let (status, body) = get(server.address(), "/v1/models/smart").await;
    let text = String::from_utf8(body).unwrap();
    assert!(status == 200 && text.contains("Answered by one of scripted/echo, dead/x."), "{text}");
}

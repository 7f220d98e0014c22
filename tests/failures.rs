//! Claims about trouble: an upstream that refuses, breaks off or talks nonsense is told of with the right code on every
//! protocol, never looks like an answer, and never harms the next call.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use crate::support::{
    Call, Ending, Failure, Protocol, Server, Upstream, http::http1, protocol::Streamed, script, upstream::closed_port,
    world,
};

/// What is wrong with an answer, and the codes that say so.
type Fault = (&'static str, &'static [&'static str]);

/// Registers a model for every way in which an answer can go wrong on the way.
fn script_faults(upstream: &Upstream) -> Vec<Fault> {
    upstream.script("cut-mid-event", script::cut_mid_event());
    upstream.script("cut-mid-character", script::cut_mid_character());
    upstream.script("without-terminator", script::without_terminator());
    upstream.script("garbage-event", script::garbage_event());
    upstream.script("huge-event", script::huge_event(10 << 20));
    upstream.script("error-event", script::error_event());
    vec![
        ("cut-mid-event", &["UNAVAILABLE"]),
        ("cut-mid-character", &["UNAVAILABLE"]),
        ("without-terminator", &["UNAVAILABLE"]),
        ("garbage-event", &["INTERNAL"]),
        ("huge-event", &["INTERNAL"]),
        ("error-event", &["INTERNAL", "UNAVAILABLE"]),
    ]
}

async fn assert_still_well(protocol: Protocol, server: &Server) {
    let answer = protocol.unary(server.address(), &Call::say("scripted/echo", "still there?")).await.unwrap();
    assert_eq!(answer.text.as_deref(), Some("still there?"), "{protocol:?}");
}

/// Both kinds of call must fail alike when nothing of an answer has come yet.
async fn early_failures(protocol: Protocol, server: &Server, call: &Call) -> [Failure; 2] {
    let unary = protocol.unary(server.address(), call).await.unwrap_err();
    let streamed = match protocol.stream(server.address(), call).await {
        Err(failure) => failure,
        Ok(events) => panic!("{protocol:?}: {:?}", Streamed::read(events).await),
    };
    [unary, streamed]
}

#[tokio::test]
async fn a_broken_stream_is_never_complete() {
    let (upstream, server) = world().await;
    let faults = script_faults(&upstream);
    for protocol in Protocol::ALL {
        for (model, codes) in &faults {
            let about = (protocol, model);
            let streamed = protocol.stream_all(server.address(), &Call::say(&format!("scripted/{model}"), "Hi")).await;
            let failure = streamed.assert_failed(about);
            assert!(streamed.text().starts_with("one two "), "{about:?}: what came before is not lost: {streamed:?}");
            assert!(!failure.message.is_empty(), "{about:?}");
            if protocol != Protocol::Rest {
                assert!(codes.contains(&failure.code.as_str()), "{about:?}: {failure:?}");
            }
            assert_still_well(protocol, &server).await;
        }
    }
}

/// A stream as lines: what is on them, and the marker on the last.
async fn lines(server: &Server, model: &str) -> (Vec<Value>, Value) {
    let document = Call::say(model, "Hi").with(|_| {}, json!({"stream": true})).json;
    let request = Request::post("/v1/chat/completions")
        .header("content-type", "application/json")
        .header("accept", "application/x-ndjson, application/json");
    let exchange = http1(server.address(), request.body(Bytes::from(document.to_string())).unwrap()).await;
    assert_eq!((exchange.status(), exchange.header("content-type")), (200, Some("application/x-ndjson")), "{model}");
    let body = String::from_utf8(exchange.body().await).unwrap();
    let mut lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.pop().unwrap();
    (lines, last)
}

#[tokio::test]
async fn a_stream_of_lines_says_how_it_ended() {
    let (upstream, server) = world().await;
    let (chunks, end) = lines(&server, "scripted/echo").await;
    assert_eq!(end, json!({"@end": {}}));
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"), "{chunks:?}");
    for (model, _) in script_faults(&upstream) {
        let (chunks, end) = lines(&server, &format!("scripted/{model}")).await;
        assert!(!chunks.is_empty(), "{model}: what came before is not lost");
        assert!(end["@error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{model}: {end}");
        assert_eq!(end["@error"]["type"], "server_error", "{model}");
    }
}

#[tokio::test]
async fn half_an_answer_is_an_error() {
    let (upstream, server) = world().await;
    script_faults(&upstream);
    for protocol in Protocol::ALL {
        let failure = protocol.unary(server.address(), &Call::say("scripted/cut-mid-event", "Hi")).await.unwrap_err();
        assert_eq!(failure.code, "UNAVAILABLE", "{protocol:?}: {failure:?}");
        assert_still_well(protocol, &server).await;
    }
}

#[tokio::test]
async fn an_upstreams_refusal_has_its_code_before_anything_else_is_sent() {
    let (upstream, server) = world().await;
    upstream
        .script("no-key", script::failing(401, "invalid_request_error", Some("invalid_api_key"), "Incorrect API key"));
    upstream.script("forbidden", script::failing(403, "invalid_request_error", None, "Not in your country"));
    upstream.script("missing", script::failing(404, "invalid_request_error", Some("model_not_found"), "No such model"));
    upstream.script("invalid", script::failing(400, "invalid_request_error", None, "Too strange"));
    upstream.script("busy", script::rate_limited(7));
    upstream.script("broken", script::failing(500, "server_error", None, "The engine broke"));
    upstream.script("overloaded", script::failing(503, "server_error", None, "Come back later"));
    upstream.script("web-page", script::web_page());
    let expected = [
        // A key the upstream refuses is the server's, not the caller's.
        ("no-key", "INTERNAL", 500),
        ("forbidden", "PERMISSION_DENIED", 403),
        ("missing", "NOT_FOUND", 404),
        ("invalid", "INVALID_ARGUMENT", 400),
        ("busy", "RESOURCE_EXHAUSTED", 429),
        ("broken", "INTERNAL", 500),
        ("overloaded", "UNAVAILABLE", 503),
        ("web-page", "INTERNAL", 500),
    ];
    for protocol in Protocol::ALL {
        for (model, code, http) in expected {
            for failure in early_failures(protocol, &server, &Call::say(&format!("scripted/{model}"), "Hi")).await {
                assert_eq!(failure.code, code, "{protocol:?}, {model}: {failure:?}");
                assert!(!failure.message.is_empty() && !failure.message.contains("sk-scripted"), "{failure:?}");
                if protocol == Protocol::Rest {
                    assert_eq!(failure.http, Some(http), "{model}");
                }
                if model == "busy" {
                    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)), "{protocol:?}: {failure:?}");
                }
            }
        }
        assert_still_well(protocol, &server).await;
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_unavailable() {
    let base_url = format!("http://{}/v1", closed_port());
    let server = Server::start(&Server::config_for(&base_url)).await;
    for protocol in Protocol::ALL {
        for failure in early_failures(protocol, &server, &Call::say("scripted/echo", "Hi")).await {
            assert_eq!(failure.code, "UNAVAILABLE", "{protocol:?}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_the_upstream_call_with_it() {
    let (upstream, server) = world().await;
    upstream.script("silent", script::silent());
    upstream.script("silent-midway", script::silent_midway());
    let mut asked = 0;
    for protocol in Protocol::ALL {
        for model in ["silent", "silent-midway"] {
            let call = Call::say(&format!("scripted/{model}"), "Hi").within(Duration::from_millis(300));
            let began = Instant::now();
            let unary = protocol.unary(server.address(), &call).await.unwrap_err();
            assert_eq!(unary.code, "DEADLINE_EXCEEDED", "{protocol:?}, {model}: {unary:?}");
            let streamed = protocol.stream_all(server.address(), &call).await;
            let failure = streamed.assert_failed((protocol, model));
            if protocol != Protocol::Rest {
                assert_eq!(failure.code, "DEADLINE_EXCEEDED", "{protocol:?}, {model}: {failure:?}");
            }
            let took = began.elapsed();
            assert!(
                (Duration::from_millis(550)..Duration::from_secs(3)).contains(&took),
                "{protocol:?}, {model}: {took:?}"
            );
            for number in [asked, asked + 1] {
                assert_eq!(upstream.request(number).await.ended().await.0, Ending::Dropped, "{protocol:?}, {model}");
            }
            asked += 2;
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_while_idle_is_not_an_error() {
    let mut upstream = Upstream::start();
    let server = Server::start(&Server::config_for(&upstream.base_url())).await;
    for protocol in Protocol::ALL {
        assert_still_well(protocol, &server).await;
        // The same address, but every connection the server kept is dead.
        upstream.restart();
        assert_still_well(protocol, &server).await;
        upstream.restart();
        let streamed = protocol.stream_all(server.address(), &Call::say("scripted/echo", "still there?")).await;
        streamed.assert_complete(protocol);
        assert_eq!(streamed.text(), "still there?", "{protocol:?}");
    }
}

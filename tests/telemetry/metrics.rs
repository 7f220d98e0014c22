//! Claims about metrics, scraped and sent.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{scrape, scrape_openmetrics, value, watched};
use crate::sockets::Socket;
use crate::support::{
    Call, Event, Protocol, Server,
    collector::{points, total},
    http::{get, post},
    identity::{Registrar, required},
    protocol::next,
    script,
};

#[tokio::test]
async fn every_call_is_counted_by_protocol_rpc_and_status() {
    let watched = watched("[aliases]\nknown = \"scripted/fixed\"\n").await;
    let address = watched.server.address();
    for protocol in Protocol::ALL {
        protocol.unary(address, &Call::say("scripted/fixed", "hello")).await.unwrap();
        protocol.stream_all(address, &Call::say("scripted/fixed", "hello")).await.assert_complete(protocol);
        protocol.unary(address, &Call::say("nowhere/at/all", "hello")).await.unwrap_err();
    }
    get(address, "/v1/nothing").await;
    // Rows and counts are made when the answer is gone.
    watched.server.usage_rows(9).await;
    let lines = scrape(watched.admin).await;
    let unary = "method=\"sabir.v1.Chat/CreateChatCompletion\"";
    let stream = "method=\"sabir.v1.Chat/StreamChatCompletion\"";
    for (way, streamed) in [("grpc", "grpc"), ("grpc-web", "grpc-web"), ("http", "sse")] {
        let (way, streamed) = (format!("protocol=\"{way}\""), format!("protocol=\"{streamed}\""));
        let count = |labels: &[&str]| value(&lines, "sabir_requests_total", labels);
        assert_eq!(count(&[&way, unary, "code=\"OK\""]), 1.0, "{lines:#?}");
        assert_eq!(count(&[&streamed, stream, "code=\"OK\""]), 1.0, "{lines:#?}");
        assert_eq!(count(&[&way, unary, "code=\"NOT_FOUND\""]), 1.0, "{lines:#?}");
        assert_eq!(value(&lines, "sabir_request_duration_seconds_count", &[&way, unary]), 2.0);
    }
    assert_eq!(value(&lines, "sabir_requests_total", &["method=\"other\"", "code=\"NOT_FOUND\""]), 1.0);

    let model = "gen_ai_request_model=\"fixed\"";
    let labels = ["gen_ai_operation_name=\"chat\"", "gen_ai_provider_name=\"scripted\"", model];
    assert_eq!(value(&lines, "gen_ai_client_operation_duration_seconds_count", &labels), 6.0);
    assert_eq!(value(&lines, "gen_ai_client_token_usage_count", &["gen_ai_token_type=\"input\"", model]), 6.0);
    assert_eq!(value(&lines, "gen_ai_client_token_usage_count", &["gen_ai_token_type=\"output\"", model]), 6.0);
    assert_eq!(value(&lines, "gen_ai_server_time_to_first_token_seconds_count", &labels), 3.0);
    assert_eq!(value(&lines, "gen_ai_server_time_per_output_token_seconds_count", &labels), 3.0);
    assert_eq!(value(&lines, "sabir_attempts_total", &["provider=\"scripted\"", "outcome=\"ok\""]), 6.0);
    for gauge in ["sabir_requests_in_flight", "sabir_open_streams", "sabir_usage_rows_lost_total"] {
        assert_eq!(value(&lines, gauge, &[]), 0.0, "{gauge}");
    }
    assert!(value(&lines, "process_resident_memory_bytes", &[]) > 1e6);
    assert!(value(&lines, "process_open_fds", &[]) > 3.0);

    let sent = watched.collector.metric("gen_ai.client.operation.duration", |metric| total(metric) == 6).await;
    assert_eq!(sent.unit, "s");
    let sent = &points(&sent)[0];
    assert_eq!((&*sent["gen_ai.operation.name"], &*sent["gen_ai.request.model"]), ("chat", "fixed"));
    watched.collector.metric("sabir.requests", |metric| total(metric) == 10).await;
    watched.collector.metric("gen_ai.client.token.usage", |metric| total(metric) == 12).await;
}

#[tokio::test]
async fn exemplars_lead_to_traces() {
    let watched = watched("").await;
    Protocol::Rest.unary(watched.server.address(), &Call::say("scripted/fixed", "hello")).await.unwrap();
    watched.server.usage_rows(1).await;
    let (media_type, text) = scrape_openmetrics(watched.admin).await;
    assert!(media_type.starts_with("application/openmetrics-text"), "{media_type}");
    assert!(text.ends_with("# EOF\n"));
    let line = text
        .lines()
        .find(|line| line.contains("gen_ai_client_operation_duration_seconds_bucket") && line.contains(" # "));
    let example = line.unwrap().split_once("trace_id=\"").unwrap().1;
    let trace = &example[..32];
    let spans = watched.collector.spans_of(trace, 2).await;
    assert!(spans.iter().any(|span| span.name == "chat fixed"));
    let plain = scrape(watched.admin).await;
    assert!(plain.iter().all(|line| !line.contains("trace_id")), "only those who ask can read exemplars");
}

#[tokio::test]
async fn made_up_names_make_no_series() {
    let watched = watched("").await;
    let address = watched.server.address();
    let ask = |model: String| async move {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
        post(address, "/v1/chat/completions", &body, &[]).await;
    };
    ask("scripted/made-up".to_owned()).await;
    Protocol::Grpc.unary(address, &Call::say("scripted/fixed", "x")).await.unwrap();
    let series = |lines: &[String]| lines.iter().filter(|line| !line.starts_with('#')).count();
    let before = scrape(watched.admin).await;
    let calls = (0..5000).map(|number| ask(format!("scripted/made-up-{number}")));
    stream::iter(calls).buffer_unordered(16).collect::<Vec<()>>().await;
    for number in 0..50 {
        get(address, &format!("/v1/made/up/{number}")).await;
    }
    let after = scrape(watched.admin).await;
    // Statuses and buckets of series that were there; the path that leads nowhere is one more.
    assert!(series(&after) <= series(&before) + 25, "{} series, then {}", series(&before), series(&after));
    assert!(after.iter().all(|line| !line.contains("made-up") && !line.contains("made/up")));
    let unknown = ["gen_ai_request_model=\"unknown\"", "gen_ai_provider_name=\"scripted\""];
    assert_eq!(value(&after, "gen_ai_client_operation_duration_seconds_count", &unknown), 5001.0);
}

#[tokio::test]
async fn open_streams_and_refusals_are_counted_as_they_come() {
    let watched = watched("").await;
    let address = watched.server.address();
    watched.upstream.script("slow", script::paced(1000, Duration::from_millis(50)));
    let mut open = Vec::new();
    for protocol in Protocol::ALL {
        let mut events = protocol.stream(address, &Call::say("scripted/slow", "x")).await.unwrap();
        assert!(matches!(next(&mut events).await, Event::Chunk(_)));
        open.push(events);
    }
    let lines = scrape(watched.admin).await;
    assert_eq!(value(&lines, "sabir_open_streams", &[]), 3.0);
    assert_eq!(value(&lines, "sabir_requests_in_flight", &[]), 3.0);
    assert!(value(&lines, "sabir_open_connections", &[]) >= 3.0);
    drop(open);
    watched.server.usage_rows(3).await;
    let lines = scrape(watched.admin).await;
    assert_eq!(value(&lines, "sabir_open_streams", &[]), 0.0);
    assert_eq!(value(&lines, "sabir_requests_total", &["code=\"CANCELLED\""]), 3.0, "{lines:#?}");
    assert_eq!(value(&lines, "sabir_attempts_total", &["outcome=\"cancelled\""]), 3.0);
}

#[tokio::test]
async fn calls_over_sockets_are_calls() {
    let watched = watched("").await;
    let socket = Socket::open(&watched.server, &Call::say("scripted/fixed", "x")).await;
    assert_eq!(socket.rest().await.1, 1000);
    watched.server.usage_rows(1).await;
    let lines = scrape(watched.admin).await;
    let labels = ["protocol=\"websocket\"", "method=\"sabir.v1.Chat/StreamChatCompletion\"", "code=\"OK\""];
    assert_eq!(value(&lines, "sabir_requests_total", &labels), 1.0, "{lines:#?}");
}

#[tokio::test]
async fn those_who_are_turned_away_are_counted() {
    let watched = watched(&required()).await;
    for protocol in Protocol::ALL {
        protocol.unary(watched.server.address(), &Call::say("scripted/fixed", "x")).await.unwrap_err();
    }
    let lines = scrape(watched.admin).await;
    assert_eq!(value(&lines, "sabir_refusals_total", &["reason=\"auth\""]), 3.0, "{lines:#?}");
    assert_eq!(value(&lines, "sabir_requests_total", &["code=\"UNAUTHENTICATED\""]), 3.0);
}

#[tokio::test]
async fn the_cache_and_breakers_are_counted() {
    let lines = "[cache]\nenabled = true\n[routes.both]\ntargets = [\"scripted/broken\", \"scripted/fixed\"]\n";
    let watched = watched(lines).await;
    watched.upstream.script("broken", script::failing(500, "server_error", None, "no"));
    for number in 0..4 {
        let call = Call::say("both", &format!("{number}"));
        Protocol::Rest.unary(watched.server.address(), &call).await.unwrap();
        Protocol::Grpc.unary(watched.server.address(), &call).await.unwrap();
    }
    let lines = scrape(watched.admin).await;
    assert_eq!(value(&lines, "sabir_cache_lookups_total", &["outcome=\"hit\""]), 4.0);
    assert_eq!(value(&lines, "sabir_cache_lookups_total", &["outcome=\"miss\""]), 4.0);
    assert_eq!(value(&lines, "sabir_breaker_open", &["target=\"scripted/broken\""]), 1.0, "{lines:#?}");
    assert_eq!(value(&lines, "sabir_breaker_open", &["target=\"scripted/fixed\""]), 0.0);
    assert_eq!(value(&lines, "sabir_attempts_total", &["outcome=\"internal\""]), 3.0);
}

#[tokio::test]
async fn an_address_that_was_chosen_must_be_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let variables = [("SABIR_ADMIN__ENABLED", "true"), ("SABIR_ADMIN__LISTEN", address.as_str())];
    let (status, log) = Server::refuse_with("[local]\nenabled = false\n", &variables);
    assert!(!status.success());
    assert!(log.contains("SABIR_ADMIN__LISTEN") && log.contains(&address), "{log}");
}

#[tokio::test]
async fn refusals_are_counted_by_who_refuses() {
    let lines = format!("{}[server]\nmax_calls = 4\n[limits]\neach_key = {{ requests_per_minute = 3 }}\n", required());
    let watched = watched(&lines).await;
    let registrar = Registrar::of(&watched.server).await;
    let (limited, streaming) = (registrar.key_for(&["chat"]).await, registrar.key_for(&["chat"]).await);
    let address = watched.server.address();
    let call = |model: &str, key: &str| {
        watched.server.keep_secret(key);
        let mut call = Call::say(model, "Hi");
        call.headers.push(("authorization", format!("Bearer {key}")));
        call
    };
    let refused = async |reason: &str| {
        let lines = scrape(watched.admin).await;
        value(&lines, "sabir_refusals_total", &[&format!("reason=\"{reason}\"")])
    };
    for protocol in Protocol::ALL {
        protocol.unary(address, &Call::say("scripted/echo", "Hi")).await.unwrap_err();
        protocol.unary(address, &call("scripted/echo", &limited)).await.unwrap();
    }
    for protocol in Protocol::ALL {
        protocol.unary(address, &call("scripted/echo", &limited)).await.unwrap_err();
    }
    assert_eq!((refused("auth").await, refused("limit").await), (3.0, 3.0));
    assert_eq!(refused("overload").await, 0.0);

    watched.upstream.script("endless", script::silent_midway());
    let mut open = Vec::new();
    while let Ok(events) = Protocol::Grpc.stream(address, &call("scripted/endless", &streaming)).await {
        open.push(events);
    }
    // The limit of three calls a minute comes before the four that may be open, which others fill.
    let another = registrar.key_for(&["chat"]).await;
    while let Ok(events) = Protocol::Grpc.stream(address, &call("scripted/endless", &another)).await {
        open.push(events);
    }
    assert_eq!(open.len(), 4);
    assert_eq!(refused("overload").await, 1.0);
}

//! Claims about usage: every call leaves exactly one row, however it ended, which says what happened; and whoever may ask
//! is told what rows add up to.

mod asking;
mod export;
mod queries;

use std::time::{Duration, SystemTime};

use sabir_store::{Operation, Outcome, TokenSource, UsageRow, unix_micros};
use serde_json::json;

use crate::support::{
    Call, DatabaseKind, Protocol, script,
    upstream::{Reply, Step},
    world, world_on,
};

/// What is looked at in a row besides the names.
fn figures(row: &UsageRow) -> (Outcome, i32, TokenSource, u32, u32) {
    (row.outcome, row.grpc_code, row.token_source, row.prompt_tokens, row.completion_tokens)
}

#[tokio::test]
async fn a_complete_call_leaves_a_complete_row() {
    for database in DatabaseKind::ALL {
        let (_upstream, server) = world_on(database).await;
        let before = unix_micros(SystemTime::now());
        let call = Call::say("scripted/echo", "Hi there");
        for protocol in Protocol::ALL {
            protocol.unary(server.address(), &call).await.unwrap();
            // The caller does not ask for usage here; the row has it all the same.
            protocol.stream_all(server.address(), &call).await.assert_complete(protocol);
        }
        let after = unix_micros(SystemTime::now());
        let rows = server.usage_rows(6).await;
        for (number, row) in rows.iter().enumerate() {
            let protocol = Protocol::ALL[number / 2];
            let streamed = number % 2 == 1;
            assert_eq!(
                (row.protocol, row.streamed, row.operation),
                (protocol.stored(), streamed, Operation::Chat),
                "{row:?}"
            );
            assert_eq!(figures(row), (Outcome::Complete, 0, TokenSource::Reported, 11, 7), "{row:?}");
            assert_eq!((row.cached_tokens, row.reasoning_tokens), (3, 2), "{row:?}");
            assert_eq!(&*row.model_asked, "scripted/echo");
            assert_eq!(
                (row.model_used.as_deref(), row.provider.as_deref()),
                (Some("echo"), Some("scripted")),
                "{row:?}"
            );
            assert!((before..=after).contains(&row.started_at_micros), "{row:?}");
            assert!(row.latency_micros > 0 && row.latency_micros < after - before, "{row:?}");
            assert_eq!(row.first_token_micros.is_some(), streamed, "{row:?}");
            assert!(row.first_token_micros.is_none_or(|first| first > 0 && first <= row.latency_micros), "{row:?}");
        }
    }
}

#[tokio::test]
async fn every_way_to_end_has_its_row() {
    for database in DatabaseKind::ALL {
        let (upstream, server) = world_on(database).await;
        for (model, finish_reason) in [("length", "length"), ("tools", "tool_calls"), ("filtered", "content_filter")] {
            upstream.script(model, move |request| {
                if request.stream() {
                    let mut steps = vec![script::chunk(request, json!({"role": "assistant", "content": "some"}), None)];
                    steps.extend(script::ending(request, finish_reason));
                    return Reply::events(steps);
                }
                Reply::json(
                    200,
                    &script::completion(request, json!({"role": "assistant", "content": "some"}), finish_reason),
                )
            });
        }
        upstream.script("cut", script::cut_mid_event());
        upstream.script("broken", script::failing(500, "server_error", None, "The engine broke"));
        upstream.script("busy", script::rate_limited(1));
        upstream.script("silent", script::silent());
        let unavailable = 14;
        let cases = [
            ("scripted/length", Outcome::Length, 0, TokenSource::Reported),
            ("scripted/tools", Outcome::ToolCalls, 0, TokenSource::Reported),
            ("scripted/filtered", Outcome::Filtered, 0, TokenSource::Reported),
            ("scripted/cut", Outcome::UpstreamLost, unavailable, TokenSource::Partial),
            ("scripted/broken", Outcome::UpstreamRefused, 13, TokenSource::None),
            ("scripted/busy", Outcome::UpstreamRefused, 8, TokenSource::None),
            ("scripted/silent", Outcome::Deadline, 4, TokenSource::Partial),
            ("nobody/nothing", Outcome::Rejected, 5, TokenSource::None),
        ];
        for protocol in Protocol::ALL {
            for (model, ..) in cases {
                let call = Call::say(model, "Hi").within(Duration::from_millis(400));
                drop(protocol.stream_all(server.address(), &call).await);
            }
        }
        let rows = server.usage_rows(cases.len() * 3).await;
        for (number, row) in rows.iter().enumerate() {
            let (model, outcome, code, source) = cases[number % cases.len()];
            let protocol = Protocol::ALL[number / cases.len()];
            assert_eq!((&*row.model_asked, row.protocol), (model, protocol.stored()), "{row:?}");
            assert_eq!((row.outcome, row.grpc_code, row.token_source), (outcome, code, source), "{row:?}");
            assert_eq!(row.provider.as_deref(), (outcome != Outcome::Rejected).then_some("scripted"), "{row:?}");
        }
    }
}

#[tokio::test]
async fn usage_that_is_reported_again_and_again_is_not_added_up() {
    let (upstream, server) = world().await;
    upstream.script("snapshots", |request| {
        let mut steps = Vec::new();
        for tokens in [1, 2, 3] {
            steps.push(Step::event(json!({
                "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "snapshots",
                "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": null}],
                "usage": {"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": 5 + tokens},
            })));
        }
        let mut ending = script::ending(request, "stop");
        ending.remove(1);
        steps.extend(ending);
        Reply::events(steps)
    });
    for protocol in Protocol::ALL {
        let call = Call::say("scripted/snapshots", "Hi").with_usage();
        protocol.stream_all(server.address(), &call).await.assert_complete(protocol);
    }
    for row in server.usage_rows(3).await {
        assert_eq!(figures(&row), (Outcome::Complete, 0, TokenSource::Reported, 5, 3), "{row:?}");
    }
}

#[tokio::test]
async fn usage_nobody_reports_is_estimated() {
    let (upstream, server) = world().await;
    upstream.script("unreported", |request| {
        let mut steps =
            vec![script::chunk(request, json!({"role": "assistant", "content": "some words of text"}), None)];
        let mut ending = script::ending(request, "stop");
        ending.remove(1);
        steps.extend(ending);
        Reply::events(steps)
    });
    for protocol in Protocol::ALL {
        let streamed =
            protocol.stream_all(server.address(), &Call::say("scripted/unreported", "Hi").with_usage()).await;
        streamed.assert_complete(protocol);
    }
    for row in server.usage_rows(3).await {
        assert_eq!((row.outcome, row.token_source), (Outcome::Complete, TokenSource::Estimated), "{row:?}");
        assert!(row.prompt_tokens > 0 && row.completion_tokens > 0, "{row:?}");
    }
}

//! Claims about callers that go away: the upstream call ends with them, at once, on every protocol.

use std::time::{Duration, Instant};

use sabir_store::Outcome;

use crate::support::{Call, Event, Protocol, protocol::next, script, world};

/// How soon an upstream must see that a caller has gone. Far above what it takes, for machines that are busy.
const AT_ONCE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_caller_that_goes_away_in_mid_stream_ends_the_upstream_call() {
    let (upstream, server) = world().await;
    upstream.script("long", script::paced(400, Duration::from_millis(5)));
    let mut asked = 0;
    for protocol in Protocol::ALL {
        let mut delays = Vec::new();
        for _ in 0..50 {
            let mut events = protocol.stream(server.address(), &Call::say("scripted/long", "count")).await.unwrap();
            for _ in 0..3 {
                assert!(matches!(next(&mut events).await, Event::Chunk(_)), "{protocol:?}");
            }
            let gone = Instant::now();
            drop(events);
            delays.push(upstream.request(asked).await.dropped_after(gone).await);
            asked += 1;
        }
        delays.sort_unstable();
        let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
        report(&format!("{protocol:?}: caller gone to upstream closed: median {median:?}, worst {worst:?} of 50"));
        assert!(worst < AT_ONCE, "{protocol:?}: {worst:?}");
    }
    let rows = server.usage_rows(150).await;
    for row in rows {
        assert_eq!(row.outcome, Outcome::Cancelled, "{row:?}");
        assert_eq!(row.grpc_code, 1, "{row:?}");
        assert!(row.completion_tokens > 0 && row.first_token_micros.is_some(), "what was said is counted: {row:?}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_before_the_answer_ends_the_upstream_call() {
    let (upstream, server) = world().await;
    upstream.script("silent", script::silent());
    upstream.script("silent-midway", script::silent_midway());
    let mut asked = 0;
    for protocol in Protocol::ALL {
        for (model, streamed) in [("silent", false), ("silent", true), ("silent-midway", false)] {
            let (server, call) = (server.address(), Call::say(&format!("scripted/{model}"), "Hi"));
            let caller = tokio::spawn(async move {
                if streamed {
                    drop(protocol.stream(server, &call).await);
                } else {
                    drop(protocol.unary(server, &call).await);
                }
            });
            let record = upstream.request(asked).await;
            asked += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
            let gone = Instant::now();
            caller.abort();
            let delay = record.dropped_after(gone).await;
            assert!(delay < AT_ONCE, "{protocol:?}, {model}, streamed: {streamed}: {delay:?}");
        }
    }
    let rows = server.usage_rows(9).await;
    assert!(rows.iter().all(|row| row.outcome == Outcome::Cancelled), "{rows:#?}");
}

#[expect(clippy::print_stderr, reason = "figures for whoever runs this with --nocapture")]
fn report(line: &str) {
    eprintln!("{line}");
}

//! Claims about traces: which spans there are, what hangs below what, and that they end when the answer does.

use std::time::Duration;

use super::watched;
use crate::support::{
    Call, Event, Protocol, Server, Upstream,
    protocol::next,
    script::{self},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A call in a trace of its own, by a number.
fn traced(call: Call, number: usize) -> (Call, String) {
    let trace = format!("{}{number:04}", &TRACE[..28]);
    let mut call = call;
    call.headers.extend([
        ("traceparent", format!("00-{trace}-{CALLER}-01")),
        ("tracestate", "vendor=opaque,other=1".to_owned()),
        ("baggage", "user=somebody".to_owned()),
    ]);
    (call, trace)
}

#[tokio::test]
async fn one_trace_goes_from_the_caller_to_the_upstream_over_every_protocol() {
    let watched = watched("").await;
    for (index, protocol) in Protocol::ALL.into_iter().enumerate() {
        for streamed in [false, true] {
            let number = index * 2 + usize::from(streamed);
            let (call, trace) = traced(Call::say("scripted/fixed", "hello"), number);
            if streamed {
                protocol.stream_all(watched.server.address(), &call).await.assert_complete(protocol);
            } else {
                protocol.unary(watched.server.address(), &call).await.unwrap();
            }
            let spans = watched.collector.spans_of(&trace, 2).await;
            let request = spans.iter().find(|span| span.kind == 2).unwrap();
            let attempt = spans.iter().find(|span| span.kind == 3).unwrap();

            assert_eq!((request.parent.as_str(), attempt.parent.as_str()), (CALLER, request.id.as_str()));
            let method = if streamed { "StreamChatCompletion" } else { "CreateChatCompletion" };
            assert_eq!(request.name, format!("sabir.v1.Chat/{method}"), "{protocol:?}");
            assert_eq!(request.service, "sabir-under-test");
            assert_eq!(request.get("rpc.system"), Some("grpc"));
            assert_eq!((request.get("rpc.service"), request.get("rpc.method")), (Some("sabir.v1.Chat"), Some(method)));
            assert_eq!(request.get("rpc.grpc.status_code"), Some("0"));
            let way = match protocol {
                Protocol::Grpc => "grpc",
                Protocol::GrpcWeb => "grpc-web",
                Protocol::Rest if streamed => "sse",
                Protocol::Rest => "http",
            };
            assert_eq!(request.get("sabir.protocol"), Some(way));
            if protocol == Protocol::Rest && !streamed {
                assert_eq!(request.get("http.route"), Some("/v1/chat/completions"));
                assert_eq!(request.get("http.response.status_code"), Some("200"));
            }

            assert_eq!(attempt.name, "chat fixed");
            for (name, value) in [
                ("gen_ai.operation.name", "chat"),
                ("gen_ai.provider.name", "scripted"),
                ("gen_ai.request.model", "fixed"),
                ("gen_ai.response.model", "fixed"),
                ("gen_ai.response.finish_reasons", "stop"),
                ("server.address", "127.0.0.1"),
                ("sabir.target", "scripted/fixed"),
                ("sabir.attempt", "1"),
            ] {
                assert_eq!(attempt.get(name), Some(value), "{name}: {attempt:#?}");
            }
            assert!(attempt.get("gen_ai.usage.input_tokens").is_some_and(|tokens| tokens != "0"), "{attempt:#?}");
            assert!(attempt.get("gen_ai.usage.output_tokens").is_some(), "{attempt:#?}");
            assert!(!request.failed && !attempt.failed && attempt.get("error.type").is_none());

            // The upstream goes on with the trace, below the attempt.
            let asked = watched.upstream.request(number).await;
            assert_eq!(asked.header("traceparent"), Some(&*format!("00-{trace}-{}-01", attempt.id)));
            assert_eq!(asked.header("tracestate"), Some("vendor=opaque,other=1"));
            assert_eq!(asked.header("baggage"), None, "baggage is for those who trust each other");
            assert_eq!(attempt.state, "vendor=opaque,other=1");
        }
    }
}

#[tokio::test]
async fn each_attempt_has_a_span_of_its_own() {
    let watched = watched("attempts = 2\n").await;
    watched.upstream.script("broken", script::failing(500, "server_error", None, "no"));
    let (call, trace) = traced(Call::say("scripted/broken", "hello"), 0);
    Protocol::Grpc.unary(watched.server.address(), &call).await.unwrap_err();
    let spans = watched.collector.spans_of(&trace, 3).await;
    let request = spans.iter().find(|span| span.kind == 2).unwrap();
    assert!(request.failed && request.get("error.type").is_some(), "{request:#?}");
    let mut attempts: Vec<_> = spans.iter().filter(|span| span.kind == 3).collect();
    attempts.sort_by_key(|span| span.get("sabir.attempt").map(str::to_owned));
    for (attempt, number) in attempts.iter().zip(["1", "2"]) {
        assert_eq!((attempt.get("sabir.attempt"), &attempt.parent), (Some(number), &request.id));
        assert_eq!(attempt.get("error.type"), Some("internal"), "{attempt:#?}");
        assert!(attempt.failed);
    }
    let asked: Vec<_> =
        (watched.upstream.requests().iter()).map(|record| record.header("traceparent").unwrap().to_owned()).collect();
    let ids: Vec<_> = attempts.iter().map(|attempt| format!("00-{trace}-{}-01", attempt.id)).collect();
    assert_eq!(asked, ids);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_any_more_ends_its_spans() {
    let watched = watched("").await;
    watched.upstream.script("slow", script::paced(1000, Duration::from_millis(50)));
    for (number, protocol) in Protocol::ALL.into_iter().enumerate() {
        let (call, trace) = traced(Call::say("scripted/slow", "hello"), number);
        let mut events = protocol.stream(watched.server.address(), &call).await.unwrap();
        for _ in 0..3 {
            assert!(matches!(next(&mut events).await, Event::Chunk(_)), "{protocol:?}");
        }
        assert!(watched.collector.spans().iter().all(|span| span.trace != trace), "a stream that goes on has no end");
        drop(events);
        let spans = watched.collector.spans_of(&trace, 2).await;
        for span in &spans {
            assert!(span.lasted < Duration::from_secs(10) && span.lasted > Duration::from_millis(20), "{span:#?}");
        }
        let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
        assert_eq!(attempt.get("error.type"), Some("cancelled"), "{protocol:?}");
        let request = spans.iter().find(|span| span.kind == 2).unwrap();
        assert_eq!(request.get("rpc.grpc.status_code"), Some("1"), "{protocol:?}: {request:#?}");
        assert_eq!(attempt.parent, request.id);
    }
}

#[tokio::test]
async fn callers_decide_whether_their_traces_are_recorded() {
    let watched = watched("[telemetry]\nsample_ratio = 0.0\n").await;
    let parent = format!("00-{TRACE}-{CALLER}-00");
    let mut call = Call::say("scripted/fixed", "hello");
    call.headers.push(("traceparent", parent.clone()));
    for protocol in Protocol::ALL {
        protocol.unary(watched.server.address(), &call).await.unwrap();
    }
    // Nobody said anything, and the ratio is 0.
    Protocol::Rest.unary(watched.server.address(), &Call::say("scripted/fixed", "hello")).await.unwrap();
    // What is recorded comes after all that was not.
    let (call, trace) = traced(Call::say("scripted/fixed", "hello"), 1);
    Protocol::Rest.unary(watched.server.address(), &call).await.unwrap();
    watched.collector.spans_of(&trace, 2).await;
    assert_eq!(watched.collector.spans().len(), 2, "{:#?}", watched.collector.spans());
    for record in &watched.upstream.requests()[..3] {
        assert_eq!(record.header("traceparent"), Some(&*parent), "what is not recorded is passed on");
    }
    assert!(watched.upstream.requests()[3].header("traceparent").unwrap().ends_with("-00"));
}

#[tokio::test]
async fn without_a_collector_contexts_are_passed_on() {
    let upstream = Upstream::start();
    let server = Server::start(&Server::config_for(&upstream.base_url())).await;
    let (call, trace) = traced(Call::say("scripted/fixed", "hello"), 0);
    for protocol in Protocol::ALL {
        protocol.unary(server.address(), &call).await.unwrap();
    }
    Protocol::Rest.unary(server.address(), &Call::say("scripted/fixed", "hello")).await.unwrap();
    let records = upstream.requests();
    for record in &records[..3] {
        assert_eq!(record.header("traceparent"), Some(&*format!("00-{trace}-{CALLER}-01")));
        assert_eq!(record.header("tracestate"), Some("vendor=opaque,other=1"));
    }
    assert_eq!(records[3].header("traceparent"), None);
}

#[tokio::test]
async fn what_is_left_is_sent_when_the_server_stops() {
    let mut watched = watched("").await;
    let (call, trace) = traced(Call::say("scripted/fixed", "hello"), 0);
    Protocol::Rest.stream_all(watched.server.address(), &call).await.assert_complete("before the end");
    assert!(watched.server.terminate().await.success());
    assert_eq!(watched.collector.spans().iter().filter(|span| span.trace == trace).count(), 2);
    let logs = watched.collector.logs();
    assert!(logs.iter().any(|(event, _)| event == "stopped"), "{logs:?}");
}

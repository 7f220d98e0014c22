//! Claims about what is never said: no prompt, no answer, no key, in nothing that leaves the server.

use super::{scrape_openmetrics, watched};
use crate::support::{Call, Protocol, script};

#[tokio::test]
async fn nothing_that_is_said_and_no_key_is_exported() {
    const PROMPT: &str = "marker-of-the-prompt";
    const ANSWER: &str = "marker-of-the-answer";
    const COLLECTORS_KEY: &str = "marker-of-the-collectors-key";
    let watched = watched(&format!("[telemetry]\notlp_headers = \"api-key={COLLECTORS_KEY}\"\n")).await;
    watched.upstream.script("secretive", script::text(ANSWER));
    watched.upstream.script("broken", script::failing(500, "server_error", None, "cannot do marker-of-the-prompt"));
    watched
        .upstream
        .script("picky", script::failing(400, "invalid_request_error", None, "marker-of-the-prompt is wrong"));
    for protocol in Protocol::ALL {
        let call = Call::say("scripted/secretive", PROMPT);
        assert_eq!(protocol.unary(watched.server.address(), &call).await.unwrap().text.as_deref(), Some(ANSWER));
        protocol.stream_all(watched.server.address(), &call).await.assert_complete(protocol);
        for model in ["scripted/broken", "scripted/picky"] {
            let told = protocol.unary(watched.server.address(), &Call::say(model, PROMPT)).await.unwrap_err();
            assert!(told.message.contains(PROMPT), "the caller hears what the provider says: {told:?}");
        }
    }
    watched.server.usage_rows(12).await;
    watched.collector.metric("sabir.requests", |metric| crate::support::collector::total(metric) == 12).await;
    let everything = loop {
        // Two spans for each call, and a line of the log for each that failed.
        let failed = ["call-failed", "call-refused"];
        let failed = watched.collector.logs().iter().filter(|(event, _)| failed.contains(&&**event)).count();
        if watched.collector.spans().len() == 24 && failed == 6 {
            break watched.collector.everything();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!(watched.collector.header("api-key").as_deref(), Some(COLLECTORS_KEY), "the collector knows us by it");
    let (_, metrics) = scrape_openmetrics(watched.admin).await;
    let log = watched.server.log();
    // The collector's own key is in the headers that it was sent, as it must be.
    let body = everything.split("headers: [").next().unwrap();
    for secret in [PROMPT, ANSWER, COLLECTORS_KEY, "sk-scripted"] {
        assert!(!body.contains(secret), "{secret} was exported");
        assert!(!metrics.contains(secret), "{secret} is in /metrics");
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

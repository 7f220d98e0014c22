//! Claims about a server that has as many calls as it may: who is turned away, who is not, and how.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Call, Protocol, Server, Upstream,
    http::{get, post},
    identity::{Registrar, required},
    script, soon,
};

#[tokio::test]
async fn calls_that_are_too_many_are_turned_away_at_once_and_the_others_are_served() {
    let upstream = Upstream::start();
    upstream.script("slow", script::paced(30, Duration::from_millis(100)));
    let config = format!("{}{}[server]\nmax_calls = 16\n", Server::config_for(&upstream.base_url()), required());
    let server = Server::start(&config).await;
    let registrar = Registrar::of(&server).await;
    let (greedy, modest) = (registrar.key_for(&["chat"]).await, registrar.key_for(&["chat"]).await);
    for key in [&greedy, &modest] {
        server.keep_secret(key);
    }
    let call = |model: &str, key: &str| {
        let mut call = Call::say(model, "Hi");
        call.headers.push(("authorization", format!("Bearer {key}")));
        call
    };
    // Keys are looked up before they can be counted.
    for key in [&greedy, &modest] {
        Protocol::Rest.unary(server.address(), &call("scripted/echo", key)).await.unwrap();
    }
    let slow = call("scripted/slow", &greedy);
    let streams = futures_util::future::join_all((0..16).map(|_| Protocol::Grpc.stream_all(server.address(), &slow)));
    let claims = async {
        let asked = || upstream.requests().iter().filter(|record| record.json()["model"] == "slow").count();
        soon("all streams to be open", async {
            while asked() < 16 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        for protocol in Protocol::ALL {
            let began = Instant::now();
            let refused = protocol.unary(server.address(), &call("scripted/echo", &greedy)).await.unwrap_err();
            assert_eq!(refused.code, "RESOURCE_EXHAUSTED", "{protocol:?}: {refused:?}");
            assert!(refused.message.contains("as many calls as it can serve"), "{protocol:?}: {refused:?}");
            assert!(began.elapsed() < Duration::from_secs(1), "{protocol:?}");
            assert!(refused.http.is_none_or(|status| status == 429), "{protocol:?}");
            let served = protocol.unary(server.address(), &call("scripted/echo", &modest)).await.unwrap();
            assert_eq!(served.text.as_deref(), Some("Hi"), "{protocol:?}: who has no call is served");
        }
        let body = json!({"model": "scripted/echo", "messages": [{"role": "user", "content": "x".repeat(1 << 20)}]});
        let authorization = format!("Bearer {greedy}");
        let told = post(server.address(), "/v1/chat/completions", &body, &[("authorization", &authorization)]).await;
        assert_eq!((told.status, told.header("retry-after")), (429, Some("1")), "{told:?}");
        assert_eq!(get(server.address(), "/readyz").await.0, 200);
    };
    let (streams, ()) = tokio::join!(streams, claims);
    for streamed in streams {
        streamed.assert_complete(Protocol::Grpc);
    }
    // When they have ended, there is room again.
    Protocol::Grpc.unary(server.address(), &call("scripted/echo", &greedy)).await.unwrap();
}

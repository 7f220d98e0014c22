//! One replica: what is let pass, what is told, and what comes back.

use std::time::Duration;

use sabir_store::Subject;
use uuid::Uuid;

use super::{World, limit, told};
use crate::support::protocol::next;
use crate::support::upstream::Step;
use crate::support::{Call, Event, Protocol, script};

#[tokio::test]
async fn as_many_requests_as_the_limit_says_and_not_one_more() {
    let world = World::with("each_key = { requests_per_minute = 5 }").await;
    for protocol in Protocol::ALL {
        let key = world.key().await;
        for left in (0..5).rev() {
            let told = world.ask(protocol, &key).await;
            assert_eq!(told.code, "OK", "{protocol:?}");
            assert_eq!(told.number("x-ratelimit-limit-requests"), 5);
            assert_eq!(told.number("x-ratelimit-remaining-requests"), left, "{protocol:?}");
            assert_eq!(told.header("sabir-ratelimit-scope").as_deref(), Some("replica"));
        }
        let told = world.ask(protocol, &key).await;
        assert_eq!(told.code, "RESOURCE_EXHAUSTED", "{protocol:?}");
        let pause = told.number("retry-after");
        assert!((1..=12).contains(&pause), "{protocol:?}: a request every twelve seconds, not {pause}");
        assert_eq!(told.number("x-ratelimit-remaining-requests"), 0);
        assert!(told.header("x-ratelimit-reset-requests").unwrap().ends_with('s'), "{told:?}");
        let policy = told.header("ratelimit-policy").unwrap();
        assert_eq!(policy, "\"key-requests\";q=5;w=60;qu=\"requests\"", "{protocol:?}");
        assert!(told.header("ratelimit").unwrap().starts_with("\"key-requests\";r=0;t="), "{told:?}");

        assert_eq!(world.ask(protocol, &world.key().await).await.code, "OK", "another key has its own");
    }
    assert_eq!(world.upstream.requests().len(), 3 * 6, "nobody was asked for what was refused");
}

#[tokio::test]
async fn a_refusal_says_which_limit_and_when_to_come_back() {
    let world = World::with("everyone = { requests_per_minute = 1 }").await;
    let headers = vec![("authorization", format!("Bearer {}", world.key().await))];
    let call = Call { headers, ..Call::say("scripted/echo", "Hi") };
    assert!(Protocol::Grpc.unary(world.server.address(), &call).await.is_ok());
    for protocol in Protocol::ALL {
        let failure = protocol.unary(world.server.address(), &call).await.unwrap_err();
        assert_eq!(failure.code, "RESOURCE_EXHAUSTED", "{protocol:?}");
        assert_eq!(failure.message, "the limit of 1 requests per minute for everyone together is reached");
        let pause = failure.retry_after.unwrap();
        assert!(pause > Duration::from_secs(30) && pause <= Duration::from_secs(60), "{protocol:?}: {pause:?}");
        if let Some(error) = failure.error {
            assert_eq!(error["code"], "request_limit_exceeded", "{error}");
        }
        let failure = protocol.stream_all(world.server.address(), &call).await.failure.unwrap();
        assert_eq!(failure.code, "RESOURCE_EXHAUSTED", "{protocol:?}: a stream is a request too");
    }
}

/// The scripted upstream says that every answer took 18 tokens.
#[tokio::test]
async fn tokens_are_reserved_before_and_settled_after_the_call() {
    let world = World::with("each_key = { tokens_per_minute = 40 }").await;
    for protocol in Protocol::ALL {
        let key = world.key().await;
        let ask =
            async |most| told::ask(world.server.address(), protocol, &key, "scripted/echo", "Hi", Some(most)).await;
        let told = ask(31).await;
        assert_eq!((told.code.as_str(), told.number("x-ratelimit-limit-tokens")), ("OK", 40), "{protocol:?}");
        assert_eq!(
            told.number("x-ratelimit-remaining-tokens"),
            0,
            "all is reserved: 9 for the prompt, 31 for the answer"
        );
        let told = ask(1).await;
        assert_eq!(told.code, "OK", "{protocol:?}: 22 came back");
        assert!((12..=13).contains(&told.number("x-ratelimit-remaining-tokens")), "{told:?}");
        let told = ask(1).await;
        assert_eq!(told.code, "RESOURCE_EXHAUSTED", "{protocol:?}: about 4 are left, and 10 may be needed");
        assert!((5..=10).contains(&told.number("retry-after")), "{told:?}");
    }
}

#[tokio::test]
async fn what_can_never_pass_is_refused_without_a_time_to_come_back() {
    let world = World::with("each_key = { tokens_per_minute = 40 }").await;
    let key = world.key().await;
    for protocol in Protocol::ALL {
        let text = "far too much ".repeat(100);
        let told = told::ask(world.server.address(), protocol, &key, "scripted/echo", &text, Some(1)).await;
        assert_eq!(told.code, "RESOURCE_EXHAUSTED");
        assert_eq!(told.header("retry-after"), None, "{protocol:?}");
    }
    assert_eq!(world.ask(Protocol::Rest, &key).await.code, "OK", "nothing was taken for it");
}

#[tokio::test]
async fn tokens_of_a_call_that_fails_come_back() {
    let world = World::with("each_key = { tokens_per_minute = 400 }").await;
    world.upstream.script("busy", script::rate_limited(1));
    for protocol in Protocol::ALL {
        let key = world.key().await;
        for _ in 0..5 {
            let told = told::ask(world.server.address(), protocol, &key, "scripted/busy", "Hi", Some(390)).await;
            assert!(told.number("x-ratelimit-remaining-tokens") <= 1, "{protocol:?}: it was the upstream: {told:?}");
        }
        let told = world.ask(protocol, &key).await;
        assert!(told.number("x-ratelimit-remaining-tokens") >= 389, "{protocol:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_place_is_free_again_however_the_call_ends() {
    let world = World::with("each_key = { concurrent_requests = 1 }").await;
    world.upstream.script("open", script::silent_midway());
    world.upstream.script("slow", |request: &_| {
        let mut reply = script::echo()(request);
        reply.steps.insert(0, Step::Wait(Duration::from_millis(300)));
        reply
    });
    for protocol in Protocol::ALL {
        let key = world.key().await;
        let headers = vec![("authorization", format!("Bearer {key}"))];
        let call = |model: &str| Call { headers: headers.clone(), ..Call::say(model, "Hi") };
        let address = world.server.address();

        // The client goes away in the middle of a stream.
        let mut events = protocol.stream(address, &call("scripted/open")).await.unwrap();
        assert!(matches!(next(&mut events).await, Event::Chunk(_)));
        let refused = world.ask(protocol, &key).await;
        assert_eq!(refused.code, "RESOURCE_EXHAUSTED", "{protocol:?}");
        assert_eq!(refused.number("retry-after"), 1);
        drop(events);
        world.ask_until(protocol, &key, "OK").await;

        // A deadline ends a stream.
        let call_with_deadline = call("scripted/open").within(Duration::from_millis(300));
        let streamed = protocol.stream_all(address, &call_with_deadline).await;
        streamed.assert_failed(protocol);
        world.ask_until(protocol, &key, "OK").await;

        // A stream is read to its end, and a whole answer.
        protocol.stream_all(address, &call("scripted/slow")).await.assert_complete(protocol);
        world.ask_until(protocol, &key, "OK").await;
        world.ask_until(protocol, &key, "OK").await;
    }
}

#[tokio::test]
async fn another_name_is_no_way_around_the_limit_of_a_model() {
    let world = World::with("each_model = { requests_per_minute = 2 }").await;
    for (number, protocol) in Protocol::ALL.into_iter().enumerate() {
        let name = format!("model{number}");
        world.upstream.script(&name, script::text("Hello."));
        let key = world.key().await;
        let mut codes = Vec::new();
        // Names without a provider go to the scripted one.
        for model in [name.clone(), format!("scripted/{name}"), name.clone(), format!("scripted/{name}")] {
            codes.push(told::ask(world.server.address(), protocol, &key, &model, "Hi", Some(1)).await.code);
        }
        assert_eq!(codes, ["OK", "OK", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"], "{protocol:?}");
    }
}

#[tokio::test]
async fn a_limit_of_ones_own_takes_the_place_of_the_default_at_once() {
    let world = World::with("each_key = { requests_per_minute = 1 }").await;
    let (text, key) = world.registrar.key(|_| ()).await;
    assert_eq!(world.ask(Protocol::Rest, &text).await.code, "OK");
    assert_eq!(world.ask(Protocol::Rest, &text).await.code, "RESOURCE_EXHAUSTED");
    let mut own = limit(Subject::Key(key.lineage_id));
    own.requests_per_minute = Some(1_000);
    world.registrar.limit(&own).await;
    world.ask_until(Protocol::Rest, &text, "OK").await;
    world.registrar.unlimit(&own).await;
    world.ask_until(Protocol::Rest, &text, "RESOURCE_EXHAUSTED").await;
}

#[tokio::test]
async fn a_key_that_took_anothers_place_goes_on_where_that_one_was() {
    let world = World::with("each_key = { requests_per_minute = 1 }").await;
    let (text, key) = world.registrar.key(|_| ()).await;
    let (next, _) = world.registrar.key(|next| next.lineage_id = key.lineage_id).await;
    assert_eq!(world.ask(Protocol::Rest, &text).await.code, "OK");
    assert_eq!(world.ask(Protocol::Rest, &next).await.code, "RESOURCE_EXHAUSTED");
}

#[tokio::test]
async fn ten_thousand_limits_hold_and_cost_a_call_nothing() {
    let world = World::with("").await;
    let (text, key) = world.registrar.key(|_| ()).await;
    for number in 0..10_000 {
        let mut other = limit(Subject::Key(Uuid::from_u128(number)));
        other.requests_per_minute = Some(1);
        world.registrar.limit(&other).await;
    }
    let mut own = limit(Subject::Key(key.lineage_id));
    own.requests_per_minute = Some(100);
    world.registrar.limit(&own).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while world.ask(Protocol::Rest, &text).await.header("x-ratelimit-limit-requests").is_none() {
        assert!(std::time::Instant::now() < deadline, "the limits were not read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = world.ask(Protocol::Rest, &text).await;
    assert_eq!((told.code.as_str(), told.number("x-ratelimit-limit-requests")), ("OK", 100));
}

#[tokio::test]
async fn without_limits_nothing_is_told() {
    let world = World::with("").await;
    let key = world.key().await;
    for protocol in Protocol::ALL {
        let told = world.ask(protocol, &key).await;
        assert_eq!(
            (told.code.as_str(), told.header("ratelimit"), told.header("x-ratelimit-limit-requests")),
            ("OK", None, None)
        );
    }
}

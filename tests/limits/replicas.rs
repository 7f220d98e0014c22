//! Several replicas on one database: together they let pass what the limit says.

use std::time::{Duration, Instant};

use super::{config, told};
use crate::support::identity::Registrar;
use crate::support::protocol::next;
use crate::support::{Call, Event, Protocol, Server, Upstream, script};

/// Two servers on one database, with this in the `[limits]` section.
async fn two(upstream: &Upstream, limits: &str) -> (Server, Server) {
    let config = config(upstream, &format!("mode = \"shared\"\n{limits}"));
    let first = Server::start(&config).await;
    let url = first.database();
    let second = Server::start_with(&config, &[("DATABASE_URL", &url)]).await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_together_let_pass_what_the_limit_says() {
    let upstream = Upstream::start();
    let (first, second) = two(&upstream, "each_key = { requests_per_minute = 30 }").await;
    let registrar = Registrar::of(&first).await;
    for protocol in Protocol::ALL {
        let (key, _) = registrar.key(|_| ()).await;
        let began = Instant::now();
        let ask = |server: &Server| {
            let (address, key) = (server.address(), key.clone());
            tokio::spawn(async move { told::ask(address, protocol, &key, "scripted/echo", "Hi", Some(1)).await })
        };
        let calls: Vec<_> = (0..40).flat_map(|_| [ask(&first), ask(&second)]).collect();
        let mut passed = 0;
        for call in calls {
            let told = call.await.unwrap();
            match told.code.as_str() {
                "OK" => passed += 1,
                code => assert_eq!(code, "RESOURCE_EXHAUSTED", "{protocol:?}"),
            }
            assert_eq!(told.header("sabir-ratelimit-scope").as_deref(), Some("shared"), "{protocol:?}");
        }
        // One comes back every two seconds.
        let most = 30 + began.elapsed().as_secs() / 2 + 1;
        assert!((28..=most).contains(&passed), "{protocol:?}: {passed} of {most} passed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_are_shared_and_those_of_a_replica_that_was_killed_come_back() {
    let upstream = Upstream::start();
    upstream.script("open", script::silent_midway());
    let (first, second) = two(&upstream, "each_key = { concurrent_requests = 2 }").await;
    let (key, _) = Registrar::of(&first).await.key(|_| ()).await;
    let call = Call { headers: vec![("authorization", format!("Bearer {key}"))], ..Call::say("scripted/open", "Hi") };
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut events = Protocol::Grpc.stream(first.address(), &call).await.unwrap();
        assert!(matches!(next(&mut events).await, Event::Chunk(_)));
        streams.push(events);
    }
    let ask = async || told::ask(second.address(), Protocol::Rest, &key, "scripted/echo", "Hi", Some(1)).await;
    assert_eq!(ask().await.code, "RESOURCE_EXHAUSTED", "both places are taken on the other replica");

    let killed = Instant::now();
    // Dropping a server kills it.
    drop(first);
    while ask().await.code != "OK" {
        assert!(killed.elapsed() < Duration::from_secs(20), "the places of a dead replica do not come back");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(killed.elapsed() > Duration::from_secs(5), "a lease that runs is not taken away");
}

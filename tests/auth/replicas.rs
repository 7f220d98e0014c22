//! Several servers on one database: what one changes, the others know within a second.

use std::time::{Duration, Instant};

use super::World;
use crate::support::identity::{now_micros, required};
use crate::support::{Call, Protocol, Server};

/// How soon every replica refuses a key that was revoked.
const WITHIN: Duration = Duration::from_secs(1);

async fn is_let_in(protocol: Protocol, server: &Server, key: &str) -> bool {
    let call = Call { headers: vec![("x-api-key", key.to_owned())], ..Call::say("scripted/echo", "Hi") };
    match protocol.unary(server.address(), &call).await {
        Ok(_) => true,
        Err(failure) => {
            assert_eq!(failure.code, "UNAUTHENTICATED");
            false
        }
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_is_refused_by_every_replica_within_a_second() {
    let world = World::new().await;
    let config = format!("{}{}", Server::config_for(&world.upstream.base_url()), required());
    let other = Server::start_with(&config, &[("DATABASE_URL", &world.server.database())]).await;
    for protocol in Protocol::ALL {
        let (key, mut row) = world.registrar.key(|_| {}).await;
        for server in [&world.server, &other] {
            // Once to look it up, once from memory.
            assert!(is_let_in(protocol, server, &key).await && is_let_in(protocol, server, &key).await);
        }
        row.revoked_at_micros = Some(now_micros());
        world.registrar.change(&row).await;
        let revoked = Instant::now();
        for server in [&world.server, &other] {
            while is_let_in(protocol, server, &key).await {
                assert!(revoked.elapsed() < WITHIN, "{protocol:?}: let in after {:?}", revoked.elapsed());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        // And never again, whatever was under way when it was revoked.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for server in [&world.server, &other] {
            assert!(!is_let_in(protocol, server, &key).await);
        }
    }
}

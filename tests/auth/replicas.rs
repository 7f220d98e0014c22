//! Several servers on one database: what one changes, the others know within a second.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;

use super::World;
use crate::support::http::http1;
use crate::support::identity::{Registrar, now_micros, required};
use crate::support::postgres::{Database, OwnServer};
use crate::support::{Call, Protocol, Server, Upstream};

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
    revoke(&world.registrar, [&world.server, &other]).await;
}

#[tokio::test]
async fn on_postgres_too() {
    let database = Database::fresh();
    sabir_store_postgres::migrate(database.url()).await.unwrap();
    let upstream = Upstream::start();
    let config = format!("{}{}", Server::config_for(&upstream.base_url()), required());
    let variables = [("DATABASE_URL", database.url())];
    let (one, other) = tokio::join!(Server::start_with(&config, &variables), Server::start_with(&config, &variables));
    revoke(&Registrar::at(database.url()).await, [&one, &other]).await;
}

/// Revokes a key that both servers know, and looks when each of them refuses it; for every protocol.
async fn revoke(registrar: &Registrar, servers: [&Server; 2]) {
    for protocol in Protocol::ALL {
        let (key, mut row) = registrar.key(|_| {}).await;
        for server in servers {
            // Once to look it up, once from memory.
            assert!(is_let_in(protocol, server, &key).await && is_let_in(protocol, server, &key).await);
        }
        row.revoked_at_micros = Some(now_micros());
        registrar.change(&row).await;
        let revoked = Instant::now();
        for server in servers {
            while is_let_in(protocol, server, &key).await {
                assert!(revoked.elapsed() < WITHIN, "{protocol:?}: let in after {:?}", revoked.elapsed());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        // And never again, whatever was under way when it was revoked.
        tokio::time::sleep(Duration::from_millis(500)).await;
        for server in servers {
            assert!(!is_let_in(protocol, server, &key).await);
        }
    }
}

#[tokio::test]
async fn without_a_database_those_who_are_known_are_let_in_for_a_while_and_others_get_503() {
    let postgres = OwnServer::start("auth-stale");
    let database = postgres.database();
    sabir_store_postgres::migrate(database.url()).await.unwrap();
    let upstream = Upstream::start();
    let config = format!("{}{}stale_for = \"8s\"\n", Server::config_for(&upstream.base_url()), required());
    let server = Server::start_with(&config, &[("DATABASE_URL", database.url())]).await;
    let registrar = Registrar::at(database.url()).await;
    let known = registrar.key_for(&["models.read"]).await;
    let unseen = registrar.key_for(&["models.read", "chat"]).await;
    let models = async |key: &str| {
        let request = Request::get("/v1/models").header("x-api-key", key).body(Bytes::new()).unwrap();
        http1(server.address(), request).await.status()
    };
    // Only what is found out after the server has noticed the new keys stays in its memory.
    tokio::time::sleep(WITHIN).await;
    assert_eq!(models(&known).await, 200);
    postgres.stop();
    let stopped = Instant::now();
    assert_eq!(models(&known).await, 200);
    for protocol in Protocol::ALL {
        let code = async |key: &str| {
            let headers = vec![("x-api-key", key.to_owned())];
            let call = Call { headers, ..Call::say("scripted/echo", "Hi") };
            protocol.unary(server.address(), &call).await.unwrap_err().code
        };
        assert_eq!(code(&unseen).await, "UNAVAILABLE", "{protocol:?}: nobody can tell whose it is");
        assert_eq!(code("sk-sabir-wrong").await, "UNAUTHENTICATED", "{protocol:?}: no database is needed to tell");
        assert_eq!(code(&known).await, "PERMISSION_DENIED", "{protocol:?}: it is known, and what it may do");
    }
    tokio::time::sleep(Duration::from_secs(10).saturating_sub(stopped.elapsed())).await;
    assert_eq!(models(&known).await, 503, "it may have been revoked by now");
    postgres.start_again();
    let back = Instant::now();
    while models(&known).await != 200 || models(&unseen).await != 200 {
        assert!(back.elapsed() < Duration::from_secs(10), "the database is back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

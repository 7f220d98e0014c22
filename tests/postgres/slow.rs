//! A database that answers, and far too late.

use std::time::{Duration, Instant};

use super::trouble::{change, refusal};
use super::with_password;
use crate::support::identity::{Registrar, SECRET, make, required};
use crate::support::postgres::Database;
use crate::support::proxy::Proxy;
use crate::support::{Call, Failure, Protocol, Server, Upstream};

/// Longer than anybody waits for the database.
const DELAY: Duration = Duration::from_secs(12);

/// The model's answer to a key, and how long it took.
async fn chat(server: &Server, protocol: Protocol, key: &str) -> (Result<(), Failure>, Duration) {
    let headers = vec![("authorization", format!("Bearer {key}"))];
    let (call, asked) = (Call { headers, ..Call::say("scripted/echo", "Hi") }, Instant::now());
    let answer = protocol.unary(server.address(), &call).await;
    (answer.map(drop), asked.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_database_holds_up_nobody_who_is_known_and_nobody_for_long() {
    let database = Database::fresh();
    sabir_store_postgres::migrate(database.url()).await.unwrap();
    let (_, place) = database.url().rsplit_once('@').unwrap();
    let (server, _) = place.split_once('/').unwrap();
    let proxy = Proxy::start(server.parse().unwrap()).await;
    let url = with_password(&database.url().replace(server, &proxy.address().to_string()));
    let upstream = Upstream::start();
    // A limit that nobody reaches, so that the way of every call leads through what is shared.
    let config = format!(
        "{}{}[limits]\neach_key = {{ requests_per_minute = 1000000 }}\n",
        Server::config_for(&upstream.base_url()),
        required()
    );
    let registrar = Registrar::at(database.url()).await;
    let known = registrar.key_for(&["chat", "teams.write"]).await;
    let confined = registrar.key_for(&["models.read"]).await;
    let new = registrar.key_for(&["chat"]).await;
    // One that the server could have made, and nobody has.
    let nobodys = make(SECRET);
    let server = Server::start_with(&config, &[("DATABASE_URL", &url)]).await;
    for secret in [&known, &confined, &new, &nobodys] {
        server.keep_secret(secret);
    }
    for protocol in Protocol::ALL {
        chat(&server, protocol, &known).await.0.unwrap();
        assert_eq!(chat(&server, protocol, &confined).await.0.unwrap_err().code, "PERMISSION_DENIED");
    }

    proxy.delay(DELAY);
    let slow_since = Instant::now();
    for protocol in Protocol::ALL {
        let (answer, took) = chat(&server, protocol, &known).await;
        answer.unwrap();
        assert!(took < DELAY / 2, "{protocol:?}: {took:?}");
        let (refused, _) = chat(&server, protocol, &confined).await;
        assert_eq!(refused.unwrap_err().code, "PERMISSION_DENIED", "{protocol:?}: that is in memory too");
        let (refused, _) = chat(&server, protocol, "sk-sabir-nonsense").await;
        assert_eq!(refused.unwrap_err().code, "UNAUTHENTICATED", "{protocol:?}: that needs no database");
    }
    let unknown = Protocol::ALL.into_iter().flat_map(|protocol| [(protocol, &new), (protocol, &nobodys)]);
    let unknown = unknown.map(async |(protocol, key)| {
        let (refused, took) = chat(&server, protocol, key).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code, "UNAVAILABLE", "{protocol:?}: whether it is a key cannot be known: {refused:?}");
        assert!(refused.http.is_none_or(|status| status == 503), "{protocol:?}: {refused:?}");
        assert!(took < DELAY, "{protocol:?}: the database was waited for: {took:?}");
    });
    let changes = Protocol::ALL.into_iter().map(async |protocol| {
        let told = change(server.address(), protocol, &known, &format!("refused {protocol:?}")).await;
        assert_eq!(told, refusal(protocol), "{protocol:?}");
    });
    tokio::join!(futures_util::future::join_all(unknown), futures_util::future::join_all(changes));
    // The longer it lasts: those who are known are still known.
    for protocol in Protocol::ALL {
        let (answer, took) = chat(&server, protocol, &known).await;
        answer.unwrap_or_else(|error| panic!("{protocol:?} after {:?}: {error:?}", slow_since.elapsed()));
        assert!(took < DELAY / 2, "{protocol:?}: {took:?}");
    }

    proxy.delay(Duration::ZERO);
    for protocol in Protocol::ALL {
        let deadline = Instant::now() + Duration::from_secs(20);
        while let (Err(refused), _) = chat(&server, protocol, &new).await {
            assert_eq!(refused.code, "UNAVAILABLE", "{protocol:?}");
            assert!(Instant::now() < deadline, "{protocol:?}: still {refused:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let (refused, _) = chat(&server, protocol, &nobodys).await;
        assert_eq!(refused.unwrap_err().code, "UNAUTHENTICATED", "{protocol:?}: now it is known");
        while change(server.address(), protocol, &known, &format!("after {protocol:?}")).await != "OK" {
            assert!(Instant::now() < deadline, "{protocol:?}: changes are still refused");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    super::soon_answers(&database, "SELECT count(*) FROM team WHERE name LIKE 'refused%'", "0").await;
    super::soon_answers(&database, "SELECT count(*) FROM usage WHERE outcome = 1", "12").await;
    assert!(server.log().contains("a connection to the database is long in coming"), "waits are told of");
}

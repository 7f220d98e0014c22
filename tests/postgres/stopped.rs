//! A database that is stopped while limits and budgets are leased from it.

use std::time::{Duration, Instant};

use super::with_password;
use crate::support::identity::{Registrar, required};
use crate::support::postgres::OwnServer;
use crate::support::{Call, Failure, Protocol, Server, Upstream};

/// One server, and what it is meant to say while the database is away.
struct Case {
    configuration: &'static str,
    /// For how long at most calls go on, as far as its configuration says.
    goes_on_for: Duration,
    /// The reason of the refusal after that, as REST has it.
    reason: &'static str,
}

/// For an hour where nothing else is meant: nothing ends before the test does.
const CASES: [Case; 4] = [
    Case {
        configuration: "[limits]\neach_key = { requests_per_minute = 100000 }\nopen_for = \"5s\"\n",
        goes_on_for: Duration::from_secs(5),
        reason: "limits_unavailable",
    },
    Case {
        configuration: "[limits]\neach_key = { requests_per_minute = 100000 }\nwhen_database_is_away = \"closed\"\n",
        goes_on_for: Duration::ZERO,
        reason: "limits_unavailable",
    },
    Case {
        configuration: "[limits]\nopen_for = \"1h\"\n[budgets]\noffline_for = \"5s\"\n",
        goes_on_for: Duration::from_secs(5),
        reason: "budget_unavailable",
    },
    Case {
        configuration: "[limits]\nopen_for = \"1h\"\n[budgets]\noffline_for = \"1h\"\n",
        goes_on_for: Duration::from_secs(5),
        reason: "identity_unavailable",
    },
];

async fn chat(server: &Server, protocol: Protocol, key: &str) -> Result<(), Failure> {
    let headers = vec![("authorization", format!("Bearer {key}"))];
    let call = Call { headers, ..Call::say("scripted/echo", "Hi") };
    protocol.unary(server.address(), &call).await.map(drop)
}

/// Asks until the answer is this, which must be soon.
async fn chat_until(server: &Server, protocol: Protocol, key: &str, code: &str) -> Option<Failure> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let failure = chat(server, protocol, key).await.err();
        if failure.as_ref().map_or("OK", |failure| &failure.code) == code {
            return failure;
        }
        assert!(Instant::now() < deadline, "{protocol:?}: still {failure:?}, not {code}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_stopped_calls_go_on_as_configured_and_then_are_told_why_not() {
    let postgres = OwnServer::start("stopped");
    let database = postgres.database();
    sabir_store_postgres::migrate(database.url()).await.unwrap();
    let upstream = Upstream::start();
    let registrar = Registrar::at(database.url()).await;
    let (known, row) = registrar.key(|_| ()).await;
    let (confined, new) = (registrar.key_for(&["models.read"]).await, registrar.key_for(&["chat"]).await);
    registrar.budget_of(row.lineage_id).await;
    let prices = tempfile::tempdir().unwrap();
    let file = prices.path().join("prices.json");
    let table = r#"{"vendors": [{"provider": "scripted", "models": [{"model": "*", "input": "1", "output": "1"}]}]}"#;
    std::fs::write(&file, table).unwrap();

    let mut servers = Vec::new();
    for case in &CASES {
        // Identity is forgotten soon only where that is what is claimed.
        let stale_for = if case.reason == "identity_unavailable" { "5s" } else { "1h" };
        let config = format!(
            "{}{}stale_for = \"{stale_for}\"\n{}[prices]\nfile = {:?}\n",
            Server::config_for(&upstream.base_url()),
            required(),
            case.configuration,
            file.to_str().unwrap()
        );
        let server = Server::start_with(&config, &[("DATABASE_URL", &with_password(database.url()))]).await;
        for secret in [&known, &confined, &new] {
            server.keep_secret(secret);
        }
        for protocol in Protocol::ALL {
            chat(&server, protocol, &known).await.unwrap();
            assert_eq!(chat(&server, protocol, &confined).await.unwrap_err().code, "PERMISSION_DENIED");
        }
        servers.push((case, server));
    }

    let stopped = Instant::now();
    postgres.stop();
    // Each as soon as it has noticed; all at once, since each takes its time.
    let claims = servers.iter().map(async |(case, server)| {
        let Case { goes_on_for, reason, .. } = **case;
        // The clock of identity began to run when the database last answered, on a busy machine some time before.
        let surely = goes_on_for.saturating_sub(Duration::from_secs(2));
        while stopped.elapsed() < surely {
            for protocol in Protocol::ALL {
                let answer = chat(server, protocol, &known).await;
                assert!(answer.is_ok() || stopped.elapsed() > surely, "{reason}, {protocol:?}: {answer:?}");
            }
        }
        for protocol in Protocol::ALL {
            let failure = chat_until(server, protocol, &known, "UNAVAILABLE").await.unwrap();
            assert!(failure.http.is_none_or(|status| status == 503), "{reason}, {protocol:?}: {failure:?}");
            if let Some(error) = &failure.error {
                assert_eq!(error["code"], reason, "{error}");
            }
            let failure = chat(server, protocol, &new).await.unwrap_err();
            assert_eq!(failure.code, "UNAVAILABLE", "{protocol:?}: whose key it is cannot be known: {failure:?}");
            assert_eq!(chat(server, protocol, "sk-sabir-nonsense").await.unwrap_err().code, "UNAUTHENTICATED");
            let expected = if reason == "identity_unavailable" { "UNAVAILABLE" } else { "PERMISSION_DENIED" };
            assert_eq!(chat(server, protocol, &confined).await.unwrap_err().code, expected, "{reason}, {protocol:?}");
        }
    });
    futures_util::future::join_all(claims).await;

    postgres.start_again();
    let back = servers.iter().map(async |(_, server)| {
        for protocol in Protocol::ALL {
            chat_until(server, protocol, &known, "OK").await;
            chat_until(server, protocol, &new, "OK").await;
            assert_eq!(chat(server, protocol, &confined).await.unwrap_err().code, "PERMISSION_DENIED");
        }
    });
    futures_util::future::join_all(back).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_also_held_while_the_database_is_stopped() {
    let postgres = OwnServer::start("stopped-limit");
    let database = postgres.database();
    sabir_store_postgres::migrate(database.url()).await.unwrap();
    let upstream = Upstream::start();
    let registrar = Registrar::at(database.url()).await;
    let config = format!(
        "{}{}[limits]\neach_key = {{ requests_per_minute = 4 }}\nopen_for = \"1h\"\n",
        Server::config_for(&upstream.base_url()),
        required()
    );
    let server = Server::start_with(&config, &[("DATABASE_URL", &with_password(database.url()))]).await;
    let mut keys = Vec::new();
    for protocol in Protocol::ALL {
        let key = registrar.key_for(&["chat"]).await;
        server.keep_secret(&key);
        chat_until(&server, protocol, &key, "OK").await;
        keys.push((protocol, key));
    }
    // Only what is found out after the server has noticed the new keys stays in its memory.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (protocol, key) in &keys {
        chat(&server, *protocol, key).await.unwrap();
    }
    postgres.stop();
    for (protocol, key) in &keys {
        let failure = chat_until(&server, *protocol, key, "RESOURCE_EXHAUSTED").await.unwrap();
        assert!(failure.http.is_none_or(|status| status == 429), "{protocol:?}: {failure:?}");
        assert!(failure.retry_after.is_some(), "{protocol:?}: {failure:?}");
    }
}

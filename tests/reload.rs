//! Claims about a configuration that is read again while the server runs.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{
    Call, PATIENCE, Protocol, Server, Upstream,
    identity::{Registrar, required},
    postgres::OwnServer,
};

/// Waits until the log says this so many times.
async fn until_logged(server: &Server, text: &str, times: usize) {
    let deadline = Instant::now() + PATIENCE;
    while server.log().matches(text).count() < times {
        assert!(Instant::now() < deadline, "the log does not say: {text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Replaces the configuration and asks for it to be read.
async fn reread(server: &Server, config: &str, expected: &str) {
    let times = server.log().matches(expected).count() + 1;
    fs::write(server.config_file(), config).unwrap();
    server.signal("-HUP");
    until_logged(server, expected, times).await;
}

const PRICES: &str = "[[vendors]]\nprovider = \"scripted\"\nsource = \"https://example.org\"\nas_of = \"2026-01-01\"\n\
                      models = [{ model = \"*\", input = \"1\", output = \"2\" }]\n";

const READ: &str = "the configuration has been read again";

#[tokio::test]
async fn names_routes_and_keys_change_without_a_restart() {
    let upstream = Upstream::start();
    let config = Server::config_for(&upstream.base_url());
    let server = Server::start(&config).await;
    // A stream that is under way does not notice.
    upstream.script("slow", crate::support::script::paced(20, Duration::from_millis(50)));
    let slow = Call::say("scripted/slow", "Hi");
    let streams = async {
        for protocol in Protocol::ALL {
            protocol.stream_all(server.address(), &slow).await.assert_complete(protocol);
        }
    };
    let changes = async {
        let named = config.replace("sk-scripted", "sk-another-one");
        let named =
            format!("{named}[aliases]\nfast = \"scripted/echo\"\n[routes.smart]\ntargets = [\"scripted/echo\"]\n");
        server.keep_secret("sk-another-one");
        for protocol in Protocol::ALL {
            assert_eq!(
                protocol.unary(server.address(), &Call::say("scripted/nobody", "Hi")).await.unwrap_err().code,
                "NOT_FOUND",
                "{protocol:?}"
            );
        }
        reread(&server, &named, READ).await;
        for protocol in Protocol::ALL {
            for model in ["fast", "smart"] {
                let answer = protocol.unary(server.address(), &Call::say(model, "Hi")).await.unwrap();
                assert_eq!(answer.text.as_deref(), Some("Hi"), "{protocol:?}");
                let last = upstream.requests().last().cloned().unwrap();
                assert_eq!(last.header("authorization"), Some("Bearer sk-another-one"), "{protocol:?}");
            }
        }
        reread(&server, &config, READ).await;
        let gone = Protocol::Rest.unary(server.address(), &Call::say("smart", "Hi")).await;
        assert!(gone.is_err(), "without a provider, the name goes to the default one, which has no such model");
    };
    tokio::join!(streams, changes);
}

#[tokio::test]
async fn what_is_wrong_does_not_count_and_what_needs_a_restart_is_told_of() {
    let upstream = Upstream::start();
    let config = Server::config_for(&upstream.base_url());
    let server = Server::start(&config).await;
    let refused = "the new configuration does not count; the old one stays";
    for wrong in ["[aliases]\nfast = \"nobody/echo\"\n", "[routes.x]\ntargets = []\n", "[providers.scripted]\n", "]"] {
        reread(&server, &format!("{config}{wrong}"), refused).await;
        let answer = Protocol::Grpc.unary(server.address(), &Call::say("scripted/echo", "Hi")).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some("Hi"), "{wrong}");
    }
    let changed = format!("{config}[server]\ndrain_timeout = \"1s\"\n[cache]\nenabled = true\n");
    reread(&server, &changed, "need a restart").await;
    assert!(server.log().contains("\"sections\":\"cache, server\""), "{}", server.log());
}

#[tokio::test]
async fn a_key_that_is_replaced_in_its_file_is_used_by_itself() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, "sk-first-key\n").unwrap();
    let config = Server::config_for(&upstream.base_url())
        .replace("api_key = \"sk-scripted\"", &format!("api_key_file = \"{}\"", file.display()));
    let server = Server::start(&config).await;
    let shown = async || {
        Protocol::Rest.unary(server.address(), &Call::say("scripted/echo", "Hi")).await.unwrap();
        upstream.requests().last().unwrap().header("authorization").unwrap().to_owned()
    };
    assert_eq!(shown().await, "Bearer sk-first-key");
    for secret in ["sk-first-key", "sk-second-key"] {
        server.keep_secret(secret);
    }
    // As a mounted secret is replaced: by another file in its place.
    fs::write(folder.path().join("new"), "sk-second-key\n").unwrap();
    fs::rename(folder.path().join("new"), &file).unwrap();
    until_logged(&server, READ, 1).await;
    assert_eq!(shown().await, "Bearer sk-second-key");
}

#[tokio::test]
async fn limits_for_each_of_a_kind_and_prices_change_without_a_restart() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let prices = folder.path().join("prices.toml");
    let config = format!("{}{}", Server::config_for(&upstream.base_url()), required());
    let server = Server::start(&config).await;
    let key = Registrar::of(&server).await.key_for(&["chat"]).await;
    server.keep_secret(&key);
    let ask = async |protocol: Protocol| {
        let mut call = Call::say("scripted/echo", "Hi");
        call.headers.push(("authorization", format!("Bearer {key}")));
        protocol.unary(server.address(), &call).await
    };
    for protocol in Protocol::ALL {
        ask(protocol).await.unwrap();
    }
    fs::write(&prices, PRICES).unwrap();
    let lines = "[limits]\neach_key = { requests_per_minute = 1 }\n";
    let limited = format!("{config}{lines}[prices]\nfile = \"{}\"\n", prices.display());
    reread(&server, &limited, READ).await;
    ask(Protocol::Rest).await.unwrap();
    for protocol in Protocol::ALL {
        assert_eq!(ask(protocol).await.unwrap_err().code, "RESOURCE_EXHAUSTED", "{protocol:?}");
    }
    reread(&server, &config, READ).await;
    ask(Protocol::Rest).await.unwrap();
    // Calls that a limit refuses have no rows.
    let rows = server.usage_rows(Protocol::ALL.len() + 2).await;
    let priced = rows.iter().filter(|row| row.cost_nanos > 0).count();
    assert_eq!(priced, 2, "the price counts from when the file is named, and stays: {rows:#?}");
}

#[tokio::test]
async fn a_change_while_the_database_is_away_counts_when_it_is_back() {
    let (upstream, postgres) = (Upstream::start(), OwnServer::start("reload-away"));
    let database = postgres.database();
    sabir_store_postgres::migrate(database.url()).await.unwrap();
    let config = Server::config_for(&upstream.base_url());
    let server = Server::start_with(&config, &[("DATABASE_URL", database.url())]).await;
    postgres.stop();
    fs::write(server.config_file(), format!("{config}[aliases]\nfast = \"scripted/echo\"\n")).unwrap();
    until_logged(&server, "the new configuration does not count; the old one stays", 1).await;
    assert!(!server.log().contains(READ), "{}", server.log());
    postgres.start_again();
    until_logged(&server, READ, 1).await;
    for protocol in Protocol::ALL {
        let answer = protocol.unary(server.address(), &Call::say("fast", "Hi")).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some("Hi"), "{protocol:?}");
    }
}

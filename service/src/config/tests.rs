//! What the configuration makes of files and variables.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::store::Location;

fn read(file: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let environment = environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let config = Config::from_parts((!file.is_empty()).then_some(file), environment);
    config.map_err(|error| error.problems.iter().map(ToString::to_string).collect())
}

fn problems(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    read(file, environment).unwrap_err()
}

#[test]
fn it_works_with_nothing_at_all() {
    let config = read("", &[]).unwrap();
    assert_eq!(config.server.listen, SocketAddr::from(([127, 0, 0, 1], 8080)));
    assert_eq!(place(&config), "sqlite:sabir.db");
    assert_eq!(config.server.cors_origins, transcode::cors::Origins::Loopback);
    assert_eq!(config.server.drain_timeout, Duration::from_secs(30));
    assert!(config.upstream.providers.is_empty());
}

#[test]
fn the_environment_wins_over_the_file_and_a_full_name_over_a_short_one() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\nworkers = 3";
    let config = read(file, &[("SABIR_LISTEN", "127.0.0.1:2"), ("SABIR_SERVER__WORKERS", "4")]).unwrap();
    assert_eq!((config.server.listen.port(), config.server.workers), (2, Some(4)));
    let both = [("SABIR_LISTEN", "127.0.0.1:2"), ("SABIR_SERVER__LISTEN", "127.0.0.1:3")];
    assert_eq!(read(file, &both).unwrap().server.listen.port(), 3);
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() {
    assert_eq!(
        problems("[server]\nlisten_on = \"x\"\nlisen = 1", &[]),
        [
            "server.lisen: no such key; did you mean `server.listen`?",
            "server.listen_on: no such key; did you mean `server.listen`?",
        ]
    );
    assert_eq!(problems("[servers]\n", &[]), ["servers: no such key; did you mean `server`?"]);
    assert_eq!(
        problems("", &[("SABIR_SERVER__LISEN", "1")]),
        ["SABIR_SERVER__LISEN: no such key; did you mean `server.listen`?"]
    );
    assert_eq!(
        problems("", &[("SABIR_SERVRE__LISTEN", "1")]),
        ["SABIR_SERVRE__LISTEN: no such key; did you mean `server`?"]
    );
    assert!(problems("", &[("SABIR_LISEN", "1")])[0].contains("did you mean SABIR_LISTEN?"));
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let file = "[server]\nworkers = 0\ndrain_timeout = 30\nbody_limit = \"1MB\"\n[log]\nformat = \"pretty\"";
    let found = problems(file, &[("SABIR_SERVER__MAX_CONNECTIONS", "many")]);
    let keys: Vec<&str> = found.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    assert_eq!(
        keys,
        ["server.body_limit", "SABIR_SERVER__MAX_CONNECTIONS", "server.drain_timeout", "server.workers", "log.format"]
    );
}

#[test]
fn listening_beyond_loopback_must_be_asked_for_in_so_many_words() {
    let found = problems("", &[("SABIR_LISTEN", "0.0.0.0:8080")]);
    assert!(found[0].contains("server.allow_unauthenticated = true"), "{found:?}");
    let environment = [("SABIR_LISTEN", "0.0.0.0:8080"), ("SABIR_SERVER__ALLOW_UNAUTHENTICATED", "true")];
    assert!(read("", &environment).is_ok());
    for loopback in ["127.0.0.2:1", "[::1]:1", "localhost:1"] {
        assert!(read("", &[("SABIR_LISTEN", loopback)]).is_ok(), "{loopback}");
    }
}

#[test]
fn variables_that_kubernetes_makes_for_a_service_named_sabir_are_none_of_ours() {
    let links = [
        ("SABIR_PORT", "tcp://10.0.0.1:8080"),
        ("SABIR_SERVICE_HOST", "10.0.0.1"),
        ("SABIR_SERVICE_PORT_HTTP", "8080"),
        ("SABIR_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("SABIR_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
    ];
    assert!(read("", &links).is_ok());
}

/// The place of an SQLite database.
fn place(config: &Config) -> &str {
    match &config.database.location {
        Location::Sqlite(place) => place,
        Location::Postgres(_) => panic!("that is Postgres"),
    }
}

#[test]
fn database_url_counts_and_no_password_is_shown() {
    assert_eq!(place(&read("", &[("DATABASE_URL", "sqlite:x.db")]).unwrap()), "sqlite:x.db");
    let both = [("DATABASE_URL", "sqlite:x.db"), ("SABIR_DATABASE__URL", "sqlite:y.db")];
    assert_eq!(place(&read("[database]\nurl = \"sqlite:z.db\"", &both).unwrap()), "sqlite:y.db");
    assert_eq!(place(&read("[database]\nurl = \"sqlite:z.db\"", &both[..1]).unwrap()), "sqlite:x.db");
    let config = read("", &[("DATABASE_URL", "postgres://u:hunter2@h/db")]).unwrap();
    assert!(config.database.is_shared() && !format!("{config:?}").contains("hunter2"));
    let found = problems("", &[("DATABASE_URL", "mysql://u:hunter2@h/db")]);
    assert!(found[0].contains("\"mysql:\" is no database that is known") && !found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn providers_come_from_sections_and_from_the_usual_variables() {
    let file = "[providers.box]\nvendor = \"vllm\"\nbase_url = \"http://10.0.0.5:8000\"\n";
    let config = read(file, &[("GROQ_API_KEY", "gsk-1")]).unwrap();
    let names: Vec<(&str, &str)> = config
        .upstream
        .providers
        .iter()
        .map(|(name, provider)| (name.as_str(), provider.endpoint.authority()))
        .collect();
    assert_eq!(names, [("box", "10.0.0.5:8000"), ("groq", "api.groq.com")]);
    assert_eq!(config.upstream.providers["groq"].origin, "GROQ_API_KEY");
}

#[test]
fn a_section_overrides_what_the_environment_says_of_the_same_provider() {
    let environment = [("OPENAI_API_KEY", "sk-1"), ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")];
    let authority =
        |file| read(file, &environment).unwrap().upstream.providers["openai"].endpoint.authority().to_owned();
    assert_eq!(authority(""), "127.0.0.1:9");
    assert_eq!(authority("[providers.openai]\nbase_url = \"http://127.0.0.1:7/v1\""), "127.0.0.1:7");
    assert_eq!(authority("[providers.openai]\napi_key_env = \"OPENAI_API_KEY\""), "127.0.0.1:9");
    let off = read("[providers.openai]\nenabled = false", &environment).unwrap();
    assert!(off.upstream.providers.is_empty());
}

#[test]
fn keys_come_from_one_place_and_never_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, "sk-hidden\n").unwrap();
    let file = format!("[providers.groq]\napi_key_file = \"{}\"", path.display());
    let config = read(&file, &[]).unwrap();
    assert!(!format!("{config:?}").contains("hidden"));

    let both = "[providers.groq]\napi_key = \"sk-hidden\"\napi_key_env = \"NOWHERE\"";
    let found = problems(both, &[]);
    assert_eq!(
        found,
        [
            "providers.groq.api_key: give one of api_key, api_key_file and api_key_env",
            "providers.groq.api_key_env: the variable NOWHERE is not set",
        ]
    );
    for wrong in [
        "[providers.groq]\napi_kee = \"sk-hidden\"",
        "[providers.groq]\napi_key = \"sk-hidden",
        "[server]\nlisten = \"sk-hidden\"",
    ] {
        let found = problems(wrong, &[]);
        assert!(!found.is_empty() && !format!("{found:?}").contains("hidden"), "{found:?}");
    }
}

#[test]
fn an_unknown_vendor_or_provider_is_named_with_the_nearest_known_one() {
    assert_eq!(
        problems("[providers.gorq]", &[]),
        ["providers.gorq.vendor: \"gorq\" is not a known vendor; did you mean \"groq\"?"]
    );
    let file = "[aliases]\nfast = \"opnai/gpt\"\nbare = \"gpt\"\n[models]\ndefault_provider = \"azure\"";
    let found = problems(file, &[("OPENAI_API_KEY", "k")]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().any(|problem| problem.contains("did you mean \"openai\"?")));
}

#[test]
fn bare_names_go_to_openai_or_to_the_only_provider() {
    let default = |environment: &[(&str, &str)]| {
        let all = [environment, &[("SABIR_LOCAL__ENABLED", "false")]].concat();
        read("", &all).unwrap().upstream.models.default_provider
    };
    assert_eq!(default(&[]), None);
    assert_eq!(default(&[("GROQ_API_KEY", "k")]).as_deref(), Some("groq"));
    assert_eq!(default(&[("GROQ_API_KEY", "k"), ("OPENAI_API_KEY", "k")]).as_deref(), Some("openai"));
    assert_eq!(default(&[("GROQ_API_KEY", "k"), ("XAI_API_KEY", "k")]), None);
}

#[test]
fn every_key_is_documented_with_its_variable() {
    let document = include_str!("../../../docs/configuration.md");
    let file: toml::Table = "[providers.NAME]\nvendor = \"openai\"\n[aliases]\nNAME = \"NAME/x\"\n\
        [routes.NAME]\ntargets = [\"NAME/x\"]\n[routes.NAME.when.RULE]\ntargets = [\"NAME/x\"]"
        .parse()
        .unwrap();
    let (settings, _) = document::merge(Some(&file.to_string()), &BTreeMap::new());
    let (_, known) = Config::from_settings(settings, BTreeMap::new()).1.finish();
    assert!(known.len() > 30, "{known:?}");
    for key in known {
        let row = document.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
        let variable = variable_of(&key);
        assert!(
            row.is_some_and(|row| row.contains(&format!("`{variable}`"))),
            "{key} ({variable}) is not in docs/configuration.md"
        );
    }
}

#[test]
fn every_vendor_is_documented_as_the_table_has_it() {
    let document = include_str!("../../../docs/configuration.md");
    for vendor in sabir_providers::VENDORS {
        let row = document.lines().find(|line| line.starts_with(&format!("| `{}` |", vendor.name)));
        let row = row.unwrap_or_else(|| unreachable!("{} is not in docs/configuration.md", vendor.name));
        assert!(row.contains(&format!("`{}`", vendor.base_url_variables[0])), "{row}");
        assert!(vendor.base_url.is_none_or(|url| row.contains(&format!("`{url}`"))), "{row}");
    }
}

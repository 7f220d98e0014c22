//! Claims about secrets: a provider's key is sent to the provider, and stands nowhere else.

use serde_json::json;

use crate::support::{
    Call, Protocol, Server, Upstream, script,
    secret::Secrets,
    upstream::{Reply, Step, closed_port},
    world,
};

const KEY: &str = "sk-live-7f3a9c51e0d84b62";

/// Everything is logged, what libraries say included.
fn config(base_url: &str) -> String {
    let config = Server::config_for(base_url).replace("sk-scripted", KEY);
    format!("{config}[log]\nfilter = \"trace\"\n")
}

#[tokio::test]
async fn a_key_stands_neither_in_answers_nor_in_the_log() {
    const INCORRECT: &str = "Incorrect API key provided: sk-live-7f3a9c51e0d84b62. Find yours in your account.";
    let upstream = Upstream::start();
    upstream.script("no-key", script::failing(401, "invalid_request_error", Some("invalid_api_key"), INCORRECT));
    upstream.script("invalid", script::failing(400, "invalid_request_error", Some(KEY), INCORRECT));
    upstream.script("broken", script::failing(500, KEY, None, INCORRECT));
    upstream.script("page", |_| {
        let page = format!("<html><title>Bad gateway for {KEY}</title><body>{KEY}</body></html>");
        Reply { status: 502, ..Reply::of("text/html", vec![Step::Bytes(page.into())]) }
    });
    upstream.script("nonsense", |_| Reply::json(200, &json!({"choices": KEY})));
    upstream.script("error-event", script::begun(vec![Step::event(json!({"error": {"message": INCORRECT}}))]));
    upstream.script("garbage-event", script::begun(vec![Step::event(format!("{{{KEY}"))]));
    let server = Server::start(&config(&upstream.base_url())).await;
    let models = ["no-key", "invalid", "broken", "page", "nonsense", "error-event", "garbage-event"];
    for protocol in Protocol::ALL {
        for model in models {
            let call = Call::say(&format!("scripted/{model}"), "Hi");
            let answer = format!("{:?}", protocol.unary(server.address(), &call).await.unwrap_err());
            assert!(!answer.contains(KEY), "{protocol:?}, {model}: {answer}");
            let streamed = protocol.stream_all(server.address(), &call).await;
            streamed.assert_failed((protocol, model));
            assert!(!format!("{streamed:?}").contains(KEY), "{protocol:?}, {model}: {streamed:?}");
        }
    }
    for asked in upstream.requests() {
        assert_eq!(asked.header("authorization"), Some(&*format!("Bearer {KEY}")), "the upstream has to be told");
    }
    let log = server.log();
    assert!(log.contains("call failed") && log.contains("hyper"), "everything is logged: {log}");
    assert_absent(&log);
}

#[tokio::test]
async fn a_key_stands_not_in_the_log_of_a_server_whose_upstream_is_gone() {
    let server = Server::start(&config(&format!("http://{}/v1", closed_port()))).await;
    for protocol in Protocol::ALL {
        let answer = protocol.unary(server.address(), &Call::say("scripted/echo", "Hi")).await.unwrap_err();
        assert!(!format!("{answer:?}").contains(KEY), "{protocol:?}: {answer:?}");
    }
    assert_absent(&server.log());
}

#[test]
fn what_may_stand_in_no_log_is_found_in_one() {
    let config = format!(
        "[providers.p]\napi_key = \"{KEY}\"\napi_key_file = \"/run/secrets/openai\"\n[auth]\nsecret = \"0123456789abcdef\"\n"
    );
    let variables = [("OPENAI_API_KEY", "sk-from-the-environment"), ("DATABASE_URL", "postgres://u:hunter2@db/sabir")];
    let secrets = Secrets::of(&config, &variables);
    let letters = "a0".repeat(25);
    for leak in [
        KEY,
        "0123456789abcdef",
        "sk-from-the-environment",
        "hunter2",
        &format!("sk-sabir-{letters}"),
        &format!("rt-sabir-{letters}"),
        "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "-----BEGIN PRIVATE KEY-----",
        "$argon2id$v=19$m=19456",
        "postgres://u:another@db/sabir",
    ] {
        let log = format!("one\ntwo {leak} three\nfour");
        assert_eq!(secrets.leaks(&log), [format!("two {leak} three")]);
    }
    let innocent =
        "sk-sabir-... sk-sabir-AbCd postgres://db/sabir postgres://u:***@db/sabir /run/secrets/openai 12:30:00@x";
    assert!(secrets.leaks(innocent).is_empty(), "{:?}", secrets.leaks(innocent));
}

#[tokio::test]
async fn a_server_that_logs_a_secret_fails_its_test() {
    let (_upstream, server) = world().await;
    server.keep_secret("correct horse battery staple");
    let mut log = std::fs::OpenOptions::new().append(true).open(server.log_file()).unwrap();
    std::io::Write::write_all(&mut log, b"signed in with correct horse battery staple\n").unwrap();
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(server)));
    let message = *dropped.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("secrets are in the log:"), "{message}");
}

#[test]
fn a_configuration_is_refused_without_quoting_the_key_in_it() {
    let good = config("http://127.0.0.1:1/v1");
    let line = format!("api_key = \"{KEY}\"");
    let wrong = [
        // Not closed, of another type, under another name, unfit for a header, beside another key.
        format!("api_key = \"{KEY}"),
        format!("api_key = [\"{KEY}\"]"),
        format!("api_key = {{ key = \"{KEY}\" }}"),
        format!("apikey = \"{KEY}\""),
        format!("api_key = \"{KEY}\\u0007\""),
        format!("{line}\napi_key_env = \"NOT_SET\""),
        format!("{line}\n{line}"),
    ];
    for wrong in wrong {
        let (status, log) = Server::refuse(&good.replace(&line, &wrong));
        assert!(!status.success() && !log.is_empty(), "{wrong}: {log}");
        assert!(!log.contains(KEY), "{wrong}: {log}");
    }
}

/// Fails with the lines that hold the key.
fn assert_absent(log: &str) {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(KEY)).collect();
    assert!(lines.is_empty(), "the key is in the log:\n{}", lines.join("\n"));
}

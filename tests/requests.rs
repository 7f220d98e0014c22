//! Claims about the request log: nothing is kept unless it is switched on, what is kept has been redacted, and only those
//! read it who may.

use std::time::Instant;

use ::http::Request;
use bytes::Bytes;
use sabir_proto::v1::{ListCapturesRequest, ListCapturesResponse, request_log_client::RequestLogClient};
use serde_json::Value;
use tonic::Code;

use crate::support::{
    Call, PATIENCE, Protocol, Server, Upstream, http,
    identity::{Registrar, required},
    server::binary,
};

const CAPTURE: &str = "[capture]\nenabled = true\nredact = [\"email\", \"phone\", \"card\", \"regex:PRJ-[0-9]+\"]\n\n";

/// Things that nobody may find in the database, in one prompt, which the upstream says again.
const PROMPT: &str = "I am alice@mail.example, +49 89 1234567, card 4111 1111 1111 1111, of PRJ-4711; \
                      my key is sk-proj-AbCdEf0123456789 and the password: correcthorse";
const SECRETS: [&str; 6] = ["alice@", "1234567", "4111", "PRJ-4711", "AbCdEf", "correcthorse"];
const REDACTED: &str = "I am [email], [phone], card [card], of [redacted]; my key is [credential] and the [credential]";

async fn list(server: &Server, key: Option<&str>, query: &str) -> (u16, Value) {
    let request = Request::get(format!("/v1/admin/requests{query}"));
    let request =
        key.into_iter().fold(request, |request, key| request.header("authorization", format!("Bearer {key}")));
    let exchange = http::http1(server.address(), request.body(Bytes::new()).unwrap()).await;
    let status = exchange.status();
    (status, serde_json::from_slice(&exchange.body().await).unwrap())
}

/// The captures, as soon as there are this many.
async fn captures(server: &Server, key: Option<&str>, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, document) = list(server, key, "").await;
        assert_eq!(status, 200, "{document}");
        let captures = document["captures"].as_array().unwrap().clone();
        if captures.len() >= count {
            assert_eq!(captures.len(), count, "{document}");
            assert_eq!(document["dropped"], 0);
            return captures;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {count} captures: {document}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The bytes of the database, those that are still in its log included.
fn database(server: &Server) -> String {
    let path = server.database().trim_start_matches("sqlite:").to_owned();
    let read = |path: String| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    read(path.clone()) + &read(format!("{path}-wal"))
}

async fn over_grpc(server: &Server, key: &str) -> Result<ListCapturesResponse, tonic::Status> {
    let mut client = RequestLogClient::connect(format!("http://{}", server.address())).await.unwrap();
    let mut request = tonic::Request::new(ListCapturesRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    client.list_captures(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn prompts_and_answers_are_kept_redacted_whatever_the_protocol() {
    let upstream = Upstream::start();
    let server = Server::start(&(Server::config_for(&upstream.base_url()) + CAPTURE)).await;
    let call = Call::say("scripted/echo", PROMPT);
    for protocol in Protocol::ALL {
        protocol.unary(server.address(), &call).await.unwrap();
        protocol.stream_all(server.address(), &call).await.assert_complete(protocol);
    }
    let failed = Call::say("scripted/no-such-model", PROMPT);
    Protocol::Grpc.unary(server.address(), &failed).await.unwrap_err();
    let captures = captures(&server, None, 7).await;
    for (number, capture) in captures.iter().rev().enumerate() {
        assert_eq!(capture["request"], serde_json::json!([{"at": 0, "role": "user", "text": REDACTED}]), "{capture}");
        assert_eq!((&capture["actor"], &capture["cut"]), (&"anyone".into(), &false.into()), "{capture}");
        if number < 6 {
            let answered = serde_json::json!([{"at": 0, "role": "assistant", "text": REDACTED}]);
            assert_eq!((&capture["response"], &capture["code"]), (&answered, &0.into()), "{capture}");
        } else {
            assert_eq!((&capture["response"], &capture["code"]), (&serde_json::json!([]), &5.into()), "{capture}");
        }
    }
    let stored = database(&server);
    assert!(stored.contains("[redacted]"), "the captures are in the database");
    for secret in SECRETS {
        assert!(!stored.contains(secret), "{secret} is in the database");
        assert!(!server.log().contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn pages_filters_and_the_command_line_show_the_same_captures() {
    let upstream = Upstream::start();
    let server = Server::start(&(Server::config_for(&upstream.base_url()) + CAPTURE)).await;
    for text in ["one", "two", "three"] {
        Protocol::Rest.unary(server.address(), &Call::say("scripted/echo", text)).await.unwrap();
    }
    Protocol::Rest.unary(server.address(), &Call::say("scripted/fixed", "four")).await.unwrap();
    let all = captures(&server, None, 4).await;
    let (_, first) = list(&server, None, "?page_size=3").await;
    assert_eq!(first["captures"].as_array().unwrap()[..], all[..3]);
    let token = first["next_page_token"].as_str().unwrap();
    let (_, second) = list(&server, None, &format!("?page_size=3&page_token={token}")).await;
    assert_eq!(second["captures"].as_array().unwrap()[..], all[3..]);
    let (_, of_model) = list(&server, None, "?model=scripted/fixed").await;
    assert_eq!(of_model["captures"].as_array().unwrap()[..], all[..1]);
    for wrong in ["?page_token=x", "?page_size=101", "?page_size=-1", "?since=yesterday"] {
        assert_eq!(list(&server, None, wrong).await.0, 400, "{wrong}");
    }
    let printed = std::process::Command::new(binary("sabir"))
        .args(["requests", "--url", &format!("http://{}", server.address()), "--limit", "2"])
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("REQUEST"), "{printed}");
    assert!(lines[1].contains("four") && lines[2].contains("three"), "{printed}");
}

#[tokio::test]
async fn nothing_is_kept_unless_it_is_switched_on() {
    let upstream = Upstream::start();
    let server = Server::start(&Server::config_for(&upstream.base_url())).await;
    for protocol in Protocol::ALL {
        protocol.unary(server.address(), &Call::say("scripted/echo", "one in a million")).await.unwrap();
    }
    server.usage_rows(3).await;
    assert!(captures(&server, None, 0).await.is_empty());
    assert!(!database(&server).contains("in a million"));
}

#[tokio::test]
async fn only_those_with_the_scope_read_and_teams_read_what_is_theirs() {
    let upstream = Upstream::start();
    let server = Server::start(&(Server::config_for(&upstream.base_url()) + CAPTURE + &required())).await;
    let registrar = Registrar::of(&server).await;
    let team = registrar.team("blue", |_| {}).await;
    let (outsider, _) = registrar.key(|_| {}).await;
    let (member, _) = registrar
        .key(|key| {
            key.team_id = Some(team.id);
            key.scopes = vec!["chat".to_owned(), "audit.read".to_owned()];
        })
        .await;
    let auditor = registrar.key_for(&["audit.read"]).await;
    for key in [&outsider, &member] {
        let mut call = Call::say("scripted/echo", "Hi");
        call.headers.push(("authorization", format!("Bearer {key}")));
        Protocol::Rest.unary(server.address(), &call).await.unwrap();
    }
    assert_eq!(captures(&server, Some(&auditor), 2).await.len(), 2);
    let own = captures(&server, Some(&member), 1).await;
    assert_eq!(own[0]["team_id"], team.id.to_string());
    assert_eq!(over_grpc(&server, &auditor).await.unwrap().captures.len(), 2);
    assert_eq!(over_grpc(&server, &member).await.unwrap().captures.len(), 1);
    assert_eq!(list(&server, Some(&outsider), "").await.0, 403);
    assert_eq!(over_grpc(&server, &outsider).await.unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(list(&server, None, "").await.0, 401);
    let stored = database(&server);
    for key in [&outsider, &member, &auditor] {
        assert!(!stored.contains(key.as_str()), "a key is in the database");
    }
}

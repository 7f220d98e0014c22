//! What ends sign-ins besides their own end: a password that changes, and a user who is disabled.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::{INVALID, PASSWORD, WITHIN, code, let_in, refused, renew, sign_in, text, world_on};
use crate::support::http::http1;
use crate::support::{DatabaseKind, Protocol, Server};

/// An administrative act over REST, which has to succeed.
async fn done(server: &Server, key: &str, method: &str, path: &str, body: Value) -> Value {
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {key}")).body(Bytes::from(body.to_string()));
    let exchange = http1(server.address(), request.unwrap()).await;
    let status = exchange.status();
    let answer: Value = serde_json::from_slice(&exchange.body().await).unwrap();
    assert_eq!(status, 200, "{method} {path}: {answer}");
    answer
}

#[tokio::test]
async fn a_new_password_and_a_disabled_user_end_every_sign_in() {
    for database in DatabaseKind::ALL {
        let (_upstream, server, registrar) = world_on(database, "").await;
        let admin = registrar.key_for(&["admin"]).await;
        let users = users_of(&server, &admin).await;
        let id = users["users"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/admin/users/{id}");
        let another = "another battery for a horse";
        server.keep_secret(another);

        // A change that is none of these ends nothing.
        let sessions = [sign_in(&server, "alice", PASSWORD).await, sign_in(&server, "alice", PASSWORD).await];
        done(&server, &admin, "PATCH", &path, json!({"scopes": ["chat"]})).await;
        let renewed = renew(&server, text(&sessions[0], "refresh_token")).await;
        assert_eq!(renewed.status, 200, "{renewed:?}");
        let_in(&server, text(&renewed, "access_token")).await;

        done(&server, &admin, "POST", &format!("{path}/password"), json!({"password": another})).await;
        ended(&server, text(&renewed, "refresh_token"), text(&renewed, "access_token"), "a new password").await;
        ended(&server, text(&sessions[1], "refresh_token"), text(&sessions[1], "access_token"), "a new password").await;
        let session = sign_in(&server, "alice", another).await;
        let_in(&server, text(&session, "access_token")).await;

        done(&server, &admin, "PATCH", &path, json!({"disabled": true})).await;
        let (refresh_token, access_token) = (text(&session, "refresh_token"), text(&session, "access_token"));
        ended(&server, refresh_token, access_token, "disabled").await;
        done(&server, &admin, "PATCH", &path, json!({"disabled": false})).await;
        let session = sign_in(&server, "alice", another).await;
        let_in(&server, text(&session, "access_token")).await;
        ended(&server, refresh_token, access_token, "active again").await;
    }
}

#[tokio::test]
async fn changes_of_different_members_at_once_are_all_kept() {
    for database in DatabaseKind::ALL {
        let (_upstream, server, registrar) = world_on(database, "").await;
        let admin = registrar.key_for(&["admin"]).await;
        let id = users_of(&server, &admin).await["users"][0]["id"].as_str().unwrap().to_owned();
        let team = registrar.team("harbour", |_| ()).await.id.to_string();
        let (user, group) = (format!("/v1/admin/users/{id}"), format!("/v1/admin/teams/{team}"));
        for round in 0..20 {
            let (disabled, name) = (round % 2 == 0, format!("name {round}"));
            let scopes = if disabled { json!(["chat"]) } else { json!(["models.read"]) };
            let models = if disabled { json!(["a/*"]) } else { json!(["b/*"]) };
            let change = |path, body| done(&server, &admin, "PATCH", path, body);
            tokio::join!(
                change(&user, json!({"name": name})),
                change(&user, json!({"disabled": disabled})),
                change(&user, json!({"scopes": scopes})),
                change(&group, json!({"name": name})),
                change(&group, json!({"disabled": disabled})),
                change(&group, json!({"models": models})),
            );
            for (path, member, value) in [(&user, "scopes", &scopes), (&group, "models", &models)] {
                let is = fetched(&server, &admin, path).await;
                let seen = (&is["name"], &is["disabled"], &is[member]);
                assert_eq!(seen, (&json!(name), &json!(disabled), value), "{path}");
            }
        }
    }
}

async fn users_of(server: &Server, key: &str) -> Value {
    fetched(server, key, "/v1/admin/users").await
}

async fn fetched(server: &Server, key: &str, path: &str) -> Value {
    let request = Request::get(path).header("authorization", format!("Bearer {key}")).body(Bytes::new()).unwrap();
    serde_json::from_slice(&http1(server.address(), request).await.body().await).unwrap()
}

/// Asserts that the refresh token gives nothing from now on, and the access token lets in nowhere within a second.
async fn ended(server: &Server, refresh_token: &str, access_token: &str, about: &str) {
    let since = Instant::now();
    let refusal = renew(server, refresh_token).await;
    assert_eq!((refusal.status, text(&refusal, "error")), (400, "invalid_grant"), "{about}");
    while code(Protocol::Grpc, server, access_token).await.0 == "OK" {
        assert!(since.elapsed() < WITHIN, "{about}: let in after {:?}", since.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    refused(server, access_token, INVALID, about).await;
}

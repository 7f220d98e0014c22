//! Programs with credentials of their own: made through the API, let in over every protocol, named in the usage they make,
//! and refused as soon as they are ended.

use std::time::Instant;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::{WITHIN, code, form, let_in, text, world_on};
use crate::support::http::http1;
use crate::support::identity::now_micros;
use crate::support::{DatabaseKind, Protocol, Server};

const CLIENTS: &str = "/v1/admin/clients";

/// An administrative call that must succeed.
async fn done(server: &Server, key: &str, method: &str, path: &str, body: Option<Value>) -> Value {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let request = request.header("content-type", "application/json").body(body).unwrap();
    let exchange = http1(server.address(), request).await;
    let status = exchange.status();
    let body = exchange.body().await;
    assert_eq!(status, 200, "{method} {path}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

/// Asks for a token with a client's own credentials.
async fn grant(server: &Server, id: &str, secret: &str, further: &[(&str, &str)]) -> super::Answer {
    let own = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    form(server, "/v1/auth/token", &[&own[..], further].concat()).await
}

/// Waits until the token is refused over every protocol.
async fn ends(server: &Server, token: &str) {
    let begun = Instant::now();
    for protocol in Protocol::ALL {
        while code(protocol, server, token).await.0 != "UNAUTHENTICATED" {
            // What is promised, and as much again for a machine that is busy.
            assert!(begun.elapsed() < 2 * WITHIN, "{protocol:?}: the token is still taken");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_program_is_let_in_by_its_own_credentials_until_it_is_removed() {
    for database in DatabaseKind::ALL {
        let (_upstream, server, registrar) = world_on(database, "").await;
        let admin = registrar.key_for(&["admin"]).await;
        let team = registrar.team("reports", |_| ()).await;
        let body = json!({"name": "nightly", "team_id": team.id.to_string(), "scopes": ["chat", "models.read"]});
        let made = done(&server, &admin, "POST", CLIENTS, Some(body)).await;
        let (id, secret) = (made["client"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
        server.keep_secret(secret);
        let list = done(&server, &admin, "GET", CLIENTS, None).await;
        assert_eq!((list["clients"].as_array().unwrap().len(), &list["clients"][0]), (1, &made["client"]));

        let answer = grant(&server, id, secret, &[]).await;
        assert_eq!(
            (answer.status, text(&answer, "token_type"), text(&answer, "scope")),
            (200, "Bearer", "chat models.read")
        );
        assert!(answer.body.get("refresh_token").is_none(), "it has what it needs for the next one: {answer:?}");
        let token = text(&answer, "access_token").to_owned();
        server.keep_secret(&token);
        let_in(&server, &token).await;
        let rows = server.usage_rows(3).await;
        for (row, protocol) in rows.iter().zip(Protocol::ALL) {
            assert_eq!(row.principal.as_deref(), Some(format!("client {id}").as_str()), "{row:?}");
            assert_eq!((row.team_id, row.protocol), (Some(team.id), protocol.stored()), "{row:?}");
        }
        let path = format!("/v1/admin/usage/records?team_id={}", team.id);
        let records = done(&server, &admin, "GET", &path, None).await;
        let callers: Vec<&Value> =
            records["records"].as_array().unwrap().iter().map(|record| &record["caller"]).collect();
        assert_eq!(callers, vec![&json!(format!("client {id}")); 3]);

        // Less than it may have, never more.
        let narrow = grant(&server, id, secret, &[("scope", "models.read")]).await;
        let narrow = text(&narrow, "access_token").to_owned();
        for protocol in Protocol::ALL {
            assert_eq!(code(protocol, &server, &narrow).await.0, "PERMISSION_DENIED", "{protocol:?}");
        }
        let part = grant(&server, id, secret, &[("scope", "chat keys.write")]).await;
        assert_eq!((part.status, text(&part, "scope")), (200, "chat"), "it is told what it was granted: {part:?}");
        let beyond = grant(&server, id, secret, &[("scope", "keys.write")]).await;
        assert_eq!((beyond.status, text(&beyond, "error")), (400, "invalid_scope"), "{beyond:?}");

        // A new secret ends the old one, and no token.
        let rotated = done(&server, &admin, "POST", &format!("{CLIENTS}/{id}/rotate"), Some(json!({}))).await;
        let new = rotated["secret"].as_str().unwrap();
        server.keep_secret(new);
        let old = grant(&server, id, secret, &[]).await;
        assert_eq!((old.status, text(&old, "error")), (401, "invalid_client"), "{old:?}");
        assert_eq!(grant(&server, id, new, &[]).await.status, 200);
        let_in(&server, &token).await;

        done(&server, &admin, "DELETE", &format!("{CLIENTS}/{id}"), None).await;
        ends(&server, &token).await;
        let gone = grant(&server, id, new, &[]).await;
        assert_eq!((gone.status, text(&gone, "error")), (401, "invalid_client"), "{gone:?}");
    }
}

#[tokio::test]
async fn a_program_that_is_disabled_is_refused() {
    for database in DatabaseKind::ALL {
        let (_upstream, server, registrar) = world_on(database, "").await;
        let admin = registrar.key_for(&["admin"]).await;
        let body = json!({"name": "nightly", "scopes": ["chat"]});
        let made = done(&server, &admin, "POST", CLIENTS, Some(body)).await;
        let (id, secret) = (made["client"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
        let token = text(&grant(&server, id, secret, &[]).await, "access_token").to_owned();
        let_in(&server, &token).await;
        let mut client = registrar.client(id).await;
        client.disabled_at_micros = Some(now_micros());
        registrar.change_client(&client).await;
        ends(&server, &token).await;
        let refused = grant(&server, id, secret, &[]).await;
        assert_eq!((refused.status, text(&refused, "error")), (401, "invalid_client"), "{refused:?}");
        client.disabled_at_micros = None;
        registrar.change_client(&client).await;
        assert_eq!(grant(&server, id, secret, &[]).await.status, 200);
    }
}

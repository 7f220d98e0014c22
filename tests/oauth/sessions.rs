//! Signing in, renewing, ending: on one server and on two.

use std::time::{Duration, Instant};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{EXPIRED, INVALID, PASSWORD, WITHIN, code, form, let_in, refused, renew, sign_in, text, world, world_on};
use crate::support::http::get;
use crate::support::identity::required;
use crate::support::{DatabaseKind, Protocol, Server};

/// A part of a token, read.
fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_user_signs_in_and_calls_over_every_protocol() {
    for database in DatabaseKind::ALL {
        let (_upstream, server, _) = world_on(database, "").await;
        let answer = sign_in(&server, "alice", PASSWORD).await;
        assert_eq!((answer.status, answer.cache_control.as_deref()), (200, Some("no-store")), "{answer:?}");
        assert_eq!(text(&answer, "token_type"), "Bearer");
        assert_eq!(text(&answer, "scope"), "chat models.read");
        assert_eq!(answer.body["expires_in"], 900);
        let_in(&server, text(&answer, "access_token")).await;

        let narrow =
            [("grant_type", "password"), ("username", "alice"), ("password", PASSWORD), ("scope", "models.read admin")];
        let answer = form(&server, "/v1/auth/token", &narrow).await;
        assert_eq!(text(&answer, "scope"), "models.read", "never more than the user has");
        for protocol in Protocol::ALL {
            let (code, _) = code(protocol, &server, text(&answer, "access_token")).await;
            assert_eq!(code, "PERMISSION_DENIED", "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn anyone_can_check_a_token_with_the_published_keys() {
    let (_upstream, server, _) = world("").await;
    let answer = sign_in(&server, "alice", PASSWORD).await;
    let token = text(&answer, "access_token");
    for path in ["/v1/auth/jwks", "/.well-known/jwks.json"] {
        let (status, body) = get(server.address(), path).await;
        let keys: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 200);
        let header = part(token, 0);
        assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("EdDSA"), Some("at+jwt")));
        let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
        assert!(key.get("d").is_none(), "the private part is nobody's business");
        let public = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ED25519, public).verify(message.as_bytes(), &signature).unwrap();
    }
    let claims = part(token, 1);
    for claim in ["iss", "sub", "aud", "scope", "iat", "exp", "jti"] {
        assert!(!claims[claim].is_null(), "{claim} in {claims}");
    }
}

#[tokio::test]
async fn a_replayed_refresh_token_ends_the_sign_in_on_every_server() {
    for database in DatabaseKind::ALL {
        let (upstream, server, _) = world_on(database, "").await;
        let config = format!("{}{}", Server::config_for(&upstream.base_url()), required());
        let other = Server::start_with(&config, &[("DATABASE_URL", &server.database())]).await;
        let (_, ours) = get(server.address(), "/v1/auth/jwks").await;
        let (_, theirs) = get(other.address(), "/v1/auth/jwks").await;
        assert_eq!(ours, theirs, "servers on one database share their keys");

        let first = sign_in(&server, "alice", PASSWORD).await;
        // The other server takes what the first gave.
        let second = renew(&other, text(&first, "refresh_token")).await;
        assert_eq!(second.status, 200, "{second:?}");
        assert_ne!(text(&first, "refresh_token"), text(&second, "refresh_token"));
        for token in [text(&first, "access_token"), text(&second, "access_token")] {
            let_in(&server, token).await;
            let_in(&other, token).await;
        }
        let bystander = sign_in(&server, "alice", PASSWORD).await;

        let replayed = renew(&server, text(&first, "refresh_token")).await;
        assert_eq!((replayed.status, text(&replayed, "error")), (400, "invalid_grant"));
        let ended = Instant::now();
        let rightful = renew(&other, text(&second, "refresh_token")).await;
        assert_eq!(
            (rightful.status, text(&rightful, "error")),
            (400, "invalid_grant"),
            "whoever of the two was the thief"
        );
        for protocol in Protocol::ALL {
            for server in [&server, &other] {
                while code(protocol, server, text(&second, "access_token")).await.0 == "OK" {
                    assert!(ended.elapsed() < WITHIN, "{protocol:?}: let in after {:?}", ended.elapsed());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        for token in [text(&first, "access_token"), text(&second, "access_token")] {
            refused(&server, token, INVALID, "of a revoked family").await;
            refused(&other, token, INVALID, "of a revoked family").await;
        }
        let_in(&other, text(&bystander, "access_token")).await;
    }
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_its_sign_in() {
    for database in DatabaseKind::ALL {
        let (_upstream, server, _) = world_on(database, "").await;
        for member in ["access_token", "refresh_token"] {
            let answer = sign_in(&server, "alice", PASSWORD).await;
            let_in(&server, text(&answer, "access_token")).await;
            let revoked = form(&server, "/v1/auth/revoke", &[("token", text(&answer, member))]).await;
            assert_eq!((revoked.status, revoked.body.to_string().as_str()), (200, "{}"));
            refused(&server, text(&answer, "access_token"), INVALID, member).await;
            assert_eq!(renew(&server, text(&answer, "refresh_token")).await.status, 400);
        }
        let unknown = form(&server, "/v1/auth/revoke", &[("token", "rt-sabir-nobody")]).await;
        assert_eq!(unknown.status, 200, "what is not known is as good as ended");
    }
}

#[tokio::test]
async fn a_token_expires() {
    let (_upstream, server, _) = world("[auth.tokens]\naccess_lifetime = \"3s\"\n").await;
    let answer = sign_in(&server, "alice", PASSWORD).await;
    assert_eq!(code(Protocol::Grpc, &server, text(&answer, "access_token")).await.0, "OK");
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    refused(&server, text(&answer, "access_token"), EXPIRED, "expired").await;
    let renewed = renew(&server, text(&answer, "refresh_token")).await;
    assert_eq!(code(Protocol::Grpc, &server, text(&renewed, "access_token")).await.0, "OK");
}

#[tokio::test]
async fn a_token_for_another_audience_or_of_another_issuer_is_refused() {
    let (upstream, server, _) = world("").await;
    for line in ["audience = \"others\"", "issuer = \"others\""] {
        let config = format!("{}{}[auth.tokens]\n{line}\n", Server::config_for(&upstream.base_url()), required());
        // With the same keys: everything else about its tokens is right.
        let other = Server::start_with(&config, &[("DATABASE_URL", &server.database())]).await;
        let answer = sign_in(&other, "alice", PASSWORD).await;
        assert_eq!(code(Protocol::Grpc, &other, text(&answer, "access_token")).await.0, "OK");
        refused(&server, text(&answer, "access_token"), INVALID, line).await;
    }
}

#[tokio::test]
async fn rs256_works_as_well() {
    let (_upstream, server, _) = world("[auth.tokens]\nalgorithm = \"RS256\"\n").await;
    let answer = sign_in(&server, "alice", PASSWORD).await;
    assert_eq!(part(text(&answer, "access_token"), 0)["alg"], "RS256");
    let_in(&server, text(&answer, "access_token")).await;
}

#[tokio::test]
async fn a_user_who_is_disabled_is_refused_within_a_second() {
    for database in DatabaseKind::ALL {
        let (_upstream, server, registrar) = world_on(database, "").await;
        let mut user = registrar
            .user("bob", |user| {
                user.password_hash = Some(super::password_hash());
                user.scopes = vec!["chat".to_owned()];
            })
            .await;
        let answer = sign_in(&server, "bob", PASSWORD).await;
        let_in(&server, text(&answer, "access_token")).await;
        user.disabled_at_micros = Some(1);
        registrar.change_user(&user).await;
        let disabled = Instant::now();
        for protocol in Protocol::ALL {
            while code(protocol, &server, text(&answer, "access_token")).await.0 == "OK" {
                assert!(disabled.elapsed() < WITHIN, "{protocol:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(sign_in(&server, "bob", PASSWORD).await.status, 400);
        assert_eq!(renew(&server, text(&answer, "refresh_token")).await.status, 400);
    }
}

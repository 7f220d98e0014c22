//! Tokens that are not what they seem, ours and another issuer's, over every protocol.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::hostile::{AUDIENCE, Hostile, KEY, message, now, sign_hs256};
use super::{EXPIRED, INVALID, PASSWORD, code, let_in, refused, sign_in, text, world};
use crate::support::Protocol;

#[tokio::test]
async fn a_token_of_ours_that_was_changed_is_refused() {
    let (_upstream, server, _) = world("").await;
    let answer = sign_in(&server, "alice", PASSWORD).await;
    let token = text(&answer, "access_token");
    let_in(&server, token).await;
    let parts: Vec<&str> = token.split('.').collect();
    let read = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let (header, claims) = (read(parts[0]), read(parts[1]));
    let with = |change: &dyn Fn(&mut Value, &mut Value)| {
        let (mut header, mut claims) = (header.clone(), claims.clone());
        change(&mut header, &mut claims);
        message(&header, &claims)
    };
    let signature = parts[2];
    let cases = [
        ("more scopes", format!("{}.{signature}", with(&|_, claims| claims["scope"] = json!("admin")))),
        ("a later end", format!("{}.{signature}", with(&|_, claims| claims["exp"] = json!(now() + 999_999)))),
        ("alg none", format!("{}.", with(&|header, _| header["alg"] = json!("none")))),
        ("alg None with the signature", format!("{}.{signature}", with(&|header, _| header["alg"] = json!("None")))),
        ("another type", format!("{}.{signature}", with(&|header, _| header["typ"] = json!("JWT")))),
        ("another key", format!("{}.{signature}", with(&|header, _| header["kid"] = json!("../../etc/passwd")))),
        ("a key with SQL", format!("{}.{signature}", with(&|header, _| header["kid"] = json!("' OR 1=1 --")))),
        ("a signature cut short", token[..token.len() - 4].to_owned()),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("a signature of another length", format!("{token}AAAA")),
        ("the signature of nothing", format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64]))),
        ("half of it", token[..token.len() / 2].to_owned()),
        ("no claims", format!("{}..{signature}", parts[0])),
        ("nothing at all", "..".to_owned()),
        ("fifteen kilobytes", format!("{}.{}.{signature}", parts[0], "A".repeat(15_000))),
    ];
    for (about, token) in cases {
        refused(&server, &token, INVALID, about).await;
    }
    // The public key is public: as a secret of HMAC it would let everybody sign.
    let (_, keys) = crate::support::http::get(server.address(), "/v1/auth/jwks").await;
    let keys: Value = serde_json::from_slice(&keys).unwrap();
    let public = keys["keys"][0]["x"].as_str().unwrap();
    let mut confused = header.clone();
    confused["alg"] = json!("HS256");
    for secret in [public.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(public).unwrap()] {
        refused(&server, &sign_hs256(&secret, &confused, &claims), INVALID, "alg confused").await;
    }
    let_in(&server, token).await;
}

#[tokio::test]
async fn another_issuers_token_must_be_right_in_every_respect() {
    let issuer = Hostile::silent();
    issuer.listen().await;
    let (_upstream, server, _) = world(&issuer.config()).await;
    let_in(&server, &issuer.token(|_| {})).await;
    let_in(&server, &issuer.token(|claims| claims["aud"] = json!(["others", AUDIENCE]))).await;
    let_in(&server, &issuer.token(|claims| claims["exp"] = json!(now() - 5))).await;

    let unauthorized = issuer.token(|claims| claims["scope"] = json!("admin"));
    for protocol in Protocol::ALL {
        let (code, _) = code(protocol, &server, &unauthorized).await;
        assert_eq!(code, "PERMISSION_DENIED", "{protocol:?}: an issuer does not make administrators by a word");
    }

    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Change<'_>); 14] = [
        ("wrong audience", &|claims| claims["aud"] = json!("others")),
        ("audiences without ours", &|claims| claims["aud"] = json!(["a", "b"])),
        ("no audience", &|claims| drop(claims.as_object_mut().unwrap().remove("aud"))),
        ("wrong issuer", &|claims| claims["iss"] = json!("https://issuer.example")),
        ("an issuer that is nearly right", &|claims| {
            claims["iss"] = json!(format!("{}/", claims["iss"].as_str().unwrap()))
        }),
        ("our own issuer", &|claims| claims["iss"] = json!("sabir")),
        ("no issuer", &|claims| drop(claims.as_object_mut().unwrap().remove("iss"))),
        ("future-dated", &|claims| claims["iat"] = json!(now() + 120)),
        ("not yet", &|claims| claims["nbf"] = json!(now() + 120)),
        ("no end", &|claims| drop(claims.as_object_mut().unwrap().remove("exp"))),
        ("an end that is no time", &|claims| claims["exp"] = json!("never")),
        ("no subject", &|claims| drop(claims.as_object_mut().unwrap().remove("sub"))),
        ("an empty subject", &|claims| claims["sub"] = json!("")),
        ("a long subject", &|claims| claims["sub"] = json!("x".repeat(256))),
    ];
    for (about, change) in cases {
        refused(&server, &issuer.token(change), INVALID, about).await;
    }
    refused(&server, &issuer.token(|claims| claims["exp"] = json!(now() - 60)), EXPIRED, "expired").await;

    let claims = issuer.claims();
    let rs256 = json!({"alg": "RS256", "kid": KEY});
    let good = issuer.sign(&rs256, &claims);
    let confused = json!({"alg": "HS256", "kid": KEY});
    let forged = [
        ("alg none", format!("{}.", message(&json!({"alg": "none", "kid": KEY}), &claims))),
        ("alg not pinned", issuer.sign(&json!({"alg": "RS512", "kid": KEY}), &claims)),
        ("alg confused", sign_hs256(&issuer.public_key(), &confused, &claims)),
        ("a secret that was published", sign_hs256(b"secret", &json!({"alg": "HS256", "kid": "shared"}), &claims)),
        ("a token for something else", issuer.sign(&json!({"alg": "RS256", "kid": KEY, "typ": "logout+jwt"}), &claims)),
        ("another's key", Hostile::silent().sign(&rs256, &claims)),
        ("truncated", good[..good.len() - 10].to_owned()),
    ];
    for (about, token) in forged {
        refused(&server, &token, INVALID, about).await;
    }
    assert_eq!(issuer.fetches(), 1, "none of it was worth asking for keys again");
}

#[tokio::test]
async fn a_storm_of_unknown_keys_costs_the_issuer_one_question() {
    let issuer = Hostile::silent();
    issuer.listen().await;
    let (_upstream, server, _) = world(&issuer.config()).await;
    let storm = (0..200).map(|number| {
        let token = issuer.sign(&json!({"alg": "RS256", "kid": format!("invented-{number}")}), &issuer.claims());
        let server = &server;
        async move { code(Protocol::ALL[number % 3], server, &token).await }
    });
    for (code, _) in futures_util::future::join_all(storm).await {
        assert_eq!(code, "UNAUTHENTICATED");
    }
    assert_eq!(issuer.fetches(), 1, "and the next only half a minute later");
    let_in(&server, &issuer.token(|_| {})).await;
}

#[tokio::test]
async fn an_issuer_that_is_away_is_no_fault_of_the_caller() {
    let issuer = Hostile::silent();
    let (_upstream, server, _) = world(&issuer.config()).await;
    let token = issuer.token(|_| {});
    for protocol in Protocol::ALL {
        assert_eq!(code(protocol, &server, &token).await.0, "UNAVAILABLE", "{protocol:?}");
    }
    issuer.listen().await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let_in(&server, &token).await;
}

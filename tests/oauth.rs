//! Claims about tokens: how users and programs get them, who is let in with one over every protocol, how they end, and
//! what those learn who guess or forge.

mod changes;
mod forged;
mod guesses;
mod hostile;
mod issuer;
mod programs;
mod sessions;

use std::time::Duration;

use argon2::password_hash::CustomizedPasswordHasher as _;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params};
use bytes::Bytes;
use http::Request;
use serde_json::Value;

use crate::support::http::http1;
use crate::support::identity::{Registrar, required};
use crate::support::{Call, DatabaseKind, Protocol, Server, Upstream};

/// The password of every user of these tests.
pub(crate) const PASSWORD: &str = "correct horse battery staple & 100% =more?";

/// How soon every replica refuses what was ended.
const WITHIN: Duration = Duration::from_secs(1);

/// The answer to a form: its status, its `cache-control`, `retry-after` and body.
#[derive(Debug)]
struct Answer {
    status: u16,
    cache_control: Option<String>,
    retry_after: Option<u64>,
    body: Value,
}

/// The password's hash, of little effort: how much is the server's own affair.
fn password_hash() -> String {
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_params(PASSWORD.as_bytes(), b"salt for tests..", Params::new(64, 1, 1, None).unwrap())
        .unwrap();
    hash.to_string()
}

/// A server that wants to know who calls, with a user `alice` who may chat and list models.
pub(crate) async fn world(lines: &str) -> (Upstream, Server, Registrar) {
    world_on(DatabaseKind::Sqlite, lines).await
}

/// The same with a database of this kind.
async fn world_on(database: DatabaseKind, lines: &str) -> (Upstream, Server, Registrar) {
    let upstream = Upstream::start();
    let config = format!("{}{}{lines}", Server::config_for(&upstream.base_url()), required());
    let server = Server::start_on(database, &config).await;
    let registrar = Registrar::of(&server).await;
    registrar.user("alice", |user| user.password_hash = Some(password_hash())).await;
    (upstream, server, registrar)
}

/// Sends a form, as OAuth 2.0 clients do.
async fn form(server: &Server, path: &str, pairs: &[(&str, &str)]) -> Answer {
    let encode = |text: &str| -> String {
        text.bytes()
            .map(
                |byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") },
            )
            .collect()
    };
    let body: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let exchange = http1(server.address(), request.body(Bytes::from(body.join("&"))).unwrap()).await;
    let header = |name: &str| exchange.header(name).map(str::to_owned);
    let (status, cache_control) = (exchange.status(), header("cache-control"));
    let retry_after = header("retry-after").map(|seconds| seconds.parse().unwrap());
    let body = exchange.body().await;
    Answer { status, cache_control, retry_after, body: serde_json::from_slice(&body).unwrap() }
}

/// Signs a user in.
async fn sign_in(server: &Server, name: &str, password: &str) -> Answer {
    form(server, "/v1/auth/token", &[("grant_type", "password"), ("username", name), ("password", password)]).await
}

/// Renews a token.
async fn renew(server: &Server, refresh_token: &str) -> Answer {
    form(server, "/v1/auth/token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

/// The text of a member of an answer.
fn text<'a>(answer: &'a Answer, member: &str) -> &'a str {
    answer.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {answer:?}"))
}

/// The code of a chat with this token, and what is said if it is refused.
async fn code(protocol: Protocol, server: &Server, token: &str) -> (String, String) {
    let headers = vec![("authorization", format!("Bearer {token}"))];
    let call = Call { headers, ..Call::say("scripted/echo", "Hi") };
    match protocol.unary(server.address(), &call).await {
        Ok(_) => ("OK".to_owned(), String::new()),
        Err(failure) => (failure.code, failure.message),
    }
}

/// What is said of a token that is not valid, and of one that was.
const INVALID: &str = "the API key or token is not valid";
const EXPIRED: &str = "the API key or token has expired";

/// Asserts that the token is refused over every protocol, in these words.
async fn refused(server: &Server, token: &str, words: &str, about: &str) {
    for protocol in Protocol::ALL {
        let answer = code(protocol, server, token).await;
        assert_eq!(answer, ("UNAUTHENTICATED".to_owned(), words.to_owned()), "{protocol:?}: {about}");
    }
}

/// Asserts that the token lets in over every protocol.
async fn let_in(server: &Server, token: &str) {
    for protocol in Protocol::ALL {
        assert_eq!(code(protocol, server, token).await.0, "OK", "{protocol:?}");
    }
}

//! An issuer that signs whatever a test wants, and counts who asks for its keys. What a well-behaved one does is shown by
//! one of somebody else's making.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The audience that the server is configured for.
pub(super) const AUDIENCE: &str = "sabir-tests";

/// The name of its key.
pub(super) const KEY: &str = "key-1";

/// The issuer.
pub(super) struct Hostile {
    pub(super) address: SocketAddr,
    key: RsaKeyPair,
    fetches: Arc<AtomicUsize>,
}

impl Hostile {
    /// An address where nothing listens yet, and a key.
    pub(super) fn silent() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        Self { address: crate::support::server::free_address(), key, fetches: Arc::default() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A configuration that trusts it.
    pub(super) fn config(&self) -> String {
        format!(
            "[auth.issuers.hostile]\nurl = \"{}\"\naudience = [\"{AUDIENCE}\"]\ndefault_scopes = [\"models.read\"]\n",
            self.url()
        )
    }

    /// Answers from now on.
    pub(super) async fn listen(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let discovery = json!({"issuer": self.url(), "jwks_uri": format!("{}/keys", self.url())});
        let keys = json!({"keys": [self.jwk(), {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}, 7]});
        let fetches = Arc::clone(&self.fetches);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (discovery, keys, fetches) = (discovery.to_string(), keys.to_string(), Arc::clone(&fetches));
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let body = match request.uri().path() {
                        "/keys" => {
                            fetches.fetch_add(1, Ordering::SeqCst);
                            keys.clone()
                        }
                        _ => discovery.clone(),
                    };
                    async move { Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(body)))) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
    }

    /// How often it was asked for its keys.
    pub(super) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn jwk(&self) -> Value {
        let public = self.key.public_key();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let n = part(public.modulus().big_endian_without_leading_zero());
        let e = part(public.exponent().big_endian_without_leading_zero());
        json!({"kty": "RSA", "kid": KEY, "n": n, "e": e})
    }

    /// The public key as PEM has it, which a careless verifier could take for a shared secret.
    pub(super) fn public_key(&self) -> Vec<u8> {
        let body = base64::engine::general_purpose::STANDARD.encode(self.key.public_key().as_ref());
        format!("-----BEGIN RSA PUBLIC KEY-----\n{body}\n-----END RSA PUBLIC KEY-----\n").into_bytes()
    }

    /// Claims of a token that is good now.
    pub(super) fn claims(&self) -> Value {
        let now = now();
        json!({"iss": self.url(), "aud": AUDIENCE, "sub": "mallory", "iat": now, "exp": now + 600, "scope": "chat"})
    }

    /// A token with this header and these claims, signed with its key.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token that is good now, changed in this way.
    pub(super) fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = self.claims();
        change(&mut claims);
        self.sign(&json!({"alg": "RS256", "kid": KEY}), &claims)
    }
}

/// The part of a token that is signed.
pub(super) fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// A token signed with HMAC under this secret.
pub(super) fn sign_hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The time, in seconds since the Unix epoch.
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

//! An issuer's keys, in memory. They are fetched when they are needed first, when they are old, and when a token names a
//! key that is not among them, but never oftener than once in a while: tokens with invented names cost the issuer nothing.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::super::Refusal;
use super::fetch;

use crate::telemetry::event;

/// How long after a fetch the next may come that an unknown key asks for.
const PAUSE: Duration = Duration::from_secs(30);

/// How long after a fetch that failed the next may come while no keys are known.
const PAUSE_WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// After how long keys are fetched again in any case.
const FRESH: Duration = Duration::from_secs(3600);

/// After how long keys do not count any more, if they cannot be fetched again.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// How many keys are read.
const MOST: usize = 100;

/// The least length of an RSA modulus, in bytes (RFC 7518, section 3.3).
const LEAST_MODULUS: usize = 256;

/// An issuer's keys.
#[derive(Debug)]
pub(super) struct Keys {
    issuer: String,
    algorithms: Vec<Algorithm>,
    known: RwLock<Arc<Known>>,
    fetching: tokio::sync::Mutex<()>,
}

/// What is known of the keys.
#[derive(Debug, Default)]
struct Known {
    keys: Vec<Key>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl Known {
    fn counts(&self) -> bool {
        self.fetched.is_some_and(|fetched| fetched.elapsed() < STALE)
    }

    /// Whether the issuer may be asked now.
    fn may_fetch(&self) -> bool {
        let pause = if self.counts() { PAUSE } else { PAUSE_WITHOUT_KEYS };
        self.tried.is_none_or(|tried| tried.elapsed() >= pause)
    }

    fn is_old(&self) -> bool {
        self.fetched.is_none_or(|fetched| fetched.elapsed() >= FRESH)
    }

    /// The key of this name; without a name, the only one for the algorithm.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let fits = |key: &&Key| (id.is_none() || key.id.as_deref() == id) && key.algorithms.contains(&algorithm);
        let mut fitting = self.keys.iter().filter(fits);
        let key = fitting.next()?;
        fitting.next().is_none().then(|| key.key.clone())
    }
}

impl Keys {
    /// The keys of an issuer, of which none is known yet. Only these algorithms count.
    pub(super) fn new(issuer: &str, algorithms: Vec<Algorithm>) -> Self {
        Self {
            issuer: issuer.to_owned(),
            algorithms,
            known: RwLock::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The key that a token names, for its algorithm.
    ///
    /// # Errors
    /// `Invalid` if there is no such key, `Unavailable` if no keys are known.
    pub(super) async fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, Refusal> {
        let known = self.known();
        let found = known.find(id, algorithm).filter(|_| known.counts());
        if let Some(key) = &found
            && !(known.is_old() && known.may_fetch())
        {
            return Ok(key.clone());
        }
        match (self.fetching.try_lock(), found) {
            // Somebody else fetches; what is known is good enough meanwhile.
            (Err(_), Some(key)) => return Ok(key),
            (Err(_), None) => drop(self.fetching.lock().await),
            (Ok(_turn), _) => self.fetch().await,
        }
        let known = self.known();
        if !known.counts() {
            return Err(Refusal::Unavailable);
        }
        known.find(id, algorithm).ok_or(Refusal::Invalid)
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks the issuer, if it may be asked now. Only one call at a time is here.
    async fn fetch(&self) {
        let before = self.known();
        if !before.may_fetch() {
            return;
        }
        let tried = Some(Instant::now());
        // Noted before, so that a call that is given up counts as well.
        self.set(Known { keys: before.keys.clone(), fetched: before.fetched, tried });
        match self.published().await {
            Ok(keys) => {
                tracing::info!(
                    event = event::ISSUER_KEYS_FETCHED,
                    issuer = self.issuer,
                    keys = keys.len(),
                    "the keys of an issuer were fetched"
                );
                self.set(Known { keys, fetched: tried, tried });
            }
            Err(error) => {
                tracing::warn!(
                    event = event::ISSUER_KEYS_UNFETCHED, issuer = self.issuer, %error,
                    "the keys of an issuer cannot be fetched"
                );
            }
        }
    }

    fn set(&self, known: Known) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    /// The keys that the issuer publishes and that may check its tokens (OpenID Connect Discovery 1.0, section 4).
    async fn published(&self) -> Result<Vec<Key>, String> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        #[derive(Deserialize)]
        struct KeySet {
            keys: Vec<Value>,
        }
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let discovery: Discovery = fetch::json(&url).await.map_err(|error| error.to_string())?;
        // Section 4.3: whoever answers for another is not to be believed.
        if discovery.issuer != self.issuer {
            return Err(format!("{url} is of the issuer \"{}\"", discovery.issuer.escape_debug()));
        }
        let set: KeySet = fetch::json(&discovery.jwks_uri).await.map_err(|error| error.to_string())?;
        let keys = set.keys.into_iter().take(MOST).filter_map(|key| usable(key, &self.algorithms));
        Ok(keys.collect())
    }
}

/// A published key, if it is a public one that checks signatures by an algorithm that is allowed.
fn usable(key: Value, allowed: &[Algorithm]) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let checks = jwk.common.key_operations.as_ref().is_none_or(|list| list.contains(&KeyOperations::Verify));
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) || !checks {
        return None;
    }
    use Algorithm as A;
    let possible: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(key) if URL_SAFE_NO_PAD.decode(&key.n).is_ok_and(|n| n.len() >= LEAST_MODULUS) => {
            &[A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512]
        }
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[A::ES256],
            EllipticCurve::P384 => &[A::ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[A::EdDSA],
        // A secret that is published, and whatever is not known.
        _ => &[],
    };
    let declared = jwk.common.key_algorithm.map(|algorithm| algorithm.to_string());
    let fits = |algorithm: &&Algorithm| {
        allowed.contains(algorithm) && declared.as_deref().is_none_or(|declared| declared == format!("{algorithm:?}"))
    };
    let algorithms: Vec<Algorithm> = possible.iter().filter(fits).copied().collect();
    if algorithms.is_empty() {
        return None;
    }
    Some(Key { id: jwk.common.key_id.clone(), algorithms, key: DecodingKey::from_jwk(&jwk).ok()? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_public_keys_for_signatures_by_an_allowed_algorithm_are_used() {
        let modulus = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        let rsa = |change: &dyn Fn(&mut Value)| {
            let mut key = json!({"kty": "RSA", "kid": "a", "n": modulus(256), "e": "AQAB"});
            change(&mut key);
            usable(key, &[Algorithm::RS256, Algorithm::ES256])
        };
        assert_eq!(rsa(&|_| {}).unwrap().algorithms, [Algorithm::RS256]);
        assert!(rsa(&|key| key["use"] = json!("sig")).is_some());
        assert!(rsa(&|key| key["alg"] = json!("RS256")).is_some());
        assert!(rsa(&|key| key["use"] = json!("enc")).is_none());
        assert!(rsa(&|key| key["key_ops"] = json!(["encrypt"])).is_none());
        assert!(rsa(&|key| key["alg"] = json!("RS512")).is_none());
        assert!(rsa(&|key| key["alg"] = json!("RSA-OAEP")).is_none());
        assert!(rsa(&|key| key["n"] = json!(modulus(128))).is_none(), "1024 bits are too few");
        for alg in [json!("HS256"), Value::Null] {
            let secret = json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": alg});
            assert!(usable(secret, &[Algorithm::RS256, Algorithm::HS256]).is_none());
        }
        assert!(usable(json!("no key"), &[Algorithm::RS256]).is_none());
    }
}

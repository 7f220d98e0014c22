//! All keys that matter now: the one that signs, those that may have signed, and those that will. Made anew whenever the
//! store's keys change; reading it takes no lock.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use sabir_store::SigningKey;
use serde::Serialize;
use serde_json::json;

use super::{Private, SigningAlgorithm, SigningError, open, public};

use crate::telemetry::event;

/// A key that signs, with its name.
#[derive(Debug)]
pub(crate) struct Signer {
    id: String,
    algorithm: SigningAlgorithm,
    private: Private,
    /// When it was made, in microseconds since the Unix epoch.
    pub(crate) created_at_micros: i64,
    not_before_micros: i64,
}

impl Signer {
    /// The `kid` of what it signs.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// A signed token of this type with these claims, in compact form (RFC 7515, section 3.1).
    pub(crate) fn sign(&self, kind: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        let header = json!({"typ": kind, "alg": self.algorithm.name(), "kid": self.id});
        let claims = serde_json::to_vec(claims).map_err(|_| SigningError::Sign)?;
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.private.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

/// A key that checks signatures.
#[derive(Debug)]
struct Verifier {
    algorithm: SigningAlgorithm,
    key: DecodingKey,
    jwk: Jwk,
    retired_at_micros: Option<i64>,
}

/// The keys.
#[derive(Debug, Default)]
pub(crate) struct KeyRing {
    /// Those of the algorithm that is configured, latest first.
    signers: Vec<Signer>,
    verifiers: HashMap<String, Verifier>,
    /// The latest key of the algorithm that is configured.
    latest: Option<String>,
}

impl KeyRing {
    /// The ring of these keys, which come latest first. `algorithm` is the one that signs from now on.
    ///
    /// # Errors
    /// `Open` if a key that could sign is encrypted under another secret.
    pub(crate) fn new(secret: &[u8], algorithm: SigningAlgorithm, keys: Vec<SigningKey>) -> Result<Self, SigningError> {
        let mut ring = Self::default();
        for key in keys {
            let Some((its_algorithm, jwk, verifier)) = public(&key) else {
                tracing::warn!(
                    event = event::KEY_UNREADABLE,
                    kid = key.id,
                    "a signing key in the database cannot be read and is passed over"
                );
                continue;
            };
            if its_algorithm == algorithm {
                ring.latest.get_or_insert_with(|| key.id.clone());
                let private = Private::read(algorithm, &open(secret, &key.id, &key.sealed_private_key)?)?;
                ring.signers.push(Signer {
                    id: key.id.clone(),
                    algorithm,
                    private,
                    created_at_micros: key.created_at_micros,
                    not_before_micros: key.not_before_micros,
                });
            }
            let retired_at_micros = key.retired_at_micros;
            ring.verifiers.insert(key.id, Verifier { algorithm: its_algorithm, key: verifier, jwk, retired_at_micros });
        }
        Ok(ring)
    }

    /// The latest key of the algorithm that signs, whether it signs already or not.
    pub(crate) fn latest(&self) -> Option<&Signer> {
        self.signers.first()
    }

    /// The key that signs at this time: the latest whose time has come.
    pub(crate) fn signer(&self, now_micros: i64) -> Option<&Signer> {
        self.signers.iter().find(|signer| signer.not_before_micros <= now_micros)
    }

    /// The key that checks what the key of this name signed, and the one algorithm it did so by; `None` if there is no
    /// such key, or if its time is over.
    pub(crate) fn verifier(&self, id: &str, now_micros: i64) -> Option<(jsonwebtoken::Algorithm, &DecodingKey)> {
        let verifier = self.verifiers.get(id)?;
        let retired = verifier.retired_at_micros.is_some_and(|retired| retired <= now_micros);
        (!retired).then_some((verifier.algorithm.verifies(), &verifier.key))
    }

    /// The public parts of all keys that matter now, for publishing.
    pub(crate) fn published(&self, now_micros: i64) -> Vec<&Jwk> {
        let live = |verifier: &&Verifier| verifier.retired_at_micros.is_none_or(|retired| retired > now_micros);
        let mut keys: Vec<&Jwk> = self.verifiers.values().filter(live).map(|verifier| &verifier.jwk).collect();
        keys.sort_by(|one, other| other.common.key_id.cmp(&one.common.key_id));
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::super::generate;
    use super::*;

    #[test]
    fn what_a_key_signs_its_public_part_verifies_until_it_retires() {
        for algorithm in SigningAlgorithm::ALL {
            let mut old = generate(b"secret", algorithm).unwrap();
            old.retired_at_micros = Some(100);
            let mut new = generate(b"secret", algorithm).unwrap();
            new.not_before_micros = 50;
            let ids = [new.id.clone(), old.id.clone()];
            let ring = KeyRing::new(b"secret", algorithm, vec![new.clone(), old.clone()]).unwrap();
            assert_eq!(ring.signer(49).unwrap().id(), ids[1], "a key is published before it signs");
            assert_eq!(ring.signer(50).unwrap().id(), ids[0]);
            assert_eq!(ring.latest().unwrap().id(), ids[0]);

            let token = ring.signer(49).unwrap().sign("at+jwt", &json!({"sub": "x"})).unwrap();
            let (pinned, key) = ring.verifier(&ids[1], 99).unwrap();
            let mut validation = jsonwebtoken::Validation::new(pinned);
            validation.required_spec_claims.clear();
            validation.validate_exp = false;
            let decoded = jsonwebtoken::decode::<serde_json::Value>(&token, key, &validation).unwrap();
            assert_eq!((decoded.claims["sub"].as_str(), decoded.header.kid.as_deref()), (Some("x"), Some(&*ids[1])));
            let (_, other) = ring.verifier(&ids[0], 99).unwrap();
            assert!(jsonwebtoken::decode::<serde_json::Value>(&token, other, &validation).is_err());

            assert!(ring.verifier(&ids[1], 100).is_none());
            assert_eq!((ring.published(99).len(), ring.published(100).len()), (2, 1));
            assert!(KeyRing::new(b"another", algorithm, vec![new, old]).is_err());
        }
    }
}

//! The keys that sign our tokens: made here, kept encrypted, published as JSON Web Keys.
//!
//! It must not know what is in a token, nor when keys are replaced.

mod ring;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey};
use sabir_store::SigningKey;
use serde_json::json;
use uuid::Uuid;

use super::derive::{Purpose, derive};

pub(crate) use ring::KeyRing;

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SigningAlgorithm {
    /// Ed25519 (RFC 8037): small keys, fast.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256 and 2048 bits (RFC 7518, section 3.3), which every verifier knows.
    Rs256,
}

impl SigningAlgorithm {
    /// Every algorithm.
    pub(crate) const ALL: [Self; 2] = [Self::EdDsa, Self::Rs256];

    /// The name in a token's `alg`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    fn verifies(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDSA,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

/// Why a signing key cannot be made, kept or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SigningError {
    /// The library refuses.
    #[error("no signing key could be made")]
    Make,
    /// It is encrypted under another secret, or damaged.
    #[error("a signing key cannot be decrypted: it was encrypted under another `auth.secret`, or is damaged")]
    Open,
    /// It does not sign.
    #[error("the signing key could not be used")]
    Sign,
}

/// A key that signs.
#[derive(Debug)]
enum Private {
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
}

impl Private {
    fn read(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, SigningError> {
        match algorithm {
            SigningAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Self::EdDsa),
            SigningAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8).map(|pair| Self::Rs256(Box::new(pair))),
        }
        .map_err(|_| SigningError::Open)
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match self {
            Self::EdDsa(pair) => Ok(pair.try_sign(message).map_err(|_| SigningError::Sign)?.as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SigningError::Sign)?;
                Ok(signature)
            }
        }
    }
}

/// A new key, encrypted under a key that is derived from `secret`. It says nothing of when it signs.
pub(crate) fn generate(secret: &[u8], algorithm: SigningAlgorithm) -> Result<SigningKey, SigningError> {
    let id = Uuid::now_v7().simple().to_string();
    let (pkcs8, public_key) = match algorithm {
        SigningAlgorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().map_err(|_| SigningError::Make)?;
            let pkcs8 = pair.to_pkcs8v1().map_err(|_| SigningError::Make)?;
            let x = URL_SAFE_NO_PAD.encode(pair.public_key());
            (
                pkcs8.as_ref().to_vec(),
                json!({"kty": "OKP", "use": "sig", "alg": "EdDSA", "kid": id, "crv": "Ed25519", "x": x}),
            )
        }
        SigningAlgorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningError::Make)?;
            let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| SigningError::Make)?;
            let part = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
            let public = pair.public_key();
            let (n, e) = (
                part(public.modulus().big_endian_without_leading_zero()),
                part(public.exponent().big_endian_without_leading_zero()),
            );
            (pkcs8.as_ref().to_vec(), json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": n, "e": e}))
        }
    };
    Ok(SigningKey {
        sealed_private_key: seal(secret, &id, pkcs8)?,
        id,
        algorithm: algorithm.name().to_owned(),
        public_key: public_key.to_string(),
        created_at_micros: 0,
        not_before_micros: 0,
        retired_at_micros: None,
    })
}

fn cipher(secret: &[u8]) -> Option<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, &derive(secret, Purpose::SigningKeys)?).ok()
}

/// The nonce, and the text with its tag. It is bound to the key's id: one key's private part cannot stand in for
/// another's.
fn seal(secret: &[u8], id: &str, mut text: Vec<u8>) -> Result<Vec<u8>, SigningError> {
    let cipher = cipher(secret).ok_or(SigningError::Make)?;
    let nonce = cipher.seal_in_place_append_tag(Aad::from(id.as_bytes()), &mut text).map_err(|_| SigningError::Make)?;
    Ok([nonce.as_ref().as_slice(), &text].concat())
}

fn open(secret: &[u8], id: &str, sealed: &[u8]) -> Result<Vec<u8>, SigningError> {
    let cipher = cipher(secret).ok_or(SigningError::Open)?;
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or(SigningError::Open)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SigningError::Open)?;
    let mut text = text.to_vec();
    let opened = cipher.open_in_place(nonce, Aad::from(id.as_bytes()), &mut text).map_err(|_| SigningError::Open)?;
    Ok(opened.to_vec())
}

/// The public part of a kept key, for publishing and for checking signatures.
fn public(key: &SigningKey) -> Option<(SigningAlgorithm, Jwk, DecodingKey)> {
    let algorithm = SigningAlgorithm::ALL.into_iter().find(|algorithm| algorithm.name() == key.algorithm)?;
    let jwk: Jwk = serde_json::from_str(&key.public_key).ok()?;
    let verifier = DecodingKey::from_jwk(&jwk).ok()?;
    Some((algorithm, jwk, verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_under_its_secret_and_id_alone() {
        let sealed = seal(b"secret", "one", b"private".to_vec()).unwrap();
        assert!(!sealed.windows(7).any(|part| part == b"private"));
        assert_eq!(open(b"secret", "one", &sealed).unwrap(), b"private");
        assert_eq!(open(b"other", "one", &sealed), Err(SigningError::Open));
        assert_eq!(open(b"secret", "two", &sealed), Err(SigningError::Open));
        for length in 0..sealed.len() {
            assert_eq!(open(b"secret", "one", &sealed[..length]), Err(SigningError::Open));
        }
        assert_ne!(sealed, seal(b"secret", "one", b"private".to_vec()).unwrap(), "no nonce is used twice");
    }
}

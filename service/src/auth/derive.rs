//! Keys of one purpose each, derived from the one secret that the operator or the database keeps, so that what is known
//! of one tells nothing of another (HKDF, RFC 5869). It must not know what the keys are used for.

use aws_lc_rs::{hkdf, hmac};

/// What derived keys are for. The texts must never change: what was made with the keys would be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Encrypts the private parts of signing keys.
    SigningKeys,
    /// Hashes refresh tokens.
    RefreshTokens,
    /// Hashes the secrets of clients.
    ClientSecrets,
}

impl Purpose {
    fn info(self) -> &'static [u8] {
        match self {
            Self::SigningKeys => b"sabir signing keys",
            Self::RefreshTokens => b"sabir refresh tokens",
            Self::ClientSecrets => b"sabir client secrets",
        }
    }
}

/// The key for a purpose: 32 bytes; `None` if the library cannot, which for this length it always can.
pub(crate) fn derive(secret: &[u8], purpose: Purpose) -> Option<[u8; 32]> {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"sabir auth").extract(secret);
    let mut key = [0; 32];
    extracted.expand(&[purpose.info()], hkdf::HKDF_SHA256).ok()?.fill(&mut key).ok()?;
    Some(key)
}

/// A keyed hash of secrets that are random, and so need no slow one.
#[derive(Debug, Clone)]
pub(crate) struct KeyedHash(hmac::Key);

impl KeyedHash {
    /// The hash for a purpose.
    pub(crate) fn new(secret: &[u8], purpose: Purpose) -> Option<Self> {
        derive(secret, purpose).map(|key| Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// HMAC-SHA-256 of the text.
    pub(crate) fn of(&self, text: &str) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.0, text.as_bytes()).as_ref());
        hash
    }

    /// Whether this is the hash of the text, in a time that does not depend on how much of it is.
    pub(crate) fn fits(&self, text: &str, hash: &[u8; 32]) -> bool {
        hmac::verify(&self.0, text.as_bytes(), hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_and_each_secret_has_a_key_of_its_own() {
        let key = |secret: &str, purpose| derive(secret.as_bytes(), purpose).unwrap();
        let keys = [
            key("one", Purpose::SigningKeys),
            key("one", Purpose::RefreshTokens),
            key("one", Purpose::ClientSecrets),
            key("two", Purpose::SigningKeys),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(!keys[index + 1..].contains(one));
        }
        assert_eq!(keys[0], key("one", Purpose::SigningKeys));
    }

    #[test]
    fn a_hash_fits_its_text_alone() {
        let hash = KeyedHash::new(b"secret", Purpose::ClientSecrets).unwrap();
        let other = KeyedHash::new(b"secret", Purpose::RefreshTokens).unwrap();
        let of_text = hash.of("text");
        assert!(hash.fits("text", &of_text));
        assert!(!hash.fits("texts", &of_text) && !other.fits("text", &of_text));
    }
}

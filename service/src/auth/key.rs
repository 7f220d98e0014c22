//! API keys as texts: how they are made, told from mistyped ones, and hashed.
//!
//! A key is `sk-sabir-`, 43 random letters and digits (256 bits), and 6 more that are a keyed checksum of those. The
//! checksum needs the same secret as the hash, so that a text that this server has not given out is refused without a
//! question to the database, however many of them come. It must not know who has which key.

use aws_lc_rs::{constant_time, hmac, rand};
use sabir_providers::Secret;

/// What every key begins with; what begins with it is meant to be one.
pub(crate) const PREFIX: &str = "sk-sabir-";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// log2(62) * 43 is just over 256.
const RANDOM: usize = 43;
const CHECK: usize = 6;
const LENGTH: usize = PREFIX.len() + RANDOM + CHECK;

/// How much of a key is kept for people to tell it from others.
const SHOWN: usize = PREFIX.len() + 4;

/// Makes keys and hashes them.
pub(crate) struct KeyMint {
    secret: hmac::Key,
}

/// A key that has just been made.
#[derive(Debug)]
pub(crate) struct NewKey {
    /// The key itself, to be shown once.
    pub(crate) secret: Secret,
    /// Its beginning, to be kept for people.
    pub(crate) prefix: String,
    /// Its hash, to be kept.
    pub(crate) hash: [u8; 32],
}

/// The system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub(crate) struct NoRandomness;

impl KeyMint {
    /// A mint whose keys and hashes depend on this secret.
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// Makes a key.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(crate) fn make(&self) -> Result<NewKey, NoRandomness> {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(PREFIX);
        while text.len() < PREFIX.len() + RANDOM {
            let mut bytes = [0; 64];
            rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
            // The bytes beyond the last multiple of 62 would favour the first letters.
            let fair = bytes.into_iter().filter(|byte| *byte < 248).map(digit);
            text.extend(fair.take(PREFIX.len() + RANDOM - text.len()));
        }
        let check = self.check(&text);
        text.extend(check.map(char::from));
        let (prefix, hash) = (text[..SHOWN].to_owned(), self.hash(&text));
        Ok(NewKey { secret: Secret::new(text), prefix, hash })
    }

    /// HMAC-SHA-256 of a key.
    pub(crate) fn hash(&self, key: &str) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.secret, key.as_bytes()).as_ref());
        hash
    }

    /// Whether this mint, or one with the same secret, has made this key; for texts that [`is_formed`].
    pub(crate) fn has_made(&self, key: &str) -> bool {
        let Some((random, check)) = key.split_at_checked(LENGTH - CHECK) else { return false };
        constant_time::verify_slices_are_equal(&self.check(random), check.as_bytes()).is_ok()
    }

    /// The checksum of what stands before it.
    fn check(&self, random: &str) -> [u8; CHECK] {
        // A whole key is never as short as what is signed here, so that a checksum tells nothing of a hash.
        let tag = hmac::sign(&self.secret, random.as_bytes());
        let mut check = [0; CHECK];
        for (letter, byte) in check.iter_mut().zip(tag.as_ref().chunks(4)) {
            let number = byte.iter().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
            *letter = ALPHABET[(number % 62) as usize];
        }
        check
    }
}

impl std::fmt::Debug for KeyMint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyMint(..)")
    }
}

/// Whether a text has the form of a key: its length, its beginning, its letters.
pub(crate) fn is_formed(text: &str) -> bool {
    text.len() == LENGTH
        && text.strip_prefix(PREFIX).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn digit(byte: u8) -> char {
    char::from(ALPHABET[usize::from(byte % 62)])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_differ_and_are_known_by_their_mint_alone() {
        let (mint, other) = (KeyMint::new(&[1; 32]), KeyMint::new(&[2; 32]));
        let keys: Vec<NewKey> = (0..1_000).map(|_| mint.make().unwrap()).collect();
        let texts: HashSet<&str> = keys.iter().map(|key| key.secret.expose()).collect();
        assert_eq!(texts.len(), keys.len());
        for key in &keys {
            let text = key.secret.expose();
            assert!(is_formed(text) && mint.has_made(text) && !other.has_made(text));
            assert_eq!(mint.hash(text), key.hash);
            assert_ne!(other.hash(text), key.hash);
            assert!(text.starts_with(&key.prefix) && key.prefix.len() == SHOWN);
            assert!(!format!("{key:?}{mint:?}").contains(text));
        }
    }

    #[test]
    fn every_letter_is_used() {
        let mint = KeyMint::new(&[1; 32]);
        let keys: Vec<String> = (0..200).map(|_| mint.make().unwrap().secret.expose()[9..].to_owned()).collect();
        assert!(ALPHABET.iter().all(|letter| keys.iter().any(|key| key.as_bytes().contains(letter))));
    }

    #[test]
    fn a_mistyped_key_is_none() {
        let mint = KeyMint::new(&[1; 32]);
        let key = mint.make().unwrap();
        let key = key.secret.expose();
        for at in PREFIX.len()..LENGTH {
            let mut wrong = key.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert!(is_formed(&wrong) && !mint.has_made(&wrong), "{at}");
        }
        let longer = format!("{key}0");
        let texts = ["", "sk-sabir-", &key[..LENGTH - 1], &longer, &key.to_uppercase(), &key.replace("sabir", "rabis")];
        assert!(texts.iter().all(|text| !is_formed(text)));
        for letter in ["\0", "é", "'", " ", "-"] {
            let wrong: String = format!("{}{letter}{}", &key[..20], &key[20 + letter.len()..]);
            assert!(wrong.len() == LENGTH && !is_formed(&wrong), "{letter:?}");
        }
    }
}

//! Secrets, and how a key is shown to an upstream.
//!
//! A secret cannot print or serialise itself. Who needs its text asks for it in so many words.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A text that must not be seen: a key, a token, a password.
///
/// It can be read from configuration, but neither printed nor serialised.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes the text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends or compares it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not `deserialize_string`: then the format itself might complain, and quote.
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// Reads a string. serde's own complaint about another type quotes the value, so each type that a configuration format
/// can hold in place of a string is refused by hand.
struct SecretVisitor;

impl SecretVisitor {
    fn refuse<E: de::Error>() -> Result<Secret, E> {
        Err(E::custom("a secret must be a string"))
    }
}

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Self::refuse()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        Self::refuse()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        Self::refuse()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Self::refuse()
    }
}

/// How a key is shown to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// `Authorization: Bearer <key>` (RFC 6750 section 2.1).
    Bearer,
    /// The key alone as the value of the header named, in lower case.
    Header(&'static str),
}

impl Authentication {
    /// The header that carries the key, marked as sensitive; `None` if the key has characters that no header can hold.
    pub(crate) fn header(self, key: &Secret) -> Option<(HeaderName, HeaderValue)> {
        let (name, value) = match self {
            Self::Bearer => (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {}", key.expose()))),
            Self::Header(name) => (HeaderName::from_static(name), HeaderValue::from_str(key.expose())),
        };
        let mut value = value.ok()?;
        value.set_sensitive(true);
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_in_its_debug_text() {
        let secret = Secret::new("sk-hidden");
        assert!(!format!("{secret:?} {:#?}", Some(&secret)).contains("hidden"));
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_refused_without_being_quoted() {
        assert_eq!(serde_json::from_str::<Secret>("\"sk-1\"").unwrap().expose(), "sk-1");
        for wrong in ["8675309", "-8675309", "8675309.5", "true", "[\"8675309\"]", "{\"8675309\":1}"] {
            let error = serde_json::from_str::<Secret>(wrong).unwrap_err().to_string();
            assert!(!error.contains("8675309") && !error.contains("true"), "{error}");
        }
    }

    #[test]
    fn the_key_header_is_marked_as_sensitive() {
        for style in [Authentication::Bearer, Authentication::Header("api-key")] {
            let (_, value) = style.header(&Secret::new("sk-1")).unwrap();
            assert!(value.is_sensitive());
            assert!(!format!("{value:?}").contains("sk-1"));
        }
        assert!(Authentication::Bearer.header(&Secret::new("line\nbreak")).is_none());
    }
}

//! Where a credential stands in the headers of a request, and what kind it is.
//!
//! `authorization: Bearer` comes first; `x-api-key` and `api-key` are what SDKs of Anthropic's and of Azure's APIs send.
//! Never in a URL: those end up in logs. Browsers, which cannot set headers for a WebSocket, give it as a subprotocol,
//! which the edge has made an `authorization` of by now.

use http::Extensions;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::{Refusal, key};
use crate::server::Peer;

/// Other headers that hold a bare credential.
const BARE: [HeaderName; 2] = [HeaderName::from_static("x-api-key"), HeaderName::from_static("api-key")];

/// The longest credential that is looked at, in bytes. Tokens of some issuers list groups and have several kilobytes.
const LONGEST: usize = 16 << 10;

/// What a caller shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential<'h> {
    /// What begins as an API key of ours.
    Key(&'h str),
    /// What has the three parts of a JWT (RFC 7519, section 3).
    Token(&'h str),
    /// The names in the certificate of the connection, where nothing else is shown.
    Certificate(&'h [String]),
    /// Anything else.
    Other,
}

impl<'h> Credential<'h> {
    /// The credential in the headers; `None` if there is none.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if it cannot be read, or if it is not clear which one is meant.
    pub(crate) fn of(headers: &'h HeaderMap) -> Result<Option<Self>, Refusal> {
        if let Some(value) = single(headers, &AUTHORIZATION)?
            && let Some(text) = parameter(value, "bearer")
        {
            return Self::read(text).map(Some);
        }
        for name in &BARE {
            if let Some(value) = single(headers, name)? {
                return Self::read(value.as_bytes()).map(Some);
            }
        }
        Ok(None)
    }

    /// The credential of a call: in its headers, or else the certificate of its connection.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(super) fn shown(headers: &'h HeaderMap, extensions: &'h Extensions) -> Result<Option<Self>, Refusal> {
        let names = || extensions.get::<Peer>().and_then(|peer| peer.names.as_deref());
        Ok(Self::of(headers)?.or_else(|| names().map(Self::Certificate)))
    }

    fn read(text: &'h [u8]) -> Result<Self, Refusal> {
        let text = Some(text).filter(|text| text.len() <= LONGEST && text.iter().all(u8::is_ascii_graphic));
        let text = text.and_then(|text| std::str::from_utf8(text).ok()).ok_or(Refusal::Invalid)?;
        Ok(Self::classify(text))
    }

    /// What kind this is.
    pub(crate) fn classify(text: &'h str) -> Self {
        if text.starts_with(key::PREFIX) {
            Self::Key(text)
        } else if text.bytes().filter(|byte| *byte == b'.').count() == 2 {
            Self::Token(text)
        } else {
            Self::Other
        }
    }
}

/// The one value of a header. Two could be read differently here and in front of us.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Refusal::Invalid),
    }
}

/// What follows the scheme in an `authorization` (RFC 9110, section 11.4), where the scheme is this one.
pub(super) fn parameter<'h>(value: &'h HeaderValue, scheme: &str) -> Option<&'h [u8]> {
    let (name, rest) = value.as_bytes().split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ").filter(|_| name.eq_ignore_ascii_case(scheme.as_bytes()))?;
    Some(rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &[u8])]) -> Result<Option<String>, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        Credential::of(&headers).map(|found| found.map(|found| format!("{found:?}")))
    }

    #[test]
    fn a_credential_is_found_wherever_clients_put_it() {
        let key = || Ok(Some("Key(\"sk-sabir-a\")".to_owned()));
        assert_eq!(read(&[("authorization", b"Bearer sk-sabir-a")]), key());
        assert_eq!(read(&[("authorization", b"bearer   sk-sabir-a ")]), key());
        assert_eq!(read(&[("x-api-key", b"sk-sabir-a")]), key());
        assert_eq!(read(&[("api-key", b"sk-sabir-a")]), key());
        assert_eq!(read(&[("api-key", b"other"), ("authorization", b"Bearer sk-sabir-a")]), key());
        // A proxy in front may have a password of its own.
        assert_eq!(read(&[("authorization", b"Basic eDp5"), ("x-api-key", b"sk-sabir-a")]), key());
        assert_eq!(read(&[("authorization", b"Bearer a.b.c")]), Ok(Some("Token(\"a.b.c\")".to_owned())));
        for other in [&b"Bearer a.b"[..], b"Bearer sk-other", b"Bearer a.b.c.d", b"Bearer "] {
            assert_eq!(read(&[("authorization", other)]), Ok(Some("Other".to_owned())));
        }
        for none in [&b"Basic eDp5"[..], b"Bearer", b"Bearersk-sabir-a", b""] {
            assert_eq!(read(&[("authorization", none)]), Ok(None));
        }
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        let long = [b"Bearer ".as_slice(), &vec![b'a'; LONGEST + 1]].concat();
        for value in [&b"Bearer sk-sabir-\xc3\xa9"[..], b"Bearer sk-sabir-a b", b"Bearer sk-sabir-\xff", &long] {
            assert_eq!(read(&[("authorization", value)]), Err(Refusal::Invalid));
        }
        let two = [("authorization", &b"Bearer a"[..]), ("authorization", b"Bearer b")];
        assert_eq!(read(&two), Err(Refusal::Invalid));
    }
}

//! What each page may do in a browser: its Content-Security-Policy (<https://www.w3.org/TR/CSP3/>). Scripts and styles come
//! from this server alone, nothing is inline, and nobody may frame a page, so that no click on *Execute* can be stolen.

use http::HeaderValue;

use super::PagesError;

/// The policy of each kind of resource.
#[derive(Debug)]
pub(super) struct Policies {
    /// What is no page: it may do nothing should it be opened as one.
    pub(super) none: HeaderValue,
    /// The list of what there is: a style sheet and an icon.
    pub(super) home: HeaderValue,
    /// Swagger UI. Its icons are `data:` URLs in its style sheet, and it shows images that the API answers with.
    pub(super) docs: HeaderValue,
    /// Redoc. It makes two `<style>`s: an empty one, which it fills by script, and that of its scroll bars.
    /// They are allowed by the SHA-256 of what is in them. Its search runs in a worker made from text of its own.
    pub(super) redoc: HeaderValue,
}

impl Policies {
    /// Swagger UI may call these origins beside its own.
    pub(super) fn new(connect: &[String]) -> Result<Self, PagesError> {
        if let Some(wrong) = connect.iter().find(|origin| !is_origin(origin)) {
            return Err(PagesError::Origin(wrong.clone()));
        }
        let others: String = connect.iter().map(|origin| format!(" {origin}")).collect();
        let docs = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; \
             connect-src 'self'{others}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Ok(Self {
            none: HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
            home: HeaderValue::from_static(
                "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'",
            ),
            docs: HeaderValue::from_str(&docs).map_err(|_| PagesError::Origin(others))?,
            redoc: HeaderValue::from_static(
                "default-src 'none'; script-src 'self'; \
                 style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' \
                 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; img-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
        })
    }
}

/// Scheme, host and perhaps port, without anything that ends a source in a policy.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':' | b'[' | b']');
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain))
}

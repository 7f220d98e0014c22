//! HTTP headers as gRPC metadata, and back: what belongs to one connection or one encoding stays behind.

use std::fmt;
use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tonic::Status;

/// Decides which headers cross the edge. The default lets all of them through that are not about the connection, the body's
/// encoding, or gRPC itself; a filter of one's own narrows that down.
#[derive(Clone)]
pub struct HeaderFilter(Arc<dyn Fn(&HeaderName) -> bool + Send + Sync>);

impl HeaderFilter {
    /// Lets those headers through for which `wanted` is true.
    pub fn new(wanted: impl Fn(&HeaderName) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(wanted))
    }

    /// Whether this header crosses.
    pub(crate) fn wants(&self, name: &HeaderName) -> bool {
        (self.0)(name)
    }
}

impl fmt::Debug for HeaderFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("HeaderFilter")
    }
}

/// Headers that say something about the connection or about the HTTP body, which gRPC says in its own way.
fn belongs_to_http(name: &HeaderName) -> bool {
    const STANDARD: [HeaderName; 14] = [
        header::ACCEPT,
        header::ACCEPT_CHARSET,
        header::ACCEPT_ENCODING,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::PROXY_AUTHORIZATION,
    ];
    let text = name.as_str();
    // `grpc-timeout` has been read by now and holds for the call; the rest would contradict what gRPC says.
    STANDARD.contains(name)
        || matches!(text, "keep-alive" | "proxy-connection" | "http2-settings")
        || (text.starts_with("grpc-") && text != "grpc-timeout")
        || text.starts_with("sec-websocket-")
}

/// Turns the headers of an HTTP request into the metadata of a gRPC request.
///
/// # Errors
/// INVALID_ARGUMENT where a header named `*-bin` is not base64, as
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md> wants it.
pub(crate) fn of_request(headers: &mut HeaderMap, filter: Option<&HeaderFilter>) -> Result<(), Status> {
    let unwanted: Vec<HeaderName> = headers
        .keys()
        .filter(|name| belongs_to_http(name) || filter.is_some_and(|filter| !filter.wants(name)))
        .cloned()
        .collect();
    for name in unwanted {
        headers.remove(name);
    }
    for (name, value) in headers.iter().filter(|(name, _)| name.as_str().ends_with("-bin")) {
        if !is_base64(value.as_bytes()) {
            return Err(Status::invalid_argument(format!("the header {name} must be base64")));
        }
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    Ok(())
}

/// Standard base64, padded or not; several values may be joined by commas.
fn is_base64(value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').all(|value| {
        let value = value.trim_ascii();
        let digits = value.strip_suffix(b"==").or_else(|| value.strip_suffix(b"=")).unwrap_or(value);
        digits.len() % 4 != 1 && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&'static str, &'static str)], filter: Option<&HeaderFilter>) -> Result<Vec<String>, Status> {
        let mut headers: HeaderMap = pairs
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        of_request(&mut headers, filter)?;
        let mut names: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        Ok(names)
    }

    #[test]
    fn what_belongs_to_the_connection_stays_behind() {
        let pairs = [
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
            ("connection", "upgrade"),
            ("grpc-status", "0"),
            ("grpc-timeout", "1S"),
            ("last-event-id", "7"),
            ("sec-websocket-key", "x"),
            ("x-own", "1"),
        ];
        let kept = ["authorization", "content-type", "grpc-timeout", "last-event-id", "te", "x-own"];
        assert_eq!(metadata(&pairs, None).unwrap(), kept);
        let filter = HeaderFilter::new(|name| name.as_str().starts_with("x-"));
        assert_eq!(metadata(&pairs, Some(&filter)).unwrap(), ["content-type", "te", "x-own"]);
    }

    #[test]
    fn binary_metadata_must_be_base64() {
        for (value, good) in
            [("AAE=", true), ("AAE", true), ("", true), ("AA==,AAE=", true), ("A", false), ("a b", false)]
        {
            assert_eq!(metadata(&[("x-data-bin", value)], None).is_ok(), good, "{value}");
        }
    }
}

//! Cross-origin requests from browsers, with the headers that gRPC-Web needs to see.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use http::{Method, request};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

/// Which web pages may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// Pages served from this machine: `http://localhost:3000` and its like, any port.
    #[default]
    Loopback,
    /// Pages from anywhere. Right only where every call is authenticated by something a page cannot send on its own.
    Any,
    /// Exactly these origins, such as `https://app.example.com`.
    List(Vec<HeaderValue>),
}

/// A layer that answers preflight requests and marks answers for `origins`.
///
/// gRPC-Web reads its status from headers when there is no body, so that those must be exposed.
pub fn layer(origins: Origins) -> CorsLayer {
    let origin = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::List(list) => AllowOrigin::list(list),
        Origins::Loopback => AllowOrigin::predicate(|origin: &HeaderValue, _: &request::Parts| is_loopback(origin)),
    };
    let exposed = ["grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding", "retry-after"];
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(exposed.map(HeaderName::from_static)))
        .max_age(Duration::from_secs(2 * 60 * 60))
}

/// Whether an origin is `http(s)://` and a loopback host, with or without a port.
fn is_loopback(origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let Some(host) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else { return false };
    let host = match host.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_are_loopback() {
        for origin in ["http://localhost", "http://localhost:3000", "https://127.0.0.1:8443", "http://[::1]:80"] {
            assert!(is_loopback(&HeaderValue::from_static(origin)), "{origin}");
        }
        for origin in
            ["http://localhost.evil.com", "http://evil.com:127.0.0.1", "null", "file://localhost", "http://localhost:x"]
        {
            assert!(!is_loopback(&HeaderValue::from_static(origin)), "{origin}");
        }
    }
}

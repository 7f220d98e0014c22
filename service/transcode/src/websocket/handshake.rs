//! The opening handshake: RFC 6455, section 4.2, over HTTP/1.1; RFC 8441 over HTTP/2.
//!
//! Looks at headers alone. Knows nothing of what the socket will carry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use sha1::{Digest as _, Sha1};
use tonic::Status;
use tonic::body::Body;

use crate::bind::Refusal;
use crate::cors::Origins;
use crate::options::ErrorShape;

/// The one subprotocol: JSON texts, as the module above describes them.
const SUBPROTOCOL: &str = "transcode.json";

/// What a subprotocol begins with that is none, but the credential of a page, which cannot set headers.
const CREDENTIAL: &str = "bearer.";

/// RFC 6455, section 1.3.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Whether a request asks for a socket.
pub(crate) fn is_wanted(request: &Request<Body>) -> bool {
    if request.method() == Method::CONNECT {
        return request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket");
    }
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && names(request.headers(), &header::CONNECTION, "upgrade")
        && names(request.headers(), &header::UPGRADE, "websocket")
}

/// The answer to a handshake that is in order.
pub(super) fn check(request: &Request<Body>, origins: &Origins) -> Result<Response<Body>, Refusal> {
    let headers = request.headers();
    let bad = |problem: &str| Refusal::new(Status::invalid_argument(problem), StatusCode::BAD_REQUEST);
    if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        let status = Status::invalid_argument("the version of WebSocket must be 13");
        return Err(
            Refusal::new(status, StatusCode::UPGRADE_REQUIRED).with_header(header::SEC_WEBSOCKET_VERSION, VERSION)
        );
    }
    if let Some(origin) = headers.get(header::ORIGIN)
        && !origins.allow(origin)
        && !is_own(origin, request)
    {
        let problem = "pages of this origin may not open sockets here";
        return Err(Refusal::new(Status::permission_denied(problem), StatusCode::FORBIDDEN));
    }
    if request.extensions().get::<OnUpgrade>().is_none() {
        let problem = "this server does not hand over its connections: serve them with upgrades";
        return Err(Refusal::new(Status::unimplemented(problem), StatusCode::NOT_IMPLEMENTED));
    }
    let mut response = Response::new(Body::empty());
    if request.method() == Method::GET {
        let key = headers.get(header::SEC_WEBSOCKET_KEY).map_or(&[][..], HeaderValue::as_bytes);
        if BASE64.decode(key).map_or(0, |key| key.len()) != 16 {
            return Err(bad("sec-websocket-key must be 16 bytes in base64"));
        }
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let accept = HeaderValue::from_str(&accept(key)).map_err(|_| bad("sec-websocket-key is not a header"))?;
        let answer = response.headers_mut();
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        answer.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    // Without a common subprotocol the header stays away, and who insists on another one closes the socket.
    if names(headers, &header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(response)
}

/// Puts a credential that came as a subprotocol where credentials are, unless there is one.
pub(super) fn move_credential(headers: &mut HeaderMap) {
    if headers.contains_key(header::AUTHORIZATION) {
        return;
    }
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let credential =
        offers.flat_map(|offers| offers.split(',')).find_map(|offer| offer.trim().strip_prefix(CREDENTIAL));
    let value = credential.and_then(|credential| HeaderValue::try_from(format!("Bearer {credential}")).ok());
    if let Some(mut value) = value {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
}

/// The answer to a handshake that is not.
pub(super) fn refused(refusal: Refusal, shape: ErrorShape) -> Response<Body> {
    let mut response = refusal.into_http(shape);
    if response.status() == StatusCode::UPGRADE_REQUIRED {
        // RFC 9110, section 15.5.22: such an answer says to what.
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    response
}

fn accept(key: &[u8]) -> String {
    BASE64.encode(Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize())
}

/// Whether a header that is a list names this word, in whatever case.
fn names(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
}

/// Whether the page was served by the host that the request is for. The scheme is not compared: behind a proxy that ends
/// TLS nobody here knows it.
fn is_own<B>(origin: &HeaderValue, request: &Request<B>) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let Some(host) = request.uri().authority().cloned().or(host) else { return false };
    let Some(origin) = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok()) else { return false };
    let authority = origin.authority().filter(|_| origin.scheme().is_some());
    authority.is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(host.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_answered_as_in_the_rfc() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_credential_among_the_subprotocols_is_one_in_the_header() {
        let moved = |given: &[(&'static str, &'static str)]| {
            let pairs = given.iter().map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            let mut headers: HeaderMap = pairs.collect();
            move_credential(&mut headers);
            headers.get("authorization").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(moved(&[("sec-websocket-protocol", "transcode.json, bearer.a.b-_c")]).unwrap(), "Bearer a.b-_c");
        assert_eq!(moved(&[("sec-websocket-protocol", "transcode.json")]), None);
        let both = [("sec-websocket-protocol", "bearer.a"), ("authorization", "Bearer b")];
        assert_eq!(moved(&both).unwrap(), "Bearer b");
    }

    #[test]
    fn a_page_of_another_host_or_port_is_not_our_own() {
        for (origin, host, own) in [
            ("http://a.example", "a.example", true),
            ("https://A.example", "a.EXAMPLE", true),
            ("http://a.example:8090", "a.example:8090", true),
            ("http://[::1]:8090", "[::1]:8090", true),
            ("http://a.example:8091", "a.example:8090", false),
            ("http://b.example", "a.example", false),
            ("http://a.example.evil", "a.example", false),
            ("null", "null", false),
            ("", "a.example", false),
        ] {
            let request = Request::get("/x").header("host", host).body(()).unwrap();
            assert_eq!(is_own(&HeaderValue::from_static(origin), &request), own, "{origin} at {host}");
        }
    }
}

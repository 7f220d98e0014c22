//! Who a request thinks it is talking to, where nobody has to say who they are.
//!
//! A page on the web can have its own name point to 127.0.0.1 and so make a browser send requests here that look like those of
//! our own pages (DNS rebinding). What it cannot do is send them under a name that is not its own. So a server that trusts
//! everybody on this machine answers to names that mean a machine nearby, and to addresses, and to no name of the public DNS.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Ends of names that no public DNS gives out: RFC 6761 (section 6.3), RFC 6762, and ICANN's resolution 2024.07.29.06.
const NEARBY: [&str; 3] = [".localhost", ".local", ".internal"];

/// What is said to those who use another name.
const REFUSED: &str = "this server asks nobody who they are, and therefore answers only to names of this machine: use \
                       localhost or an address, set auth.mode to required, or, if whoever reaches this port may use it \
                       under any name, server.allow_unauthenticated to true";

/// Refuses requests for hosts with public names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostsLayer;

impl<S> Layer<S> for HostsLayer {
    type Service = Hosts<S>;

    fn layer(&self, inner: S) -> Hosts<S> {
        Hosts { inner }
    }
}

/// A service that answers to names nearby.
#[derive(Clone, Debug)]
pub(crate) struct Hosts<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Hosts<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if is_nearby(&request) {
            return Either::Right(self.inner.call(request));
        }
        let media_type = request.headers().get(CONTENT_TYPE);
        let grpc = media_type.filter(|media_type| media_type.as_bytes().starts_with(b"application/grpc"));
        Either::Left(ready(Ok(grpc.map_or_else(refusal, grpc_refusal))))
    }
}

/// In the form of OpenAI's errors.
fn refusal() -> Response<Body> {
    let error = format!(
        r#"{{"error":{{"message":"{REFUSED}","type":"permission_error","param":null,"code":"host_not_allowed"}}}}"#
    );
    let mut response = Response::new(Body::new(Full::from(error)));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// For gRPC and gRPC-Web, in headers alone.
fn grpc_refusal(media_type: &HeaderValue) -> Response<Body> {
    let mut response = Status::permission_denied(REFUSED).into_http();
    response.headers_mut().insert(CONTENT_TYPE, media_type.clone());
    response
}

/// Whether the request is for an address or for a name that nobody on the web can have. A request that names no host does
/// not come from a browser.
fn is_nearby<B>(request: &Request<B>) -> bool {
    if let Some(authority) = request.uri().authority() {
        return is_nearby_name(authority.host());
    }
    match request.headers().get(HOST) {
        None => true,
        Some(host) => Authority::try_from(host.as_bytes()).is_ok_and(|authority| is_nearby_name(authority.host())),
    }
}

fn is_nearby_name(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // A name without a dot is one of the network's own.
    let ends = |end: &str| host.len() >= end.len() && host[host.len() - end.len()..].eq_ignore_ascii_case(end);
    !host.contains('.') || address.parse::<IpAddr>().is_ok() || (host.is_ascii() && NEARBY.into_iter().any(ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_public_dns_are_not_nearby() {
        for host in [
            "localhost",
            "127.0.0.1",
            "[::1]",
            "10.1.2.3",
            "sabir",
            "app.localhost",
            "host.docker.internal",
            "mac.LOCAL",
        ] {
            assert!(is_nearby_name(host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example.", "evilinternal.com"]
        {
            assert!(!is_nearby_name(host), "{host}");
        }
    }

    #[test]
    fn the_target_of_http_2_counts_as_the_header_does() {
        let asked = |uri: &str, host: Option<&'static str>| {
            let mut request = Request::get(uri).body(()).unwrap();
            request.headers_mut().extend(host.map(|host| (HOST, HeaderValue::from_static(host))));
            is_nearby(&request)
        };
        assert!(asked("/v1/models", None));
        assert!(asked("/v1/models", Some("localhost:8080")));
        assert!(!asked("/v1/models", Some("evil.example:8080")));
        assert!(!asked("/v1/models", Some("")));
        assert!(!asked("http://evil.example:8080/v1/models", Some("localhost")));
        assert!(asked("http://127.0.0.1:8080/v1/models", None));
    }
}

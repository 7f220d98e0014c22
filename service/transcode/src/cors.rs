//! Cross-origin calls from browsers, with the headers that gRPC-Web needs to see.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::Either;
use http::header::ORIGIN;
use http::{HeaderName, HeaderValue, Request, Response};
use tower_http::cors::{self, AllowHeaders, AllowMethods, AllowOrigin, ExposeHeaders};
use tower_layer::Layer;
use tower_service::Service;

/// What a page may always read of an answer: without the first three, gRPC-Web clients see no status.
const EXPOSED: [HeaderName; 4] = [
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
    HeaderName::from_static("retry-after"),
];

/// How long a browser may remember the answer to a preflight. Chromium caps it at two hours.
const REMEMBER: Duration = Duration::from_secs(3600);

/// Which web pages may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// Pages served from this machine: `http://localhost:3000`, `http://127.0.0.1:5173`, any port.
    #[default]
    Loopback,
    /// Any page. Right only where every call is authenticated by something that a page cannot send on its own.
    Any,
    /// Pages of exactly these origins, such as `https://app.example.com`.
    List(Vec<HeaderValue>),
}

impl Origins {
    /// Whether pages of this origin may call.
    pub(crate) fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Loopback => is_loopback(origin),
            Self::Any => true,
            Self::List(list) => list.contains(origin),
        }
    }
}

/// Answers preflights and marks answers to web pages.
///
/// A page of any other origin gets no permission, and since every call needs a content type that is not a form's, a
/// browser asks for that permission first: such a page cannot even send.
#[derive(Debug, Clone)]
pub struct CorsLayer(Arc<cors::CorsLayer>);

impl CorsLayer {
    /// Lets pages of `origins` call and read `exposed` headers, beside those that carry the gRPC status.
    pub fn new(origins: Origins, exposed: impl IntoIterator<Item = HeaderName>) -> Self {
        let origins = match origins {
            Origins::Any => AllowOrigin::any(),
            Origins::Loopback => AllowOrigin::predicate(|origin, _| is_loopback(origin)),
            Origins::List(list) => AllowOrigin::list(list),
        };
        let layer = cors::CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(AllowMethods::mirror_request())
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(ExposeHeaders::list(EXPOSED.into_iter().chain(exposed)))
            .max_age(REMEMBER);
        Self(Arc::new(layer))
    }
}

impl<S> Layer<S> for CorsLayer {
    type Service = Cors<S>;

    fn layer(&self, inner: S) -> Cors<S> {
        Cors { layer: Arc::clone(&self.0), inner }
    }
}

/// A service that web pages may call. Only they send an `Origin`; programs are spared the headers, and we their cost.
#[derive(Debug, Clone)]
pub struct Cors<S> {
    layer: Arc<cors::CorsLayer>,
    inner: S,
}

impl<S, B, A> Service<Request<B>> for Cors<S>
where
    S: Service<Request<B>, Response = Response<A>, Error = Infallible> + Clone,
    A: Default,
{
    type Response = Response<A>;
    type Error = Infallible;
    type Future = Either<<cors::Cors<S> as Service<Request<B>>>::Future, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.headers().contains_key(ORIGIN) {
            // The service that is ready answers; its clone waits for the next call.
            let clone = self.inner.clone();
            let ready = std::mem::replace(&mut self.inner, clone);
            Either::Left(self.layer.layer(ready).call(request))
        } else {
            Either::Right(self.inner.call(request))
        }
    }
}

/// Whether the page was served from this machine.
fn is_loopback(origin: &HeaderValue) -> bool {
    let Some(authority) = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest) else {
        return false;
    };
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or(bracketed),
        None => authority.split(':').next().unwrap_or(authority),
    };
    // Names under `localhost` never leave the machine (RFC 6761, section 6.3).
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_are_loopback() {
        for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:5173", "http://app.localhost"] {
            assert!(is_loopback(&HeaderValue::from_static(origin)), "{origin}");
        }
        for origin in ["https://example.com", "http://localhost.example.com", "http://127.0.0.1.example.com", "null"] {
            assert!(!is_loopback(&HeaderValue::from_static(origin)), "{origin}");
        }
    }
}

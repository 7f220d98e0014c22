//! `/livez` and `/readyz`: plain answers for whoever watches the process.
//!
//! They stand in front of everything else, so that they answer whatever state the rest is in.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tonic::body::Body;
use tower::{Layer, Service};

/// Whether the server wants new calls. Clones share the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether new calls are wanted.
    pub(crate) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    /// Whether new calls are wanted.
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Puts the probes in front of a service.
#[derive(Clone, Debug)]
pub(crate) struct ProbesLayer {
    readiness: Readiness,
}

impl ProbesLayer {
    pub(crate) fn new(readiness: Readiness) -> Self {
        Self { readiness }
    }
}

impl<S> Layer<S> for ProbesLayer {
    type Service = Probes<S>;

    fn layer(&self, inner: S) -> Probes<S> {
        Probes { inner, readiness: self.readiness.clone() }
    }
}

/// A service with the probes in front.
#[derive(Clone, Debug)]
pub(crate) struct Probes<S> {
    inner: S,
    readiness: Readiness,
}

impl<S, B> Service<Request<B>> for Probes<S>
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
        let (status, text) = match request.uri().path() {
            "/livez" => (StatusCode::OK, "ok\n"),
            "/readyz" if self.readiness.get() => (StatusCode::OK, "ok\n"),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
            _ => return Either::Right(self.inner.call(request)),
        };
        Either::Left(ready(Ok(answer(request.method(), status, text))))
    }
}

fn answer(method: &Method, status: StatusCode, text: &'static str) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let mut response = Response::new(Body::new(http_body_util::Full::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

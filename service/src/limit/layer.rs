//! The limit layer: a request is counted by its head alone, before its body is read. The call's place is free again when
//! the answer's body has ended or is dropped.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use sabir_store::Subject;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::body::HeldBody;
use super::headers;
use super::limiter::{Limiter, Want};
use crate::auth::Principal;

/// What is not counted: a limit that is too low can always be seen and changed, and whoever watches the health of the
/// server uses nothing up.
const UNCOUNTED: [&str; 3] = ["/sabir.v1.Limits/", "/grpc.health.v1.", "/grpc.reflection."];

/// Puts the limits in front of a service.
#[derive(Debug, Clone)]
pub(crate) struct LimitLayer {
    limiter: Limiter,
}

impl LimitLayer {
    pub(crate) fn new(limiter: Limiter) -> Self {
        Self { limiter }
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, limiter: self.limiter.clone() }
    }
}

/// A service with the limits in front.
#[derive(Debug, Clone)]
pub(crate) struct Limited<S> {
    inner: S,
    limiter: Limiter,
}

impl<S, B> Service<Request<B>> for Limited<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        if !self.limiter.limits_anybody() || UNCOUNTED.iter().any(|prefix| path.starts_with(prefix)) {
            return Box::pin(self.inner.call(request));
        }
        // The service that is ready answers; its clone waits for the next call.
        let clone = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, clone);
        let limiter = self.limiter.clone();
        Box::pin(async move {
            let principal = request.extensions().get::<Arc<Principal>>().cloned().unwrap_or_else(Principal::open);
            let subjects = principal.subjects().into_iter().chain([Subject::Everyone]);
            let want = Want { requests: 1, place: true, ..Want::default() };
            let hold = match limiter.admit(subjects, want).await {
                Ok(hold) => hold,
                Err(refusal) => return Ok(Status::from(&refusal).into_http()),
            };
            let mut response = ready.call(request).await?;
            headers::write(&hold.standing, response.headers_mut());
            Ok(if hold.has_places() { response.map(|body| Body::new(HeldBody::new(body, hold))) } else { response })
        })
    }
}

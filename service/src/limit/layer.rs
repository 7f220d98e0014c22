//! The limit layer: a request is counted by its head alone, before its body is read. The call's place is free again when
//! the answer's body has ended or is dropped. It puts the [`CallLimits`] into the request's extensions, for those who know
//! more of the call, and tells the caller in the headers of the answer where it stands with all of them.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::body::HeldBody;
use super::call::CallLimits;
use super::headers;
use super::hold::Hold;
use super::limiter::{Limiter, Want};
use super::refusal::Refusal;
use crate::auth::Principal;

/// What is not counted: a limit that is too low can always be seen and changed, and whoever watches the health of the
/// server uses nothing up.
const UNCOUNTED: [&str; 3] = ["/sabir.v1.Limits/", "/grpc.health.v1.", "/grpc.reflection."];

/// What every call takes, whatever it asks.
const WANT: Want = Want { requests: 1, tokens: 0, least_tokens: 0, place: true };

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

type Answer = Result<Response<Body>, Infallible>;

impl<S, B> Service<Request<B>> for Limited<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    /// The service's own answer, one that is counted, or what has to wait first.
    type Future = Either<S::Future, Either<Counted<S::Future>, Pin<Box<dyn Future<Output = Answer> + Send>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(call) = self.limits_of(&request).map(Arc::new) else {
            return Either::Left(self.inner.call(request));
        };
        let taken = call.take_now(WANT);
        request.extensions_mut().insert(Arc::clone(&call));
        Either::Right(match taken {
            Ok(Ok(hold)) => Either::Left(Counted { inner: self.inner.call(request), taken: Some((call, hold)) }),
            Ok(Err(refusal)) => Either::Right(Box::pin(ready(Ok(refused(&call, &refusal))))),
            Err(asked) => {
                // The service that is ready answers; its clone waits for the next call.
                let clone = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, clone);
                Either::Right(Box::pin(async move {
                    match call.wait(WANT, asked).await {
                        Ok(hold) => Counted { inner: inner.call(request), taken: Some((call, hold)) }.await,
                        Err(refusal) => Ok(refused(&call, &refusal)),
                    }
                }))
            }
        })
    }
}

impl<S> Limited<S> {
    /// The limits that hold for a call, if any do.
    fn limits_of<B>(&self, request: &Request<B>) -> Option<CallLimits> {
        let path = request.uri().path();
        if !self.limiter.limits_anybody() || UNCOUNTED.iter().any(|prefix| path.starts_with(prefix)) {
            return None;
        }
        match request.extensions().get::<Arc<Principal>>() {
            Some(principal) => self.limiter.call(&principal.subjects),
            None => self.limiter.call(&Principal::open().subjects),
        }
    }
}

pin_project_lite::pin_project! {
    /// The answer to a call that counts.
    #[derive(Debug)]
    pub(crate) struct Counted<F> {
        #[pin]
        inner: F,
        // Gone when it has been answered.
        taken: Option<(Arc<CallLimits>, Hold)>,
    }
}

impl<F: Future<Output = Answer>> Future for Counted<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let mut response = std::task::ready!(this.inner.poll(context))?;
        let Some((call, hold)) = this.taken.take() else { return Poll::Ready(Ok(response)) };
        headers::write(&call.standing(), response.headers_mut());
        let response =
            if hold.has_places() { response.map(|body| Body::new(HeldBody::new(body, hold))) } else { response };
        Poll::Ready(Ok(response))
    }
}

/// The answer to a call that is not let pass.
fn refused(call: &CallLimits, refusal: &Refusal) -> Response<Body> {
    let mut response = Status::from(refusal).into_http();
    headers::write(&call.standing(), response.headers_mut());
    response
}

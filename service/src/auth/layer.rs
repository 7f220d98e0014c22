//! The layer that lets nobody by who may not call. It reads the head of a request and puts the [`Principal`] into its
//! extensions; the body is not touched, so that nobody has to send it who is not let in.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::Authenticator;

/// Puts authentication in front of a gRPC service.
#[derive(Clone, Debug)]
pub(crate) struct AuthLayer {
    authenticator: Arc<Authenticator>,
}

impl AuthLayer {
    pub(crate) fn new(authenticator: Arc<Authenticator>) -> Self {
        Self { authenticator }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, authenticator: Arc::clone(&self.authenticator) }
    }
}

/// A gRPC service with authentication in front.
#[derive(Clone, Debug)]
pub(crate) struct Auth<S> {
    inner: S,
    authenticator: Arc<Authenticator>,
}

type Answer = Result<Response<Body>, Infallible>;

impl<S> Service<Request<Body>> for Auth<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    /// The service's own answer, a refusal, or what takes a look-up first.
    type Future = Either<S::Future, Either<Ready<Answer>, Pin<Box<dyn Future<Output = Answer> + Send>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.authenticator.judge_now(request.uri().path(), request.headers(), request.extensions()) {
            Some(Ok(principal)) => {
                request.extensions_mut().insert(principal);
                Either::Left(self.inner.call(request))
            }
            Some(Err(status)) => Either::Right(Either::Left(ready(Ok(refusal(status))))),
            None => {
                // The service that is ready answers; its clone waits for the next call.
                let clone = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, clone);
                let authenticator = Arc::clone(&self.authenticator);
                Either::Right(Either::Right(Box::pin(async move {
                    match authenticator.judge(request.uri().path(), request.headers(), request.extensions()).await {
                        Ok(principal) => {
                            request.extensions_mut().insert(principal);
                            inner.call(request).await
                        }
                        Err(status) => Ok(refusal(status)),
                    }
                })))
            }
        }
    }
}

fn refusal(status: Status) -> Response<Body> {
    status.into_http()
}

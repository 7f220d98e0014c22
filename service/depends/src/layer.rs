//! The layer that gives every request its dependencies, and notices how it ends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Instant;

use http::{HeaderMap, Request, Response, header};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use crate::body::Relayed;
use crate::ending::Ending;
use crate::head::Arrival;
use crate::hook::Outcome;
use crate::scope::Scope;
use crate::{Context, Dependencies};

/// Puts a [`Depends`] around a service.
#[derive(Debug, Clone)]
pub struct DependsLayer {
    dependencies: Dependencies,
}

impl DependsLayer {
    pub(crate) fn new(dependencies: Dependencies) -> Self {
        Self { dependencies }
    }
}

impl<S> Layer<S> for DependsLayer {
    type Service = Depends<S>;

    fn layer(&self, inner: S) -> Depends<S> {
        Depends { inner, dependencies: self.dependencies.clone() }
    }
}

/// A service whose requests have dependencies. It stands right around the gRPC services, inside of every layer whose
/// additions to a request's extensions they are to see.
#[derive(Debug, Clone)]
pub struct Depends<S> {
    inner: S,
    dependencies: Dependencies,
}

impl<S, B> Service<Request<B>> for Depends<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let application = Arc::clone(&self.dependencies.0);
        application.note_runtime();
        let arrival = Arrival { at: Instant::now(), path: request.uri().path_and_query().cloned() };
        let scope = Arc::new(Scope::new(arrival));
        request.extensions_mut().insert(Context::of_request(Arc::clone(&application), Arc::clone(&scope)));
        let ending = Some(Ending::new(application, scope));
        ResponseFuture { inner: self.inner.call(request), answer: None, ending }
    }
}

pin_project! {
    /// Answers a request, and ends it where there is no body to do so.
    pub struct ResponseFuture<F> {
        // Before the ending, so that what the handler holds is gone when the hooks of a cancelled request run.
        #[pin]
        inner: F,
        answer: Option<(Response<Body>, Outcome)>,
        ending: Option<Ending>,
    }
}

impl<F, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.answer.is_none() {
            // An error of the service has no answer whose end could be noticed: the ending is dropped with this future.
            let response = ready!(this.inner.poll(context))?;
            let Some(ending) = this.ending.take_if(|ending| !ending.is_needless()) else {
                return Poll::Ready(Ok(response));
            };
            match outcome_of_head(&response) {
                None => {
                    let fallback = outcome_without_trailers(&response);
                    return Poll::Ready(Ok(response.map(|body| Body::new(Relayed::new(body, ending, fallback)))));
                }
                Some(outcome) => {
                    *this.ending = Some(ending);
                    *this.answer = Some((response, outcome));
                }
            }
        }
        if let (Some(ending), Some((_, outcome))) = (this.ending.as_mut(), &*this.answer) {
            let ended = ready!(ending.poll(context, *outcome));
            *this.ending = None;
            if let Err(error) = ended {
                return Poll::Ready(Ok(Status::from(error).into_http()));
            }
        }
        match this.answer.take() {
            Some((response, _)) => Poll::Ready(Ok(response)),
            // Polled after its end.
            None => Poll::Pending,
        }
    }
}

/// How the request ended, if the head of the answer is all of it.
fn outcome_of_head(response: &Response<Body>) -> Option<Outcome> {
    if response.headers().contains_key(Status::GRPC_STATUS) {
        return Some(outcome_of_status(response.headers()));
    }
    http_body::Body::is_end_stream(response.body()).then(|| outcome_without_trailers(response))
}

/// What a gRPC status says, in a head or in trailers.
pub(crate) fn outcome_of_status(headers: &HeaderMap) -> Outcome {
    let code = headers.get(Status::GRPC_STATUS).map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()));
    if code == Code::Ok { Outcome::Success } else { Outcome::Failure(code) }
}

/// How a request ended whose answer ends without a gRPC status: gRPC would have one, other answers say it before.
fn outcome_without_trailers(response: &Response<Body>) -> Outcome {
    let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let is_grpc = kind.is_some_and(|kind| kind.starts_with(b"application/grpc"));
    if is_grpc || response.status().is_client_error() || response.status().is_server_error() {
        Outcome::Failure(Code::Unknown)
    } else {
        Outcome::Success
    }
}

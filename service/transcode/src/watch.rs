//! Holds every call to its times: the caller's deadline, the wait for the first message, the silence between messages.
//!
//! Knows gRPC only: what it ends, ends with DEADLINE_EXCEEDED in the trailers, whatever the protocol outside.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use crate::deadline::{self, Deadline};
use crate::status::grpc_response;
use crate::transcoder::Shared;

/// Holds what it wraps to the deadline in a request's extensions and to the limits of its method, also in the middle of
/// a streamed answer.
#[derive(Debug, Clone)]
pub(crate) struct Watch<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Watch<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S> Service<Request<Body>> for Watch<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let limits = self.shared.limits(request.uri().path());
        let times = Times {
            deadline: request.extensions().get::<Deadline>().map(|deadline| deadline.0),
            first: limits.first_message_timeout.map(|timeout| Instant::now() + timeout),
            silence: limits.answer_idle_timeout,
        };
        let call = self.inner.call(request);
        if times.is_empty() {
            return Box::pin(call);
        }
        Box::pin(async move {
            let response = match times.head() {
                None => call.await?,
                Some(due) => match tokio::time::timeout_at(due.into(), call).await {
                    Ok(response) => response?,
                    Err(_) => return Ok(grpc_response(times.exceeded(due), None)),
                },
            };
            Ok(response.map(|body| Body::new(WatchedBody::new(body, times))))
        })
    }
}

/// What a call is held to.
#[derive(Debug, Clone, Copy)]
struct Times {
    deadline: Option<Instant>,
    /// When the first message must be there; `None` once it is.
    first: Option<Instant>,
    silence: Option<Duration>,
}

impl Times {
    fn is_empty(&self) -> bool {
        self.deadline.is_none() && self.first.is_none() && self.silence.is_none()
    }

    /// When the head of the answer must be there.
    fn head(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.first).min()
    }

    /// When the next message must be there, the last one having come at `last`.
    fn next(&self, last: Instant) -> Option<Instant> {
        let silence = if self.first.is_none() { self.silence.map(|silence| last + silence) } else { None };
        self.head().into_iter().chain(silence).min()
    }

    /// Why a call that was due at this time is given up.
    fn exceeded(&self, due: Instant) -> Status {
        if self.deadline.is_some_and(|deadline| deadline <= due) {
            deadline::exceeded()
        } else if self.first.is_some() {
            Status::deadline_exceeded("the answer did not begin in time")
        } else {
            Status::deadline_exceeded("the answer fell silent")
        }
    }
}

pin_project_lite::pin_project! {
    /// The body of a gRPC answer that ends with DEADLINE_EXCEEDED when its time is up.
    struct WatchedBody {
        #[pin]
        body: Option<Body>,
        times: Times,
        last: Instant,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl WatchedBody {
    fn new(body: Body, times: Times) -> Self {
        let last = Instant::now();
        let sleep = times.next(last).map(|due| tokio::time::sleep_until(due.into()));
        Self { body: Some(body), times, last, sleep }
    }
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = body.poll_frame(context) {
            if this.times.silence.is_some() {
                *this.last = Instant::now();
            }
            if this.times.first.take().is_some()
                && let Some(due) = this.times.next(*this.last)
            {
                this.sleep.set(Some(tokio::time::sleep_until(due.into())));
            }
            return Poll::Ready(frame);
        }
        // The timer is moved on only when it fires, so that a message costs no timer operation.
        while let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
            let due = sleep.deadline().into_std();
            std::task::ready!(sleep.poll(context));
            match this.times.next(*this.last) {
                Some(next) if next > due => this.sleep.set(Some(tokio::time::sleep_until(next.into()))),
                Some(_) => {
                    // Dropping the inner body is what cancels the call.
                    this.body.set(None);
                    let status = this.times.exceeded(due);
                    let mut trailers = HeaderMap::new();
                    let added = status.add_header(&mut trailers);
                    return Poll::Ready(Some(added.map(|()| Frame::trailers(trailers))));
                }
                None => this.sleep.set(None),
            }
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

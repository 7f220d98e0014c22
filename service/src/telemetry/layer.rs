//! The layers that watch requests pass. None of them changes anything.
//!
//! [`CallsLayer`] stands where every request is gRPC, whichever way it came, and sees how it ends. [`TwinLayer`] stands
//! behind the gate, which chooses between an RPC and its streaming twin by the body. [`EdgeLayer`] stands before the edge
//! and counts what never got through it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::Telemetry;
use super::call::{Call, Open};
use super::requests::{MethodId, Way};

type Answer = Result<Response<Body>, Infallible>;

/// Whether a request got through the edge.
#[derive(Clone, Debug, Default)]
struct Passed(Arc<AtomicBool>);

/// Counts and traces the requests to a gRPC service.
#[derive(Clone, Debug)]
pub(crate) struct CallsLayer(pub(crate) Telemetry);

/// A gRPC service whose requests are counted and traced.
#[derive(Clone, Debug)]
pub(crate) struct Calls<S> {
    inner: S,
    telemetry: Telemetry,
}

impl<S> Layer<S> for CallsLayer {
    type Service = Calls<S>;

    fn layer(&self, inner: S) -> Calls<S> {
        Calls { inner, telemetry: self.0.clone() }
    }
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Called<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let extensions = request.extensions();
        if let Some(passed) = extensions.get::<Passed>() {
            passed.0.store(true, Ordering::Relaxed);
        }
        let way = extensions.get::<transcode::Protocol>().map_or(Way::Grpc, |protocol| (*protocol).into());
        let deadline = extensions.get::<transcode::Deadline>().map(|deadline| deadline.0);
        let call = Arc::new(Call::begin(&self.telemetry, way, request.uri().path(), request.headers(), deadline));
        request.extensions_mut().insert(Arc::clone(&call));
        let open = Some(Open(call));
        Called { inner: self.inner.call(request), open }
    }
}

pin_project_lite::pin_project! {
    /// The answer to a call that is watched.
    #[derive(Debug)]
    pub(crate) struct Called<F> {
        #[pin]
        inner: F,
        open: Option<Open>,
    }
}

impl<F: Future<Output = Answer>> Future for Called<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let response = ready!(this.inner.poll(context))?;
        let Some(open) = this.open.take() else { return Poll::Ready(Ok(response)) };
        // A status among the headers is all there is to an answer.
        open.0.answered_by(response.headers());
        if response.headers().contains_key("grpc-status") {
            return Poll::Ready(Ok(response));
        }
        Poll::Ready(Ok(response.map(|body| Body::new(CalledBody { inner: body, open: Some(open) }))))
    }
}

/// The body of an answer that is watched.
struct CalledBody {
    // Dropped before the call ends, so that what is below it has ended by then.
    inner: Body,
    open: Option<Open>,
}

impl http_body::Body for CalledBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            return Poll::Ready(frame);
        }
        if let Some(open) = self.open.take() {
            match &frame {
                Some(Ok(frame)) => frame.trailers_ref().into_iter().for_each(|trailers| open.0.answered_by(trailers)),
                Some(Err(status)) => open.0.answered(status.code()),
                None => open.0.answered(Code::Unknown),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Notes which RPC a request is for, once that is certain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TwinLayer;

/// A service whose requests know which RPC they are for.
#[derive(Clone, Debug)]
pub(crate) struct Twin<S> {
    inner: S,
}

impl<S> Layer<S> for TwinLayer {
    type Service = Twin<S>;

    fn layer(&self, inner: S) -> Twin<S> {
        Twin { inner }
    }
}

impl<S, B> Service<Request<B>> for Twin<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        if let Some(call) = request.extensions().get::<Arc<Call>>() {
            call.is_for(request.uri().path());
        }
        self.inner.call(request)
    }
}

/// Counts the requests that the edge itself answers.
#[derive(Clone, Debug)]
pub(crate) struct EdgeLayer(pub(crate) Telemetry);

/// An edge whose own answers are counted.
#[derive(Clone, Debug)]
pub(crate) struct Edge<S> {
    inner: S,
    telemetry: Telemetry,
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, telemetry: self.0.clone() }
    }
}

impl<S, B> Service<Request<B>> for Edge<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Edged<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let passed = Passed::default();
        request.extensions_mut().insert(passed.clone());
        let way = match request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes()) {
            Some(given) if given.starts_with(b"application/grpc-web") => Way::GrpcWeb,
            Some(given) if given.starts_with(b"application/grpc") => Way::Grpc,
            _ => Way::Http,
        };
        let telemetry = self.telemetry.clone();
        Edged { inner: self.inner.call(request), passed, way, began: Instant::now(), telemetry }
    }
}

pin_project_lite::pin_project! {
    /// An answer that may be the edge's own.
    #[derive(Debug)]
    pub(crate) struct Edged<F> {
        #[pin]
        inner: F,
        passed: Passed,
        way: Way,
        began: Instant,
        telemetry: Telemetry,
    }
}

impl<F: Future<Output = Answer>> Future for Edged<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let response = ready!(this.inner.poll(context))?;
        if !this.passed.0.load(Ordering::Relaxed)
            && let Some(code) = refused_with(&response)
        {
            this.telemetry.0.requests.count(MethodId::OTHER, *this.way, code, this.began.elapsed(), None);
        }
        Poll::Ready(Ok(response))
    }
}

/// The status of an answer by which the edge refuses a request. What it answers well is no call: a socket that was opened
/// makes its own later.
fn refused_with(response: &Response<Body>) -> Option<Code> {
    if let Some(code) = response.headers().get("grpc-status") {
        return Some(Code::from_bytes(code.as_bytes()));
    }
    let status = response.status();
    (status.is_client_error() || status.is_server_error()).then(|| code_of(status))
}

/// What the edge meant by an HTTP status.
fn code_of(status: StatusCode) -> Code {
    match status.as_u16() {
        404 => Code::NotFound,
        405 | 501 => Code::Unimplemented,
        413 | 429 | 431 => Code::ResourceExhausted,
        400..=499 => Code::InvalidArgument,
        503 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

//! Sends two keys of a request's metadata back, one with the head of the answer and one with its trailers.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body as _;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

const INITIAL: HeaderName = HeaderName::from_static("x-grpc-test-echo-initial");
const TRAILING: HeaderName = HeaderName::from_static("x-grpc-test-echo-trailing-bin");

/// Echoes metadata around a service.
#[derive(Debug, Clone)]
pub struct EchoMetadata<S> {
    inner: S,
}

impl<S> EchoMetadata<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S: NamedService> NamedService for EchoMetadata<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for EchoMetadata<S>
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
        let initial = request.headers().get(INITIAL).cloned();
        let trailing = request.headers().get(TRAILING).cloned();
        let call = self.inner.call(request);
        Box::pin(async move {
            let mut response = call.await?;
            if let Some(initial) = initial {
                response.headers_mut().insert(INITIAL, initial);
            }
            if let Some(trailing) = trailing {
                return Ok(response.map(|body| with_trailer(body, trailing)));
            }
            Ok(response)
        })
    }
}

fn with_trailer(body: Body, value: HeaderValue) -> Body {
    let mut body = Box::pin(body);
    let frames = futures_util::stream::poll_fn(move |context| {
        let frame = std::task::ready!(body.as_mut().poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    let trailers: &mut HeaderMap = trailers;
                    trailers.insert(TRAILING, value.clone());
                }
                frame
            })
        }))
    });
    Body::new(http_body_util::StreamBody::new(frames))
}

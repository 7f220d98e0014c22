//! The layer that turns calls away while the server has as many as it can serve. The place is free again when the answer's
//! body has ended or is dropped.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Client, Place, Places};
use crate::auth::{Identity, Principal};
use crate::error::overloaded;
use crate::server::Peer;

/// Whoever watches the health of the server hears of it also while it can serve nobody else.
const UNCOUNTED: &str = "/grpc.health.v1.";

/// Puts the places in front of a service.
#[derive(Clone, Debug)]
pub(crate) struct OverloadLayer {
    places: Places,
}

impl OverloadLayer {
    pub(crate) fn new(places: Places) -> Self {
        Self { places }
    }
}

impl<S> Layer<S> for OverloadLayer {
    type Service = Placed<S>;

    fn layer(&self, inner: S) -> Placed<S> {
        Placed { inner, places: self.places.clone() }
    }
}

/// A service with a number of places.
#[derive(Clone, Debug)]
pub(crate) struct Placed<S> {
    inner: S,
    places: Places,
}

type Answer = Result<Response<Body>, Infallible>;

impl<S, B> Service<Request<B>> for Placed<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Serving<S::Future>, Ready<Answer>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path().starts_with(UNCOUNTED) {
            return Either::Left(Serving { inner: self.inner.call(request), place: None });
        }
        match self.places.take(self.client(&request)) {
            Some(place) => Either::Left(Serving { inner: self.inner.call(request), place: Some(place) }),
            None => Either::Right(ready(Ok(overloaded().into_http()))),
        }
    }
}

impl<S> Placed<S> {
    /// Whose call it is: the caller's, or where nobody has to say who they are, that of the other end of the connection.
    fn client<B>(&self, request: &Request<B>) -> Client {
        match request.extensions().get::<Arc<Principal>>() {
            Some(principal) if principal.identity != Identity::Open => self.places.client(&principal.actor),
            _ => self.places.client(request.extensions().get::<Peer>().map(|peer| peer.address.ip())),
        }
    }
}

pin_project_lite::pin_project! {
    /// An answer to come that has a place.
    #[derive(Debug)]
    pub(crate) struct Serving<F> {
        #[pin]
        inner: F,
        place: Option<Place>,
    }
}

impl<F: Future<Output = Answer>> Future for Serving<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let response = std::task::ready!(this.inner.poll(context))?;
        Poll::Ready(Ok(match this.place.take() {
            Some(place) => response.map(|inner| Body::new(PlacedBody { inner, place: Some(place) })),
            None => response,
        }))
    }
}

/// A body with the place of its call.
struct PlacedBody {
    inner: Body,
    /// Gone when the body has ended: whoever reads it may keep it for longer.
    place: Option<Place>,
}

impl http_body::Body for PlacedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            self.place = None;
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

//! Compresses whole answers for clients that ask for it: gzip, brotli or zstd, by `Accept-Encoding`.
//!
//! Streams of messages are left alone: a compressor holds back what it has not filled a block with, and an event is worth
//! more now than small. Source: RFC 9110, section 12.5.3.

use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll};

use http::header::{ACCEPT_ENCODING, HeaderValue};
use http::{Request, Response};
use tonic::body::Body;
use tower_http::compression::Compression;
use tower_http::compression::predicate::SizeAbove;
use tower_service::Service;

/// Compresses the answer if the client takes it and the body is known to be of at least `from` bytes.
pub(crate) async fn answer(
    accepted: Option<HeaderValue>,
    response: Response<Body>,
    from: Option<usize>,
) -> Response<Body> {
    let (Some(accepted), Some(from)) = (accepted, from) else { return response };
    let size = http_body::Body::size_hint(response.body()).exact();
    if size.is_none_or(|size| size < from as u64) {
        return response;
    }
    let mut request = Request::new(());
    request.headers_mut().insert(ACCEPT_ENCODING, accepted);
    // The size has been looked at already, and only what a client would want smaller comes here.
    let mut compression = Compression::new(Once(Some(response))).compress_when(SizeAbove::new(0));
    match compression.call(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// A service that has its answer already.
struct Once(Option<Response<Body>>);

impl Service<Request<()>> for Once {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        std::future::ready(Ok(self.0.take().unwrap_or_default()))
    }
}

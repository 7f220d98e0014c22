//! A gRPC server elsewhere as a service that never fails, so that a transcoder can stand in front of it.
//!
//! Knows nothing of HTTP routes and JSON: what passes here is gRPC. Each failure of the way to that server becomes a
//! gRPC status, and what belongs to one connection alone is not carried over to the next.

mod failure;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Uri, Version};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use crate::deadline::{self, Deadline};

/// How long a connection may take to be made: as long as a caller would wait for an answer that is known to come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// When the kernel asks a silent peer whether it is still there. These probes cost the peer nothing, where a gRPC server
/// answers too many HTTP/2 pings by closing the connection (`too_many_pings`).
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How much of an answer the remote server may send ahead of its reader, per call and per connection. HTTP/2's own 64 KiB
/// would make a large answer wait for round trips, and would let one slow reader hold up all calls of the connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// A remote gRPC server as the inner service of [`Transcoder::serve`](crate::Transcoder::serve).
///
/// Calls are forwarded as they are, with the metadata they came with; the deadline is sent on as what is left of it, and
/// a caller that goes away cancels the call. A server that cannot be reached, a connection that breaks and an answer that
/// is not gRPC become a status, also in the middle of a stream. Messages of such statuses name no address.
///
/// ```no_run
/// # fn example(descriptors: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let remote = transcode::Remote::connect("http://127.0.0.1:50051".parse()?)?;
/// let service = transcode::Transcoder::new(descriptors)?.serve(remote);
/// # let _ = service; Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Remote<S = Channel> {
    channel: S,
}

/// [`Remote::connect`] was given an address that it cannot call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}: expected http://HOST:PORT; for TLS, build a tonic Channel and give it to Remote::new")]
pub struct BadAddress(Uri);

impl Remote {
    /// The server at `http://HOST:PORT`, over one HTTP/2 connection in clear text. It is made with the first call, within
    /// 5 s, and made anew after it broke, so that the servers may start in any order.
    ///
    /// For several connections or servers, TLS, a unix socket or HTTP/2 pings, build a [`Channel`] (its
    /// [`balance_list`](Channel::balance_list) spreads calls) and give it to [`Remote::new`]. Pings more frequent than
    /// every five minutes have to be allowed by the server: most refuse them as `too_many_pings`.
    ///
    /// # Errors
    /// [`BadAddress`] if it is not such an address.
    pub fn connect(address: Uri) -> Result<Self, BadAddress> {
        if address.scheme_str() != Some("http") || address.authority().is_none() {
            return Err(BadAddress(address));
        }
        let endpoint = Endpoint::from(address)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Some(TCP_KEEP_ALIVE))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Ok(Self::new(endpoint.connect_lazy()))
    }
}

impl<S> Remote<S> {
    /// The server that `channel` calls: a tonic [`Channel`], or any tower service that sends HTTP/2 requests and gives
    /// them scheme and authority, since their URI is only the path of the RPC.
    pub fn new(channel: S) -> Self {
        Self { channel }
    }
}

impl<S, B> Service<Request<Body>> for Remote<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<tonic::codegen::StdError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    /// Always ready: whether the channel is, concerns one call and is waited for there, within that call's deadline.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let mut channel = self.channel.clone();
        Box::pin(async move {
            if let Err(status) = forward(&mut request) {
                return Ok(status.into_http());
            }
            if let Err(error) = poll_fn(|context| channel.poll_ready(context)).await {
                return Ok(failure::of_call(error.into()).into_http());
            }
            let response = match channel.call(request).await {
                Ok(response) => response,
                Err(error) => return Ok(failure::of_call(error.into()).into_http()),
            };
            if let Some(status) = failure::of_foreign_answer(&response) {
                return Ok(status.into_http());
            }
            Ok(response.map(|body| Body::new(RemoteBody { body: Some(body) })))
        })
    }
}

/// Makes of the request that came the request that goes out.
fn forward(request: &mut Request<Body>) -> Result<(), Status> {
    *request.version_mut() = Version::HTTP_2;
    let deadline = request.extensions_mut().remove::<Deadline>();
    // Whatever else layers and the incoming connection have left there is theirs.
    request.extensions_mut().clear();
    let headers = request.headers_mut();
    drop_hop_by_hop(headers);
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(Deadline(deadline)) = deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(deadline::exceeded());
        }
        headers.remove(deadline::TIMEOUT_HEADER);
        headers.insert(deadline::GRPC_TIMEOUT, deadline::format_grpc(left));
    }
    Ok(())
}

/// Removes what is meant for the next hop only. Source: RFC 9110, section 7.6.1; RFC 9113, section 8.2.2.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        header::EXPECT,
        header::HOST,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("http2-settings"),
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
}

pin_project_lite::pin_project! {
    /// The body of a remote answer, which ends with a status also when the connection breaks.
    struct RemoteBody<B> {
        #[pin]
        body: Option<B>,
    }
}

impl<B> http_body::Body for RemoteBody<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let status = match ready!(body.poll_frame(context)) {
            Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
            None => return Poll::Ready(None),
            Some(Err(error)) => failure::of_call(error.into()),
        };
        this.body.set(None);
        let mut trailers = HeaderMap::new();
        status.add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.as_ref().map_or_else(http_body::SizeHint::default, http_body::Body::size_hint)
    }
}

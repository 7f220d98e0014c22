//! One connection: protocol settings, and bytes to requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tower::Service;

use super::config::Config;
use super::cores::Place;
use super::first_bytes::FirstBytes;
use super::shutdown::Shutdown;
use crate::telemetry::OpenConnection;

/// How many calls one HTTP/2 connection may have open. gRPC clients put all their calls on one connection.
const MAX_STREAMS: u32 = 1024;

/// How often a silent HTTP/2 connection is pinged, and how long the answer may take. Below the idle limits of common
/// proxies (60 s), so that a long call survives and a dead peer is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How much of a request body an HTTP/2 client may send ahead of our reading it, per call and per connection. HTTP/2's
/// own 64 KiB would make a large prompt wait for round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// The settings of both protocols.
pub(crate) fn protocol(config: &Config) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(config.header_timeout);
    // The limits on reset floods (CVE-2023-44487 and its relatives) are hyper's and h2's defaults.
    builder
        .http2()
        .timer(TokioTimer::new())
        // WebSockets over HTTP/2 (RFC 8441).
        .enable_connect_protocol()
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

/// Where a request comes from, in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The other end of the connection, which may be a proxy's.
    pub(crate) address: SocketAddr,
    /// Who its certificate says it is, if it has shown one.
    pub(crate) names: Option<Arc<[String]>>,
}

/// How long a connection may take for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// To agree on keys, and to show which protocol it speaks.
    pub(super) handshake: Duration,
    /// From its beginning until its client is asked to make another.
    age: Option<Duration>,
}

impl Limits {
    /// Those of a connection from there. Ages differ by a tenth, so that clients that came together do not come again together.
    pub(super) fn new(config: &Config, peer: SocketAddr) -> Self {
        let spread = 0.9 + f64::from(peer.port() % 1000) / 5000.0;
        Self { handshake: config.handshake_timeout, age: config.max_connection_age.map(|age| age.mul_f64(spread)) }
    }

    /// Resolves when the connection has become too old.
    async fn aged(self) {
        match self.age {
            Some(age) => tokio::time::sleep(age).await,
            None => std::future::pending().await,
        }
    }
}

/// A connection's place among those that may be open, and in the count of those that are.
#[derive(Debug)]
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
    _open: OpenConnection,
    _place: Option<Place>,
}

impl Slot {
    pub(super) fn new(permit: OwnedSemaphorePermit, open: OpenConnection, place: Option<Place>) -> Self {
        Self { _permit: permit, _open: open, _place: place }
    }
}

/// A service whose requests know where they come from.
#[derive(Debug, Clone)]
pub(crate) struct WithPeer<S> {
    inner: S,
    peer: Peer,
}

impl<S> WithPeer<S> {
    pub(crate) fn new(inner: S, peer: Peer) -> Self {
        Self { inner, peer }
    }
}

impl<S, B> Service<Request<B>> for WithPeer<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request.extensions_mut().insert(self.peer.clone());
        self.inner.call(request)
    }
}

/// Serves the connection to its end, or until it becomes a WebSocket, which lives on by itself. When it is time to stop, or
/// the connection is too old, open calls finish and no new ones begin. The slot is given back when the stream is closed.
///
/// # Errors
/// What the client broke.
pub(super) async fn serve<T, S, B>(
    protocol: &auto::Builder<TokioExecutor>,
    stream: T,
    slot: Slot,
    limits: Limits,
    shutdown: Shutdown,
    service: S,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TokioIo::new(FirstBytes::new(stream, limits.handshake).holding(slot));
    let mut connection = pin!(protocol.serve_connection_with_upgrades(stream, TowerToHyperService::new(service)));
    tokio::select! {
        served = connection.as_mut() => return served,
        () = shutdown.stopping() => {}
        () = limits.aged() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

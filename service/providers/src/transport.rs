//! The only code that sends: connections, their pool, TLS, limits of time and size.
//!
//! It knows HTTP and nothing of what is said over it. Redirects are not followed (a redirect would carry the key to
//! another host), and proxies named by the environment are not used.

mod answered;
mod failure;
mod retry_after;
mod watchdog;
mod whole;

use std::borrow::Cow;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client, Error, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use self::answered::AnsweredPorts;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::upstream::TraceHeaders;

pub(crate) use self::failure::{expired, lost_body};
pub(crate) use self::watchdog::Watchdog;
pub(crate) use self::whole::{read_beginning, read_whole};

/// The headers of W3C Trace Context (<https://www.w3.org/TR/trace-context/>).
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// Limits of a [`Transport`]. All of them hold per call or per host, none across hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportConfig {
    /// How long a TCP connection may take, for all addresses of a host together. Default: 10 seconds.
    pub connect_timeout: Duration,
    /// How long an answer's first byte may take, connecting and TLS included. Models think long before they speak
    /// when they do not stream. Default: 300 seconds.
    pub header_timeout: Duration,
    /// How long an upstream may be silent once its answer has begun. Default: 120 seconds.
    pub idle_timeout: Duration,
    /// How long a connection is kept for the next call. Below the 60 to 75 seconds after which common servers and load
    /// balancers close theirs, so that most connections end on our side. Default: 50 seconds.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept per host. Default: 1024.
    pub pool_max_idle_per_host: usize,
    /// The largest answer that is read as a whole, in bytes. Default: 64 MiB.
    pub max_body_bytes: usize,
    /// How many pools of connections there are, each with its own `pool_max_idle_per_host`. Default: 1, for everybody.
    pub pools: usize,
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(120),
            pool_idle_timeout: Duration::from_secs(50),
            pool_max_idle_per_host: 1024,
            max_body_bytes: 64 * 1024 * 1024,
            pools: 1,
        }
    }
}

type PlainClient = Client<HttpConnector, Full<Bytes>>;
type SecureClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends requests over pooled connections. Clones share the pools.
///
/// What a connection does, it does on the runtime of the call that opened it. A process with one runtime per core has one
/// pool for each ([`TransportConfig::pools`]) and tells each thread which is its own ([`use_pool`](Self::use_pool)).
#[derive(Clone, Debug)]
pub struct Transport(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: TransportConfig,
    pools: Box<[Pool]>,
    answered: AnsweredPorts,
}

/// Connections that one runtime uses.
#[derive(Debug)]
struct Pool {
    plain: PlainClient,
    /// Made when the first `https` upstream is set up, because it needs the system's CA certificates, which an image
    /// that talks only to `http` upstreams may lack. The error is text for the caller.
    secure: OnceLock<Result<SecureClient, String>>,
}

thread_local! {
    /// The pool that this thread uses.
    static POOL: Cell<usize> = const { Cell::new(0) };
}

/// A request ready to be sent, and sent again if its connection turns out to be stale.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: Cow<'a, HeaderMap>,
    pub(crate) body: Bytes,
    /// Sent beside the headers, and never signed.
    pub(crate) trace: Option<TraceHeaders>,
}

impl Transport {
    /// A transport without connections.
    pub fn new(config: TransportConfig) -> Self {
        let pool = |_| Pool { plain: client_builder(&config).build(tcp_connector(&config)), secure: OnceLock::new() };
        let pools = (0..config.pools.max(1)).map(pool).collect();
        Self(Arc::new(Inner { config, pools, answered: AnsweredPorts::default() }))
    }

    /// From now on, calls on this thread use the connections of this pool. Threads that say nothing use the first.
    pub fn use_pool(index: usize) {
        POOL.set(index);
    }

    fn pool(&self) -> &Pool {
        let pools = &self.0.pools;
        &pools[POOL.get() % pools.len()]
    }

    /// The limits.
    pub fn config(&self) -> &TransportConfig {
        &self.0.config
    }

    /// Loads the system's CA certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured), so that the first call
    /// need not. Without any certificate, calls to `https` upstreams fail.
    pub(crate) fn prepare_tls(&self) {
        for pool in &self.0.pools {
            let _ = self.secure(pool);
        }
    }

    /// Sends a request and waits for the head of the answer, whatever its status.
    ///
    /// A pooled connection that the upstream closed before any byte of an answer is replaced by another, once. Dropping
    /// the future closes the connection (HTTP/1.1) or resets the stream (HTTP/2).
    pub(crate) async fn send(
        &self,
        outgoing: &Outgoing<'_>,
        mut watchdog: Pin<&mut Watchdog>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut repeated = false;
        loop {
            let mut answer = self.request(outgoing)?;
            let outcome = poll_fn(|context| match Pin::new(&mut answer).poll(context) {
                Poll::Ready(outcome) => Poll::Ready(Ok(outcome)),
                Poll::Pending => watchdog.as_mut().poll_expired(context).map(Err),
            });
            match outcome.await {
                Ok(Ok(answer)) => {
                    self.0.answered.note(answer.extensions());
                    return Ok(answer);
                }
                Ok(Err(error)) if !repeated && self.was_stale(&error) => repeated = true,
                Ok(Err(error)) => return Err(failure::no_answer(&error, outgoing.uri.authority())),
                Err(reason) => return Err(failure::expired(reason, "an answer")),
            }
        }
    }

    fn request(&self, outgoing: &Outgoing<'_>) -> Result<ResponseFuture, UpstreamError> {
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = outgoing.uri.clone();
        *request.headers_mut() = HeaderMap::clone(&outgoing.headers);
        if let Some(TraceHeaders { parent, state }) = &outgoing.trace {
            request.headers_mut().insert(TRACE_PARENT, parent.clone());
            if let Some(state) = state {
                request.headers_mut().insert(TRACE_STATE, state.clone());
            }
        }
        if outgoing.uri.scheme() == Some(&http::uri::Scheme::HTTP) {
            return Ok(self.pool().plain.request(request));
        }
        match self.secure(self.pool()) {
            Ok(client) => Ok(client.request(request)),
            Err(reason) => Err(UpstreamError::new(UpstreamErrorKind::Unavailable, reason.clone())),
        }
    }

    fn secure<'a>(&self, pool: &'a Pool) -> &'a Result<SecureClient, String> {
        let config = &self.0.config;
        pool.secure.get_or_init(|| Ok(client_builder(config).build(tls_connector(tcp_connector(config))?)))
    }

    /// Whether the call failed only because its connection, good for an answer before, was closed meanwhile.
    fn was_stale(&self, error: &Error) -> bool {
        let Some(connection) = error.connect_info() else {
            return false;
        };
        let mut extensions = Extensions::new();
        connection.get_extras(&mut extensions);
        failure::closed_without_answer(error) && self.0.answered.take(&extensions)
    }
}

/// How long the upstream asks us to wait before the next try.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    retry_after::retry_after(headers, SystemTime::now())
}

fn client_builder(config: &TransportConfig) -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(config.pool_idle_timeout)
        .pool_max_idle_per_host(config.pool_max_idle_per_host)
        // Finds out that a peer has vanished under open streams; idle connections are left alone.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(20));
    builder
}

fn tcp_connector(config: &TransportConfig) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    // Without it, Nagle's algorithm and the peer's delayed acknowledgement add 40 ms to a request of two packets.
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(config.connect_timeout));
    connector.set_keepalive(Some(Duration::from_secs(60)));
    connector
}

/// TLS with the system's certificates; HTTP/2 where the upstream agrees by ALPN. The crypto provider is given by hand,
/// so that nothing depends on which provider the process has installed.
fn tls_connector(tcp: HttpConnector) -> Result<HttpsConnector<HttpConnector>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_native_roots()
        .map_err(|error| format!("https upstreams cannot be verified: {error}"))?
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_all_versions().wrap_connector(tcp))
}

#[cfg(test)]
mod tests;

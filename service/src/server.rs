//! The accept loop: sockets in, HTTP/1.1 and cleartext HTTP/2 out, and a graceful end.
//!
//! One loop of our own, because neither tonic's server nor axum's lets both protocols share a port with every limit set.
//! It serves any tower service and knows nothing of what that service does. A connection that a service has taken over
//! (WebSocket) keeps its slot, and is otherwise no business of the loop any more: whoever took it ends it.

pub(crate) mod admin;
mod config;
mod connection;
mod cores;
mod first_bytes;
mod hosts;
mod probes;
mod shutdown;
mod tls;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tower::Service;

use crate::telemetry::{OpenConnections, event};

pub use admin::Config as AdminConfig;
pub use config::{Config, Runtime};
pub(crate) use connection::Peer;
use connection::{Limits, WithPeer};
use cores::Arrival;
pub(crate) use cores::Cores;
pub(crate) use hosts::HostsLayer;
pub(crate) use probes::{ProbesLayer, Readiness};
pub use shutdown::Shutdown;
use tls::Tls;
pub use tls::TlsError;

/// How many connections may wait in the kernel to be accepted. Linux caps it at `net.core.somaxconn`, 4096 by default.
const BACKLOG: u32 = 4096;

/// How long to wait after a failed accept. The usual cause is a lack of file descriptors, which time may cure.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source} (another address: `sabir serve --listen HOST:PORT` or SABIR_LISTEN)")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address for metrics cannot be listened on.
    #[error(
        "cannot listen on {address} for metrics: {source} (another address: admin.listen or SABIR_ADMIN__LISTEN; none: admin.enabled = false)"
    )]
    Admin {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How the server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every open call finished.
    Drained,
    /// This many connections were cut because the time to drain ran out or a second signal came.
    Cut(usize),
}

impl Ending {
    /// The same, with so many more that were cut.
    pub(crate) fn and_cut(self, more: usize) -> Self {
        match self {
            Self::Drained if more == 0 => Self::Drained,
            Self::Drained => Self::Cut(more),
            Self::Cut(connections) => Self::Cut(connections + more),
        }
    }
}

/// A socket that listens and is not being served yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    tls: Option<Tls>,
    address: SocketAddr,
    config: Config,
    cores: Cores,
    open: OpenConnections,
}

impl Server {
    /// Opens the socket, on the runtime this is called in.
    ///
    /// # Errors
    /// [`ServeError::Listen`] if the address is taken or not ours; [`ServeError::Tls`] if the certificates cannot be used.
    pub fn bind(config: &Config) -> Result<Self, ServeError> {
        let listen = || {
            let socket = if config.listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // A restart must not wait until the kernel has forgotten the connections of the process before.
            socket.set_reuseaddr(true)?;
            socket.bind(config.listen)?;
            let listener = socket.listen(BACKLOG)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|source| ServeError::Listen { address: config.listen, source })?;
        let tls = config.tls.clone().map(Tls::start).transpose()?;
        let (config, open) = (config.clone(), OpenConnections::default());
        Ok(Self { listener, tls, address, config, cores: Cores::default(), open })
    }

    /// The same, with its connections counted here.
    pub(crate) fn counted_by(self, open: OpenConnections) -> Self {
        Self { open, ..self }
    }

    /// The same, with its connections served on these.
    pub(crate) fn served_on(self, cores: Cores) -> Self {
        Self { cores, ..self }
    }

    /// The address that the socket listens on; the real port where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` asks to stop, then lets open calls finish within the drain limit.
    pub async fn serve<S, B>(self, service: S, shutdown: Shutdown) -> Ending
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let protocol = connection::protocol(&self.config);
        let slots = Arc::new(Semaphore::new(self.config.max_connections));
        let mut connections = JoinSet::new();

        // A slot is taken before the connection, so that those too many wait in the kernel instead of in our memory.
        while let Some(slot) = shutdown.unless_stopping(Arc::clone(&slots).acquire_owned()).await {
            let Some((stream, peer)) = shutdown.unless_stopping(self.accept()).await else { break };
            // The semaphore is never closed.
            let Ok(slot) = slot else { break };
            let place = self.cores.place();
            let runtime = place.as_ref().map_or_else(Handle::current, |place| place.runtime().clone());
            let arrival = Arrival::depart(stream, place.as_ref());
            let slot = connection::Slot::new(slot, self.open.open(), place);
            let (protocol, service, shutdown) = (protocol.clone(), service.clone(), shutdown.clone());
            let limits = Limits::new(&self.config, peer);
            let tls = self.tls.clone();
            let connection = async move {
                let stream = arrival?.arrive()?;
                let Some(tls) = tls else {
                    let service = WithPeer::new(service, Peer { address: peer, names: None });
                    return connection::serve(&protocol, stream, slot, limits, shutdown, service).await;
                };
                let Some(agreed) = shutdown.unless_stopping(agree(&tls, stream, limits.handshake)).await else {
                    return Ok(());
                };
                let (stream, names) = agreed?;
                let service = WithPeer::new(service, Peer { address: peer, names });
                connection::serve(&protocol, stream, slot, limits, shutdown, service).await
            };
            let connection = async {
                if let Err(error) = connection.await {
                    // A client that goes away mid-call is everyday life; the call's own record tells what it meant.
                    tracing::debug!(%error, "connection ended");
                }
            };
            connections.spawn_on(connection, &runtime);
            while connections.try_join_next().is_some() {}
        }

        drop(self.listener);
        let all = async { while connections.join_next().await.is_some() {} };
        let drained = tokio::select! {
            () = all => true,
            () = tokio::time::sleep(self.config.drain_timeout) => false,
            () = shutdown.cutting() => false,
        };
        if drained {
            return Ending::Drained;
        }
        while connections.try_join_next().is_some() {}
        let left = connections.len();
        // Also waits until the calls on these connections are dropped: what they have to record, they record there.
        connections.shutdown().await;
        Ending::Cut(left)
    }

    /// The next connection. Errors are the system's or the client's, and never end the loop.
    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Without it, Nagle's algorithm and delayed acknowledgements add 40 ms to small messages.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "cannot set TCP_NODELAY");
                    }
                    return (stream, address);
                }
                Err(error) => {
                    tracing::warn!(event = event::ACCEPT_FAILED, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Agrees with a client on keys, in time.
async fn agree(
    tls: &Tls,
    stream: TcpStream,
    limit: Duration,
) -> io::Result<(TlsStream<TcpStream>, Option<Arc<[String]>>)> {
    let agreed = tokio::time::timeout(limit, tls.accept(stream)).await;
    let stream = agreed.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long"))??;
    let names = tls::names(&stream);
    Ok((stream, Some(names.into()).filter(|names: &Arc<[String]>| !names.is_empty())))
}

#[cfg(test)]
mod tests;

//! Serves a tower service on a socket, HTTP/1.1 and cleartext HTTP/2 alike, with no limits: for tests and measurements.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::Service;

/// Serves until the task is dropped.
///
/// # Errors
/// When the socket gives no more connections.
pub async fn serve<S, B>(listener: TcpListener, service: S) -> std::io::Result<Infallible>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http2().max_concurrent_streams(100_000);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
        // A client that goes away ends its connection; nobody has to be told.
        tokio::spawn(async move { drop(connection.await) });
    }
}

//! The services of `tests/backend` on ports of this process: as plain gRPC, behind the transcoder in the same process, and
//! behind a transcoder in front of the plain server. Transcoders are served by Sabir's own accept loop.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::{Request, Response};
use sabir::{Shutdown, server};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::body::Body;
use transcode::{Remote, Transcoder};

/// A port that is served for as long as this lives.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The services as an ordinary gRPC server has them.
pub(crate) async fn plain() -> Served {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let services = backend::plain().unwrap();
    let task = tokio::spawn(async move { panic!("{:?}", backend::server::serve(listener, services).await) });
    Served { address, task }
}

/// The services and the transcoder in one process.
pub(crate) fn in_process() -> Served {
    serve(backend::services())
}

/// The transcoder in front of a remote server.
pub(crate) fn in_front_of(remote: &Served) -> Served {
    serve(Remote::connect(format!("http://{}", remote.address).parse().unwrap()).unwrap())
}

fn serve<S>(services: S) -> Served
where
    S: tower_service::Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let service = Transcoder::new(backend::DESCRIPTORS).unwrap().serve(services);
    let mut config = sabir::config::Config::from_parts(None, []).unwrap().server;
    config.listen.set_port(0);
    config.drain_timeout = Duration::from_secs(1);
    let server = server::Server::bind(&config).unwrap();
    let address = server.address();
    let task = tokio::spawn(async move {
        server.serve(service, Shutdown::new()).await;
    });
    Served { address, task }
}

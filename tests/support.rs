//! What every claim needs: the real server as a child process, a scripted upstream behind it, and one way to call the
//! server over each protocol. Nothing in here uses the server's own code: what is written and read on the wire is
//! written and read by hand, by hyper, or by the generated gRPC client.

pub(crate) mod call;
pub(crate) mod collector;
pub(crate) mod databases;
pub(crate) mod envoy;
pub(crate) mod http;
pub(crate) mod identity;
pub(crate) mod postgres;
pub(crate) mod protocol;
pub(crate) mod proxy;
pub(crate) mod secret;
pub(crate) mod server;
pub(crate) mod tls;
pub(crate) mod transcoded;
pub(crate) mod upstream;

use std::{future::Future, time::Duration};

pub(crate) use call::Call;
pub(crate) use collector::Collector;
pub(crate) use databases::DatabaseKind;
pub(crate) use protocol::{Event, Failure, Protocol};
pub(crate) use server::Server;
pub(crate) use upstream::{Ending, Upstream, script};

/// How long anything in a test may take before the test fails. Generous: machines that build are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must happen soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// A server with one provider, `scripted`, which is also where names without a provider go.
pub(crate) async fn world() -> (Upstream, Server) {
    world_on(DatabaseKind::Sqlite).await
}

/// The same with a database of this kind.
pub(crate) async fn world_on(database: DatabaseKind) -> (Upstream, Server) {
    let upstream = Upstream::start();
    let server = Server::start_on(database, &Server::config_for(&upstream.base_url())).await;
    (upstream, server)
}

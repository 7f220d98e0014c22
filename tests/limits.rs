//! Claims about limits: how much is let pass, what those are told who ask for more, and that whatever a call has taken
//! comes back whichever way it ends.

mod administration;
mod rates;
mod replicas;
mod told;

use std::time::Duration;

use sabir_store::Limit;
use uuid::Uuid;

use crate::support::identity::{Registrar, now_micros, required};
use crate::support::{Protocol, Server, Upstream};
use told::Told;

/// A server with limits, the upstream behind it, and the way to its database.
struct World {
    upstream: Upstream,
    server: Server,
    registrar: Registrar,
}

impl World {
    /// With this in the `[limits]` section, tables within it included.
    async fn with(limits: &str) -> Self {
        let upstream = Upstream::start();
        let server = Server::start(&config(&upstream, limits)).await;
        let registrar = Registrar::of(&server).await;
        Self { upstream, server, registrar }
    }

    /// A new key.
    async fn key(&self) -> String {
        self.registrar.key(|_| ()).await.0
    }

    /// Asks the model that repeats what it is told.
    async fn ask(&self, protocol: Protocol, key: &str) -> Told {
        told::ask(self.server.address(), protocol, key, "scripted/echo", "Hi", Some(1)).await
    }

    /// Asks until the answer is this, which must be soon.
    async fn ask_until(&self, protocol: Protocol, key: &str, code: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        loop {
            let told = self.ask(protocol, key).await;
            if told.code == code {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{protocol:?}: still {told:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn config(upstream: &Upstream, limits: &str) -> String {
    format!("{}{}[limits]\n{limits}\n", Server::config_for(&upstream.base_url()), required())
}

/// A limit of nothing yet.
fn limit(subject: sabir_store::Subject) -> Limit {
    Limit {
        id: Uuid::now_v7(),
        subject,
        requests_per_minute: None,
        request_burst: None,
        tokens_per_minute: None,
        token_burst: None,
        concurrent_requests: None,
        created_at_micros: now_micros(),
    }
}

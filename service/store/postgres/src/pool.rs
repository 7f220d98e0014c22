//! The one place where connections are taken, and where it is measured how long that takes. It must not know what they are
//! taken for.

mod meter;

use std::sync::Arc;

use sabir_store::ConnectionWaits;
use sqlx::{PgPool, Postgres, Transaction, pool::PoolConnection};

use meter::Meter;

/// A bounded number of connections. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pool: PgPool,
    meter: Arc<Meter>,
}

impl Connections {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, meter: Arc::default() }
    }

    /// Takes a connection, as soon as there is one. It goes back when it is dropped.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        // Counts also where the caller does not wait any longer and drops this.
        let wait = self.meter.begin(self.pool.options().get_max_connections());
        let connection = self.pool.acquire().await?;
        wait.succeeded();
        Ok(connection)
    }

    /// Takes a connection and begins a transaction on it.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        // As the pool's own `begin` does it, after a wait that is measured.
        Transaction::begin(self.acquire().await?, None).await
    }

    /// How long it took so far.
    pub(crate) fn waits(&self) -> ConnectionWaits {
        self.meter.snapshot()
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

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
        let connection = self.acquire().await?;
        // By a task of its own, which goes on when nobody waits any longer: a `BEGIN` given up half-way would leave the
        // connection in a transaction that nobody knows of, and what is written on it next would never be there.
        let begun = tokio::spawn(Transaction::begin(connection, None));
        // The task ends otherwise only with the runtime.
        begun.await.map_err(|_| sqlx::Error::PoolClosed)?
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

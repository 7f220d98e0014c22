//! The store on Postgres: for more than one replica, and for what must outlive a machine.
//!
//! It implements the traits of `sabir-store` and passes its suite; it must not know what the rows are for, nor that
//! there is another database. Each file is the twin of the one with the same name in `sabir-store-sqlite`.
//!
//! Queries are checked against the schema when the crate is built, from the data in `.sqlx/`, so that a build needs no
//! database. After changing a query, renew that data with `scripts/prepare-queries`.

mod answer;
mod audit;
mod budget;
mod capture;
mod change;
mod error;
mod identity;
mod limits;
mod open;
mod patience;
mod pool;
mod price;
mod schema;
mod tokens;
mod usage;

use sabir_store::{ConnectionWaits, Store, StoreError, StoreFuture};
use sqlx::{Postgres, pool::PoolConnection};

use error::store_error;
use pool::Connections;

pub use open::{Config, open};
pub use schema::{Migrated, migrate};

/// An open database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    connections: Connections,
}

impl PostgresStore {
    /// Closes every connection. Close what writes to the store first.
    pub async fn close(&self) {
        self.connections.close().await;
    }

    /// A connection for a single statement, such as one for "reading prices".
    async fn connection(&self, action: &str) -> Result<PoolConnection<Postgres>, StoreError> {
        self.connections.acquire().await.map_err(|error| store_error(action, &error))
    }
}

impl Store for PostgresStore {
    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            Self::close(self).await;
            Ok(())
        })
    }

    fn connection_waits(&self) -> Option<ConnectionWaits> {
        Some(self.connections.waits())
    }
}

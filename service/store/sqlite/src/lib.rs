//! The store on SQLite: one file, no server. For development, single machines and the quickstart.
//!
//! It implements the traits of `sabir-store` and passes its suite; it must not know what the rows are for, nor that
//! there is another database.
//!
//! Queries are checked against the schema when the crate is built, from the data in `.sqlx/`, so that a build needs no
//! database. After changing a query, renew that data in this folder with an empty database that has the migrations:
//!
//! ```sh
//! cat migrations/*.sql | sqlite3 /tmp/schema.db
//! touch src/lib.rs
//! SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$PWD/.sqlx" SABIR_STORE_SQLITE_URL=sqlite:/tmp/schema.db cargo check
//! ```

mod answer;
mod audit;
mod budget;
mod capture;
mod change;
mod error;
mod identity;
mod limits;
mod open;
mod price;
mod tokens;
mod usage;

use sabir_store::{Store, StoreFuture};
use sqlx::SqlitePool;

pub use open::{Config, open};

/// An open database. Clones share its connections.
///
/// SQLite lets one connection write at a time, so there is exactly one that does, and writers queue for it instead of
/// colliding in the file; a few others read, which under write-ahead logging disturbs nobody.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Closes every connection and folds the write-ahead log into the file. Close what writes to the store first.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl Store for SqliteStore {
    fn close(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            Self::close(self).await;
            Ok(())
        })
    }
}

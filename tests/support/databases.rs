//! Both kinds of database behind the server: what a claim says of one has to hold on the other.

use sabir_store::Store;

/// The kinds of database that a server can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DatabaseKind {
    /// A file in the server's folder.
    Sqlite,
    /// A fresh database on the Postgres that all tests share.
    Postgres,
}

impl DatabaseKind {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// A connection of the test's own to the database of this URL.
pub(crate) async fn open(url: &str) -> Box<dyn Store> {
    if url.starts_with("sqlite:") {
        Box::new(sabir_store_sqlite::open(url, Default::default()).await.unwrap())
    } else {
        Box::new(sabir_store_postgres::open(url, Default::default()).await.unwrap())
    }
}

//! The schema: which migrations there are, which the database has, and how it gets those that are missing.

use std::time::Duration;

use sabir_store::{StoreError, StoreErrorKind};
use sqlx::{
    PgPool,
    migrate::{MigrateError, Migrator},
    postgres::PgPoolOptions,
};

use crate::{
    error::store_error,
    open::{address, connect_error, connect_options},
};

/// Every schema there ever was, oldest first. Released files are never edited: a database remembers their checksums.
static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long to try for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What [`migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema the database had; `None` if it was empty.
    pub from: Option<i64>,
    /// The schema it has now.
    pub to: i64,
}

/// Applies the migrations that are missing. Several processes may do so at once: one does the work under a lock of the
/// database, the others wait for it.
///
/// # Errors
/// `Unavailable` if the server cannot be reached or refuses, `Schema` if the database belongs to a newer or an altered
/// version of Sabir.
pub async fn migrate(url: &str) -> Result<Migrated, StoreError> {
    let options = connect_options(url)?;
    let address = address(&options);
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT).connect_with(options).await;
    let pool = pool.map_err(|error| connect_error(&address, &error))?;
    let migrated = migrate_in(&pool, &address).await;
    pool.close().await;
    migrated
}

async fn migrate_in(pool: &PgPool, address: &str) -> Result<Migrated, StoreError> {
    let from = applied(pool).await.map_err(|error| store_error("reading the schema's version", &error))?;
    MIGRATIONS.run(pool).await.map_err(|error| migrate_error(address, &error))?;
    Ok(Migrated { from: from.last().copied(), to: newest() })
}

/// Refuses a database whose schema is not the one this program knows.
pub(crate) async fn check(pool: &PgPool, address: &str) -> Result<(), StoreError> {
    let applied = applied(pool).await.map_err(|error| store_error("reading the schema's version", &error))?;
    let known: Vec<i64> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
        return Err(too_new(address, *newer));
    }
    if let Some(missing) = known.iter().find(|version| !applied.contains(version)) {
        let has = applied.last().map_or("is empty".to_owned(), |version| format!("has schema {version}"));
        let message = format!(
            "the Postgres database {address} {has}, and this version of Sabir needs schema {missing}: run `sabir migrate` \
             with the same configuration first (or set database.migrate = true)"
        );
        return Err(StoreError::new(StoreErrorKind::Schema, message));
    }
    Ok(())
}

/// The newest schema this program knows.
fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The migrations that the database has, oldest first.
async fn applied(pool: &PgPool) -> Result<Vec<i64>, sqlx::Error> {
    // The table is sqlx's own, and is not there before the first migration; so the query cannot be checked when it is built.
    let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(pool).await?;
    if !there {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version").fetch_all(pool).await
}

fn too_new(address: &str, version: i64) -> StoreError {
    let message = format!(
        "the Postgres database {address} was migrated by a newer version of Sabir (schema {version}; this version knows up to \
         {}); run that version, or restore a backup",
        newest()
    );
    StoreError::new(StoreErrorKind::Schema, message)
}

fn migrate_error(address: &str, error: &MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            store_error(&format!("migrating the Postgres database {address}"), error)
        }
        MigrateError::VersionMissing(version) => too_new(address, *version),
        other => {
            let message = format!(
                "the Postgres database {address} does not have the schema this version of Sabir expects ({other}); restore \
                 a backup, or use another database"
            );
            StoreError::new(StoreErrorKind::Schema, message)
        }
    }
}

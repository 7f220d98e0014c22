//! Opens the database: a bounded pool, and a look at what the server allows and at the schema it has. It must not know any
//! table.

use std::{str::FromStr, time::Duration};

use sabir_store::{StoreError, StoreErrorKind};
use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{PostgresStore, error::store_error, pool::Connections, schema};

/// How to use the server. [`Default`] is meant for production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many connections this process may have. They are opened when they are needed.
    pub max_connections: u32,
    /// How long a call waits for a connection before the database counts as away.
    pub acquire_timeout: Duration,
    /// Whether migrations that are missing are applied. Otherwise a database without them is refused.
    pub migrate: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_connections: 10, acquire_timeout: Duration::from_secs(3), migrate: false }
    }
}

/// How long a connection may lie idle before it is closed: below the idle limits of common proxies.
const IDLE_TIMEOUT: Duration = Duration::from_secs(240);

/// How long a statement may take. A server that hangs must not take our connections with it.
const STATEMENT_TIMEOUT: &str = "30s";

/// Statements are planned with their values. A plan for any values cannot use an index for a filter that may be left out, and
/// made the sums of one key's usage hundreds of times slower once a connection had asked for them five times.
const PLANS: (&str, &str) = ("plan_cache_mode", "force_custom_plan");

/// Opens a database by its URL, as in `DATABASE_URL`.
///
/// # Errors
/// `Unavailable` if the server cannot be reached, refuses us or has fewer connections than [`Config::max_connections`]
/// wants, `Schema` if the database belongs to another version of Sabir. The message says the way out and holds no password.
pub async fn open(url: &str, config: Config) -> Result<PostgresStore, StoreError> {
    let options = connect_options(url)?;
    let address = address(&options);
    if config.migrate {
        schema::migrate(url).await?;
    }
    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections.max(1))
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(IDLE_TIMEOUT)
        // A connection that the server has closed is found out when it is used; asking before would be a round trip for
        // every statement.
        .test_before_acquire(false)
        // Waits are measured and told of in pool.rs, which also sees those that end without a connection.
        .acquire_slow_threshold(Duration::MAX)
        .connect_with(options.options([("statement_timeout", STATEMENT_TIMEOUT), PLANS]))
        .await
        .map_err(|error| connect_error(&address, &error))?;
    let checked = async {
        check_connections(&pool, &address, config.max_connections).await?;
        schema::check(&pool, &address).await
    };
    if let Err(error) = checked.await {
        pool.close().await;
        return Err(error);
    }
    tracing::debug!(address, "database is open");
    Ok(PostgresStore { connections: Connections::new(pool) })
}

/// What a URL says of the server.
pub(crate) fn connect_options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| {
        // The error could quote the URL, which may hold a password.
        let message = "the database URL cannot be read; it is written postgres://USER:PASSWORD@HOST:PORT/DATABASE, with \
                       other characters in the password percent-encoded";
        StoreError::new(StoreErrorKind::Unavailable, message)
    })?;
    Ok(options.application_name("sabir").disable_statement_logging())
}

/// The server and the database, without credentials, for messages.
pub(crate) fn address(options: &PgConnectOptions) -> String {
    let host = options.get_host();
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("{host}:{}/{database}", options.get_port())
}

/// Why no connection came about.
pub(crate) fn connect_error(address: &str, error: &sqlx::Error) -> StoreError {
    store_error(&format!("connecting to the Postgres database {address}"), error)
}

/// A pool that the server cannot fill would fail under load instead of now.
async fn check_connections(pool: &PgPool, address: &str, wanted: u32) -> Result<(), StoreError> {
    let allowed = sqlx::query_scalar!(
        r#"SELECT current_setting('max_connections')::bigint
                  - current_setting('superuser_reserved_connections')::bigint AS "allowed!""#
    )
    .fetch_one(pool)
    .await
    .map_err(|error| store_error("asking for max_connections", &error))?;
    if i64::from(wanted) > allowed {
        let message = format!(
            "the Postgres server of {address} gives out {allowed} connections, and this process alone may want {wanted}: \
             lower database.max_connections, or raise max_connections there (all replicas together must fit)"
        );
        return Err(StoreError::new(StoreErrorKind::Unavailable, message));
    }
    if i64::from(wanted) * 2 > allowed {
        tracing::warn!(
            event = "connections-scarce",
            allowed,
            wanted,
            "a second replica of this size would not fit into the server's max_connections"
        );
    }
    Ok(())
}

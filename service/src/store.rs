//! Opening the database that the configuration names. After this, the service knows it by its traits alone.

use std::sync::Arc;
use std::time::Duration;

use sabir_providers::Secret;
use sabir_store::{BatchConfig, Store, StoreError};

use crate::config::Section;

/// The file that is used when nothing else is said.
const USUAL_FILE: &str = "sqlite:sabir.db";

/// Where rows are kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// `database.url`. `DATABASE_URL` stands for it too.
    pub location: Location,
    /// `database.max_connections`: how many connections to Postgres this process may have.
    pub max_connections: u32,
    /// `database.acquire_timeout`: how long to wait for a connection to Postgres.
    pub acquire_timeout: Duration,
    /// `database.migrate`: whether `serve` brings the schema of a Postgres database up to date. SQLite's always is.
    pub migrate: bool,
}

/// The kinds of database.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file, as a path or `sqlite:PATH`.
    Sqlite(String),
    /// A server, as `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    Postgres(Secret),
}

impl Config {
    /// Reads the `[database]` section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        // The variable that every tool knows gives way to the one that is ours alone.
        let usual = section.environment("DATABASE_URL").filter(|url| !url.is_empty());
        let url = match usual {
            Some(usual) if !section.is_variable("url") => {
                let _ = section.optional::<String>("url");
                usual
            }
            _ => section.value("url", USUAL_FILE.to_owned()),
        };
        // The URL may hold a password, so that messages show only its scheme.
        let scheme = url.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| scheme.len() > 1);
        if let Some(scheme) = scheme.filter(|scheme| !["sqlite", "postgres", "postgresql"].contains(scheme)) {
            let problem = format!(
                "\"{scheme}:\" is no database that is known; use \"sqlite:sabir.db\" or \"postgres://...\" (DATABASE_URL \
                 counts as well)"
            );
            section.problem("url", problem);
        }
        let usual = sabir_store_postgres::Config::default();
        let config = Self {
            location: match scheme {
                Some("postgres" | "postgresql") => Location::Postgres(Secret::new(url)),
                _ => Location::Sqlite(url),
            },
            max_connections: max_connections(&mut section, usual.max_connections),
            acquire_timeout: section.value("acquire_timeout", usual.acquire_timeout),
            migrate: section.value("migrate", usual.migrate),
        };
        if config.acquire_timeout.is_zero() {
            section.problem("acquire_timeout", "must be more than 0");
        }
        section.finish();
        config
    }

    /// Whether other replicas may use the same database.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.location, Location::Postgres(_))
    }

    /// Opens the database. An SQLite file is made if it is not there, and its schema brought up to date; the schema of a
    /// Postgres database only if the configuration says so.
    ///
    /// # Errors
    /// What the database says; the message names the place and the way out.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match &self.location {
            Location::Sqlite(place) => {
                Arc::new(sabir_store_sqlite::open(place, sabir_store_sqlite::Config::default()).await?)
            }
            Location::Postgres(url) => {
                let config = sabir_store_postgres::Config {
                    max_connections: self.max_connections,
                    acquire_timeout: self.acquire_timeout,
                    migrate: self.migrate,
                };
                Arc::new(sabir_store_postgres::open(url.expose(), config).await?)
            }
        })
    }

    /// Brings the schema up to date, and says in a line what was done.
    ///
    /// # Errors
    /// What the database says; the message names the place and the way out.
    pub(crate) async fn migrate(&self) -> Result<String, StoreError> {
        match &self.location {
            Location::Sqlite(place) => {
                sabir_store_sqlite::open(place, sabir_store_sqlite::Config::default()).await?.close().await;
                Ok(format!("the schema of {place} is up to date"))
            }
            Location::Postgres(url) => {
                let migrated = sabir_store_postgres::migrate(url.expose()).await?;
                Ok(match migrated.from {
                    Some(from) if from == migrated.to => format!("the schema is up to date: {}", migrated.to),
                    Some(from) => format!("the schema was {from} and is {} now", migrated.to),
                    None => format!("the database was empty and has schema {} now", migrated.to),
                })
            }
        }
    }
}

fn max_connections(section: &mut Section<'_>, usual: u32) -> u32 {
    let asked = section.optional::<usize>("max_connections").map(u32::try_from);
    match asked {
        None => usual,
        Some(Ok(count)) if (2..=1000).contains(&count) => count,
        Some(_) => {
            section.problem("max_connections", "must be from 2 to 1000");
            usual
        }
    }
}

/// How usage rows are written, and how long they are kept.
#[derive(Clone, Debug)]
pub struct UsageConfig {
    /// How they are written.
    pub batch: BatchConfig,
    /// `usage.retention_days`: how many days they are kept; for ever if it is left out.
    pub retention_days: Option<u32>,
}

/// Reads the `[usage]` section.
pub(crate) fn read_usage(mut section: Section<'_>) -> UsageConfig {
    let usual = BatchConfig::default();
    let retention_days =
        section.optional::<usize>("retention_days").map(|days| u32::try_from(days).unwrap_or(u32::MAX));
    let batch = BatchConfig {
        capacity: section.value("capacity", usual.capacity),
        flush_rows: section.value("flush_rows", usual.flush_rows),
        flush_after: section.value("flush_after", usual.flush_after),
        close_within: section.value("close_within", usual.close_within),
        ..usual
    };
    if !(1..=1_000_000).contains(&batch.capacity) {
        section.problem("capacity", "must be from 1 to 1000000");
    }
    if !(1..=100_000).contains(&batch.flush_rows) {
        section.problem("flush_rows", "must be from 1 to 100000");
    }
    if retention_days.is_some_and(|days| !(1..=36_500).contains(&days)) {
        section.problem("retention_days", "must be from 1 to 36500");
    }
    section.finish();
    UsageConfig { batch, retention_days }
}

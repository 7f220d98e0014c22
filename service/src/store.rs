//! Opening the database that the configuration names. After this, the service knows it by its traits alone.

use std::sync::Arc;

use sabir_store::{BatchConfig, Store, StoreError};

use crate::config::Section;

/// The file that is used when nothing else is said.
const USUAL_FILE: &str = "sqlite:sabir.db";

/// Where rows are kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// `database.url`: a path or `sqlite:PATH`. `DATABASE_URL` stands for it too.
    pub url: String,
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
        match scheme {
            None | Some("sqlite") => {}
            Some("postgres" | "postgresql") => section.problem(
                "url",
                "Postgres is not supported in this version; use SQLite: \"sqlite:sabir.db\" (DATABASE_URL counts as well)",
            ),
            Some(scheme) => section.problem("url", format!("\"{scheme}:\" is no database that is known; use \"sqlite:sabir.db\"")),
        }
        section.finish();
        Self { url }
    }

    /// Whether other replicas may use the same database.
    pub(crate) fn is_shared(&self) -> bool {
        self.url.starts_with("postgres")
    }

    /// Opens the database, and makes it if it is not there.
    ///
    /// # Errors
    /// What the database says; the message names the file and the way out.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        let store = sabir_store_sqlite::open(&self.url, sabir_store_sqlite::Config::default()).await?;
        Ok(Arc::new(store))
    }
}

/// Reads the `[usage]` section.
pub(crate) fn read_usage(mut section: Section<'_>) -> BatchConfig {
    let usual = BatchConfig::default();
    let config = BatchConfig {
        capacity: section.value("capacity", usual.capacity),
        flush_rows: section.value("flush_rows", usual.flush_rows),
        flush_after: section.value("flush_after", usual.flush_after),
        close_within: section.value("close_within", usual.close_within),
        ..usual
    };
    if !(1..=1_000_000).contains(&config.capacity) {
        section.problem("capacity", "must be from 1 to 1000000");
    }
    if !(1..=100_000).contains(&config.flush_rows) {
        section.problem("flush_rows", "must be from 1 to 100000");
    }
    section.finish();
    config
}

//! The price table in force, kept in memory and renewed when another comes into force.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sabir_store::{AuditEntry, ImportRule, NewPrices, PriceStore, PriceVersion, StoreError};

use super::config::PricesConfig;
use super::table::{PriceTable, TableError};

use crate::telemetry::event;

/// The source of the table that comes with the program.
const BUILT_IN: &str = "built-in";

/// The source of a table that the configuration names.
const FILE: &str = "file";

/// The provider whose models run in this process, and cost nothing unless somebody says otherwise.
const LOCAL: &str = "local/";

/// How many models without a price are remembered, so that each is complained of once.
const COMPLAINTS: usize = 1_000;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 8 << 20;

/// Why prices cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// The file of the configuration cannot be read.
    #[error("prices.file {path}: {reason}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The table that comes with the program, or the one that the database keeps, is none.
    #[error("the price table ({origin}) cannot be used: {reason}")]
    Table {
        /// Where it is from.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The database does not answer as it should.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A table with its version.
#[derive(Debug, Default)]
pub(crate) struct Current {
    /// The number of the version; 0 before there is any.
    pub(crate) version: i64,
    /// The table.
    pub(crate) table: PriceTable,
}

/// The prices in force.
pub(crate) struct Prices {
    store: Arc<dyn PriceStore>,
    current: RwLock<Arc<Current>>,
    complained: Mutex<HashSet<String>>,
}

impl fmt::Debug for Prices {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Prices(version {})", self.current().version)
    }
}

impl Prices {
    /// Brings the table of the file into force if it never was, else the built-in one if there is no other, and loads
    /// what is in force.
    ///
    /// # Errors
    /// A file that cannot be used, or a database that does not answer.
    pub(crate) async fn open(store: Arc<dyn PriceStore>, config: &PricesConfig) -> Result<Self, PricesError> {
        let prices = Self { store, current: RwLock::default(), complained: Mutex::default() };
        prices.adopt(config).await?;
        Ok(prices)
    }

    /// The same for prices that are in use: brings the table of the file into force if it never was.
    ///
    /// # Errors
    /// As [`open`](Self::open); what is loaded stays in force.
    pub(crate) async fn adopt(&self, config: &PricesConfig) -> Result<(), PricesError> {
        let (table, source, rule) = match &config.file {
            Some(path) => {
                let named = |reason: String| PricesError::File { path: path.display().to_string(), reason };
                let size = tokio::fs::metadata(path).await.map_err(|error| named(error.to_string()))?.len();
                if size > MAX_FILE {
                    return Err(named(format!("the file is larger than {MAX_FILE} bytes")));
                }
                let text = tokio::fs::read_to_string(path).await.map_err(|error| named(error.to_string()))?;
                (PriceTable::read(&text).map_err(|error| named(error.to_string()))?, FILE, ImportRule::IfNew)
            }
            None => (
                PriceTable::built_in().map_err(|error| broken(BUILT_IN, &error))?,
                BUILT_IN,
                ImportRule::InPlaceOfSameSource,
            ),
        };
        if let Some(version) = self.store.import_prices(&new_prices(&table, source), rule, None).await? {
            tracing::info!(
                event = event::PRICES_IN_FORCE,
                version,
                source,
                models = table.entries().len(),
                "prices came into force"
            );
        }
        self.reload().await
    }

    /// Prices that are in force already.
    #[cfg(test)]
    pub(super) fn fixed(store: Arc<dyn PriceStore>, table: PriceTable, version: i64) -> Self {
        let current = RwLock::new(Arc::new(Current { version, table }));
        Self { store, current, complained: Mutex::default() }
    }

    /// Loads what is in force now.
    ///
    /// # Errors
    /// What is loaded stays in force.
    pub(crate) async fn reload(&self) -> Result<(), PricesError> {
        let Some(kept) = self.store.current_prices().await? else { return Ok(()) };
        if kept.version == self.current().version {
            return Ok(());
        }
        let table = table_of(&kept)?;
        let current = Arc::new(Current { version: kept.version, table });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        self.complained.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// The table in force.
    pub(crate) fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where the history is kept.
    pub(crate) fn store(&self) -> &dyn PriceStore {
        &*self.store
    }

    /// Puts a table in force if the one before is still in force. Answers its version, or `None` if it is not.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn import(
        &self,
        table: &PriceTable,
        source: &str,
        after: Option<i64>,
        audit: &AuditEntry,
    ) -> Result<Option<i64>, PricesError> {
        let rule = after.map_or(ImportRule::Always, ImportRule::After);
        let version = self.store.import_prices(&new_prices(table, source), rule, Some(audit)).await?;
        self.reload().await?;
        Ok(version)
    }

    /// Says once for each model that it has no price. Models that run in this process need none.
    pub(crate) fn complain(&self, model: &str) {
        if is_free(model) {
            return;
        }
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.len() < COMPLAINTS && complained.insert(model.to_owned()) {
            tracing::warn!(
                event = event::MODEL_UNPRICED,
                model,
                "the model has no price and counts as free; `sabir prices import` gives it one"
            );
        }
    }
}

/// Whether a model costs nothing where the table does not name it.
pub(super) fn is_free(model: &str) -> bool {
    model.starts_with(LOCAL)
}

/// The table of a version that the database keeps.
///
/// # Errors
/// What it keeps is none.
pub(crate) fn table_of(kept: &PriceVersion) -> Result<PriceTable, PricesError> {
    PriceTable::from_content(&kept.content).map_err(|error| broken(&format!("version {}", kept.version), &error))
}

fn broken(origin: &str, error: &TableError) -> PricesError {
    PricesError::Table { origin: origin.to_owned(), reason: error.to_string() }
}

fn new_prices(table: &PriceTable, source: &str) -> NewPrices {
    NewPrices { checksum: table.checksum(), source: source.to_owned(), content: table.content() }
}

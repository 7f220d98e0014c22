//! For tests: budgets without a database, of which there are none, with prices that are.

use std::sync::Arc;

use sabir_store::{AuditEntry, ImportRule, NewPrices, PriceStore, PriceVersion, StoreFuture};

use super::book::Budgets;
use super::config::Config;
use super::prices::Prices;
use super::table::PriceTable;

/// One version for ever.
struct Fixed(PriceVersion);

impl PriceStore for Fixed {
    fn current_prices(&self) -> StoreFuture<'_, Option<PriceVersion>> {
        Box::pin(std::future::ready(Ok(Some(self.0.clone()))))
    }

    fn prices(&self, _: i64) -> StoreFuture<'_, Option<PriceVersion>> {
        self.current_prices()
    }

    fn list_prices(&self, _: Option<i64>, _: u32) -> StoreFuture<'_, Vec<PriceVersion>> {
        Box::pin(std::future::ready(Ok(vec![self.0.clone()])))
    }

    fn import_prices<'a>(
        &'a self,
        _: &'a NewPrices,
        _: ImportRule,
        _: Option<&'a AuditEntry>,
    ) -> StoreFuture<'a, Option<i64>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl Budgets {
    /// No budgets, and the prices of this file as version 7.
    pub(crate) fn priced(file: &str) -> Self {
        let table = PriceTable::read(file).unwrap();
        let version = PriceVersion {
            version: 7,
            checksum: table.checksum(),
            source: "test".to_owned(),
            imported_at_micros: 0,
            content: table.content(),
        };
        Self::without_books(Arc::new(Prices::fixed(Arc::new(Fixed(version)), table, 7)), Config::default())
    }
}

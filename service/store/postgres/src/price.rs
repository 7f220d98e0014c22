//! The history of the price table in Postgres. The only file that knows the table `price_table`.

use std::time::SystemTime;

use sabir_store::{AuditEntry, ImportRule, NewPrices, PriceStore, PriceVersion, StoreFuture, Topic, unix_micros};

use crate::{PostgresStore, audit, change, error::store_error, patience::answered};

impl PriceStore for PostgresStore {
    fn current_prices(&self) -> StoreFuture<'_, Option<PriceVersion>> {
        answered(async move {
            let row = sqlx::query_as!(
                PriceVersion,
                "SELECT version, checksum, source, imported_at AS imported_at_micros, content
                 FROM price_table ORDER BY version DESC LIMIT 1"
            );
            row.fetch_optional(&mut *self.connection("reading prices").await?)
                .await
                .map_err(|error| store_error("reading prices", &error))
        })
    }

    fn prices(&self, version: i64) -> StoreFuture<'_, Option<PriceVersion>> {
        answered(async move {
            let row = sqlx::query_as!(
                PriceVersion,
                "SELECT version, checksum, source, imported_at AS imported_at_micros, content
                 FROM price_table WHERE version = $1",
                version
            );
            row.fetch_optional(&mut *self.connection("reading prices").await?)
                .await
                .map_err(|error| store_error("reading prices", &error))
        })
    }

    fn list_prices(&self, before: Option<i64>, limit: u32) -> StoreFuture<'_, Vec<PriceVersion>> {
        answered(async move {
            let before = before.unwrap_or(i64::MAX);
            let rows = sqlx::query_as!(
                PriceVersion,
                "SELECT version, checksum, source, imported_at AS imported_at_micros, '' AS \"content!: String\"
                 FROM price_table WHERE version < $1 ORDER BY version DESC LIMIT $2",
                before,
                i64::from(limit)
            );
            rows.fetch_all(&mut *self.connection("reading prices").await?)
                .await
                .map_err(|error| store_error("reading prices", &error))
        })
    }

    fn import_prices<'a>(
        &'a self,
        prices: &'a NewPrices,
        rule: ImportRule,
        audit: Option<&'a AuditEntry>,
    ) -> StoreFuture<'a, Option<i64>> {
        answered(async move {
            let version = self.insert_prices(prices, rule, audit).await;
            version.map_err(|error| store_error("importing prices", &error))
        })
    }
}

impl PostgresStore {
    async fn insert_prices(
        &self,
        prices: &NewPrices,
        rule: ImportRule,
        audit: Option<&AuditEntry>,
    ) -> Result<Option<i64>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        // Of two who bring prices at once, the second sees the version of the first.
        sqlx::query!("LOCK TABLE price_table IN SHARE ROW EXCLUSIVE MODE").execute(&mut *transaction).await?;
        let current = sqlx::query_as!(
            PriceVersion,
            "SELECT version, checksum, source, imported_at AS imported_at_micros, '' AS \"content!: String\"
             FROM price_table ORDER BY version DESC LIMIT 1"
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let known = sqlx::query_scalar!(
            "SELECT EXISTS (SELECT 1 FROM price_table WHERE checksum = $1) AS \"known!: bool\"",
            prices.checksum
        )
        .fetch_one(&mut *transaction)
        .await?;
        if !rule.allows(prices, current.as_ref(), known) {
            transaction.rollback().await?;
            return Ok(None);
        }
        let version = current.map_or(0, |current| current.version) + 1;
        let now = unix_micros(SystemTime::now());
        sqlx::query!(
            "INSERT INTO price_table (version, checksum, source, content, imported_at) VALUES ($1, $2, $3, $4, $5)",
            version,
            prices.checksum,
            prices.source,
            prices.content,
            now
        )
        .execute(&mut *transaction)
        .await?;
        if let Some(audit) = audit {
            audit::write(&mut transaction, audit).await?;
        }
        change::move_generation(&mut transaction, Topic::Prices).await?;
        transaction.commit().await?;
        Ok(Some(version))
    }
}

//! The audit log in SQLite. The only file that knows the table `audit`.

use sabir_store::{AuditEntry, AuditFilter, AuditStore, Page, StoreFuture};
use sqlx::{Sqlite, Transaction};
use uuid::Uuid;

use crate::{SqliteStore, error::store_error};

impl AuditStore for SqliteStore {
    fn list_audit<'a>(&'a self, filter: &'a AuditFilter, page: Page) -> StoreFuture<'a, Vec<AuditEntry>> {
        Box::pin(async move {
            let entries = self.select_audit(filter, page).await;
            entries.map_err(|error| store_error("reading the audit log", &error))
        })
    }
}

impl SqliteStore {
    async fn select_audit(&self, filter: &AuditFilter, page: Page) -> Result<Vec<AuditEntry>, sqlx::Error> {
        let AuditFilter { since_micros, until_micros, actor, target } = filter;
        sqlx::query_as!(
            AuditEntry,
            r#"SELECT id AS "id: Uuid", at AS at_micros, actor, action, target, detail
               FROM audit
               WHERE ($1 IS NULL OR at >= $1) AND ($2 IS NULL OR at < $2)
                 AND ($3 IS NULL OR actor = $3) AND ($4 IS NULL OR target = $4)
                 AND ($5 IS NULL OR id < $5)
               ORDER BY id DESC
               LIMIT $6"#,
            since_micros,
            until_micros,
            actor,
            target,
            page.after,
            page.limit
        )
        .fetch_all(&self.readers)
        .await
    }
}

/// Writes an entry in the transaction of the act itself.
pub(crate) async fn write(
    transaction: &mut Transaction<'static, Sqlite>,
    entry: &AuditEntry,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO audit (id, at, actor, action, target, detail) VALUES ($1, $2, $3, $4, $5, $6)",
        entry.id,
        entry.at_micros,
        entry.actor,
        entry.action,
        entry.target,
        entry.detail
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

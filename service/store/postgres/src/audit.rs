//! The audit log in Postgres. The only file that knows the table `audit`.

use sabir_store::{AuditEntry, AuditFilter, AuditStore, Page, StoreFuture};
use sqlx::{Postgres, Transaction};

use crate::{PostgresStore, error::store_error, patience::answered};

impl AuditStore for PostgresStore {
    fn list_audit<'a>(&'a self, filter: &'a AuditFilter, page: Page) -> StoreFuture<'a, Vec<AuditEntry>> {
        answered(async move {
            let entries = self.select_audit(filter, page).await;
            entries.map_err(|error| store_error("reading the audit log", &error))
        })
    }
}

impl PostgresStore {
    async fn select_audit(&self, filter: &AuditFilter, page: Page) -> Result<Vec<AuditEntry>, sqlx::Error> {
        let AuditFilter { since_micros, until_micros, actor, target } = filter;
        sqlx::query_as!(
            AuditEntry,
            r#"SELECT id, at AS at_micros, actor, action, target, detail
               FROM audit
               WHERE (CAST($1 AS BIGINT) IS NULL OR at >= $1) AND (CAST($2 AS BIGINT) IS NULL OR at < $2)
                 AND (CAST($3 AS TEXT) IS NULL OR actor = $3) AND (CAST($4 AS TEXT) IS NULL OR target = $4)
                 AND (CAST($5 AS UUID) IS NULL OR id < $5)
               ORDER BY id DESC
               LIMIT $6"#,
            *since_micros,
            *until_micros,
            actor.as_deref(),
            target.as_deref(),
            page.after,
            i64::from(page.limit)
        )
        .fetch_all(&mut *self.connections.acquire().await?)
        .await
    }
}

/// Writes an entry in the transaction of the act itself.
pub(crate) async fn write(
    transaction: &mut Transaction<'static, Postgres>,
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

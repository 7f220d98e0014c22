//! Generations in Postgres, and how a change is made: with its audit entry, in one transaction. The only file that knows
//! the table `generation`.

use sabir_store::{AuditEntry, ChangeStore, Generations, StoreFuture, Topic};
use sqlx::{Postgres, Transaction};

use crate::{PostgresStore, error::store_error, patience::answered};

impl ChangeStore for PostgresStore {
    fn generations(&self) -> StoreFuture<'_, Generations> {
        answered(async move {
            let mut connection = self.connection("reading generations").await?;
            let rows = sqlx::query!("SELECT topic, value FROM generation").fetch_all(&mut *connection).await;
            let rows = rows.map_err(|error| store_error("reading generations", &error))?;
            Ok(Generations::from_rows(rows.iter().map(|row| (row.topic.as_str(), row.value))))
        })
    }
}

impl PostgresStore {
    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.connections.begin().await
    }
}

/// Ends a transaction in which so many rows were changed: if there were any, with the audit entry and a new generation.
/// Answers whether there were.
pub(crate) async fn finish(
    mut transaction: Transaction<'static, Postgres>,
    changed: u64,
    topic: Topic,
    audit: &AuditEntry,
) -> Result<bool, sqlx::Error> {
    if changed == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    crate::audit::write(&mut transaction, audit).await?;
    move_generation(&mut transaction, topic).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Tells the other replicas that something of this kind has changed, once the transaction is committed. Until then it
/// holds up other changes of this kind: do it last.
pub(crate) async fn move_generation(
    transaction: &mut Transaction<'static, Postgres>,
    topic: Topic,
) -> Result<(), sqlx::Error> {
    let topic = topic.as_str();
    sqlx::query!("UPDATE generation SET value = value + 1 WHERE topic = $1", topic).execute(&mut **transaction).await?;
    Ok(())
}

//! The table `signing_key`.

use sabir_store::{SigningKey, Topic};

use crate::{PostgresStore, change::move_generation};

impl PostgresStore {
    pub(super) async fn select_signing_keys(&self) -> Result<Vec<SigningKey>, sqlx::Error> {
        sqlx::query_as!(
            SigningKey,
            "SELECT id, algorithm, public_key, sealed_private_key, created_at AS created_at_micros,
                    not_before AS not_before_micros, retired_at AS retired_at_micros
             FROM signing_key
             ORDER BY not_before DESC, id DESC"
        )
        .fetch_all(&mut *self.connections.acquire().await?)
        .await
    }

    pub(super) async fn insert_signing_key(
        &self,
        key: &SigningKey,
        after: Option<&str>,
        retire_at_micros: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        // Of two who bring a key at once, the second sees the key of the first.
        sqlx::query!("LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE").execute(&mut *transaction).await?;
        let latest = sqlx::query_scalar!(
            "SELECT id FROM signing_key WHERE algorithm = $1 ORDER BY not_before DESC, id DESC LIMIT 1",
            key.algorithm
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if latest.as_deref() != after {
            transaction.rollback().await?;
            return Ok(false);
        }
        sqlx::query!(
            "UPDATE signing_key SET retired_at = $2 WHERE algorithm = $1 AND retired_at IS NULL",
            key.algorithm,
            retire_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "INSERT INTO signing_key
                    (id, algorithm, public_key, sealed_private_key, created_at, not_before, retired_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            key.id,
            key.algorithm,
            key.public_key,
            key.sealed_private_key,
            key.created_at_micros,
            key.not_before_micros,
            key.retired_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        move_generation(&mut transaction, Topic::Tokens).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

//! Kept answers in SQLite. The only file that knows the table `kept_answer`.

use sabir_store::{AnswerStore, KeptAnswer, StoreError, StoreErrorKind, StoreFuture};

use crate::{SqliteStore, error::store_error};

impl AnswerStore for SqliteStore {
    fn put_answer<'a>(&'a self, answer: &'a KeptAnswer) -> StoreFuture<'a, ()> {
        Box::pin(
            async move { self.upsert_answer(answer).await.map_err(|error| store_error("keeping an answer", &error)) },
        )
    }

    fn get_answer<'a>(&'a self, key: &'a [u8; 32], now_micros: i64) -> StoreFuture<'a, Option<KeptAnswer>> {
        Box::pin(async move {
            let found = self.select_answer(key, now_micros).await;
            let found = found.map_err(|error| store_error("looking for an answer", &error))?;
            found.map(KeptAnswer::try_from).transpose()
        })
    }

    fn remove_expired_answers(&self, now_micros: i64, limit: u32) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let removed = self.delete_answers(now_micros, limit).await;
            removed.map_err(|error| store_error("removing old answers", &error))
        })
    }
}

impl SqliteStore {
    async fn upsert_answer(&self, answer: &KeptAnswer) -> Result<(), sqlx::Error> {
        let KeptAnswer { key, answer, model, at_micros, expires_micros } = answer;
        let key = key.as_slice();
        sqlx::query!(
            "INSERT INTO kept_answer (key, answer, model, at, expires) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (key) DO UPDATE SET
                 answer = excluded.answer, model = excluded.model, at = excluded.at, expires = excluded.expires
             WHERE excluded.at > kept_answer.at",
            key,
            answer,
            model,
            at_micros,
            expires_micros
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn select_answer(&self, key: &[u8; 32], now_micros: i64) -> Result<Option<StoredAnswer>, sqlx::Error> {
        let key = key.as_slice();
        sqlx::query_as!(
            StoredAnswer,
            "SELECT key, answer, model, at, expires FROM kept_answer WHERE key = $1 AND expires > $2",
            key,
            now_micros
        )
        .fetch_optional(&self.readers)
        .await
    }

    async fn delete_answers(&self, now_micros: i64, limit: u32) -> Result<u64, sqlx::Error> {
        let deleted = sqlx::query!(
            "DELETE FROM kept_answer WHERE key IN (SELECT key FROM kept_answer WHERE expires <= $1 LIMIT $2)",
            now_micros,
            limit
        )
        .execute(&self.writer)
        .await?;
        Ok(deleted.rows_affected())
    }
}

/// A row as SQLite gives it.
struct StoredAnswer {
    key: Vec<u8>,
    answer: Vec<u8>,
    model: String,
    at: i64,
    expires: i64,
}

impl TryFrom<StoredAnswer> for KeptAnswer {
    type Error = StoreError;

    fn try_from(row: StoredAnswer) -> Result<Self, StoreError> {
        let StoredAnswer { key, answer, model, at, expires } = row;
        let key =
            key.try_into().map_err(|_| StoreError::new(StoreErrorKind::Corrupt, "a kept answer has no valid key"))?;
        Ok(Self { key, answer, model, at_micros: at, expires_micros: expires })
    }
}

//! Captures in SQLite. The only file that knows the table `capture`.

use sabir_store::{Capture, CaptureFilter, CaptureStore, Page, StoreFuture};
use uuid::Uuid;

use crate::{SqliteStore, error::store_error};

impl CaptureStore for SqliteStore {
    fn insert_captures<'a>(&'a self, captures: &'a [Capture]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.insert_capture_rows(captures).await.map_err(|error| store_error("writing captures", &error))
        })
    }

    fn list_captures<'a>(&'a self, filter: &'a CaptureFilter, page: Page) -> StoreFuture<'a, Vec<Capture>> {
        Box::pin(async move {
            self.select_captures(filter, page).await.map_err(|error| store_error("reading captures", &error))
        })
    }

    fn remove_captures(&self, before_micros: i64, limit: u32) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let removed = self.delete_captures(before_micros, limit).await;
            removed.map_err(|error| store_error("removing captures", &error))
        })
    }
}

impl SqliteStore {
    async fn insert_capture_rows(&self, captures: &[Capture]) -> Result<(), sqlx::Error> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        for capture in captures {
            sqlx::query!(
                "INSERT INTO capture (id, at, actor, team_id, model, code, request, response, cut)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 ON CONFLICT DO NOTHING",
                capture.id,
                capture.at_micros,
                capture.actor,
                capture.team_id,
                capture.model,
                capture.code,
                capture.request,
                capture.response,
                capture.cut
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }

    async fn select_captures(&self, filter: &CaptureFilter, page: Page) -> Result<Vec<Capture>, sqlx::Error> {
        let CaptureFilter { since_micros, until_micros, actor, team_id, model } = filter;
        sqlx::query_as!(
            Capture,
            r#"SELECT id AS "id: Uuid", at AS at_micros, actor, team_id AS "team_id: Uuid", model, code AS "code: i32",
                      request, response, cut AS "cut: bool"
               FROM capture
               WHERE ($1 IS NULL OR at >= $1) AND ($2 IS NULL OR at < $2)
                 AND ($3 IS NULL OR actor = $3) AND ($4 IS NULL OR team_id = $4) AND ($5 IS NULL OR model = $5)
                 AND ($6 IS NULL OR id < $6)
               ORDER BY id DESC
               LIMIT $7"#,
            since_micros,
            until_micros,
            actor,
            team_id,
            model,
            page.after,
            page.limit
        )
        .fetch_all(&self.readers)
        .await
    }

    async fn delete_captures(&self, before_micros: i64, limit: u32) -> Result<u64, sqlx::Error> {
        let deleted = sqlx::query!(
            "DELETE FROM capture WHERE id IN (SELECT id FROM capture WHERE at < $1 ORDER BY at LIMIT $2)",
            before_micros,
            limit
        )
        .execute(&self.writer)
        .await?;
        Ok(deleted.rows_affected())
    }
}

//! Captures in Postgres. The only file that knows the table `capture`.

use sabir_store::{Capture, CaptureFilter, CaptureStore, Page, StoreFuture};

use crate::{PostgresStore, error::store_error, patience::answered};

impl CaptureStore for PostgresStore {
    fn insert_captures<'a>(&'a self, captures: &'a [Capture]) -> StoreFuture<'a, ()> {
        answered(async move {
            self.insert_capture_rows(captures).await.map_err(|error| store_error("writing captures", &error))
        })
    }

    fn list_captures<'a>(&'a self, filter: &'a CaptureFilter, page: Page) -> StoreFuture<'a, Vec<Capture>> {
        answered(async move {
            self.select_captures(filter, page).await.map_err(|error| store_error("reading captures", &error))
        })
    }

    fn remove_captures(&self, before_micros: i64, limit: u32) -> StoreFuture<'_, u64> {
        answered(async move {
            let removed = self.delete_captures(before_micros, limit).await;
            removed.map_err(|error| store_error("removing captures", &error))
        })
    }
}

impl PostgresStore {
    async fn insert_capture_rows(&self, captures: &[Capture]) -> Result<(), sqlx::Error> {
        let mut transaction = self.connections.begin().await?;
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
            r#"SELECT id, at AS at_micros, actor, team_id, model, code, request, response, cut
               FROM capture
               WHERE (CAST($1 AS BIGINT) IS NULL OR at >= $1) AND (CAST($2 AS BIGINT) IS NULL OR at < $2)
                 AND (CAST($3 AS TEXT) IS NULL OR actor = $3) AND (CAST($4 AS UUID) IS NULL OR team_id = $4)
                 AND (CAST($5 AS TEXT) IS NULL OR model = $5) AND (CAST($6 AS UUID) IS NULL OR id < $6)
               ORDER BY id DESC
               LIMIT $7"#,
            *since_micros,
            *until_micros,
            actor.as_deref(),
            *team_id,
            model.as_deref(),
            page.after,
            i64::from(page.limit)
        )
        .fetch_all(&mut *self.connections.acquire().await?)
        .await
    }

    async fn delete_captures(&self, before_micros: i64, limit: u32) -> Result<u64, sqlx::Error> {
        let deleted = sqlx::query!(
            "DELETE FROM capture WHERE id IN (SELECT id FROM capture WHERE at < $1 ORDER BY at LIMIT $2)",
            before_micros,
            i64::from(limit)
        )
        .execute(&mut *self.connections.acquire().await?)
        .await?;
        Ok(deleted.rows_affected())
    }
}

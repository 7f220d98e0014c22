//! Sums of usage by day, which a trigger keeps, and letting go of old rows.

use sabir_store::{StoreError, StoreFuture, UsageGroup, UsageSum, UsageSumQuery, UsageSumStore};
use uuid::Uuid;

use crate::{SqliteStore, error::store_error};

/// How many rows are removed in one transaction, so that writers never wait for long.
const REMOVED_AT_ONCE: i64 = 2_000;

impl UsageSumStore for SqliteStore {
    fn sum_usage<'a>(&'a self, query: &'a UsageSumQuery, limit: u32) -> StoreFuture<'a, Vec<UsageSum>> {
        Box::pin(async move {
            let sums = self.select_sums(query, limit).await;
            let sums = sums.map_err(|error| store_error("adding up usage", &error))?;
            Ok(sums.into_iter().map(UsageSum::from).collect())
        })
    }

    fn tend_usage(&self, _now_micros: i64, keep_since_micros: Option<i64>) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let Some(since) = keep_since_micros else { return Ok(0) };
            self.remove_rows(since).await
        })
    }
}

impl SqliteStore {
    async fn select_sums(&self, query: &UsageSumQuery, limit: u32) -> Result<Vec<StoredSum>, sqlx::Error> {
        let (by, first) = (query.by, query.after.is_none());
        let after = query.after.clone().unwrap_or_default();
        let (since, until) = (query.since_day.unwrap_or(i64::MIN), query.until_day.unwrap_or(i64::MAX));
        let (model, provider) = (query.model.as_deref(), query.provider.as_deref());
        sqlx::query_as!(
            StoredSum,
            r#"SELECT day AS "day!: i64", key_id AS "key_id!: Uuid", user_id AS "user_id!: Uuid",
                      team_id AS "team_id!: Uuid", model AS "model!: String", provider AS "provider!: String",
                      calls AS "calls!: i64", failed_calls AS "failed_calls!: i64", prompt_tokens AS "prompt_tokens!: i64",
                      completion_tokens AS "completion_tokens!: i64", cached_tokens AS "cached_tokens!: i64",
                      reasoning_tokens AS "reasoning_tokens!: i64", cost AS "cost!: i64"
               FROM (
                   SELECT CASE WHEN ?1 THEN day ELSE 0 END AS day,
                          CASE WHEN ?2 THEN key_id ELSE zeroblob(16) END AS key_id,
                          CASE WHEN ?3 THEN user_id ELSE zeroblob(16) END AS user_id,
                          CASE WHEN ?4 THEN team_id ELSE zeroblob(16) END AS team_id,
                          CASE WHEN ?5 THEN model ELSE '' END AS model,
                          CASE WHEN ?6 THEN provider ELSE '' END AS provider,
                          SUM(calls) AS calls, SUM(failed_calls) AS failed_calls, SUM(prompt_tokens) AS prompt_tokens,
                          SUM(completion_tokens) AS completion_tokens, SUM(cached_tokens) AS cached_tokens,
                          SUM(reasoning_tokens) AS reasoning_tokens, SUM(cost) AS cost
                   FROM usage_daily
                   WHERE usage_daily.day >= ?7 AND usage_daily.day < ?8
                     AND (?9 IS NULL OR usage_daily.key_id = ?9) AND (?10 IS NULL OR usage_daily.user_id = ?10)
                     AND (?11 IS NULL OR usage_daily.team_id = ?11) AND (?12 IS NULL OR usage_daily.model = ?12)
                     AND (?13 IS NULL OR usage_daily.provider = ?13)
                   GROUP BY 1, 2, 3, 4, 5, 6
               ) AS sums
               WHERE ?14 OR (day, key_id, user_id, team_id, model, provider) > (?15, ?16, ?17, ?18, ?19, ?20)
               ORDER BY day, key_id, user_id, team_id, model, provider
               LIMIT ?21"#,
            by.day,
            by.key,
            by.user,
            by.team,
            by.model,
            by.provider,
            since,
            until,
            query.key_id,
            query.user_id,
            query.team_id,
            model,
            provider,
            first,
            after.day,
            after.key_id,
            after.user_id,
            after.team_id,
            after.model,
            after.provider,
            limit
        )
        .fetch_all(&self.readers)
        .await
    }

    async fn remove_rows(&self, since: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let result = sqlx::query!(
                "DELETE FROM usage WHERE (started_at, id) IN
                     (SELECT started_at, id FROM usage WHERE started_at < ?1 ORDER BY started_at, id LIMIT ?2)",
                since,
                REMOVED_AT_ONCE
            )
            .execute(&self.writer)
            .await
            .map_err(|error| store_error("removing old usage rows", &error))?;
            match result.rows_affected() {
                0 => return Ok(removed),
                rows => removed += rows,
            }
        }
    }
}

/// A sum as SQLite gives it.
struct StoredSum {
    day: i64,
    key_id: Uuid,
    user_id: Uuid,
    team_id: Uuid,
    model: String,
    provider: String,
    calls: i64,
    failed_calls: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    cost: i64,
}

impl From<StoredSum> for UsageSum {
    fn from(sum: StoredSum) -> Self {
        let StoredSum { day, key_id, user_id, team_id, model, provider, .. } = sum;
        Self {
            group: UsageGroup { day, key_id, user_id, team_id, model, provider },
            calls: sum.calls.unsigned_abs(),
            failed_calls: sum.failed_calls.unsigned_abs(),
            prompt_tokens: sum.prompt_tokens.unsigned_abs(),
            completion_tokens: sum.completion_tokens.unsigned_abs(),
            cached_tokens: sum.cached_tokens.unsigned_abs(),
            reasoning_tokens: sum.reasoning_tokens.unsigned_abs(),
            cost_nanos: sum.cost,
        }
    }
}

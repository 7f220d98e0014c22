//! Sums of usage by day, which the statement that inserts rows keeps. Old rows go with their partitions.

use sabir_store::{StoreFuture, UsageGroup, UsageSum, UsageSumQuery, UsageSumStore};
use uuid::Uuid;

use crate::{PostgresStore, error::store_error, patience::answered};

impl UsageSumStore for PostgresStore {
    fn sum_usage<'a>(&'a self, query: &'a UsageSumQuery, limit: u32) -> StoreFuture<'a, Vec<UsageSum>> {
        answered(async move {
            let sums = self.select_sums(query, limit).await;
            let sums = sums.map_err(|error| store_error("adding up usage", &error))?;
            Ok(sums.into_iter().map(UsageSum::from).collect())
        })
    }

    fn tend_usage(&self, now_micros: i64, keep_since_micros: Option<i64>) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let tended = self.tend_partitions(now_micros, keep_since_micros).await;
            tended.map_err(|error| store_error("tending the partitions of usage", &error))
        })
    }
}

impl PostgresStore {
    async fn select_sums(&self, query: &UsageSumQuery, limit: u32) -> Result<Vec<StoredSum>, sqlx::Error> {
        let (by, first) = (query.by, query.after.is_none());
        let after = query.after.clone().unwrap_or_default();
        let (since, until) = (query.since_day.unwrap_or(i64::MIN), query.until_day.unwrap_or(i64::MAX));
        let (model, provider) = (query.model.as_deref(), query.provider.as_deref());
        sqlx::query_as!(
            StoredSum,
            r#"SELECT day AS "day!", key_id AS "key_id!", user_id AS "user_id!", team_id AS "team_id!", model AS "model!",
                      provider AS "provider!", calls AS "calls!", failed_calls AS "failed_calls!",
                      prompt_tokens AS "prompt_tokens!", completion_tokens AS "completion_tokens!",
                      cached_tokens AS "cached_tokens!", reasoning_tokens AS "reasoning_tokens!", cost AS "cost!"
               FROM (
                   SELECT CASE WHEN $1 THEN day ELSE 0 END AS day,
                          CASE WHEN $2 THEN key_id ELSE '00000000-0000-0000-0000-000000000000' END AS key_id,
                          CASE WHEN $3 THEN user_id ELSE '00000000-0000-0000-0000-000000000000' END AS user_id,
                          CASE WHEN $4 THEN team_id ELSE '00000000-0000-0000-0000-000000000000' END AS team_id,
                          CASE WHEN $5 THEN model ELSE '' END AS model,
                          CASE WHEN $6 THEN provider ELSE '' END AS provider,
                          SUM(calls)::bigint AS calls, SUM(failed_calls)::bigint AS failed_calls,
                          SUM(prompt_tokens)::bigint AS prompt_tokens,
                          SUM(completion_tokens)::bigint AS completion_tokens,
                          SUM(cached_tokens)::bigint AS cached_tokens,
                          SUM(reasoning_tokens)::bigint AS reasoning_tokens, SUM(cost)::bigint AS cost
                   FROM usage_daily AS daily
                   WHERE daily.day >= $7 AND daily.day < $8
                     AND ($9::uuid IS NULL OR daily.key_id = $9) AND ($10::uuid IS NULL OR daily.user_id = $10)
                     AND ($11::uuid IS NULL OR daily.team_id = $11) AND ($12::text IS NULL OR daily.model = $12)
                     AND ($13::text IS NULL OR daily.provider = $13)
                   GROUP BY 1, 2, 3, 4, 5, 6
               ) AS sums
               WHERE $14 OR (day, key_id, user_id, team_id, model, provider)
                            > ($15, $16, $17, $18, $19::text COLLATE "C", $20::text COLLATE "C")
               ORDER BY day, key_id, user_id, team_id, model, provider
               LIMIT $21"#,
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
            i64::from(limit)
        )
        .fetch_all(&mut *self.connections.acquire().await?)
        .await
    }
}

/// A sum as Postgres gives it.
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

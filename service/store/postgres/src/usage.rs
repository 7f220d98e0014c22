//! Usage rows in Postgres. The only file that knows the table `usage`.
//!
//! One statement takes any number of rows, as one array for each column, and adds them to the sums by day. Rows that are
//! there already change neither.

mod partition;
mod sum;

use std::{borrow::Cow, sync::Arc};

use sabir_store::{
    Operation, Outcome, Protocol, StoreError, StoreErrorKind, StoreFuture, TokenSource, UsageAttempt, UsageFilter,
    UsageRow, UsageStore,
};
use uuid::Uuid;

use crate::{
    PostgresStore,
    error::{is_misdirected, store_error},
    patience::answered,
};

impl UsageStore for PostgresStore {
    fn insert<'a>(&'a self, rows: &'a [UsageRow]) -> StoreFuture<'a, ()> {
        answered(async move {
            if rows.is_empty() {
                return Ok(());
            }
            let mut inserted = self.insert_rows(rows).await;
            if inserted.as_ref().is_err_and(is_misdirected) {
                inserted = self.insert_rows(rows).await;
            }
            inserted.map_err(|error| store_error("writing usage rows", &error))
        })
    }

    fn list<'a>(&'a self, filter: &'a UsageFilter, limit: u32) -> StoreFuture<'a, Vec<UsageRow>> {
        answered(async move {
            let rows = self.select_rows(filter, limit).await;
            let rows = rows.map_err(|error| store_error("reading usage rows", &error))?;
            rows.into_iter().map(UsageRow::try_from).collect()
        })
    }

    fn count(&self) -> StoreFuture<'_, u64> {
        answered(async move {
            let mut connection = self.connection("counting usage rows").await?;
            let count =
                sqlx::query_scalar!(r#"SELECT COUNT(*) AS "count!" FROM usage"#).fetch_one(&mut *connection).await;
            let count = count.map_err(|error| store_error("counting usage rows", &error))?;
            Ok(count.unsigned_abs())
        })
    }
}

/// One column of a batch.
fn column<'r, T>(rows: &'r [UsageRow], cell: impl Fn(&'r UsageRow) -> T) -> Vec<T> {
    rows.iter().map(cell).collect()
}

/// A column of small numbers.
fn codes(rows: &[UsageRow], code: impl Fn(&UsageRow) -> u8) -> Vec<i16> {
    rows.iter().map(|row| i16::from(code(row))).collect()
}

/// A text as Postgres can keep it: without the one character that it cannot. Callers choose the names of models.
fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

impl PostgresStore {
    async fn insert_rows(&self, rows: &[UsageRow]) -> Result<(), sqlx::Error> {
        let optional = |name: &'_ Option<Arc<str>>| name.as_deref().map(|name| text(name).into_owned());
        // Sums are changed in one order by everybody, or two replicas could each wait for the other.
        sqlx::query!(
            r#"WITH inserted AS (
                   INSERT INTO usage (started_at, id, latency, first_token, protocol, operation, streamed, principal,
                                      model_asked, model_used, provider, outcome, grpc_code, prompt_tokens,
                                      completion_tokens, cached_tokens, reasoning_tokens, token_source, cost,
                                      price_version, key_id, user_id, team_id, attempts)
                   SELECT * FROM UNNEST($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::smallint[],
                                        $6::smallint[], $7::boolean[], $8::text[], $9::text[], $10::text[], $11::text[],
                                        $12::smallint[], $13::smallint[], $14::bigint[], $15::bigint[], $16::bigint[],
                                        $17::bigint[], $18::smallint[], $19::bigint[], $20::bigint[], $21::uuid[],
                                        $22::uuid[], $23::uuid[], $24::text[])
                   ON CONFLICT DO NOTHING
                   RETURNING *
               )
               INSERT INTO usage_daily AS daily
               SELECT coalesce(key_id, '00000000-0000-0000-0000-000000000000'), started_at / 86400000000,
                      coalesce(user_id, '00000000-0000-0000-0000-000000000000'),
                      coalesce(team_id, '00000000-0000-0000-0000-000000000000'),
                      CASE WHEN provider IS NULL THEN '' ELSE model_asked END, coalesce(provider, ''), COUNT(*),
                      COUNT(*) FILTER (WHERE grpc_code <> 0), SUM(prompt_tokens), SUM(completion_tokens),
                      SUM(cached_tokens), SUM(reasoning_tokens), SUM(cost)
               FROM inserted
               GROUP BY 1, 2, 3, 4, 5, 6
               ORDER BY 1, 2, 3, 4, 5, 6
               ON CONFLICT (key_id, day, user_id, team_id, model, provider) DO UPDATE SET
                   calls = daily.calls + excluded.calls,
                   failed_calls = daily.failed_calls + excluded.failed_calls,
                   prompt_tokens = daily.prompt_tokens + excluded.prompt_tokens,
                   completion_tokens = daily.completion_tokens + excluded.completion_tokens,
                   cached_tokens = daily.cached_tokens + excluded.cached_tokens,
                   reasoning_tokens = daily.reasoning_tokens + excluded.reasoning_tokens,
                   cost = daily.cost + excluded.cost"#,
            &column(rows, |row| row.started_at_micros),
            &column(rows, |row| Uuid::from_bytes(row.id)),
            &column(rows, |row| row.latency_micros),
            &column(rows, |row| row.first_token_micros) as &[Option<i64>],
            &codes(rows, |row| row.protocol.code()),
            &codes(rows, |row| row.operation.code()),
            &column(rows, |row| row.streamed),
            &column(rows, |row| optional(&row.principal)) as &[Option<String>],
            &column(rows, |row| text(&row.model_asked).into_owned()),
            &column(rows, |row| optional(&row.model_used)) as &[Option<String>],
            &column(rows, |row| optional(&row.provider)) as &[Option<String>],
            &codes(rows, |row| row.outcome.code()),
            &column(rows, |row| i16::try_from(row.grpc_code).unwrap_or(i16::MAX)),
            &column(rows, |row| i64::from(row.prompt_tokens)),
            &column(rows, |row| i64::from(row.completion_tokens)),
            &column(rows, |row| i64::from(row.cached_tokens)),
            &column(rows, |row| i64::from(row.reasoning_tokens)),
            &codes(rows, |row| row.token_source.code()),
            &column(rows, |row| row.cost_nanos),
            &column(rows, |row| row.price_version) as &[Option<i64>],
            &column(rows, |row| row.key_id) as &[Option<Uuid>],
            &column(rows, |row| row.user_id) as &[Option<Uuid>],
            &column(rows, |row| row.team_id) as &[Option<Uuid>],
            &column(rows, |row| UsageAttempt::to_text(&row.attempts)) as &[Option<String>],
        )
        .execute(&mut *self.connections.acquire().await?)
        .await?;
        Ok(())
    }

    async fn select_rows(&self, filter: &UsageFilter, limit: u32) -> Result<Vec<StoredRow>, sqlx::Error> {
        let (after_started_at, after_id) = filter.after.unwrap_or((i64::MAX, [0xff; 16]));
        sqlx::query_as!(
            StoredRow,
            r#"SELECT started_at, id, latency, first_token, protocol, operation, streamed, principal, model_asked,
                      model_used, provider, outcome, grpc_code, prompt_tokens, completion_tokens, cached_tokens,
                      reasoning_tokens, token_source, cost, price_version, key_id, user_id, team_id, attempts
               FROM usage
               WHERE started_at >= $1 AND started_at < $2
                 AND ($3::text IS NULL OR principal = $3) AND ($4::text IS NULL OR model_asked = $4)
                 AND ($5::uuid IS NULL OR key_id = $5) AND ($6::uuid IS NULL OR user_id = $6)
                 AND ($7::uuid IS NULL OR team_id = $7) AND ($8::text IS NULL OR provider = $8)
                 AND started_at <= $9 AND (started_at, id) < ($9, $10)
               ORDER BY started_at DESC, id DESC
               LIMIT $11"#,
            filter.since_micros.unwrap_or(i64::MIN),
            filter.until_micros.unwrap_or(i64::MAX),
            filter.principal.as_deref(),
            filter.model_asked.as_deref(),
            filter.key_id,
            filter.user_id,
            filter.team_id,
            filter.provider.as_deref(),
            after_started_at,
            Uuid::from_bytes(after_id),
            i64::from(limit)
        )
        .fetch_all(&mut *self.connections.acquire().await?)
        .await
    }
}

/// A row as Postgres gives it.
struct StoredRow {
    started_at: i64,
    id: Uuid,
    latency: i64,
    first_token: Option<i64>,
    protocol: i16,
    operation: i16,
    streamed: bool,
    principal: Option<String>,
    model_asked: String,
    model_used: Option<String>,
    provider: Option<String>,
    outcome: i16,
    grpc_code: i16,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    token_source: i16,
    cost: i64,
    price_version: Option<i64>,
    key_id: Option<Uuid>,
    user_id: Option<Uuid>,
    team_id: Option<Uuid>,
    attempts: Option<String>,
}

impl TryFrom<StoredRow> for UsageRow {
    type Error = StoreError;

    fn try_from(row: StoredRow) -> Result<Self, StoreError> {
        let corrupt = |column: &str| {
            let message = format!("a usage row that started at {} has no valid {column}", row.started_at);
            StoreError::new(StoreErrorKind::Corrupt, message)
        };
        let tokens = |column: &str, count: i64| u32::try_from(count).map_err(|_| corrupt(column));
        Ok(Self {
            id: row.id.into_bytes(),
            started_at_micros: row.started_at,
            latency_micros: row.latency,
            first_token_micros: row.first_token,
            protocol: Protocol::from_code(row.protocol.into()).ok_or_else(|| corrupt("protocol"))?,
            operation: Operation::from_code(row.operation.into()).ok_or_else(|| corrupt("operation"))?,
            streamed: row.streamed,
            principal: row.principal.as_deref().map(Arc::from),
            key_id: row.key_id,
            user_id: row.user_id,
            team_id: row.team_id,
            model_asked: row.model_asked.as_str().into(),
            model_used: row.model_used.as_deref().map(Arc::from),
            provider: row.provider.as_deref().map(Arc::from),
            outcome: Outcome::from_code(row.outcome.into()).ok_or_else(|| corrupt("outcome"))?,
            grpc_code: row.grpc_code.into(),
            prompt_tokens: tokens("prompt_tokens", row.prompt_tokens)?,
            completion_tokens: tokens("completion_tokens", row.completion_tokens)?,
            cached_tokens: tokens("cached_tokens", row.cached_tokens)?,
            reasoning_tokens: tokens("reasoning_tokens", row.reasoning_tokens)?,
            token_source: TokenSource::from_code(row.token_source.into()).ok_or_else(|| corrupt("token_source"))?,
            cost_nanos: row.cost,
            price_version: row.price_version,
            attempts: UsageAttempt::from_text(row.attempts.as_deref())?,
        })
    }
}

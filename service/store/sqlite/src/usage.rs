//! Usage rows in SQLite. The only file that knows the table `usage`.
//!
//! How rows are written was measured before there were sums (release build, batches of 64 and 512 rows on one connection, CPU
//! of both threads per row, a busy two-core machine): one statement for many rows with bound parameters took 2.7-4.4 us, one
//! `json_each` parameter 11-14 us, one prepared statement per row in a transaction 45-55 us, nearly all of it the hop
//! to the connection's thread and back. Since then a trigger keeps the sums by
//! day: `scripts/bench-usage`, which writes the same rows from Python, counted 7,500 rows a second with it and 8,900 without.

mod sum;

use std::sync::{Arc, LazyLock};

use sabir_store::{
    Operation, Outcome, Protocol, StoreError, StoreErrorKind, StoreFuture, TokenSource, UsageAttempt, UsageFilter,
    UsageRow, UsageStore,
};
use sqlx::{Sqlite, query::Query, sqlite::SqliteArguments};
use uuid::Uuid;

use crate::{SqliteStore, error::store_error};

/// The columns in the order [`bind_row`] binds them.
const COLUMNS: [&str; 24] = [
    "started_at",
    "id",
    "latency",
    "first_token",
    "protocol",
    "operation",
    "streamed",
    "principal",
    "model_asked",
    "model_used",
    "provider",
    "outcome",
    "grpc_code",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "token_source",
    "cost",
    "price_version",
    "key_id",
    "user_id",
    "team_id",
    "attempts",
];

/// How many rows one statement takes. SQLite would allow 32,766 / 24; larger statements were not cheaper per row.
const ROWS_PER_STATEMENT: usize = 64;

/// One statement for any number of rows up to [`ROWS_PER_STATEMENT`], so that it is prepared once. Parameters that are
/// not bound are NULL, and rows that begin with NULL are left out.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let row = format!("({})", ["?"; COLUMNS.len()].join(","));
    format!(
        "INSERT INTO usage ({}) SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING",
        COLUMNS.join(","),
        vec![row; ROWS_PER_STATEMENT].join(",")
    )
});

impl UsageStore for SqliteStore {
    fn insert<'a>(&'a self, rows: &'a [UsageRow]) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.insert_rows(rows).await.map_err(|error| store_error("writing usage rows", &error)) })
    }

    fn list<'a>(&'a self, filter: &'a UsageFilter, limit: u32) -> StoreFuture<'a, Vec<UsageRow>> {
        Box::pin(async move {
            let rows = self.select_rows(filter, limit).await;
            let rows = rows.map_err(|error| store_error("reading usage rows", &error))?;
            rows.into_iter().map(UsageRow::try_from).collect()
        })
    }

    fn count(&self) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let count = sqlx::query_scalar!("SELECT COUNT(*) FROM usage").fetch_one(&self.readers).await;
            let count = count.map_err(|error| store_error("counting usage rows", &error))?;
            Ok(count.unsigned_abs())
        })
    }
}

impl SqliteStore {
    async fn insert_rows(&self, rows: &[UsageRow]) -> Result<(), sqlx::Error> {
        // A single statement is a transaction of its own, and takes the write lock before it reads.
        if rows.len() <= ROWS_PER_STATEMENT {
            if !rows.is_empty() {
                insert(rows).execute(&self.writer).await?;
            }
            return Ok(());
        }
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        for chunk in rows.chunks(ROWS_PER_STATEMENT) {
            insert(chunk).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    async fn select_rows(&self, filter: &UsageFilter, limit: u32) -> Result<Vec<StoredRow>, sqlx::Error> {
        let since = filter.since_micros.unwrap_or(i64::MIN);
        let until = filter.until_micros.unwrap_or(i64::MAX);
        let (principal, model_asked) = (filter.principal.as_deref(), filter.model_asked.as_deref());
        let provider = filter.provider.as_deref();
        let (after_started_at, after_id) = filter.after.unwrap_or((i64::MAX, [0xff; 16]));
        let after_id = after_id.to_vec();
        sqlx::query_as!(
            StoredRow,
            r#"SELECT started_at, id, latency, first_token, protocol, operation, streamed, principal, model_asked,
                    model_used, provider, outcome, grpc_code, prompt_tokens, completion_tokens, cached_tokens,
                    reasoning_tokens, token_source, cost, price_version,
                    key_id AS "key_id: Uuid", user_id AS "user_id: Uuid", team_id AS "team_id: Uuid", attempts
             FROM usage
             WHERE started_at >= ?1 AND started_at < ?2
               AND (?3 IS NULL OR principal = ?3) AND (?4 IS NULL OR model_asked = ?4)
               AND (?6 IS NULL OR key_id = ?6) AND (?7 IS NULL OR user_id = ?7) AND (?8 IS NULL OR team_id = ?8)
               AND (?9 IS NULL OR provider = ?9) AND (started_at, id) < (?10, ?11)
             ORDER BY started_at DESC, id DESC
             LIMIT ?5"#,
            since,
            until,
            principal,
            model_asked,
            limit,
            filter.key_id,
            filter.user_id,
            filter.team_id,
            provider,
            after_started_at,
            after_id
        )
        .fetch_all(&self.readers)
        .await
    }
}

type Insert = Query<'static, Sqlite, SqliteArguments>;

fn insert(rows: &[UsageRow]) -> Insert {
    rows.iter().fold(sqlx::query(INSERT.as_str()), bind_row)
}

fn bind_row(query: Insert, row: &UsageRow) -> Insert {
    query
        .bind(row.started_at_micros)
        .bind(row.id.to_vec())
        .bind(row.latency_micros)
        .bind(row.first_token_micros)
        .bind(row.protocol.code())
        .bind(row.operation.code())
        .bind(row.streamed)
        .bind(row.principal.clone())
        .bind(row.model_asked.clone())
        .bind(row.model_used.clone())
        .bind(row.provider.clone())
        .bind(row.outcome.code())
        .bind(row.grpc_code)
        .bind(row.prompt_tokens)
        .bind(row.completion_tokens)
        .bind(row.cached_tokens)
        .bind(row.reasoning_tokens)
        .bind(row.token_source.code())
        .bind(row.cost_nanos)
        .bind(row.price_version)
        .bind(row.key_id)
        .bind(row.user_id)
        .bind(row.team_id)
        .bind(UsageAttempt::to_text(&row.attempts))
}

/// A row as SQLite gives it.
struct StoredRow {
    started_at: i64,
    id: Vec<u8>,
    latency: i64,
    first_token: Option<i64>,
    protocol: i64,
    operation: i64,
    streamed: i64,
    principal: Option<String>,
    model_asked: String,
    model_used: Option<String>,
    provider: Option<String>,
    outcome: i64,
    grpc_code: i64,
    prompt_tokens: i64,
    completion_tokens: i64,
    cached_tokens: i64,
    reasoning_tokens: i64,
    token_source: i64,
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
            id: row.id.as_slice().try_into().map_err(|_| corrupt("id"))?,
            started_at_micros: row.started_at,
            latency_micros: row.latency,
            first_token_micros: row.first_token,
            protocol: Protocol::from_code(row.protocol).ok_or_else(|| corrupt("protocol"))?,
            operation: Operation::from_code(row.operation).ok_or_else(|| corrupt("operation"))?,
            streamed: row.streamed != 0,
            principal: row.principal.as_deref().map(Arc::from),
            model_asked: row.model_asked.as_str().into(),
            model_used: row.model_used.as_deref().map(Arc::from),
            provider: row.provider.as_deref().map(Arc::from),
            outcome: Outcome::from_code(row.outcome).ok_or_else(|| corrupt("outcome"))?,
            grpc_code: i32::try_from(row.grpc_code).map_err(|_| corrupt("grpc_code"))?,
            prompt_tokens: tokens("prompt_tokens", row.prompt_tokens)?,
            completion_tokens: tokens("completion_tokens", row.completion_tokens)?,
            cached_tokens: tokens("cached_tokens", row.cached_tokens)?,
            reasoning_tokens: tokens("reasoning_tokens", row.reasoning_tokens)?,
            token_source: TokenSource::from_code(row.token_source).ok_or_else(|| corrupt("token_source"))?,
            cost_nanos: row.cost,
            price_version: row.price_version,
            key_id: row.key_id,
            user_id: row.user_id,
            team_id: row.team_id,
            attempts: UsageAttempt::from_text(row.attempts.as_deref())?,
        })
    }
}

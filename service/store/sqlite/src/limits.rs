//! Limits and their counts in SQLite. The only file that knows the tables `rate_limit`, `limit_rate` and `limit_place`.
//!
//! SQLite has no clock of its own; this process's is used, since whoever opens the file is on the same machine.

use std::time::{SystemTime, UNIX_EPOCH};

use sabir_store::{AuditEntry, Lease, Limit, LimitStore, Page, Places, Rate, StoreFuture, Subject, Topic};
use uuid::Uuid;

use crate::{SqliteStore, change::finish, error::store_error};

/// A day, in nanoseconds.
const DAY: i64 = 86_400_000_000_000;

/// Boxes a call and gives its error the store's form.
macro_rules! boxed {
    ($action:literal, $call:expr) => {
        Box::pin(async move { $call.await.map_err(|error| store_error($action, &error)) })
    };
}

impl LimitStore for SqliteStore {
    fn create_limit<'a>(&'a self, limit: &'a Limit, audit: &'a AuditEntry) -> StoreFuture<'a, ()> {
        boxed!("adding a limit", self.insert_limit(limit, audit))
    }

    fn limit(&self, id: Uuid) -> StoreFuture<'_, Option<Limit>> {
        boxed!("reading a limit", self.select_limit(id))
    }

    fn list_limits<'a>(&'a self, subject: Option<&'a Subject>, page: Page) -> StoreFuture<'a, Vec<Limit>> {
        boxed!("reading limits", self.select_limits(subject, page))
    }

    fn update_limit<'a>(&'a self, limit: &'a Limit, audit: &'a AuditEntry) -> StoreFuture<'a, bool> {
        boxed!("changing a limit", self.replace_limit(limit, audit))
    }

    fn delete_limit<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool> {
        boxed!("removing a limit", self.remove_limit(id, audit))
    }

    fn lease_cells<'a>(&'a self, rate: Rate<'a>, least: i64, most: i64) -> StoreFuture<'a, Lease> {
        boxed!("leasing of a limit", self.take_cells(rate, least, most))
    }

    fn adjust_cells<'a>(&'a self, rate: Rate<'a>, cells: i64) -> StoreFuture<'a, Lease> {
        boxed!("settling a limit", self.move_arrival(rate, cells))
    }

    fn lease_places<'a>(&'a self, places: Places<'a>, wanted: i64) -> StoreFuture<'a, i64> {
        boxed!("leasing places", self.take_places(places, wanted))
    }

    fn renew_places(&self, replica: Uuid, lease_micros: i64) -> StoreFuture<'_, ()> {
        boxed!("renewing places", self.extend_places(replica, lease_micros))
    }

    fn release_places(&self, replica: Uuid) -> StoreFuture<'_, ()> {
        boxed!("giving back places", self.remove_places(replica))
    }

    fn drop_idle_counts(&self) -> StoreFuture<'_, ()> {
        boxed!("dropping idle counts", self.remove_idle_counts())
    }
}

/// A row as SQLite gives it.
struct StoredLimit {
    id: Uuid,
    subject_kind: String,
    subject_name: String,
    requests_per_minute: Option<u32>,
    request_burst: Option<u32>,
    tokens_per_minute: Option<u32>,
    token_burst: Option<u32>,
    concurrent_requests: Option<u32>,
    created_at: i64,
}

impl TryFrom<StoredLimit> for Limit {
    type Error = sqlx::Error;

    fn try_from(row: StoredLimit) -> Result<Self, sqlx::Error> {
        let subject =
            Subject::parse(&row.subject_kind, &row.subject_name).ok_or_else(|| sqlx::Error::ColumnDecode {
                index: "subject_kind".to_owned(),
                source: format!("no subject is called {} {}", row.subject_kind, row.subject_name).into(),
            })?;
        Ok(Self {
            id: row.id,
            subject,
            requests_per_minute: row.requests_per_minute,
            request_burst: row.request_burst,
            tokens_per_minute: row.tokens_per_minute,
            token_burst: row.token_burst,
            concurrent_requests: row.concurrent_requests,
            created_at_micros: row.created_at,
        })
    }
}

impl SqliteStore {
    async fn insert_limit(&self, limit: &Limit, audit: &AuditEntry) -> Result<(), sqlx::Error> {
        let (kind, name) = (limit.subject.kind(), limit.subject.name());
        let mut transaction = self.begin().await?;
        let added = sqlx::query!(
            "INSERT INTO rate_limit (id, subject_kind, subject_name, requests_per_minute, request_burst,
                                     tokens_per_minute, token_burst, concurrent_requests, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            limit.id,
            kind,
            name,
            limit.requests_per_minute,
            limit.request_burst,
            limit.tokens_per_minute,
            limit.token_burst,
            limit.concurrent_requests,
            limit.created_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        finish(transaction, added.rows_affected(), Topic::Limits, audit).await.map(drop)
    }

    async fn select_limit(&self, id: Uuid) -> Result<Option<Limit>, sqlx::Error> {
        let row = sqlx::query_as!(
            StoredLimit,
            r#"SELECT id AS "id: Uuid", subject_kind, subject_name, requests_per_minute AS "requests_per_minute: u32",
                      request_burst AS "request_burst: u32", tokens_per_minute AS "tokens_per_minute: u32",
                      token_burst AS "token_burst: u32", concurrent_requests AS "concurrent_requests: u32", created_at
               FROM rate_limit WHERE id = $1"#,
            id
        )
        .fetch_optional(&self.readers)
        .await?;
        row.map(Limit::try_from).transpose()
    }

    async fn select_limits(&self, subject: Option<&Subject>, page: Page) -> Result<Vec<Limit>, sqlx::Error> {
        let (kind, name) = (subject.map(Subject::kind), subject.map(Subject::name));
        let rows = sqlx::query_as!(
            StoredLimit,
            r#"SELECT id AS "id: Uuid", subject_kind, subject_name, requests_per_minute AS "requests_per_minute: u32",
                      request_burst AS "request_burst: u32", tokens_per_minute AS "tokens_per_minute: u32",
                      token_burst AS "token_burst: u32", concurrent_requests AS "concurrent_requests: u32", created_at
               FROM rate_limit
               WHERE ($1 IS NULL OR (subject_kind = $1 AND subject_name = $2)) AND ($3 IS NULL OR id < $3)
               ORDER BY id DESC LIMIT $4"#,
            kind,
            name,
            page.after,
            page.limit
        )
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter().map(Limit::try_from).collect()
    }

    async fn replace_limit(&self, limit: &Limit, audit: &AuditEntry) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let changed = sqlx::query!(
            "UPDATE rate_limit
             SET requests_per_minute = $2, request_burst = $3, tokens_per_minute = $4, token_burst = $5,
                 concurrent_requests = $6
             WHERE id = $1",
            limit.id,
            limit.requests_per_minute,
            limit.request_burst,
            limit.tokens_per_minute,
            limit.token_burst,
            limit.concurrent_requests
        )
        .execute(&mut *transaction)
        .await?;
        finish(transaction, changed.rows_affected(), Topic::Limits, audit).await
    }

    async fn remove_limit(&self, id: Uuid, audit: &AuditEntry) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let removed = sqlx::query!("DELETE FROM rate_limit WHERE id = $1", id).execute(&mut *transaction).await?;
        finish(transaction, removed.rows_affected(), Topic::Limits, audit).await
    }

    /// One statement, so that nobody comes between reading the arrival time and moving it.
    async fn take_cells(&self, rate: Rate<'_>, least: i64, most: i64) -> Result<Lease, sqlx::Error> {
        let (meter, now) = (rate.meter.code(), now_nanos());
        // There is no row yet, so that the whole burst is there.
        let fresh = if least <= rate.burst { most.min(rate.burst).max(0) } else { 0 };
        let fresh_arrival = now.saturating_add(fresh.saturating_mul(rate.emission_nanos));
        let window = rate.burst.saturating_mul(rate.emission_nanos);
        let row = sqlx::query!(
            r#"INSERT INTO limit_rate (account, meter, granted, arrival_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (account, meter) DO UPDATE SET
                   granted = iif(max(0, ($5 - max(0, arrival_at - $6)) / $7) < $8, 0,
                                 min($9, max(0, ($5 - max(0, arrival_at - $6)) / $7))),
                   arrival_at = max(arrival_at, $6) + $7 *
                                iif(max(0, ($5 - max(0, arrival_at - $6)) / $7) < $8, 0,
                                    min($9, max(0, ($5 - max(0, arrival_at - $6)) / $7)))
               RETURNING granted AS "granted: i64", arrival_at AS "arrival_at: i64""#,
            rate.account,
            meter,
            fresh,
            fresh_arrival,
            window,
            now,
            rate.emission_nanos,
            least,
            most
        )
        .fetch_one(&self.writer)
        .await?;
        Ok(Lease { cells: row.granted, backlog_nanos: (row.arrival_at - now).max(0) })
    }

    async fn move_arrival(&self, rate: Rate<'_>, cells: i64) -> Result<Lease, sqlx::Error> {
        let (meter, now) = (rate.meter.code(), now_nanos());
        let shift = cells.saturating_mul(rate.emission_nanos);
        // What is given back counts from where the rate stands, what is taken from now at the earliest.
        let floor = if cells > 0 { now } else { 0 };
        let arrival_at = sqlx::query_scalar!(
            r#"INSERT INTO limit_rate (account, meter, granted, arrival_at) VALUES ($1, $2, 0, $3 + $4)
               ON CONFLICT (account, meter) DO UPDATE SET arrival_at = max(arrival_at, $5) + $4
               RETURNING arrival_at AS "arrival_at: i64""#,
            rate.account,
            meter,
            now,
            shift,
            floor
        )
        .fetch_one(&self.writer)
        .await?;
        Ok(Lease { cells: 0, backlog_nanos: (arrival_at - now).max(0) })
    }

    async fn take_places(&self, places: Places<'_>, wanted: i64) -> Result<i64, sqlx::Error> {
        let now = now_nanos() / 1_000;
        let expires = now.saturating_add(places.lease_micros);
        let mut transaction = self.begin().await?;
        let others = sqlx::query_scalar!(
            r#"SELECT COALESCE(SUM(places), 0) AS "others!: i64" FROM limit_place
               WHERE account = $1 AND replica <> $2 AND expires_at > $3"#,
            places.account,
            places.replica,
            now
        )
        .fetch_one(&mut *transaction)
        .await?;
        let granted = wanted.min(places.limit - others).max(0);
        if granted == 0 {
            sqlx::query!("DELETE FROM limit_place WHERE account = $1 AND replica = $2", places.account, places.replica)
                .execute(&mut *transaction)
                .await?;
        } else {
            sqlx::query!(
                "INSERT INTO limit_place (account, replica, places, expires_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (account, replica)
                 DO UPDATE SET places = excluded.places, expires_at = excluded.expires_at",
                places.account,
                places.replica,
                granted,
                expires
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(granted)
    }

    async fn extend_places(&self, replica: Uuid, lease_micros: i64) -> Result<(), sqlx::Error> {
        let now = now_nanos() / 1_000;
        let expires = now.saturating_add(lease_micros);
        sqlx::query!(
            "UPDATE limit_place SET expires_at = $1 WHERE replica = $2 AND expires_at > $3",
            expires,
            replica,
            now
        )
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    async fn remove_places(&self, replica: Uuid) -> Result<(), sqlx::Error> {
        sqlx::query!("DELETE FROM limit_place WHERE replica = $1", replica).execute(&self.writer).await?;
        Ok(())
    }

    async fn remove_idle_counts(&self) -> Result<(), sqlx::Error> {
        let now = now_nanos();
        let (day_ago, micros) = (now - DAY, now / 1_000);
        sqlx::query!("DELETE FROM limit_rate WHERE arrival_at < $1", day_ago).execute(&self.writer).await?;
        sqlx::query!("DELETE FROM limit_place WHERE expires_at < $1", micros).execute(&self.writer).await?;
        Ok(())
    }
}

/// Nanoseconds since the Unix epoch.
fn now_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

//! Limits and their counts in Postgres. The only file that knows the tables `rate_limit`, `limit_rate` and `limit_place`.
//!
//! Time is the server's, as it was when a statement began: all replicas have the same, and one that waited for a lock
//! counts with less time than has passed, never with more.

use sabir_store::{AuditEntry, Lease, Limit, LimitStore, Page, Places, Rate, StoreFuture, Subject, Topic};
use uuid::Uuid;

use crate::{PostgresStore, change::finish, error::store_error, patience::answered};

/// Boxes a call and gives its error the store's form.
macro_rules! boxed {
    ($action:literal, $call:expr) => {
        answered(async move { $call.await.map_err(|error| store_error($action, &error)) })
    };
}

impl LimitStore for PostgresStore {
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

/// A row as Postgres gives it.
struct StoredLimit {
    id: Uuid,
    subject_kind: String,
    subject_name: String,
    requests_per_minute: Option<i32>,
    request_burst: Option<i32>,
    tokens_per_minute: Option<i32>,
    token_burst: Option<i32>,
    concurrent_requests: Option<i32>,
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
            requests_per_minute: row.requests_per_minute.map(i32::unsigned_abs),
            request_burst: row.request_burst.map(i32::unsigned_abs),
            tokens_per_minute: row.tokens_per_minute.map(i32::unsigned_abs),
            token_burst: row.token_burst.map(i32::unsigned_abs),
            concurrent_requests: row.concurrent_requests.map(i32::unsigned_abs),
            created_at_micros: row.created_at,
        })
    }
}

impl PostgresStore {
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
            column(limit.requests_per_minute),
            column(limit.request_burst),
            column(limit.tokens_per_minute),
            column(limit.token_burst),
            column(limit.concurrent_requests),
            limit.created_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        finish(transaction, added.rows_affected(), Topic::Limits, audit).await.map(drop)
    }

    async fn select_limit(&self, id: Uuid) -> Result<Option<Limit>, sqlx::Error> {
        let row = sqlx::query_as!(
            StoredLimit,
            "SELECT id, subject_kind, subject_name, requests_per_minute, request_burst, tokens_per_minute, token_burst,
                    concurrent_requests, created_at
             FROM rate_limit WHERE id = $1",
            id
        )
        .fetch_optional(&mut *self.connections.acquire().await?)
        .await?;
        row.map(Limit::try_from).transpose()
    }

    async fn select_limits(&self, subject: Option<&Subject>, page: Page) -> Result<Vec<Limit>, sqlx::Error> {
        let (kind, name) = (subject.map(Subject::kind), subject.map(Subject::name));
        let rows = sqlx::query_as!(
            StoredLimit,
            "SELECT id, subject_kind, subject_name, requests_per_minute, request_burst, tokens_per_minute, token_burst,
                    concurrent_requests, created_at
             FROM rate_limit
             WHERE ($1::text IS NULL OR (subject_kind = $1 AND subject_name = $2)) AND ($3::uuid IS NULL OR id < $3)
             ORDER BY id DESC LIMIT $4",
            kind,
            name,
            page.after,
            i64::from(page.limit)
        )
        .fetch_all(&mut *self.connections.acquire().await?)
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
            column(limit.requests_per_minute),
            column(limit.request_burst),
            column(limit.tokens_per_minute),
            column(limit.token_burst),
            column(limit.concurrent_requests)
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
        // Where there is no row yet, the whole burst is there.
        let fresh = if least <= rate.burst { most.min(rate.burst).max(0) } else { 0 };
        let row = sqlx::query!(
            r#"INSERT INTO limit_rate AS rate (account, meter, granted, arrival_at)
               VALUES ($1, $2, $3::bigint,
                       (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000000)::bigint + $3::bigint * $5::bigint)
               ON CONFLICT (account, meter) DO UPDATE SET (granted, arrival_at) = (
                   SELECT CASE WHEN free < $6::bigint THEN 0 ELSE LEAST($7::bigint, free) END,
                          GREATEST(rate.arrival_at, now)
                              + $5 * CASE WHEN free < $6 THEN 0 ELSE LEAST($7, free) END
                   FROM (SELECT now, GREATEST(0, ($4::bigint - GREATEST(0, rate.arrival_at - now)) / $5) AS free
                         FROM (SELECT (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000000)::bigint AS now) AS clock
                        ) AS state)
               RETURNING granted,
                         GREATEST(0, arrival_at - (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000000)::bigint)
                             AS "backlog!""#,
            rate.account,
            rate.meter.code(),
            fresh,
            rate.burst.saturating_mul(rate.emission_nanos),
            rate.emission_nanos,
            least,
            most
        )
        .fetch_one(&mut *self.connections.acquire().await?)
        .await?;
        Ok(Lease { cells: row.granted, backlog_nanos: row.backlog })
    }

    async fn move_arrival(&self, rate: Rate<'_>, cells: i64) -> Result<Lease, sqlx::Error> {
        // What is given back counts from where the rate stands, what is taken from now at the earliest.
        let backlog = sqlx::query_scalar!(
            r#"INSERT INTO limit_rate AS rate (account, meter, granted, arrival_at)
               VALUES ($1, $2, 0, (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000000)::bigint + $3::bigint)
               ON CONFLICT (account, meter) DO UPDATE SET arrival_at = $3 + GREATEST(
                   rate.arrival_at,
                   CASE WHEN $3 > 0 THEN (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000000)::bigint ELSE 0 END)
               RETURNING GREATEST(0, arrival_at - (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000000)::bigint)
                             AS "backlog!""#,
            rate.account,
            rate.meter.code(),
            cells.saturating_mul(rate.emission_nanos)
        )
        .fetch_one(&mut *self.connections.acquire().await?)
        .await?;
        Ok(Lease { cells: 0, backlog_nanos: backlog })
    }

    async fn take_places(&self, places: Places<'_>, wanted: i64) -> Result<i64, sqlx::Error> {
        let mut transaction = self.connections.begin().await?;
        // Whoever leases places of an account waits for the one before: a sum cannot be locked. The statement after this
        // one sees what that one has written.
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 5)) IS NULL AS locked", places.account)
            .fetch_one(&mut *transaction)
            .await?;
        let others = sqlx::query_scalar!(
            r#"SELECT COALESCE(SUM(places), 0)::bigint AS "others!" FROM limit_place
               WHERE account = $1 AND replica <> $2
                 AND expires_at > (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000)::bigint"#,
            places.account,
            places.replica
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
                "INSERT INTO limit_place (account, replica, places, expires_at)
                 VALUES ($1, $2, $3, (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000)::bigint + $4::bigint)
                 ON CONFLICT (account, replica)
                 DO UPDATE SET places = excluded.places, expires_at = excluded.expires_at",
                places.account,
                places.replica,
                granted,
                places.lease_micros
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(granted)
    }

    async fn extend_places(&self, replica: Uuid, lease_micros: i64) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "UPDATE limit_place
             SET expires_at = (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000)::bigint + $2::bigint
             WHERE replica = $1 AND expires_at > (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000)::bigint",
            replica,
            lease_micros
        )
        .execute(&mut *self.connections.acquire().await?)
        .await?;
        Ok(())
    }

    async fn remove_places(&self, replica: Uuid) -> Result<(), sqlx::Error> {
        sqlx::query!("DELETE FROM limit_place WHERE replica = $1", replica)
            .execute(&mut *self.connections.acquire().await?)
            .await?;
        Ok(())
    }

    async fn remove_idle_counts(&self) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "DELETE FROM limit_rate
             WHERE arrival_at < ((EXTRACT(EPOCH FROM statement_timestamp()) - 86400) * 1000000000)::bigint"
        )
        .execute(&mut *self.connections.acquire().await?)
        .await?;
        sqlx::query!(
            "DELETE FROM limit_place
             WHERE expires_at < (EXTRACT(EPOCH FROM statement_timestamp()) * 1000000)::bigint"
        )
        .execute(&mut *self.connections.acquire().await?)
        .await?;
        Ok(())
    }
}

/// A figure as a column has it. The API's bounds keep it within.
fn column(figure: Option<u32>) -> Option<i32> {
    figure.map(|figure| i32::try_from(figure).unwrap_or(i32::MAX))
}

//! The books of budgets in Postgres: what [`sabir_store::exchange`] makes of a report, in a transaction that has the budget
//! for itself. The only file that knows the tables of periods, leases and warnings.
//!
//! The lock on a budget's row comes before every other, so that two replicas wait for each other and never deadlock. The
//! clock is the database's: those of replicas differ.

use sabir_store::{
    AuditEntry, BudgetPeriod, BudgetState, LeaseAnswer, LeaseBook, LeaseGrant, LeaseReport, OrphanedLease, PeriodBook,
    crossing, exchange, orphan_audit, settle, warning_audit,
};
use sqlx::{Postgres, Transaction, types::Json};
use uuid::Uuid;

use crate::{PostgresStore, audit};

impl PostgresStore {
    pub(super) async fn exchange_all(
        &self,
        reports: &[LeaseReport],
        keep_micros: i64,
    ) -> Result<Vec<LeaseAnswer>, sqlx::Error> {
        let mut answers = Vec::with_capacity(reports.len());
        for report in reports {
            let mut transaction = self.begin().await?;
            answers.push(exchange_one(&mut transaction, report, keep_micros).await?);
            transaction.commit().await?;
        }
        Ok(answers)
    }

    pub(super) async fn select_states(&self, ids: &[Uuid]) -> Result<Vec<Option<BudgetState>>, sqlx::Error> {
        let now = self.now_micros().await?;
        let mut states = Vec::with_capacity(ids.len());
        for id in ids {
            let period = sqlx::query_scalar!("SELECT period FROM budget WHERE id = $1", id);
            let Some(period) = period.fetch_optional(&mut *self.connections.acquire().await?).await? else {
                states.push(None);
                continue;
            };
            let span = known_period(&period)?.span(now);
            let row = sqlx::query!(
                r#"SELECT committed, spent,
                          (SELECT COALESCE(SUM(LEAST(reserved, GREATEST(granted - spent, 0))), 0)::bigint FROM budget_lease
                           WHERE budget_id = $1 AND starts_at = $2) AS "reserved!",
                          (SELECT COALESCE(SUM(orphaned), 0)::bigint FROM budget_lease
                           WHERE budget_id = $1 AND starts_at = $2) AS "orphaned!"
                   FROM budget_period WHERE budget_id = $1 AND starts_at = $2"#,
                id,
                span.starts_at_micros
            );
            let row = row.fetch_optional(&mut *self.connections.acquire().await?).await?;
            states.push(Some(row.map_or(
                BudgetState { span, spent_nanos: 0, reserved_nanos: 0, leased_nanos: 0, orphaned_nanos: 0 },
                |row| BudgetState {
                    span,
                    spent_nanos: row.spent,
                    reserved_nanos: row.reserved,
                    leased_nanos: (row.committed - row.spent).max(0),
                    orphaned_nanos: row.orphaned,
                },
            )));
        }
        Ok(states)
    }

    pub(super) async fn settle_expired(&self) -> Result<Vec<OrphanedLease>, sqlx::Error> {
        let now = self.now_micros().await?;
        let leases = sqlx::query!(
            "SELECT id, budget_id FROM budget_lease WHERE granted > spent AND expires_at < $1 LIMIT 1000",
            now
        )
        .fetch_all(&mut *self.connections.acquire().await?)
        .await?;
        let mut settled = Vec::with_capacity(leases.len());
        for lease in leases {
            let mut transaction = self.begin().await?;
            let orphan = settle_one(&mut transaction, lease.id, lease.budget_id, now).await?;
            transaction.commit().await?;
            settled.extend(orphan);
        }
        Ok(settled)
    }

    /// The database's clock.
    async fn now_micros(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar!(r#"SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1e6 AS BIGINT) AS "now!""#)
            .fetch_one(&mut *self.connections.acquire().await?)
            .await
    }

    pub(super) async fn remove_periods(&self, ended_before_micros: i64) -> Result<u64, sqlx::Error> {
        let done = sqlx::query!("DELETE FROM budget_period WHERE ends_at < $1", ended_before_micros);
        Ok(done.execute(&mut *self.connections.acquire().await?).await?.rows_affected())
    }
}

async fn exchange_one(
    transaction: &mut Transaction<'static, Postgres>,
    report: &LeaseReport,
    keep_micros: i64,
) -> Result<LeaseAnswer, sqlx::Error> {
    let (lease_id, budget_id) = (report.lease_id, report.budget_id);
    let budget = sqlx::query!(
        r#"SELECT amount, period, hard, warn_percents AS "warn_percents: Json<Vec<u8>>",
                  CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1e6 AS BIGINT) AS "now!"
           FROM budget WHERE id = $1 FOR NO KEY UPDATE"#,
        budget_id
    );
    let Some(budget) = budget.fetch_optional(&mut **transaction).await? else { return Ok(LeaseAnswer::Gone) };
    let now = budget.now;
    let known = sqlx::query!(
        "SELECT starts_at, sequence, granted, spent, reserved FROM budget_lease WHERE id = $1 AND budget_id = $2",
        lease_id,
        budget_id
    )
    .fetch_optional(&mut **transaction)
    .await?;
    if known.as_ref().is_some_and(|known| known.sequence >= report.sequence) {
        return Ok(LeaseAnswer::Late);
    }
    let starts_at = known.as_ref().map(|known| known.starts_at).or(report.period_starts_at_micros).unwrap_or(now);
    let span = known_period(&budget.period)?.span(starts_at);
    let starts_at = span.starts_at_micros;
    sqlx::query!(
        "INSERT INTO budget_period (budget_id, starts_at, ends_at, committed, spent) VALUES ($1, $2, $3, 0, 0)
         ON CONFLICT DO NOTHING",
        budget_id,
        starts_at,
        span.ends_at_micros
    )
    .execute(&mut **transaction)
    .await?;

    let mut period = select_period(transaction, budget_id, starts_at).await?;
    let mut lease = known.map_or_else(LeaseBook::default, |known| LeaseBook {
        granted_nanos: known.granted,
        spent_nanos: known.spent,
        reserved_nanos: known.reserved,
    });
    exchange(budget.hard.then_some(budget.amount), &mut period, &mut lease, report);
    update_period(transaction, budget_id, starts_at, &period).await?;
    let expires_at = now.saturating_add(keep_micros);
    sqlx::query!(
        "INSERT INTO budget_lease (id, budget_id, starts_at, replica_id, sequence, granted, spent, reserved, orphaned,
                                   expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)
         ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, granted = excluded.granted,
             spent = excluded.spent, reserved = excluded.reserved, orphaned = 0, expires_at = excluded.expires_at",
        lease_id,
        budget_id,
        starts_at,
        report.replica_id,
        report.sequence,
        lease.granted_nanos,
        lease.spent_nanos,
        lease.reserved_nanos,
        expires_at
    )
    .execute(&mut **transaction)
    .await?;
    let idle_elsewhere = sqlx::query_scalar!(
        r#"SELECT COALESCE(SUM(GREATEST(granted - spent - reserved, 0)), 0)::bigint AS "idle!" FROM budget_lease
           WHERE budget_id = $1 AND starts_at = $2 AND id <> $3 AND expires_at >= $4"#,
        budget_id,
        starts_at,
        lease_id,
        now
    )
    .fetch_one(&mut **transaction)
    .await?;

    let mut crossed = Vec::new();
    for percent in crossing(&budget.warn_percents.0, budget.amount, &period) {
        let done = sqlx::query!(
            "INSERT INTO budget_warning (budget_id, starts_at, percent) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            budget_id,
            starts_at,
            i16::from(percent)
        )
        .execute(&mut **transaction)
        .await?;
        if done.rows_affected() > 0 {
            let entry: AuditEntry = warning_audit(budget_id, percent, period.spent_nanos, now);
            audit::write(transaction, &entry).await?;
            crossed.push(percent);
        }
    }
    Ok(LeaseAnswer::Granted(LeaseGrant {
        span,
        now_micros: now,
        granted_nanos: lease.granted_nanos,
        amount_nanos: budget.amount,
        hard: budget.hard,
        spent_nanos: period.spent_nanos,
        room_nanos: period.room(budget.amount),
        idle_elsewhere_nanos: idle_elsewhere,
        crossed,
    }))
}

/// Settles a lease, unless its replica was heard of meanwhile or another has settled it.
async fn settle_one(
    transaction: &mut Transaction<'static, Postgres>,
    lease_id: Uuid,
    budget_id: Uuid,
    now: i64,
) -> Result<Option<OrphanedLease>, sqlx::Error> {
    sqlx::query!("SELECT id FROM budget WHERE id = $1 FOR NO KEY UPDATE", budget_id)
        .fetch_optional(&mut **transaction)
        .await?;
    let row = sqlx::query!(
        "SELECT starts_at, replica_id, granted, spent, reserved FROM budget_lease
         WHERE id = $1 AND granted > spent AND expires_at < $2",
        lease_id,
        now
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut book = LeaseBook { granted_nanos: row.granted, spent_nanos: row.spent, reserved_nanos: row.reserved };
    let mut period = select_period(transaction, budget_id, row.starts_at).await?;
    let charged = settle(&mut period, &mut book);
    update_period(transaction, budget_id, row.starts_at, &period).await?;
    sqlx::query!(
        "UPDATE budget_lease SET spent = $2, reserved = 0, orphaned = $3 WHERE id = $1",
        lease_id,
        book.spent_nanos,
        charged
    )
    .execute(&mut **transaction)
    .await?;
    let orphan = OrphanedLease { lease_id, budget_id, replica_id: row.replica_id, charged_nanos: charged };
    audit::write(transaction, &orphan_audit(&orphan, now)).await?;
    Ok(Some(orphan))
}

async fn select_period(
    transaction: &mut Transaction<'static, Postgres>,
    budget_id: Uuid,
    starts_at: i64,
) -> Result<PeriodBook, sqlx::Error> {
    sqlx::query_as!(
        PeriodBook,
        "SELECT committed AS committed_nanos, spent AS spent_nanos FROM budget_period
         WHERE budget_id = $1 AND starts_at = $2",
        budget_id,
        starts_at
    )
    .fetch_one(&mut **transaction)
    .await
}

async fn update_period(
    transaction: &mut Transaction<'static, Postgres>,
    budget_id: Uuid,
    starts_at: i64,
    period: &PeriodBook,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE budget_period SET committed = $3, spent = $4 WHERE budget_id = $1 AND starts_at = $2",
        budget_id,
        starts_at,
        period.committed_nanos,
        period.spent_nanos
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn known_period(name: &str) -> Result<BudgetPeriod, sqlx::Error> {
    BudgetPeriod::parse(name).ok_or_else(|| sqlx::Error::ColumnDecode {
        index: "period".to_owned(),
        source: format!("{name:?} is no period").into(),
    })
}

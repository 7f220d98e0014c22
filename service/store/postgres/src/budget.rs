//! Budgets in Postgres. Their books are in the module below.

mod books;

use sabir_store::{
    AuditEntry, Budget, BudgetPeriod, BudgetState, BudgetStore, LeaseAnswer, LeaseReport, OrphanedLease, Page,
    StoreFuture, Subject, Topic,
};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{PostgresStore, change::finish, error::store_error, patience::answered};

/// Boxes a call and gives its error the store's form.
macro_rules! boxed {
    ($action:literal, $call:expr) => {
        answered(async move { $call.await.map_err(|error| store_error($action, &error)) })
    };
}

impl BudgetStore for PostgresStore {
    fn create_budget<'a>(&'a self, budget: &'a Budget, audit: &'a AuditEntry) -> StoreFuture<'a, ()> {
        boxed!("adding a budget", self.insert_budget(budget, audit))
    }

    fn budget(&self, id: Uuid) -> StoreFuture<'_, Option<Budget>> {
        boxed!("reading a budget", self.select_budget(id))
    }

    fn list_budgets<'a>(&'a self, subject: Option<&'a Subject>, page: Page) -> StoreFuture<'a, Vec<Budget>> {
        boxed!("reading budgets", self.select_budgets(subject, page))
    }

    fn update_budget<'a>(&'a self, budget: &'a Budget, audit: &'a AuditEntry) -> StoreFuture<'a, bool> {
        boxed!("changing a budget", self.replace_budget(budget, audit))
    }

    fn delete_budget<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool> {
        boxed!("removing a budget", self.remove_budget(id, audit))
    }

    fn budget_states<'a>(&'a self, ids: &'a [Uuid]) -> StoreFuture<'a, Vec<Option<BudgetState>>> {
        boxed!("reading the books of budgets", self.select_states(ids))
    }

    fn exchange_leases<'a>(
        &'a self,
        reports: &'a [LeaseReport],
        keep_micros: i64,
    ) -> StoreFuture<'a, Vec<LeaseAnswer>> {
        boxed!("keeping the books of budgets", self.exchange_all(reports, keep_micros))
    }

    fn settle_orphans(&self) -> StoreFuture<'_, Vec<OrphanedLease>> {
        boxed!("settling orphaned leases", self.settle_expired())
    }

    fn forget_periods(&self, ended_before_micros: i64) -> StoreFuture<'_, u64> {
        boxed!("removing books of the past", self.remove_periods(ended_before_micros))
    }
}

impl PostgresStore {
    async fn insert_budget(&self, budget: &Budget, audit: &AuditEntry) -> Result<(), sqlx::Error> {
        let (kind, name) = (budget.subject.kind(), budget.subject.name());
        let (period, percents) = (budget.period.as_str(), Json(&budget.warn_percents));
        let mut transaction = self.begin().await?;
        let done = sqlx::query!(
            "INSERT INTO budget (id, subject_kind, subject_name, amount, period, hard, warn_percents, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            budget.id,
            kind,
            name,
            budget.amount_nanos,
            period,
            budget.hard,
            percents as _,
            budget.created_at_micros
        )
        .execute(&mut *transaction)
        .await?;
        finish(transaction, done.rows_affected(), Topic::Budgets, audit).await?;
        Ok(())
    }

    async fn select_budget(&self, id: Uuid) -> Result<Option<Budget>, sqlx::Error> {
        let row = sqlx::query_as!(
            StoredBudget,
            r#"SELECT id AS "id: Uuid", subject_kind, subject_name, amount, period, hard AS "hard: bool",
                      warn_percents AS "warn_percents: Json<Vec<u8>>", created_at
               FROM budget WHERE id = $1"#,
            id
        );
        row.fetch_optional(&mut *self.connections.acquire().await?).await?.map(Budget::try_from).transpose()
    }

    async fn select_budgets(&self, subject: Option<&Subject>, page: Page) -> Result<Vec<Budget>, sqlx::Error> {
        let (kind, name) = (subject.map(Subject::kind), subject.map(Subject::name));
        let rows = sqlx::query_as!(
            StoredBudget,
            r#"SELECT id AS "id: Uuid", subject_kind, subject_name, amount, period, hard AS "hard: bool",
                      warn_percents AS "warn_percents: Json<Vec<u8>>", created_at
               FROM budget
               WHERE ($1::text IS NULL OR (subject_kind = $1 AND subject_name = $2)) AND ($3::uuid IS NULL OR id < $3)
               ORDER BY id DESC
               LIMIT $4"#,
            kind,
            name,
            page.after,
            i64::from(page.limit)
        );
        rows.fetch_all(&mut *self.connections.acquire().await?).await?.into_iter().map(Budget::try_from).collect()
    }

    async fn replace_budget(&self, budget: &Budget, audit: &AuditEntry) -> Result<bool, sqlx::Error> {
        let percents = Json(&budget.warn_percents);
        let mut transaction = self.begin().await?;
        let done = sqlx::query!(
            "UPDATE budget SET amount = $2, hard = $3, warn_percents = $4 WHERE id = $1",
            budget.id,
            budget.amount_nanos,
            budget.hard,
            percents as _
        )
        .execute(&mut *transaction)
        .await?;
        finish(transaction, done.rows_affected(), Topic::Budgets, audit).await
    }

    async fn remove_budget(&self, id: Uuid, audit: &AuditEntry) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query!("DELETE FROM budget WHERE id = $1", id).execute(&mut *transaction).await?;
        finish(transaction, done.rows_affected(), Topic::Budgets, audit).await
    }
}

/// A budget as the table has it.
struct StoredBudget {
    id: Uuid,
    subject_kind: String,
    subject_name: String,
    amount: i64,
    period: String,
    hard: bool,
    warn_percents: Json<Vec<u8>>,
    created_at: i64,
}

impl TryFrom<StoredBudget> for Budget {
    type Error = sqlx::Error;

    fn try_from(row: StoredBudget) -> Result<Self, sqlx::Error> {
        let broken = |column: &str| sqlx::Error::ColumnDecode {
            index: column.to_owned(),
            source: format!("budget {} has none that is known", row.id).into(),
        };
        Ok(Self {
            id: row.id,
            subject: Subject::parse(&row.subject_kind, &row.subject_name).ok_or_else(|| broken("subject_kind"))?,
            amount_nanos: row.amount,
            period: BudgetPeriod::parse(&row.period).ok_or_else(|| broken("period"))?,
            hard: row.hard,
            warn_percents: row.warn_percents.0,
            created_at_micros: row.created_at,
        })
    }
}

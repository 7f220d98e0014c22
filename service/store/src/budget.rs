//! Budgets: how much money a subject may spend in a period, what is spent of it, and the leases by which replicas spend
//! it without asking for every call.
//!
//! A replica leases a part of a period's amount, spends it by itself and reports what it has spent. [`exchange`] says
//! what one report does to the books; the databases keep them, one transaction for each report. Money is in nano-dollars.

mod event;
mod exchange;
mod period;

use uuid::Uuid;

pub use event::{orphan_audit, warning_audit};
pub use exchange::{LeaseBook, PeriodBook, crossing, exchange, settle};
pub use period::{BudgetPeriod, Span};

use crate::{AuditEntry, Page, StoreFuture, Subject};

/// The most that a budget may be, in nano-dollars: a thousand million dollars. Sums of a few stay far from the limits of
/// 64 bits.
pub const MAX_AMOUNT_NANOS: i64 = 1_000_000_000 * 1_000_000_000;

/// How much a subject may spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// A UUID (version 7).
    pub id: Uuid,
    /// Whose calls count.
    pub subject: Subject,
    /// How much in each period, in nano-dollars, from 0 to [`MAX_AMOUNT_NANOS`].
    pub amount_nanos: i64,
    /// When it begins again.
    pub period: BudgetPeriod,
    /// Whether calls are refused when it is spent. One that is not hard only warns.
    pub hard: bool,
    /// At which parts of the amount to warn, in percent, ascending.
    pub warn_percents: Vec<u8>,
    /// When it was made, in microseconds since the Unix epoch, UTC.
    pub created_at_micros: i64,
}

/// A budget's period as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetState {
    /// The period.
    pub span: Span,
    /// What is spent, as far as the replicas have reported.
    pub spent_nanos: i64,
    /// What calls that have not ended have reserved.
    pub reserved_nanos: i64,
    /// What replicas hold, reserved or not, and have not spent.
    pub leased_nanos: i64,
    /// The part of `spent_nanos` that replicas held which died: charged in full, because it may have been spent.
    pub orphaned_nanos: i64,
}

/// What a replica tells about one of its leases, and what it asks for. All figures are totals since the lease began, so
/// that a report may be lost or sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseReport {
    /// The lease: a UUID (version 7) for each replica, budget and period.
    pub lease_id: Uuid,
    /// The budget.
    pub budget_id: Uuid,
    /// The process that spends.
    pub replica_id: Uuid,
    /// The period's beginning; `None` in the first report, which is for the period of now by the database's clock.
    pub period_starts_at_micros: Option<i64>,
    /// Counts the reports. One that comes late, after a later one, changes nothing.
    pub sequence: i64,
    /// What is spent.
    pub spent_nanos: i64,
    /// What is reserved on top.
    pub reserved_nanos: i64,
    /// The most that the replica will let `spent_nanos` grow to without being granted more: it has given back the rest.
    pub held_nanos: i64,
    /// How much more there must be for the calls that wait.
    pub needed_nanos: i64,
    /// How much more would keep the calls to come from waiting.
    pub wanted_nanos: i64,
}

/// What a report is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// The report is in the books.
    Granted(LeaseGrant),
    /// The report came too late: there is a later one in the books.
    Late,
    /// There is no such budget any more.
    Gone,
}

/// What a replica may spend, and how the budget stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseGrant {
    /// The lease's period.
    pub span: Span,
    /// The time by the database's clock.
    pub now_micros: i64,
    /// What `spent_nanos` of the lease may grow to.
    pub granted_nanos: i64,
    /// The amount of the budget.
    pub amount_nanos: i64,
    /// Whether the amount is a hard limit.
    pub hard: bool,
    /// What is spent of the budget, by all replicas.
    pub spent_nanos: i64,
    /// What is neither spent nor in anybody's lease.
    pub room_nanos: i64,
    /// What the other leases hold beyond what is reserved there; it may yet be given back.
    pub idle_elsewhere_nanos: i64,
    /// The thresholds that were crossed now, and by no report before in this period, in percent.
    pub crossed: Vec<u8>,
}

/// A lease whose replica was not heard of in time. What it held is charged as if it had been spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanedLease {
    /// The lease.
    pub lease_id: Uuid,
    /// The budget.
    pub budget_id: Uuid,
    /// The process that held it.
    pub replica_id: Uuid,
    /// What was charged without proof, in nano-dollars.
    pub charged_nanos: i64,
}

/// Keeps budgets and their books.
///
/// Acts of administration write their audit entry and move the `budgets` generation (see [`crate::ChangeStore`]) in the
/// same transaction. What replicas report does neither.
pub trait BudgetStore: Send + Sync {
    /// Adds a budget.
    fn create_budget<'a>(&'a self, budget: &'a Budget, audit: &'a AuditEntry) -> StoreFuture<'a, ()>;

    /// The budget of this id.
    fn budget(&self, id: Uuid) -> StoreFuture<'_, Option<Budget>>;

    /// Budgets, latest first; of one subject, or of all.
    fn list_budgets<'a>(&'a self, subject: Option<&'a Subject>, page: Page) -> StoreFuture<'a, Vec<Budget>>;

    /// Replaces what can change of a budget: `amount_nanos`, `hard` and `warn_percents`. Answers whether there is one.
    fn update_budget<'a>(&'a self, budget: &'a Budget, audit: &'a AuditEntry) -> StoreFuture<'a, bool>;

    /// Removes a budget and its books. Answers whether there was one.
    fn delete_budget<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool>;

    /// The period of now of these budgets, in their order; `None` for those that are not there.
    fn budget_states<'a>(&'a self, ids: &'a [Uuid]) -> StoreFuture<'a, Vec<Option<BudgetState>>>;

    /// Puts reports into the books, each in a transaction of its own, and answers them in their order. A lease that is
    /// not heard of for `keep_micros` by the database's clock is orphaned.
    fn exchange_leases<'a>(&'a self, reports: &'a [LeaseReport], keep_micros: i64)
    -> StoreFuture<'a, Vec<LeaseAnswer>>;

    /// Settles the leases that were not heard of in time, and writes an audit entry for each that held something. Answers
    /// those. Replicas may do this at the same time.
    fn settle_orphans(&self) -> StoreFuture<'_, Vec<OrphanedLease>>;

    /// Forgets the books of periods that ended before this time. Answers how many.
    fn forget_periods(&self, ended_before_micros: i64) -> StoreFuture<'_, u64>;
}

//! All that a database keeps, as one trait: what the service holds, and hands on aggregate by aggregate.

use crate::{
    AnswerStore, AuditStore, BudgetStore, CaptureStore, ChangeStore, ConnectionWaits, IdentityStore, LimitStore,
    PriceStore, StoreFuture, TokenStore, UsageStore, UsageSumStore,
};

/// A database with every aggregate.
pub trait Store:
    UsageStore
    + UsageSumStore
    + IdentityStore
    + AuditStore
    + ChangeStore
    + TokenStore
    + LimitStore
    + BudgetStore
    + PriceStore
    + CaptureStore
    + AnswerStore
{
    /// Closes every connection. Close what writes to the store first.
    fn close(&self) -> StoreFuture<'_, ()>;

    /// How long connections were waited for; `None` where the database is in the process.
    fn connection_waits(&self) -> Option<ConnectionWaits> {
        None
    }
}

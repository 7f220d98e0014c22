//! How replicas notice what others changed: a generation for each aggregate that is kept in memory, moved in the same
//! transaction as the change, and asked for a few times a second.

use crate::StoreFuture;

/// Counters that move whenever something of their kind changes. Only whether they differ matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generations {
    /// Teams, users and keys.
    pub identity: i64,
    /// The keys that sign tokens, and the families of refresh tokens that were revoked.
    pub tokens: i64,
    /// Limits.
    pub limits: i64,
    /// Budgets.
    pub budgets: i64,
    /// The price table.
    pub prices: i64,
}

/// Tells what changed.
pub trait ChangeStore: Send + Sync {
    /// The generations as they are now, in one cheap query.
    fn generations(&self) -> StoreFuture<'_, Generations>;
}

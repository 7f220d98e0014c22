//! Limits: who may ask how much, and the counts that all replicas share.
//!
//! Rates are kept as the generic cell rate algorithm has them: one theoretical arrival time for each, by the database's
//! own clock. Replicas lease cells from it ahead of time, and places for calls that are open at once for a limited time,
//! so that those of a replica that died come back. A subject is named by an account's name, since what holds for many
//! subjects alike is counted for each.

use uuid::Uuid;

use crate::{AuditEntry, Page, StoreFuture, Subject};

/// How much a subject may ask. What is `None` is not limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// A UUID (version 7).
    pub id: Uuid,
    /// Whose limit it is. A subject has one.
    pub subject: Subject,
    /// Requests per minute.
    pub requests_per_minute: Option<u32>,
    /// Requests at once; as many as in a minute if `None`.
    pub request_burst: Option<u32>,
    /// Tokens per minute, of prompts and answers together.
    pub tokens_per_minute: Option<u32>,
    /// Tokens at once; as many as in a minute if `None`.
    pub token_burst: Option<u32>,
    /// Requests that may be open at once.
    pub concurrent_requests: Option<u32>,
    /// When it was made, in microseconds since the Unix epoch, UTC.
    pub created_at_micros: i64,
}

/// What is counted of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meter {
    /// Requests.
    Requests,
    /// Tokens.
    Tokens,
}

impl Meter {
    /// The number by which a table knows it.
    pub fn code(self) -> i16 {
        match self {
            Self::Requests => 0,
            Self::Tokens => 1,
        }
    }
}

/// Which rate is meant, and what it is. The rate comes along because one rule may hold for many accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate<'a> {
    /// The account's name.
    pub account: &'a str,
    /// What of it.
    pub meter: Meter,
    /// Nanoseconds between two cells that come evenly.
    pub emission_nanos: i64,
    /// How many cells there may be at once.
    pub burst: i64,
}

/// What a replica got of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// How many cells.
    pub cells: i64,
    /// How long until the whole burst would be there again, in nanoseconds.
    pub backlog_nanos: i64,
}

/// Which places are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places<'a> {
    /// The account's name.
    pub account: &'a str,
    /// Whose they are.
    pub replica: Uuid,
    /// How many there are for all replicas together.
    pub limit: i64,
    /// For how long they are leased, in microseconds.
    pub lease_micros: i64,
}

/// Keeps limits, and what replicas have leased of them.
///
/// A second limit for a subject is refused with [`crate::StoreErrorKind::Taken`]. Changes write the audit entry along and
/// move the `limits` generation, both in the same transaction; updates and removals answer whether there was such a row.
pub trait LimitStore: Send + Sync {
    /// Adds a limit.
    fn create_limit<'a>(&'a self, limit: &'a Limit, audit: &'a AuditEntry) -> StoreFuture<'a, ()>;
    /// The limit of this id.
    fn limit(&self, id: Uuid) -> StoreFuture<'_, Option<Limit>>;
    /// Limits, latest first; of one subject, or of all.
    fn list_limits<'a>(&'a self, subject: Option<&'a Subject>, page: Page) -> StoreFuture<'a, Vec<Limit>>;
    /// Replaces what can change of a limit: everything but `id`, `subject` and `created_at_micros`.
    fn update_limit<'a>(&'a self, limit: &'a Limit, audit: &'a AuditEntry) -> StoreFuture<'a, bool>;
    /// Removes a limit.
    fn delete_limit<'a>(&'a self, id: Uuid, audit: &'a AuditEntry) -> StoreFuture<'a, bool>;

    /// Takes at most `most` cells, and none if there are fewer than `least`.
    fn lease_cells<'a>(&'a self, rate: Rate<'a>, least: i64, most: i64) -> StoreFuture<'a, Lease>;
    /// Takes cells that have been used already, or, below zero, gives back cells that were leased and not used. Answers
    /// with the backlog alone.
    fn adjust_cells<'a>(&'a self, rate: Rate<'a>, cells: i64) -> StoreFuture<'a, Lease>;

    /// Makes this replica's places as many as `wanted`, or as near to it as the other replicas leave free, for the time of
    /// a lease. Answers how many it has.
    fn lease_places<'a>(&'a self, places: Places<'a>, wanted: i64) -> StoreFuture<'a, i64>;
    /// Extends the lease of all places of this replica that it still has.
    fn renew_places(&self, replica: Uuid, lease_micros: i64) -> StoreFuture<'_, ()>;
    /// Gives back all places of this replica.
    fn release_places(&self, replica: Uuid) -> StoreFuture<'_, ()>;
    /// Drops counts that say nothing any more: rates that have been whole again for a day, and leases that ran out.
    fn drop_idle_counts(&self) -> StoreFuture<'_, ()>;
}

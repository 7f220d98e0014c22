//! The audit log: who did which administrative act to what, and when. Entries are written in the same transaction as the
//! act itself, so that neither is there without the other.

use uuid::Uuid;

use crate::{Page, StoreFuture};

/// One administrative act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// A UUID (version 7), by which entries sort by time.
    pub id: Uuid,
    /// When it was done, in microseconds since the Unix epoch, UTC.
    pub at_micros: i64,
    /// Who did it: a principal's name for itself (`user 0198...`, `key 0198...`), or `command line`.
    pub actor: String,
    /// What was done, as the RPC that does it is called: `Keys/CreateKey`.
    pub action: String,
    /// What it was done to: `key 0198...`.
    pub target: String,
    /// What was asked for, as JSON, without secrets.
    pub detail: String,
}

/// Which entries to list. The default selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only entries of this time or later, in microseconds since the Unix epoch.
    pub since_micros: Option<i64>,
    /// Only entries before this time, in microseconds since the Unix epoch.
    pub until_micros: Option<i64>,
    /// Only what this actor did.
    pub actor: Option<String>,
    /// Only what was done to this.
    pub target: Option<String>,
}

/// Reads the audit log. Each aggregate writes its own acts.
pub trait AuditStore: Send + Sync {
    /// The entries the filter selects, latest first.
    fn list_audit<'a>(&'a self, filter: &'a AuditFilter, page: Page) -> StoreFuture<'a, Vec<AuditEntry>>;
}

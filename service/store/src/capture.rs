//! What was captured of prompts and answers, where an operator asked for it. What is handed over here has been redacted;
//! this file must not know how.

use uuid::Uuid;

use crate::{Page, StoreFuture};

/// What was captured of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The call, as its usage row and its answer name it: a UUID (version 7), by which captures sort by time.
    pub id: Uuid,
    /// When the call came, in microseconds since the Unix epoch, UTC.
    pub at_micros: i64,
    /// Who called: a principal's name for itself (`key 0198...`).
    pub actor: String,
    /// The team whose call it was.
    pub team_id: Option<Uuid>,
    /// The model as the caller named it.
    pub model: String,
    /// The gRPC code the call ended with.
    pub code: i32,
    /// What was asked, as a JSON array of texts.
    pub request: String,
    /// What was answered, as a JSON array of texts; empty where nothing was.
    pub response: String,
    /// Whether there was more than was kept.
    pub cut: bool,
}

/// Which captures to list. The default selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaptureFilter {
    /// Only calls of this time or later, in microseconds since the Unix epoch.
    pub since_micros: Option<i64>,
    /// Only calls before this time, in microseconds since the Unix epoch.
    pub until_micros: Option<i64>,
    /// Only calls of this caller.
    pub actor: Option<String>,
    /// Only calls of this team.
    pub team_id: Option<Uuid>,
    /// Only calls that asked for this model.
    pub model: Option<String>,
}

/// Keeps captures.
pub trait CaptureStore: Send + Sync {
    /// Writes captures, all or none. One that is stored already is passed over.
    fn insert_captures<'a>(&'a self, captures: &'a [Capture]) -> StoreFuture<'a, ()>;

    /// The captures the filter selects, latest first.
    fn list_captures<'a>(&'a self, filter: &'a CaptureFilter, page: Page) -> StoreFuture<'a, Vec<Capture>>;

    /// Removes captures of calls before this time, in microseconds since the Unix epoch, the oldest first and at most
    /// `limit`, so that nobody waits long for the table; answers how many it removed.
    fn remove_captures(&self, before_micros: i64, limit: u32) -> StoreFuture<'_, u64>;
}

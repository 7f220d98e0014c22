//! Usage: one narrow row for every call that ended, whichever way, and the trait that keeps such rows.
//!
//! A row holds figures and names, never what was said.

mod attempt;
mod code;
mod sum;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

pub use attempt::UsageAttempt;
pub use code::{Operation, Outcome, Protocol, TokenSource};
pub use sum::{UsageGroup, UsageGrouping, UsageSum, UsageSumQuery, UsageSumStore, unix_day};
use uuid::Uuid;

use crate::StoreError;

/// What was asked, by whom, how it ended and what it cost.
///
/// `started_at_micros` and `id` together identify a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// A UUID (version 7, so that ids sort by time).
    pub id: [u8; 16],
    /// When the call arrived, in microseconds since the Unix epoch, UTC.
    pub started_at_micros: i64,
    /// From arrival to the last byte of the answer, in microseconds.
    pub latency_micros: i64,
    /// From arrival to the first piece of the answer, in microseconds; `None` if there was none.
    pub first_token_micros: Option<i64>,
    /// The protocol the caller spoke.
    pub protocol: Protocol,
    /// What was asked for.
    pub operation: Operation,
    /// Whether the caller asked for a stream.
    pub streamed: bool,
    /// Who asked; `None` where nobody has to say.
    pub principal: Option<Arc<str>>,
    /// The API key it was asked with.
    pub key_id: Option<Uuid>,
    /// The user who asked.
    pub user_id: Option<Uuid>,
    /// The team that the call counts for.
    pub team_id: Option<Uuid>,
    /// The model as the caller named it.
    pub model_asked: Arc<str>,
    /// The model that answered, as its provider names it; `None` if none did.
    pub model_used: Option<Arc<str>>,
    /// The provider that was asked last; `None` if none was.
    pub provider: Option<Arc<str>>,
    /// How the call ended.
    pub outcome: Outcome,
    /// The gRPC status code the caller was given; 0 is OK.
    /// Source: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>
    pub grpc_code: i32,
    /// Tokens of the input, cached ones included.
    pub prompt_tokens: u32,
    /// Tokens of the answer, those spent on reasoning included.
    pub completion_tokens: u32,
    /// The part of the input tokens that the provider had cached.
    pub cached_tokens: u32,
    /// The part of the answer's tokens that was spent on reasoning.
    pub reasoning_tokens: u32,
    /// Where the token counts come from.
    pub token_source: TokenSource,
    /// What the call cost, in nano-dollars.
    pub cost_nanos: i64,
    /// The version of the price table by which it cost that; `None` where the model has no price.
    pub price_version: Option<i64>,
    /// The attempts it took, in the order they ended; none where the first one served.
    pub attempts: Vec<UsageAttempt>,
}

/// A time as rows keep it: microseconds since the Unix epoch, negative before it.
pub fn unix_micros(time: SystemTime) -> i64 {
    let micros = |distance: std::time::Duration| i64::try_from(distance.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => -micros(before.duration()),
    }
}

/// Which rows to list. The default selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Only rows that started at this time or later, in microseconds since the Unix epoch.
    pub since_micros: Option<i64>,
    /// Only rows that started before this time, in microseconds since the Unix epoch.
    pub until_micros: Option<i64>,
    /// Only rows of this principal.
    pub principal: Option<Arc<str>>,
    /// Only rows of this key.
    pub key_id: Option<Uuid>,
    /// Only rows of this user.
    pub user_id: Option<Uuid>,
    /// Only rows of this team.
    pub team_id: Option<Uuid>,
    /// Only rows that asked for this model.
    pub model_asked: Option<Arc<str>>,
    /// Only rows for which this provider was asked last.
    pub provider: Option<Arc<str>>,
    /// Only rows that come after this one in the order of the list: the start and the id of a page's last row.
    pub after: Option<(i64, [u8; 16])>,
}

/// What a call to a store answers.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps usage rows.
pub trait UsageStore: Send + Sync {
    /// Writes the rows. When it succeeds all of them are stored; when it fails some may be.
    ///
    /// A row that is stored already is passed over, so that after a failure, or after the future was dropped, the same
    /// rows can be given again without being counted twice.
    fn insert<'a>(&'a self, rows: &'a [UsageRow]) -> StoreFuture<'a, ()>;

    /// The rows the filter selects, latest start first, at most `limit` of them.
    fn list<'a>(&'a self, filter: &'a UsageFilter, limit: u32) -> StoreFuture<'a, Vec<UsageRow>>;

    /// How many rows there are.
    fn count(&self) -> StoreFuture<'_, u64>;
}

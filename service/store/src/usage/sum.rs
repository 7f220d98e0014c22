//! Sums of usage by day, and how long single rows are kept. Sums stay when the rows they were made of have gone.

use std::sync::Arc;

use uuid::Uuid;

use super::StoreFuture;

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// The day of a time, both counted from the Unix epoch, UTC.
pub fn unix_day(micros: i64) -> i64 {
    micros.div_euclid(DAY_MICROS)
}

/// What sums are told apart by. The default adds everything up to one sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageGrouping {
    /// By the day the calls started on, UTC.
    pub day: bool,
    /// By the key they were made with.
    pub key: bool,
    /// By the user who made them.
    pub user: bool,
    /// By the team they count for.
    pub team: bool,
    /// By the model they asked for.
    pub model: bool,
    /// By the provider that was asked last.
    pub provider: bool,
}

/// What the calls of a sum have in common. What was not grouped by has its default, and so has what a call does not have:
/// an id of zeros, an empty name. Groups sort by their fields in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageGroup {
    /// Days since the Unix epoch, UTC.
    pub day: i64,
    /// The key.
    pub key_id: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// The team.
    pub team_id: Uuid,
    /// The model as it was asked for. Calls for which no provider was asked are under the empty name.
    pub model: String,
    /// The provider.
    pub provider: String,
}

/// Which calls to add up, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageSumQuery {
    /// Only this day or later, in days since the Unix epoch, UTC.
    pub since_day: Option<i64>,
    /// Only before this day.
    pub until_day: Option<i64>,
    /// Only calls with this key.
    pub key_id: Option<Uuid>,
    /// Only calls of this user.
    pub user_id: Option<Uuid>,
    /// Only calls of this team.
    pub team_id: Option<Uuid>,
    /// Only calls that asked for this model.
    pub model: Option<Arc<str>>,
    /// Only calls for which this provider was asked.
    pub provider: Option<Arc<str>>,
    /// What to tell apart.
    pub by: UsageGrouping,
    /// Only groups after this one.
    pub after: Option<UsageGroup>,
}

/// What the calls of a group add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// What the calls have in common.
    pub group: UsageGroup,
    /// How many there were.
    pub calls: u64,
    /// How many of them were answered with an error.
    pub failed_calls: u64,
    /// Tokens of the input, cached ones included.
    pub prompt_tokens: u64,
    /// Tokens of the answers, those spent on reasoning included.
    pub completion_tokens: u64,
    /// The part of the input tokens that the provider had cached.
    pub cached_tokens: u64,
    /// The part of the answers' tokens that was spent on reasoning.
    pub reasoning_tokens: u64,
    /// What they cost, in nano-dollars.
    pub cost_nanos: i64,
}

/// Adds usage up, and lets go of old rows.
pub trait UsageSumStore: Send + Sync {
    /// The sums, in the order of their groups, at most `limit` of them. A row counts as soon as it is stored, and once.
    fn sum_usage<'a>(&'a self, query: &'a UsageSumQuery, limit: u32) -> StoreFuture<'a, Vec<UsageSum>>;

    /// Removes rows that started before `keep_since_micros`, in stretches that the database can let go of cheaply, so that
    /// some may stay a month longer, and makes room for the rows of the months after `now_micros`. Sums stay.
    ///
    /// Several replicas may do so at once. To be called now and then; answers how many rows or stretches were removed.
    fn tend_usage(&self, now_micros: i64, keep_since_micros: Option<i64>) -> StoreFuture<'_, u64>;
}

//! Answers that are kept to be given again, where replicas share them. What they say, and when two questions are the same,
//! this file must not know.

use crate::StoreFuture;

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The digest of its question and of those who share it.
    pub key: [u8; 32],
    /// The answer, in whatever form its keeper gives it.
    pub answer: Vec<u8>,
    /// Who gave it, as `provider/model`.
    pub model: String,
    /// When it was given, in microseconds since the Unix epoch, UTC.
    pub at_micros: i64,
    /// From when on nobody gets it any more, in microseconds since the Unix epoch, UTC.
    pub expires_micros: i64,
}

/// Keeps answers. One that is lost does no harm.
pub trait AnswerStore: Send + Sync {
    /// Keeps an answer in the place of one that is older.
    fn put_answer<'a>(&'a self, answer: &'a KeptAnswer) -> StoreFuture<'a, ()>;

    /// The answer to a question that has not expired at `now`, in microseconds since the Unix epoch.
    fn get_answer<'a>(&'a self, key: &'a [u8; 32], now_micros: i64) -> StoreFuture<'a, Option<KeptAnswer>>;

    /// Removes at most `limit` answers that have expired at `now`, in microseconds since the Unix epoch; answers how many.
    fn remove_expired_answers(&self, now_micros: i64, limit: u32) -> StoreFuture<'_, u64>;
}

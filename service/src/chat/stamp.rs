//! What every answer has and not every provider gives: a name, a time, and the kind of object it is.

use std::time::UNIX_EPOCH;

use sabir_proto::v1::{ChatCompletion, ChatCompletionChunk};
use uuid::Uuid;

use super::ledger::Ledger;

/// The name and the time of one answer.
#[derive(Debug, Clone)]
pub(super) struct Stamp {
    id: Uuid,
    /// In seconds since 1970.
    created: i64,
}

impl Stamp {
    /// Of the answer that this ledger is about.
    pub(super) fn of(ledger: &Ledger) -> Self {
        let since = ledger.received_at().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { id: ledger.id(), created: i64::try_from(since.as_secs()).unwrap_or(0) }
    }

    /// Fills in what a whole answer lacks.
    pub(super) fn complete(&self, answer: &mut ChatCompletion) {
        self.fill_in(&mut answer.id, &mut answer.created);
    }

    /// Fills in what a chunk lacks.
    pub(super) fn chunk(&self, chunk: &mut ChatCompletionChunk) {
        self.fill_in(&mut chunk.id, &mut chunk.created);
    }

    fn fill_in(&self, id: &mut String, created: &mut i64) {
        if *created == 0 {
            *created = self.created;
            if id.is_empty() {
                *id = format!("chatcmpl-{}", self.id.simple());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_a_provider_gives_is_kept() {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let stamp = Stamp { id: Uuid::nil(), created: i64::try_from(since).unwrap() };
        let mut bare = ChatCompletion::default();
        stamp.complete(&mut bare);
        assert_eq!((bare.id.as_str(), bare.created), ("chatcmpl-00000000000000000000000000000000", stamp.created));
        let mut whole = ChatCompletion { id: "msg_1".to_owned(), created: 7, ..ChatCompletion::default() };
        stamp.complete(&mut whole);
        assert_eq!((whole.id.as_str(), whole.created), ("msg_1", 7));
        let mut named = ChatCompletionChunk { id: "msg_1".to_owned(), ..ChatCompletionChunk::default() };
        stamp.chunk(&mut named);
        assert_eq!((named.id.as_str(), named.created), ("msg_1", stamp.created));
    }
}

//! Kept answers that replicas share through the store.
//!
//! The store is a convenience here: one that is slow or away makes a question be asked again, and nothing worse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use prost::Message as _;
use sabir_proto::v1::ChatCompletion;
use sabir_store::{AnswerStore, KeptAnswer, StoreError, unix_micros};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Entry;
use super::key::Key;
use crate::telemetry::event;

/// How long the store is waited for.
const PATIENCE: Duration = Duration::from_millis(250);

/// How many answers may wait to be written; more are not shared.
const QUEUE: usize = 256;

/// How often what has expired is removed, and how much at once.
const CLEANING: Duration = Duration::from_secs(60);
const CLEAN_ROWS: u32 = 500;

/// Answers in the store.
pub(super) struct Shared {
    store: Arc<dyn AnswerStore>,
    queue: mpsc::Sender<KeptAnswer>,
    /// Whether the store failed when it was asked last, which is worth one line in the log.
    is_away: AtomicBool,
}

impl Shared {
    /// Starts the task that writes to the store, on the runtime this is called in. It ends when this is dropped.
    pub(super) fn start(store: Arc<dyn AnswerStore>) -> Self {
        let (queue, answers) = mpsc::channel(QUEUE);
        tokio::spawn(write(Arc::clone(&store), answers));
        Self { store, queue, is_away: AtomicBool::new(false) }
    }

    /// The answer to a question, if anybody has had one.
    pub(super) async fn get(&self, key: &Key) -> Option<Entry> {
        let now = unix_micros(SystemTime::now());
        let found = match timeout(PATIENCE, self.store.get_answer(key.bytes(), now)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return self.failed(&error.to_string()),
            Err(_) => return self.failed("it did not answer in time"),
        };
        self.is_away.store(false, Ordering::Relaxed);
        let KeptAnswer { answer, model, at_micros, .. } = found?;
        // Written by a version that had another contract, perhaps.
        let answer = ChatCompletion::decode(answer.as_slice()).ok()?;
        let age = Duration::from_micros(u64::try_from(now.saturating_sub(at_micros)).unwrap_or(0));
        Some(Entry { answer, model, at: Instant::now().checked_sub(age)? })
    }

    /// Has others find an answer too. Does not wait for it.
    pub(super) fn put(&self, key: &Key, entry: &Entry, ttl: Duration) {
        let Ok(place) = self.queue.try_reserve() else { return };
        let now = SystemTime::now();
        place.send(KeptAnswer {
            key: *key.bytes(),
            answer: entry.answer.encode_to_vec(),
            model: entry.model.clone(),
            at_micros: unix_micros(now),
            expires_micros: unix_micros(now + ttl),
        });
    }

    fn failed(&self, why: &str) -> Option<Entry> {
        if !self.is_away.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                event = event::CACHE_UNREAD,
                error = why,
                "kept answers cannot be read from the store; questions are asked again"
            );
        }
        None
    }
}

/// Writes answers as they come, and removes those that have expired.
async fn write(store: Arc<dyn AnswerStore>, mut answers: mpsc::Receiver<KeptAnswer>) {
    let mut cleaning = interval(CLEANING);
    cleaning.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let report = |error: StoreError| tracing::debug!(%error, "kept answers cannot be written to the store");
    loop {
        tokio::select! {
            answer = answers.recv() => {
                let Some(answer) = answer else { return };
                store.put_answer(&answer).await.unwrap_or_else(report);
            }
            _ = cleaning.tick() => {
                let now = unix_micros(SystemTime::now());
                while store.remove_expired_answers(now, CLEAN_ROWS).await.is_ok_and(|count| count == u64::from(CLEAN_ROWS)) {}
            }
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("is_away", &self.is_away).finish_non_exhaustive()
    }
}

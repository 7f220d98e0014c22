//! The batcher in front of a usage store: calls hand over rows one by one, the database sees batches.
//!
//! A call first reserves its place and then records its row, which cannot fail and does not wait, so that it can be
//! done from `Drop`. The waiting is all in the reservation: when the database is slow or away, places run out and new
//! calls wait. Nothing is dropped. This file must not know which database is behind, nor what a row means.

mod collector;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{StoreError, StoreErrorKind, UsageRow, UsageStore};
use collector::Collector;

/// How rows are gathered. [`Default`] is meant for production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchConfig {
    /// How many calls may hold a place or have a row waiting; the next one waits. It also bounds the calls in flight,
    /// because each of them holds a place until it ends.
    pub capacity: usize,
    /// Write when this many rows have gathered. The largest batch a store is given.
    pub flush_rows: usize,
    /// Write this long after the first row of a batch came, however few there are.
    pub flush_after: Duration,
    /// The wait before a failed write is tried again; it doubles with every failure.
    pub first_retry_after: Duration,
    /// The longest wait before a failed write is tried again.
    pub last_retry_after: Duration,
    /// How long [`UsageWriter::close`] may take for calls to end and their rows to be written.
    pub close_within: Duration,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            capacity: 16_384,
            flush_rows: 512,
            flush_after: Duration::from_millis(250),
            first_retry_after: Duration::from_millis(50),
            last_retry_after: Duration::from_secs(5),
            close_within: Duration::from_secs(10),
        }
    }
}

/// Takes usage rows and writes them in batches. Clones share one queue.
#[derive(Debug, Clone)]
pub struct UsageWriter {
    queue: mpsc::Sender<UsageRow>,
    closing: CancellationToken,
    /// How many rows were not written; `None` until the queue is closed.
    unwritten: watch::Receiver<Option<usize>>,
    counts: Arc<Counts>,
}

/// A place in the queue for one row. Dropped without a row, it gives the place back.
#[derive(Debug)]
pub struct UsagePermit {
    place: mpsc::OwnedPermit<UsageRow>,
    counts: Arc<Counts>,
}

/// How the writer does, as figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageFigures {
    /// Rows that were handed over and are not written yet.
    pub pending: u64,
    /// Rows that the database refused for good, or that were given up at the end.
    pub lost: u64,
    /// Writes that failed, those that were tried again included.
    pub failed_writes: u64,
}

/// What the figures are made of.
#[derive(Debug, Default)]
struct Counts {
    recorded: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
    failed_writes: AtomicU64,
}

impl UsageWriter {
    /// Starts the task that writes to `store`, on the Tokio runtime this is called in.
    pub fn start(store: Arc<dyn UsageStore>, config: BatchConfig) -> Self {
        let (queue, rows) = mpsc::channel(config.capacity.max(1));
        let (report, unwritten) = watch::channel(None);
        let closing = CancellationToken::new();
        let counts = Arc::<Counts>::default();
        let collector = Collector::new(store, rows, closing.clone(), config, Arc::clone(&counts));
        tokio::spawn(collector.run(report));
        Self { queue, closing, unwritten, counts }
    }

    /// Waits for a place for one row. Takes no time unless the database has fallen behind.
    ///
    /// # Errors
    /// `Unavailable` when the writer is closed.
    pub async fn reserve(&self) -> Result<UsagePermit, StoreError> {
        match self.queue.clone().reserve_owned().await {
            Ok(place) => Ok(UsagePermit { place, counts: Arc::clone(&self.counts) }),
            Err(_closed) => Err(StoreError::new(StoreErrorKind::Unavailable, "the usage log is shutting down")),
        }
    }

    /// How it does.
    pub fn figures(&self) -> UsageFigures {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { recorded, written, lost, failed_writes } = &*self.counts;
        // What is gone is read first, so that the difference is never below what it was.
        let (written, lost, failed_writes) = (read(written), read(lost), read(failed_writes));
        UsageFigures { pending: read(recorded).saturating_sub(written + lost), lost, failed_writes }
    }

    /// Refuses further reservations, waits until every permit is used or dropped, and writes every row. Answers how
    /// many rows could not be written in the time the configuration gives, permits still held included.
    ///
    /// May be called more than once; each call answers the same.
    pub async fn close(&self) -> usize {
        self.closing.cancel();
        let mut unwritten = self.unwritten.clone();
        // The task reports before it ends. If it has no report its runtime is gone, and it has logged what it held.
        unwritten.wait_for(Option::is_some).await.ok().and_then(|count| *count).unwrap_or(0)
    }
}

impl UsagePermit {
    /// Hands over the row.
    pub fn record(self, row: UsageRow) {
        self.counts.recorded.fetch_add(1, Ordering::Relaxed);
        self.place.send(row);
    }
}

#[cfg(test)]
mod tests;

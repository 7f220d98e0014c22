//! The task behind the usage writer: gathers rows, writes them, tries again when that fails, and empties the queue at
//! the end. It alone reads the queue, so it alone answers for every row in it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{BatchConfig, Counts};
use crate::{StoreError, StoreErrorKind, UsageRow, UsageStore};

/// How often the queue is looked at while a batch gathers.
const LOOKS_PER_BATCH: u32 = 8;

pub(super) struct Collector {
    store: Arc<dyn UsageStore>,
    queue: mpsc::Receiver<UsageRow>,
    closing: CancellationToken,
    config: BatchConfig,
    /// The rows taken from the queue and not written yet.
    batch: Vec<UsageRow>,
    /// What the store said first since it last worked.
    trouble: Option<StoreError>,
    /// Rows the store refused for good.
    refused: usize,
    /// The same for others to see.
    counts: Arc<Counts>,
}

impl Collector {
    pub(super) fn new(
        store: Arc<dyn UsageStore>,
        queue: mpsc::Receiver<UsageRow>,
        closing: CancellationToken,
        config: BatchConfig,
        counts: Arc<Counts>,
    ) -> Self {
        let flush_rows = config.flush_rows.max(1);
        let flush_after = config.flush_after.max(LOOKS_PER_BATCH * Duration::from_millis(1));
        let config = BatchConfig { flush_rows, flush_after, ..config };
        let batch = Vec::with_capacity(config.flush_rows);
        Self { store, queue, closing, config, batch, trouble: None, refused: 0, counts }
    }

    /// Runs until the queue is closed and empty, or until closing takes too long.
    pub(super) async fn run(mut self, report: watch::Sender<Option<usize>>) {
        let closing = self.closing.clone();
        let close_within = self.config.close_within;
        let out_of_time = async {
            closing.cancelled().await;
            sleep(close_within).await;
        };
        tokio::select! {
            () = self.write_all() => report.send_replace(Some(self.refused)),
            () = out_of_time => {
                let unwritten = self.abandon();
                report.send_replace(Some(unwritten))
            }
        };
        // Calls that still hold a permit may yet record a row; each of them is accounted for too.
        while let Some(row) = self.queue.recv().await {
            tracing::error!(
                event = "usage-row-late",
                started_at_micros = row.started_at_micros,
                "a usage row came after the usage log was closed"
            );
        }
    }

    async fn write_all(&mut self) {
        while self.gather().await {
            self.write().await;
        }
    }

    /// Fills the batch until it is full or its time has come. Answers false when there is nothing left to come.
    async fn gather(&mut self) -> bool {
        if self.wait_for_rows().await == 0 {
            return false;
        }
        // Waiting on the queue would wake this task for every row; looking now and then wakes it a few times a batch.
        let mut look = interval(self.config.flush_after / LOOKS_PER_BATCH);
        for _ in 0..=LOOKS_PER_BATCH {
            tokio::select! {
                _ = look.tick() => {}
                () = self.closing.cancelled() => break,
            }
            while self.batch.len() < self.config.flush_rows {
                match self.queue.try_recv() {
                    Ok(row) => self.batch.push(row),
                    Err(_empty) => break,
                }
            }
            if self.batch.len() == self.config.flush_rows {
                break;
            }
        }
        true
    }

    /// Moves rows into the empty batch as soon as there are some. Answers how many; 0 means that the queue is closed
    /// and empty, and that no permit is held.
    async fn wait_for_rows(&mut self) -> usize {
        if !self.closing.is_cancelled() {
            tokio::select! {
                taken = self.queue.recv_many(&mut self.batch, self.config.flush_rows) => return taken,
                () = self.closing.cancelled() => {}
            }
        }
        self.queue.close();
        self.queue.recv_many(&mut self.batch, self.config.flush_rows).await
    }

    /// Writes the batch, however often that has to be tried.
    async fn write(&mut self) {
        if self.insert_from(0).await.is_err() {
            // One row that is refused must not hold up all others for ever: it is found, logged and passed over.
            while let Some(last) = self.batch.len().checked_sub(1) {
                if let Err(error) = self.insert_from(last).await {
                    self.refused += 1;
                    self.counts.lost.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        event = "usage-row-refused", %error, row = ?self.batch[last],
                        "the database refuses a usage row"
                    );
                }
                self.batch.truncate(last);
            }
        }
        self.batch.clear();
    }

    /// Writes the batch from this index on, and tries again for as long as the trouble is the database's.
    ///
    /// # Errors
    /// The rows themselves are refused.
    async fn insert_from(&mut self, first: usize) -> Result<(), StoreError> {
        let mut retry_after = self.config.first_retry_after;
        while let Err(error) = self.store.insert(&self.batch[first..]).await {
            self.counts.failed_writes.fetch_add(1, Ordering::Relaxed);
            if error.kind() == StoreErrorKind::Constraint {
                return Err(error);
            }
            let rows = self.batch.len();
            tracing::warn!(
                event = "usage-rows-unwritten", %error, rows, ?retry_after,
                "usage rows could not be written; trying again"
            );
            self.trouble.get_or_insert(error);
            sleep(retry_after).await;
            retry_after = (retry_after * 2).min(self.config.last_retry_after);
        }
        self.counts.written.fetch_add((self.batch.len() - first) as u64, Ordering::Relaxed);
        if self.trouble.take().is_some() {
            tracing::info!(event = "usage-rows-written", "usage rows are being written again");
        }
        Ok(())
    }

    /// Gives up on what is left and answers how much that is.
    fn abandon(&mut self) -> usize {
        self.queue.close();
        // A place that is not free holds a row, or belongs to a call that has not ended.
        let places_taken = self.queue.max_capacity() - self.queue.capacity();
        let unwritten = self.batch.len() + places_taken;
        let open_calls = places_taken.saturating_sub(self.queue.len());
        let error = self.trouble.take().map(|error| error.to_string()).unwrap_or_default();
        tracing::error!(
            event = "usage-rows-lost", unwritten, open_calls, %error,
            "usage rows are lost: closing the usage log took too long"
        );
        self.counts.lost.fetch_add((self.batch.len() + self.queue.len()) as u64, Ordering::Relaxed);
        self.batch.clear();
        while self.queue.try_recv().is_ok() {}
        unwritten + self.refused
    }
}

impl Drop for Collector {
    /// Rows are left only if the runtime was torn down without closing the writer.
    fn drop(&mut self) {
        let rows = self.batch.len() + self.queue.len();
        if rows > 0 {
            tracing::error!(
                event = "usage-rows-lost",
                rows,
                "usage rows are lost: the runtime ended before the usage log was closed"
            );
        }
    }
}

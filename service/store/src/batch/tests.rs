//! Claims about the batcher, over a store that can be told to fail or to stall.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::time::{Instant, timeout};

use super::*;
use crate::{StoreFuture, UsageFilter, conformance::sample_row};

/// Keeps batches in memory and answers inserts from a script, then with success.
#[derive(Default)]
struct ScriptedStore {
    answers: Mutex<VecDeque<StoreErrorKind>>,
    batches: Mutex<Vec<Vec<UsageRow>>>,
    /// A row with this id is refused.
    poison: Option<[u8; 16]>,
    stalled: AtomicBool,
}

impl ScriptedStore {
    fn failing(answers: impl IntoIterator<Item = StoreErrorKind>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() }
    }

    fn batch_sizes(&self) -> Vec<usize> {
        self.batches.lock().unwrap().iter().map(Vec::len).collect()
    }

    fn ids(&self) -> Vec<[u8; 16]> {
        let mut ids: Vec<_> = self.batches.lock().unwrap().iter().flatten().map(|row| row.id).collect();
        ids.sort_unstable();
        ids
    }
}

impl UsageStore for ScriptedStore {
    fn insert<'a>(&'a self, rows: &'a [UsageRow]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            if self.stalled.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if let Some(kind) = self.answers.lock().unwrap().pop_front() {
                return Err(StoreError::new(kind, "scripted"));
            }
            if rows.iter().any(|row| Some(row.id) == self.poison) {
                return Err(StoreError::new(StoreErrorKind::Constraint, "poison"));
            }
            self.batches.lock().unwrap().push(rows.to_vec());
            Ok(())
        })
    }

    fn list<'a>(&'a self, _: &'a UsageFilter, _: u32) -> StoreFuture<'a, Vec<UsageRow>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn count(&self) -> StoreFuture<'_, u64> {
        Box::pin(async { Ok(self.batches.lock().unwrap().iter().map(Vec::len).sum::<usize>() as u64) })
    }
}

async fn record(writer: &UsageWriter, numbers: std::ops::Range<u64>) {
    for number in numbers {
        writer.reserve().await.unwrap().record(sample_row(number));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lonely_row_is_written_when_its_time_has_come() {
    let store = Arc::new(ScriptedStore::default());
    let writer = UsageWriter::start(store.clone(), BatchConfig::default());
    record(&writer, 0..3).await;
    tokio::time::sleep(Duration::from_millis(240)).await;
    assert_eq!(store.batch_sizes(), [0; 0]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(store.batch_sizes(), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_is_written_before_its_time() {
    let store = Arc::new(ScriptedStore::default());
    let writer = UsageWriter::start(store.clone(), BatchConfig::default());
    record(&writer, 0..1_100).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(store.batch_sizes(), [512, 512]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(store.batch_sizes(), [512, 512, 76]);
}

#[tokio::test(start_paused = true)]
async fn closing_writes_what_is_queued_at_once() {
    let store = Arc::new(ScriptedStore::default());
    let writer = UsageWriter::start(store.clone(), BatchConfig::default());
    record(&writer, 0..700).await;
    let before = Instant::now();
    assert_eq!(writer.close().await, 0);
    assert_eq!(store.ids().len(), 700);
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(writer.close().await, 0, "closing again answers the same");
    assert_eq!(writer.reserve().await.unwrap_err().kind(), StoreErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_the_calls_that_hold_a_permit() {
    let store = Arc::new(ScriptedStore::default());
    let writer = UsageWriter::start(store.clone(), BatchConfig::default());
    let (recorded_later, dropped_later) = (writer.reserve().await.unwrap(), writer.reserve().await.unwrap());
    let calls = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        recorded_later.record(sample_row(1));
        tokio::time::sleep(Duration::from_secs(3)).await;
        drop(dropped_later);
    });
    let before = Instant::now();
    assert_eq!(writer.close().await, 0);
    assert_eq!(before.elapsed(), Duration::from_secs(6));
    assert_eq!(store.ids().len(), 1);
    calls.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_holds_calls_back_and_an_unused_permit_lets_one_in() {
    let store = Arc::new(ScriptedStore::default());
    store.stalled.store(true, Ordering::Relaxed);
    let config = BatchConfig { capacity: 4, flush_rows: 1, ..BatchConfig::default() };
    let writer = UsageWriter::start(store.clone(), config);
    record(&writer, 0..1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The first row is with the stalled store; four places are free again.
    record(&writer, 1..4).await;
    let unused = writer.reserve().await.unwrap();
    let waiting = timeout(Duration::from_secs(60), writer.reserve()).await;
    assert!(waiting.is_err(), "the fifth place does not exist");
    drop(unused);
    timeout(Duration::from_secs(1), writer.reserve()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_twice_loses_nothing() {
    let store = Arc::new(ScriptedStore::failing([StoreErrorKind::Unavailable, StoreErrorKind::Corrupt]));
    let writer = UsageWriter::start(store.clone(), BatchConfig::default());
    record(&writer, 0..600).await;
    assert_eq!(writer.close().await, 0);
    assert_eq!(store.ids(), (0..600).map(|number| sample_row(number).id).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_refused_row_does_not_hold_up_the_others() {
    let store = Arc::new(ScriptedStore { poison: Some(sample_row(7).id), ..ScriptedStore::default() });
    let writer = UsageWriter::start(store.clone(), BatchConfig::default());
    record(&writer, 0..20).await;
    assert_eq!(writer.close().await, 1);
    assert_eq!(store.ids().len(), 19);
}

#[tokio::test(start_paused = true)]
async fn closing_gives_up_in_time_and_counts_what_is_lost() {
    let store = Arc::new(ScriptedStore::default());
    store.stalled.store(true, Ordering::Relaxed);
    let writer = UsageWriter::start(store.clone(), BatchConfig::default());
    record(&writer, 0..1_000).await;
    let still_open = writer.reserve().await.unwrap();
    let before = Instant::now();
    assert_eq!(writer.close().await, 1_001);
    assert_eq!(before.elapsed(), Duration::from_secs(10));
    still_open.record(sample_row(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_many_tasks_write() {
    let store = Arc::new(ScriptedStore::failing([StoreErrorKind::Unavailable; 2]));
    crate::conformance::nothing_is_lost_when_many_tasks_write(store).await;
}

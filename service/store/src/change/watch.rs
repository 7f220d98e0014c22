//! Asks the store for its generations again and again, and tells whoever keeps something in memory.
//!
//! It also knows since when the answer is no longer known to be right, so that what is kept in memory can be given up
//! when the database has been away for too long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{ChangeStore, Generations};
use crate::StoreError;

/// How often the store is asked. What another replica changes is noticed within this time and that of one query.
const EVERY: Duration = Duration::from_millis(250);

/// How long one query may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Follows the generations of a store. Clones share one task, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct ChangeWatch {
    generations: watch::Receiver<Generations>,
    /// When the last question that was answered had been asked.
    confirmed: watch::Receiver<Instant>,
    _task: Arc<DropGuard>,
}

impl ChangeWatch {
    /// Asks once, and from then on a few times a second, on the Tokio runtime this is called in.
    ///
    /// # Errors
    /// What the store says to the first question.
    pub async fn start(store: Arc<dyn ChangeStore>) -> Result<Self, StoreError> {
        let asked = Instant::now();
        let (generations, follow) = watch::channel(store.generations().await?);
        let (confirmed, last) = watch::channel(asked);
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(poll(store, generations, confirmed)));
        Ok(Self { generations: follow, confirmed: last, _task: Arc::new(stop.drop_guard()) })
    }

    /// The generations, and every change of them from now on.
    pub fn subscribe(&self) -> watch::Receiver<Generations> {
        self.generations.clone()
    }

    /// The generations as they were last seen.
    pub fn generations(&self) -> Generations {
        *self.generations.borrow()
    }

    /// How long ago the generations were last known to be right: about a quarter of a second, and more only while the
    /// database is away.
    pub fn age(&self) -> Duration {
        self.confirmed.borrow().elapsed()
    }
}

async fn poll(store: Arc<dyn ChangeStore>, generations: watch::Sender<Generations>, confirmed: watch::Sender<Instant>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut away = false;
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        let problem = match tokio::time::timeout(PATIENCE, store.generations()).await {
            Ok(Ok(now)) => {
                generations.send_if_modified(|before| std::mem::replace(before, now) != now);
                confirmed.send_replace(asked);
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {PATIENCE:?}")),
        };
        match (away, &problem) {
            (false, Some(error)) => {
                tracing::warn!(event = "database-away", %error, "the database is away; what is in memory is used for now")
            }
            (true, None) => tracing::info!(event = "database-back", "the database is back"),
            _ => {}
        }
        away = problem.is_some();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{StoreErrorKind, StoreFuture};

    struct Scripted(Mutex<Option<Generations>>);

    impl ChangeStore for Scripted {
        fn generations(&self) -> StoreFuture<'_, Generations> {
            let answer = self.0.lock().unwrap().ok_or_else(|| StoreError::new(StoreErrorKind::Unavailable, "away"));
            Box::pin(std::future::ready(answer))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_and_an_absence_shows_as_age() {
        let store = Arc::new(Scripted(Mutex::new(Some(Generations::default()))));
        let watch = ChangeWatch::start(store.clone()).await.unwrap();
        let mut changes = watch.subscribe();
        *store.0.lock().unwrap() = Some(Generations { limits: 1, ..Generations::default() });
        tokio::time::timeout(EVERY * 2, changes.changed()).await.unwrap().unwrap();
        assert_eq!(watch.generations().limits, 1);

        tokio::time::sleep(EVERY * 8).await;
        assert!(watch.age() <= EVERY && !changes.has_changed().unwrap(), "what stays the same is not told again");
        *store.0.lock().unwrap() = None;
        tokio::time::sleep(EVERY * 8).await;
        assert!(watch.age() >= EVERY * 7);
        assert_eq!(watch.generations().limits, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_task_ends_with_the_last_watch() {
        let store = Arc::new(Scripted(Mutex::new(Some(Generations::default()))));
        let watch = ChangeWatch::start(store.clone()).await.unwrap();
        drop(watch.clone());
        tokio::time::sleep(EVERY).await;
        assert!(Arc::strong_count(&store) > 1);
        drop(watch);
        tokio::time::sleep(EVERY).await;
        assert_eq!(Arc::strong_count(&store), 1);
    }
}

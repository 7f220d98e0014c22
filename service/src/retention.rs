//! The upkeep of usage rows: lets go of old ones, and has the database make room for those of the next months. It must not
//! know how a database does so.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sabir_store::{UsageSumStore, unix_micros};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::telemetry::event;

/// How often it is done. Room is made months ahead, so that a database that is away for days does no harm.
const EVERY: Duration = Duration::from_secs(3600);

const DAY_MICROS: i64 = 86_400_000_000;

/// The task that does so. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Upkeep {
    task: JoinHandle<()>,
}

impl Upkeep {
    /// Starts it, on the Tokio runtime this is called in. Without `keep_days`, rows are kept for ever.
    pub(crate) fn start(store: Arc<dyn UsageSumStore>, keep_days: Option<u32>) -> Self {
        let task = tokio::spawn(async move {
            let mut turn = interval(EVERY);
            turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                turn.tick().await;
                tend(&*store, keep_days).await;
            }
        });
        Self { task }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tend(store: &dyn UsageSumStore, keep_days: Option<u32>) {
    let now = unix_micros(SystemTime::now());
    let keep_since = keep_days.map(|days| now.saturating_sub(i64::from(days) * DAY_MICROS));
    match store.tend_usage(now, keep_since).await {
        Ok(0) => {}
        Ok(removed) => {
            tracing::info!(event = event::USAGE_REMOVED, removed, "old usage rows, or months of them, were removed")
        }
        Err(error) => {
            tracing::warn!(event = event::USAGE_UNTENDED, %error, "usage rows could not be tended; trying again in an hour")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sabir_store::{StoreFuture, UsageSum, UsageSumQuery};

    use super::*;

    #[derive(Default)]
    struct Noted(Mutex<Vec<(i64, Option<i64>)>>);

    impl UsageSumStore for Noted {
        fn sum_usage<'a>(&'a self, _: &'a UsageSumQuery, _: u32) -> StoreFuture<'a, Vec<UsageSum>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn tend_usage(&self, now: i64, keep_since: Option<i64>) -> StoreFuture<'_, u64> {
            self.0.lock().unwrap().push((now, keep_since));
            Box::pin(async { Ok(0) })
        }
    }

    #[tokio::test]
    async fn rows_are_tended_at_the_start_and_until_it_is_dropped() {
        let store = Arc::new(Noted::default());
        let upkeep = Upkeep::start(Arc::clone(&store) as _, Some(30));
        while store.0.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let (now, keep_since) = store.0.lock().unwrap()[0];
        assert_eq!(keep_since, Some(now - 30 * DAY_MICROS));
        drop(upkeep);
        while Arc::strong_count(&store) > 1 {
            tokio::task::yield_now().await;
        }
    }
}

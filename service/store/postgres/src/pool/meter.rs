//! Counts waits, and says in the log when they are long. It must not know what is waited for.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sabir_store::{ConnectionWaits, WAIT_BOUNDS};

/// A wait that is longer is worth a word: a call that needs the database is kept waiting noticeably. One of the bounds.
const LONG: Duration = Duration::from_millis(500);

/// How long there is no further word after one: a database in trouble must not flood the log.
const QUIET: Duration = Duration::from_secs(10);

/// Figures that many tasks add to. Each is right by itself; a snapshot may have a wait in one and not yet in another.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    counts: [AtomicU64; WAIT_BOUNDS.len() + 1],
    in_vain: AtomicU64,
    total_micros: AtomicU64,
    longest_micros: AtomicU64,
    last_micros: AtomicU64,
    /// From when on the next long wait is told of, in microseconds since `began`.
    quiet_until: AtomicU64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            counts: Default::default(),
            in_vain: AtomicU64::default(),
            total_micros: AtomicU64::default(),
            longest_micros: AtomicU64::default(),
            last_micros: AtomicU64::default(),
            quiet_until: AtomicU64::default(),
        }
    }
}

impl Meter {
    /// A wait begins for one of so many connections. It ends when this is dropped.
    pub(super) fn begin(&self, connections: u32) -> Wait<'_> {
        Wait { meter: self, connections, began: Instant::now(), in_vain: true }
    }

    /// Notes a wait that ended at `now`, which is counted from when this was made. Answers whether to tell of it.
    fn note(&self, now: Duration, wait: Duration, in_vain: bool) -> bool {
        let bound = WAIT_BOUNDS.partition_point(|bound| *bound < wait);
        if let Some(count) = self.counts.get(bound) {
            count.fetch_add(1, Relaxed);
        }
        if in_vain {
            self.in_vain.fetch_add(1, Relaxed);
        }
        self.total_micros.fetch_add(micros(wait), Relaxed);
        self.longest_micros.fetch_max(micros(wait), Relaxed);
        self.last_micros.store(micros(wait), Relaxed);
        if wait <= LONG {
            return false;
        }
        let next = micros(now.saturating_add(QUIET));
        self.quiet_until.try_update(Relaxed, Relaxed, |until| (until <= micros(now)).then_some(next)).is_ok()
    }

    pub(super) fn snapshot(&self) -> ConnectionWaits {
        let duration = |micros: &AtomicU64| Duration::from_micros(micros.load(Relaxed));
        ConnectionWaits {
            counts: std::array::from_fn(|bound| self.counts.get(bound).map_or(0, |count| count.load(Relaxed))),
            in_vain: self.in_vain.load(Relaxed),
            total: duration(&self.total_micros),
            longest: duration(&self.longest_micros),
            last: duration(&self.last_micros),
        }
    }
}

/// A wait that goes on.
#[derive(Debug)]
pub(super) struct Wait<'meter> {
    meter: &'meter Meter,
    connections: u32,
    began: Instant,
    in_vain: bool,
}

impl Wait<'_> {
    /// It ends with a connection.
    pub(super) fn succeeded(mut self) {
        self.in_vain = false;
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let wait = self.began.elapsed();
        if self.meter.note(self.meter.began.elapsed(), wait, self.in_vain) {
            let waits = self.meter.snapshot();
            tracing::warn!(
                event = "connection-awaited",
                waited = ?wait,
                in_vain = self.in_vain,
                connections = self.connections,
                waits = waits.count(),
                long_waits = waits.longer_than(LONG),
                waits_in_vain = waits.in_vain,
                longest = ?waits.longest,
                "a connection to the database is long in coming: it is slow or away, or there are too few connections"
            );
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_counted_by_their_length() {
        let meter = Meter::default();
        for millis in [0, 1, 2, 500, 501, 60_000] {
            meter.note(Duration::ZERO, Duration::from_millis(millis), millis == 501);
        }
        let waits = meter.snapshot();
        assert_eq!(waits.counts, [2, 1, 0, 0, 1, 1, 1]);
        assert_eq!((waits.count(), waits.in_vain, waits.longer_than(LONG)), (6, 1, 2));
        assert_eq!((waits.total, waits.longest), (Duration::from_millis(61_004), Duration::from_secs(60)));
        assert_eq!(waits.last, Duration::from_secs(60));
    }

    #[test]
    fn a_long_wait_is_told_of_and_then_there_is_quiet() {
        let (meter, long) = (Meter::default(), Duration::from_millis(501));
        assert!(!meter.note(Duration::ZERO, LONG, true));
        let told = [0, 1, 9_999, 10_000, 10_001, 20_000].map(|at| meter.note(Duration::from_millis(at), long, false));
        assert_eq!(told, [true, false, false, true, false, true]);
    }

    #[test]
    fn a_wait_that_is_given_up_counts() {
        let meter = Meter::default();
        drop(meter.begin(1));
        meter.begin(1).succeeded();
        let waits = meter.snapshot();
        assert_eq!((waits.count(), waits.in_vain), (2, 1));
    }
}

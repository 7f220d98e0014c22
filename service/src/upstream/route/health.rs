//! How a target has done of late: its breaker, how many calls it has, how quick it is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::breaker::{Admission, Breaker};

use crate::telemetry::event;

/// How long it takes until an observation counts for about a third of what it did.
const DECAY: Duration = Duration::from_secs(10);

/// What is known of one target. Shared by every route that names it.
#[derive(Debug)]
pub(crate) struct Health {
    /// For logs: `provider/model`.
    name: String,
    in_flight: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    breaker: Breaker,
    whole: Latency,
    streamed: Latency,
}

/// A moving average that follows a peak at once and forgets it slowly, as Finagle's "peak EWMA" does.
/// Source: <https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-peak-ewma>.
#[derive(Clone, Copy, Debug, Default)]
struct Latency {
    /// In seconds; 0 before anything was observed.
    average: f64,
    at: Option<Instant>,
}

impl Latency {
    fn observe(&mut self, seconds: f64, now: Instant) {
        let elapsed = self.at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        let kept = (-elapsed / DECAY.as_secs_f64()).exp();
        self.average = if seconds > self.average { seconds } else { self.average * kept + seconds * (1.0 - kept) };
        self.at = Some(now);
    }
}

/// How good a target looks to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outlook {
    pub(super) admission: Admission,
    pub(super) in_flight: usize,
    /// In seconds; 0 if unknown.
    pub(super) latency: f64,
}

impl Health {
    /// Of a target that nobody has asked yet.
    pub(crate) fn new(name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), in_flight: AtomicUsize::new(0), state: Mutex::default() })
    }

    pub(super) fn outlook(&self, streamed: bool, now: Instant) -> Outlook {
        let state = self.state();
        let latency = if streamed { state.streamed.average } else { state.whole.average };
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        Outlook { admission: state.breaker.admission(now), in_flight, latency }
    }

    /// A call goes there now. It counts as in flight until what is returned is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        self.state().breaker.begin(now);
        InFlight { health: Arc::clone(self), began: now, settled: false }
    }

    /// Whether calls go elsewhere for now.
    pub(crate) fn is_open(&self) -> bool {
        self.state().breaker.admission(Instant::now()) == Admission::Open
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that a target has.
#[derive(Debug)]
pub(crate) struct InFlight {
    health: Arc<Health>,
    began: Instant,
    settled: bool,
}

impl InFlight {
    /// As if it had begun this long before.
    #[cfg(test)]
    pub(super) fn took(mut self, time: Duration) -> Self {
        self.began -= time;
        self
    }

    /// The target has answered, or begun to.
    pub(crate) fn succeeded(&mut self, streamed: bool) {
        self.settled = true;
        let now = Instant::now();
        let seconds = now.saturating_duration_since(self.began).as_secs_f64();
        let mut state = self.health.state();
        state.breaker.succeed();
        let latency = if streamed { &mut state.streamed } else { &mut state.whole };
        latency.observe(seconds, now);
    }

    /// The target has failed, and may have said when to come back.
    pub(crate) fn failed(&mut self, come_back_in: Option<Duration>) {
        self.settled = true;
        let opened = self.health.state().breaker.fail(Instant::now(), come_back_in);
        if opened {
            tracing::warn!(
                event = event::TARGET_LEFT_ALONE, target_model = %self.health.name, ?come_back_in,
                "the target fails and is left alone for a while"
            );
        }
    }

    /// The target is not to blame for how the call ended.
    pub(crate) fn blameless(&mut self) {
        self.settled = true;
        self.health.state().breaker.succeed();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.health.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !self.settled {
            self.health.state().breaker.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_while_they_last() {
        let health = Health::new("a/b");
        let in_flight = || health.outlook(false, Instant::now()).in_flight;
        let (one, two) = (health.begin(), health.begin());
        assert_eq!(in_flight(), 2);
        drop((one, two));
        assert_eq!(in_flight(), 0);
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_slowly() {
        let (mut latency, start) = (Latency::default(), Instant::now());
        latency.observe(0.1, start);
        latency.observe(2.0, start);
        assert_eq!(latency.average, 2.0);
        latency.observe(0.1, start + Duration::from_secs(1));
        assert!(latency.average > 1.7, "{latency:?}");
        latency.observe(0.1, start + Duration::from_secs(61));
        assert!(latency.average < 0.2, "{latency:?}");
    }

    #[test]
    fn streams_and_whole_answers_are_not_compared() {
        let health = Health::new("a/b");
        health.begin().succeeded(true);
        let now = Instant::now();
        assert!(health.outlook(true, now).latency > 0.0 && health.outlook(false, now).latency == 0.0);
    }
}

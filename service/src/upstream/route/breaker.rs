//! A circuit breaker: a target that keeps failing is left alone for a while, then tried by one call at a time.
//!
//! Time is passed in, so that nothing here looks at a clock.

use std::time::{Duration, Instant};

/// How many failures in a row open it.
const FAILURES: u32 = 3;

/// For how long it opens at first. Each time that the trial fails, for twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// For how long it opens at most, unless the target itself asks for longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// For how long it opens at most, whatever the target asks for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The state of one target.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// Until when it is open; after that, it waits for the outcome of a trial.
    open_until: Option<Instant>,
    pause: Duration,
    /// When the trial that is under way began.
    trial: Option<Instant>,
}

/// Whether a call may go to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Admission {
    /// It may.
    Closed,
    /// As a trial.
    Trial,
    /// Only if there is nobody else.
    Open,
}

impl Breaker {
    /// What a call that came now would be.
    pub(super) fn admission(&self, now: Instant) -> Admission {
        match (self.open_until, self.trial) {
            (None, _) => Admission::Closed,
            (Some(until), _) if now < until => Admission::Open,
            // A trial that nobody has heard of for a while was dropped.
            (Some(_), Some(began)) if now < began + LONGEST_PAUSE => Admission::Open,
            _ => Admission::Trial,
        }
    }

    /// A call goes to the target now.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.admission(now) == Admission::Trial {
            self.trial = Some(now);
        }
    }

    /// The target has answered.
    pub(super) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// The target has failed, and may have said when to come back. Says whether this opened the breaker.
    pub(super) fn fail(&mut self, now: Instant, come_back_in: Option<Duration>) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.trial = None;
        let was_open = self.open_until.is_some();
        if let Some(wait) = come_back_in {
            self.open_until = self.open_until.max(Some(now + wait.min(LONGEST_ASKED)));
        } else if was_open || self.failures >= FAILURES {
            self.pause = if self.pause.is_zero() { FIRST_PAUSE } else { (self.pause * 2).min(LONGEST_PAUSE) };
            self.open_until = Some(now + self.pause);
        }
        !was_open && self.open_until.is_some()
    }

    /// A call that was begun came to no outcome: its caller went away.
    pub(super) fn forget(&mut self) {
        self.trial = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_it_and_a_trial_closes_it_again() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        assert!(!breaker.fail(start, None));
        breaker.succeed();
        assert!(!breaker.fail(start, None) && !breaker.fail(start, None));
        assert_eq!(breaker.admission(start), Admission::Closed);
        assert!(breaker.fail(start, None));
        assert_eq!(breaker.admission(start + FIRST_PAUSE / 2), Admission::Open);

        let later = start + FIRST_PAUSE;
        assert_eq!(breaker.admission(later), Admission::Trial);
        breaker.begin(later);
        assert_eq!(breaker.admission(later), Admission::Open, "one trial at a time");
        breaker.succeed();
        assert_eq!(breaker.admission(later), Admission::Closed);
    }

    #[test]
    fn each_trial_that_fails_doubles_the_pause() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            breaker.fail(now, None);
        }
        let mut pause = FIRST_PAUSE;
        for _ in 0..8 {
            now += pause;
            assert_eq!(breaker.admission(now), Admission::Trial, "after {pause:?}");
            breaker.begin(now);
            breaker.fail(now, None);
            pause = (pause * 2).min(LONGEST_PAUSE);
            assert_eq!(breaker.admission(now + pause - Duration::from_millis(1)), Admission::Open);
        }
        assert_eq!(pause, LONGEST_PAUSE);
    }

    #[test]
    fn a_target_that_says_when_to_come_back_is_left_alone_until_then() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        assert!(breaker.fail(now, Some(Duration::from_secs(7))));
        assert_eq!(breaker.admission(now + Duration::from_secs(6)), Admission::Open);
        assert_eq!(breaker.admission(now + Duration::from_secs(7)), Admission::Trial);
        breaker.fail(now, Some(Duration::from_secs(86_400)));
        assert_eq!(breaker.admission(now + LONGEST_ASKED), Admission::Trial);
    }

    #[test]
    fn a_trial_that_is_dropped_makes_room_for_another() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        breaker.fail(now, Some(Duration::ZERO));
        breaker.begin(now);
        assert_eq!(breaker.admission(now), Admission::Open);
        breaker.forget();
        assert_eq!(breaker.admission(now), Admission::Trial);
    }
}

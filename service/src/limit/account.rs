//! What one subject has used: its rates and its places, behind one lock that is held for some arithmetic only.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sabir_store::Subject;
use tokio::sync::Notify;

use super::bucket::{Bucket, Mode, Taken};
use super::gcra::Pace;
use super::limiter::Want;
use super::rules::Rule;
use super::slots::{Placed, Slots};
use super::standing::{Figure, Measure, Standing};

/// The account of a subject.
#[derive(Debug)]
pub(crate) struct Account {
    pub(super) subject: Subject,
    /// As the database knows it.
    pub(super) name: String,
    /// Wakes those who wait for the database's answer.
    pub(super) answered: Notify,
    /// Whether the leaser has been told already.
    pub(super) queued: AtomicBool,
    state: Mutex<State>,
}

/// What an account keeps count of: what its rule limits.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) requests: Option<Bucket>,
    pub(super) tokens: Option<Bucket>,
    pub(super) slots: Option<Slots>,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Everything is taken.
    Taken {
        /// What was taken of the tokens.
        tokens: u64,
        /// Whether a place was taken.
        place: bool,
        /// Where the account stands now.
        standing: Standing,
        /// Whether the leaser should be told.
        low: bool,
    },
    /// Nothing is taken, because of this measure.
    Refused {
        measure: Measure,
        limit: u32,
        /// How long to wait; `None` where waiting does not help.
        wait: Option<Duration>,
        standing: Standing,
    },
    /// Nothing is taken; the database has to be asked.
    Ask,
}

impl Account {
    pub(super) fn new(subject: Subject) -> Self {
        Self {
            name: subject.to_string(),
            subject,
            answered: Notify::new(),
            queued: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// The state. A panic elsewhere leaves counts that are still counts.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes all that is wanted, or nothing.
    pub(super) fn attempt(&mut self, rule: Rule, now: u64, want: Want, mode: Mode) -> Attempt {
        adapt(&mut self.requests, rule.requests, now);
        adapt(&mut self.tokens, rule.tokens, now);
        match (&mut self.slots, rule.concurrent) {
            (Some(slots), Some(limit)) if slots.limit() != limit => slots.change(limit),
            (None, Some(limit)) => self.slots = Some(Slots::new(limit)),
            (Some(slots), None) if !slots.is_used() => self.slots = None,
            _ => {}
        }

        let mut low = false;
        if let (Some(bucket), true) = (&mut self.requests, want.requests > 0) {
            match bucket.take(now, want.requests, mode) {
                Taken::Yes { low: is_low } => low |= is_low,
                Taken::No(wait) => return self.refused(Measure::Requests, Some(wait), want, now, mode),
                Taken::Ask => return Attempt::Ask,
            }
        }
        let mut tokens = 0;
        if let (Some(bucket), true) = (&mut self.tokens, want.tokens > 0) {
            let burst = u64::from(bucket.pace().burst());
            tokens = want.tokens.min(burst);
            let taken =
                if want.least_tokens > burst { Taken::No(Duration::MAX) } else { bucket.take(now, tokens, mode) };
            match taken {
                Taken::Yes { low: is_low } => low |= is_low,
                Taken::No(wait) => {
                    self.give_back(now, want.requests, 0, mode);
                    return self.refused(Measure::Tokens, (wait < Duration::MAX).then_some(wait), want, now, mode);
                }
                Taken::Ask => {
                    self.give_back(now, want.requests, 0, mode);
                    return Attempt::Ask;
                }
            }
        }
        let mut place = false;
        if let (Some(slots), true, Some(_)) = (&mut self.slots, want.place, rule.concurrent) {
            match slots.take(now, mode) {
                Placed::Yes { low: is_low } => {
                    place = true;
                    low |= is_low;
                }
                other => {
                    self.give_back(now, want.requests, tokens, mode);
                    if other == Placed::Ask {
                        return Attempt::Ask;
                    }
                    return self.refused(Measure::Concurrent, Some(Duration::from_secs(1)), want, now, mode);
                }
            }
        }
        Attempt::Taken { tokens, place, low, standing: self.standing(want, now, mode) }
    }

    /// Gives back what a call that is not made had taken.
    pub(super) fn give_back(&mut self, now: u64, requests: u64, tokens: u64, mode: Mode) {
        if let (Some(bucket), true) = (&mut self.requests, requests > 0) {
            bucket.settle(now, requests, 0, mode);
        }
        if let (Some(bucket), true) = (&mut self.tokens, tokens > 0) {
            bucket.settle(now, tokens, 0, mode);
        }
    }

    /// Whether a new account would be no different.
    pub(super) fn is_idle(&self, now: u64) -> bool {
        self.buckets().all(|bucket| bucket.is_idle(now)) && self.slots.as_ref().is_none_or(Slots::is_idle)
    }

    /// How long until it is idle, if nothing more is taken; `None` while calls are open.
    pub(super) fn idle_after(&self, now: u64) -> Option<Duration> {
        let open = self.slots.as_ref().is_some_and(Slots::is_used);
        (!open).then(|| self.buckets().map(|bucket| bucket.full_after(now)).max().unwrap_or_default())
    }

    fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.requests.iter().chain(&self.tokens)
    }

    fn standing(&self, want: Want, now: u64, mode: Mode) -> Standing {
        let figure = |bucket: &Bucket| Figure {
            whose: "",
            per_minute: bucket.pace().rate(),
            burst: bucket.pace().burst(),
            remaining: bucket.remaining(now),
            reset: bucket.full_after(now),
        };
        Standing {
            requests: self.requests.as_ref().filter(|_| want.requests > 0).map(figure),
            tokens: self.tokens.as_ref().filter(|_| want.tokens > 0).map(figure),
            shared: mode == Mode::Leased,
        }
    }

    fn refused(&self, measure: Measure, wait: Option<Duration>, want: Want, now: u64, mode: Mode) -> Attempt {
        let limit = match measure {
            Measure::Requests => self.requests.as_ref().map(|bucket| bucket.pace().rate()),
            Measure::Tokens => self.tokens.as_ref().map(|bucket| bucket.pace().rate()),
            Measure::Concurrent => self.slots.as_ref().map(Slots::limit),
        };
        Attempt::Refused { measure, limit: limit.unwrap_or(0), wait, standing: self.standing(want, now, mode) }
    }
}

/// Makes the bucket hold to this pace. A pace that goes takes its count along.
fn adapt(bucket: &mut Option<Bucket>, pace: Option<Pace>, now: u64) {
    match (bucket.as_mut(), pace) {
        (Some(bucket), Some(pace)) if bucket.pace() != pace => bucket.change(now, pace),
        (None, Some(pace)) => *bucket = Some(Bucket::new(pace)),
        (Some(_), None) => *bucket = None,
        _ => {}
    }
}

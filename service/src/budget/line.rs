//! One budget as this replica spends it: its lease of the present period, those of periods past that still have open
//! calls, and the calls that wait for the next answer of the database.
//!
//! Every method is short and takes the one lock; none waits. What is told to calls that wait is told after the lock is
//! given back, because a call that is gone by then gives back what it was given.

mod lease;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sabir_store::{Budget, LeaseAnswer, LeaseReport};
use tokio::sync::oneshot;
use uuid::Uuid;

use self::lease::Lease;
use super::reservation::{Denied, Hold, Standing};

/// How long a call waits for others to give back what they do not need, and for a database that does not answer.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How long the answer "no" holds for calls that cost as much or more, so that refused callers do not become queries.
const REFUSAL: Duration = Duration::from_millis(100);

/// One budget.
#[derive(Debug)]
pub(super) struct Line {
    id: Uuid,
    replica: Uuid,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    budget: Arc<Budget>,
    present: Option<Lease>,
    past: Vec<Lease>,
    waiting: VecDeque<Waiting>,
    /// Until when calls of this cost or more are refused without asking.
    refused: Option<(Instant, i64)>,
    /// Whether the budget was removed.
    gone: bool,
}

/// What a call that waits is told; `None` if the budget is gone and holds for nobody any more.
type Answer = Result<Option<Hold>, Denied>;

#[derive(Debug)]
struct Waiting {
    amount: i64,
    since: Instant,
    answer: oneshot::Sender<Answer>,
}

/// What comes of the attempt to reserve.
pub(super) enum Attempt {
    /// It is reserved.
    Held(Hold),
    /// The budget is gone.
    Free,
    /// The database has to be asked.
    Wait(oneshot::Receiver<Answer>),
    /// It is spent.
    Denied(Denied),
}

impl Line {
    pub(super) fn new(budget: Arc<Budget>, replica: Uuid) -> Arc<Self> {
        let state = State {
            budget: Arc::clone(&budget),
            present: None,
            past: Vec::new(),
            waiting: VecDeque::new(),
            refused: None,
            gone: false,
        };
        Arc::new(Self { id: budget.id, replica, state: Mutex::new(state) })
    }

    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// What the budget is now; `None` if it was removed. What is held is measured anew.
    pub(super) fn change(&self, budget: Option<Arc<Budget>>) {
        let mut state = self.lock();
        state.gone = budget.is_none();
        if let Some(budget) = budget.filter(|budget| *budget != state.budget) {
            state.budget = budget;
            state.refused = None;
            if let Some(lease) = &mut state.present {
                lease.measure_anew();
            }
        }
    }

    /// Reserves, if it can be done at once.
    pub(super) fn reserve(self: &Arc<Self>, amount: i64, now: Instant) -> Attempt {
        let mut state = self.lock();
        let state = &mut *state;
        if state.gone {
            return Attempt::Free;
        }
        state.turn(now);
        let hard = state.budget.hard;
        let lease = state.present.get_or_insert_with(|| Lease::new(now));
        lease.note(amount, now);
        // Who came first is served first.
        if !hard {
            lease.account.reserve_anyway(amount);
        } else if !state.waiting.is_empty() || !lease.account.reserve(amount) {
            if state.refused.is_some_and(|(until, least)| now < until && amount >= least) {
                return Attempt::Denied(self.spent(state, amount, now));
            }
            let (answer, told) = oneshot::channel();
            state.waiting.push_back(Waiting { amount, since: now, answer });
            return Attempt::Wait(told);
        }
        Attempt::Held(self.hold(lease, amount))
    }

    /// Ends a reservation.
    pub(super) fn settle(&self, lease: Uuid, reserved: i64, cost: i64) {
        let mut state = self.lock();
        if let Some(lease) = state.leases().find(|one| one.id == lease) {
            lease.account.settle(reserved, cost);
        }
    }

    /// How the budget stands, for headers.
    pub(super) fn standing(&self) -> Standing {
        let state = self.lock();
        state.standing(Instant::now())
    }

    /// Whether the task in the background should be woken: a call waits, or the slice is used up soon.
    pub(super) fn is_pressing(&self) -> bool {
        let state = self.lock();
        !state.waiting.is_empty() || state.present.as_ref().is_some_and(Lease::is_low)
    }

    /// The reports that are due. When `closing`, whatever the database does not know.
    pub(super) fn reports(&self, now: Instant, keep: Duration, closing: bool) -> Vec<LeaseReport> {
        let mut state = self.lock();
        let state = &mut *state;
        state.turn(now);
        state.past.retain(|lease| !lease.is_done());
        if state.gone {
            return Vec::new();
        }
        state.waiting.retain(|waiting| !waiting.answer.is_closed());
        let needs = state.waiting.iter().fold(0_i64, |sum, waiting| sum.saturating_add(waiting.amount));
        if needs > 0 {
            // The one that they wait for may be over by now.
            state.present.get_or_insert_with(|| Lease::new(now));
        }
        let present = state.present.iter_mut().filter(|lease| closing || lease.is_due(now, keep, needs));
        let present = present.map(|lease| lease.report(self.id, self.replica, needs, now, closing));
        let mut reports: Vec<LeaseReport> = present.collect();
        let past = state.past.iter_mut().filter(|lease| closing || lease.is_due(now, keep, 0));
        reports.extend(past.map(|lease| lease.report(self.id, self.replica, 0, now, true)));
        reports
    }

    /// Takes the answer to a report. Answers the thresholds that were crossed.
    pub(super) fn apply(self: &Arc<Self>, report: &LeaseReport, answer: LeaseAnswer, now: Instant) -> Vec<u8> {
        let mut told = Vec::new();
        let mut state = self.lock();
        let crossed = match answer {
            LeaseAnswer::Gone => {
                state.gone = true;
                told.extend(state.waiting.drain(..).map(|waiting| (waiting.answer, Ok(None))));
                Vec::new()
            }
            LeaseAnswer::Late => Vec::new(),
            LeaseAnswer::Granted(grant) => {
                let idle_elsewhere = grant.idle_elsewhere_nanos;
                let crossed = grant.crossed.clone();
                let is_present = state.present.as_ref().is_some_and(|lease| lease.id == report.lease_id);
                if let Some(lease) = state.leases().find(|lease| lease.id == report.lease_id) {
                    lease.apply(report, grant, now);
                }
                if is_present {
                    self.serve(&mut state, idle_elsewhere, now, &mut told);
                }
                crossed
            }
        };
        drop(state);
        // A call that went away gives back what it was given as this is dropped.
        told.into_iter().for_each(|(answer, what)| drop(answer.send(what)));
        crossed
    }

    /// Tells calls that have waited long enough that the database is away.
    pub(super) fn fail(&self, now: Instant) {
        let mut state = self.lock();
        let (late, waiting) = state.waiting.drain(..).partition(|waiting| now - waiting.since >= PATIENCE);
        state.waiting = waiting;
        drop(state);
        let late: VecDeque<Waiting> = late;
        late.into_iter().for_each(|waiting| drop(waiting.answer.send(Err(Denied::Away))));
    }

    /// Serves the calls that wait, in their order, and refuses those for which there is nothing left.
    fn serve(
        self: &Arc<Self>,
        state: &mut State,
        idle_elsewhere: i64,
        now: Instant,
        told: &mut Vec<(oneshot::Sender<Answer>, Answer)>,
    ) {
        while let Some(waiting) = state.waiting.pop_front() {
            let Some(lease) = &mut state.present else { return };
            if waiting.answer.is_closed() {
                continue;
            }
            if lease.account.reserve(waiting.amount) {
                told.push((waiting.answer, Ok(Some(self.hold(lease, waiting.amount)))));
                continue;
            }
            // It came after the report was made, which asked for others only; or another replica holds what it does not
            // need, and gives it back when it next reports.
            let to_be_had = lease.to_be_had();
            let could_fit = to_be_had.saturating_add(idle_elsewhere) >= waiting.amount;
            if could_fit && now - waiting.since < PATIENCE {
                state.waiting.push_front(waiting);
                return;
            }
            if to_be_had >= waiting.amount {
                // There is enough, and it cannot be had in time.
                told.push((waiting.answer, Err(Denied::Away)));
                continue;
            }
            let least = state.refused.filter(|(until, _)| now < *until).map_or(waiting.amount, |(_, least)| least);
            state.refused = Some((now + REFUSAL, least.min(waiting.amount)));
            let denied = self.spent(state, waiting.amount, now);
            told.push((waiting.answer, Err(denied)));
        }
    }

    fn hold(self: &Arc<Self>, lease: &Lease, amount: i64) -> Hold {
        Hold { line: Arc::clone(self), lease: lease.id, amount, cost: 0 }
    }

    fn spent(&self, state: &State, needed_nanos: i64, now: Instant) -> Denied {
        Denied::Spent { subject: state.budget.subject.clone(), needed_nanos, standing: state.standing(now) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing here panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Turns the page when the period is over.
    fn turn(&mut self, now: Instant) {
        if let Some(lease) = self.present.take_if(|lease| lease.is_over(now)) {
            self.past.push(lease);
            self.refused = None;
        }
    }

    fn leases(&mut self) -> impl Iterator<Item = &mut Lease> {
        self.present.iter_mut().chain(&mut self.past)
    }

    fn standing(&self, now: Instant) -> Standing {
        let amount = self.budget.amount_nanos;
        let spent = self.present.as_ref().map_or(0, Lease::spent_by_all);
        let reserved = self.present.as_ref().map_or(0, |lease| lease.account.reserved());
        let percent = i128::from(spent) * 100 / i128::from(amount.max(1));
        let crossed = self.budget.warn_percents.iter().copied().filter(|threshold| i128::from(*threshold) <= percent);
        Standing {
            remaining_nanos: amount.saturating_sub(spent).saturating_sub(reserved).max(0),
            resets_in: self.present.as_ref().and_then(|lease| lease.ends_in(now)),
            warned_percent: crossed.max(),
        }
    }
}

#[cfg(test)]
mod tests;

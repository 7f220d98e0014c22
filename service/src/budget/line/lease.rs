//! A lease: the account of one period, and when to report it.

use std::time::{Duration, Instant};

use sabir_store::{LeaseGrant, LeaseReport};
use uuid::Uuid;

use crate::budget::account::Account;

/// How often spending is reported, and what is not needed given back, while there are calls.
const FLUSH: Duration = Duration::from_millis(250);

/// How often that is while so much is left that nobody waits for it: more than so many times what is held here.
const UNHURRIED: Duration = Duration::from_secs(1);
const PLENTY: i64 = 64;

/// After how long without a call everything is given back.
const IDLE: Duration = Duration::from_secs(1);

/// The shortest time between reports of one lease while calls wait for what others hold, or a slice runs low.
const PAUSE: Duration = Duration::from_millis(20);

/// Which part of the room that is left a replica keeps at most: one in so many, as [`sabir_store::exchange`] grants.
const SHARE: i64 = 8;

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) id: Uuid,
    pub(super) account: Account,
    sequence: i64,
    /// `None` until the database has said which period it is.
    starts_at_micros: Option<i64>,
    ends: Option<Instant>,
    /// How much of what the account has spent is in the books.
    reported: i64,
    /// What was reserved when it last reported, by which others know what they may hope for.
    reported_reserved: i64,
    reported_at: Option<Instant>,
    /// Whether the last report has no answer yet, or never will.
    unanswered: bool,
    used_at: Instant,
    /// What is spent by all, by the last answer.
    spent_by_all: i64,
    /// What is left for all, by the last answer.
    room: i64,
}

impl Lease {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            id: Uuid::now_v7(),
            account: Account::default(),
            sequence: 0,
            starts_at_micros: None,
            ends: None,
            reported: 0,
            reported_reserved: 0,
            reported_at: None,
            unanswered: false,
            used_at: now,
            spent_by_all: 0,
            room: i64::MAX,
        }
    }

    /// Notes that a call wants so much.
    pub(super) fn note(&mut self, amount: i64, now: Instant) {
        self.account.ask(amount);
        self.used_at = now;
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    pub(super) fn ends_in(&self, now: Instant) -> Option<Duration> {
        self.ends.map(|ends| ends.saturating_duration_since(now))
    }

    /// What is spent by all replicas, as far as is known here.
    pub(super) fn spent_by_all(&self) -> i64 {
        self.spent_by_all.saturating_add(self.account.spent() - self.reported)
    }

    /// Whether the books say all there is to say, and nothing is open.
    pub(super) fn is_done(&self) -> bool {
        !self.account.is_open() && self.account.spent() == self.reported && !self.unanswered
    }

    /// Gives back what is held with the next report, because the budget has changed.
    pub(super) fn measure_anew(&mut self) {
        self.room = 0;
        self.reported_at = None;
    }

    /// Whether more should be fetched before a call has to wait for it.
    pub(super) fn is_low(&self) -> bool {
        self.account.is_low() && self.room > 0
    }

    /// What is free, here and for everybody, by the last answer.
    pub(super) fn to_be_had(&self) -> i64 {
        self.account.free().saturating_add(self.room)
    }

    /// Whether it is time for a report. `needs` is what waiting calls need.
    pub(super) fn is_due(&self, now: Instant, keep: Duration, needs: i64) -> bool {
        let waiting = needs > 0;
        let Some(reported_at) = self.reported_at else {
            return waiting || self.account.is_open() || self.account.spent() != self.reported;
        };
        let since = now.saturating_duration_since(reported_at);
        let news = self.account.spent() != self.reported
            || self.account.reserved() != self.reported_reserved
            || self.unanswered;
        let unused = self.account.free() > 0 && now.saturating_duration_since(self.used_at) >= IDLE;
        let held = self.account.free().saturating_add(self.account.reserved());
        let flush = if self.room / PLENTY > held { UNHURRIED } else { FLUSH };
        // What others hold is not asked for without pause, and what is there is.
        waiting && self.to_be_had() >= needs
            || (waiting || self.is_low()) && since >= PAUSE
            || (news || unused) && since >= flush
            || self.account.is_open() && since >= keep / 3
    }

    /// Begins a report. When `closing`, everything that is not reserved is given back.
    pub(super) fn report(
        &mut self,
        budget: Uuid,
        replica: Uuid,
        needs: i64,
        now: Instant,
        closing: bool,
    ) -> LeaseReport {
        let idle = now.saturating_duration_since(self.used_at) >= IDLE;
        let keep_at_most = if closing || idle { 0 } else { self.room.saturating_add(self.account.free()) / SHARE };
        let figures = self.account.report(needs, keep_at_most);
        self.sequence += 1;
        self.reported_at = Some(now);
        self.unanswered = true;
        LeaseReport {
            lease_id: self.id,
            budget_id: budget,
            replica_id: replica,
            period_starts_at_micros: self.starts_at_micros,
            sequence: self.sequence,
            spent_nanos: figures.spent,
            reserved_nanos: figures.reserved,
            held_nanos: figures.held,
            needed_nanos: figures.needed,
            wanted_nanos: figures.wanted,
        }
    }

    /// Ends a report.
    pub(super) fn apply(&mut self, report: &LeaseReport, grant: LeaseGrant, now: Instant) {
        if report.sequence != self.sequence {
            return;
        }
        self.account.apply(grant.granted_nanos);
        self.unanswered = false;
        self.reported = report.spent_nanos;
        self.reported_reserved = report.reserved_nanos;
        self.starts_at_micros = Some(grant.span.starts_at_micros);
        // The database's clock says how long the period goes on; ours only measures that time.
        let left = |ends: i64| Duration::from_micros(u64::try_from(ends - grant.now_micros).unwrap_or(0));
        self.ends = grant.span.ends_at_micros.and_then(|ends| now.checked_add(left(ends)));
        self.spent_by_all = grant.spent_nanos;
        self.room = grant.room_nanos;
    }
}

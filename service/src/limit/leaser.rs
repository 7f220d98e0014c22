//! What goes between the accounts in memory and the database: leases ahead of need, settlements, what is given back, and
//! the limits themselves when they have changed. All of it beside the calls.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use sabir_store::{Generations, Lease, LimitStore, Meter, Places, Rate, StoreError, StoreErrorKind};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::account::{Account, State};
use super::bucket::{Bucket, Wish};
use super::limiter::Limiter;
use super::rules::{Defaults, Rules};

use crate::telemetry::event;

/// How often accounts are looked over.
const TICK: Duration = Duration::from_millis(250);

/// How often they are where each replica counts for itself, and only idle ones are to be dropped.
const SLOW_TICK: Duration = Duration::from_secs(5);

/// For how long places are leased, and how often the lease is renewed.
const PLACE_LEASE: Duration = Duration::from_secs(15);
const RENEW: Duration = Duration::from_secs(5);

/// How long the database may take for one answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many questions the database is asked at once: few of its connections.
const AT_ONCE: usize = 4;

/// How often counts that say nothing any more are dropped from the database.
const CLEAN: Duration = Duration::from_secs(600);

/// Whether the database can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It can.
    There,
    /// It cannot, and this replica counts for itself.
    Open,
    /// It cannot, and calls that are limited are refused.
    Closed,
}

/// Leases for one replica.
pub(crate) struct Leaser {
    store: Arc<dyn LimitStore>,
    replica: Uuid,
    open_for: Option<Duration>,
    /// Since when the database is away, by the limiter's clock; 0 while it is not.
    away_since: AtomicU64,
    pending: Mutex<Vec<Arc<Account>>>,
    woken: Notify,
    stop: CancellationToken,
    stopped: AtomicBool,
    done: Notify,
}

impl std::fmt::Debug for Leaser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Leaser").field("replica", &self.replica).finish_non_exhaustive()
    }
}

impl Leaser {
    /// Leases from this store. While it is away, calls are let pass for `open_for`, or not at all.
    pub(super) fn new(store: Arc<dyn LimitStore>, open_for: Option<Duration>) -> Self {
        Self {
            store,
            replica: Uuid::now_v7(),
            open_for,
            away_since: AtomicU64::new(0),
            pending: Mutex::default(),
            woken: Notify::new(),
            stop: CancellationToken::new(),
            stopped: AtomicBool::new(false),
            done: Notify::new(),
        }
    }

    /// Asks to look at this account soon.
    pub(super) fn wake(&self, account: &Arc<Account>) {
        if !account.queued.swap(true, Ordering::AcqRel) {
            self.pending.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(account));
            self.woken.notify_one();
        }
    }

    /// Whether the database can be asked. The clock is read only while it cannot.
    pub(super) fn presence(&self, now: impl FnOnce() -> u64) -> Presence {
        match (self.away_since.load(Ordering::Relaxed), self.open_for) {
            (0, _) => Presence::There,
            (since, Some(open_for)) if u128::from(now().saturating_sub(since)) < open_for.as_nanos() => Presence::Open,
            _ => Presence::Closed,
        }
    }

    /// Whether calls may pass while the database is away.
    pub(super) fn may_be_open(&self) -> bool {
        self.open_for.is_some()
    }

    /// Notes that the database does not answer.
    fn note_away(&self, now: u64) {
        if self.away_since.compare_exchange(0, now.max(1), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(
                event = event::LIMITS_UNSHARED, open_for = ?self.open_for,
                "limits cannot be shared: the database is away"
            );
        }
    }

    fn note_there(&self) {
        if self.away_since.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!(event = event::LIMITS_SHARED, "limits are shared again");
        }
    }

    /// Works until it is closed.
    async fn run(&self, limiter: Limiter) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut renewed, mut cleaned) = (Instant::now(), Instant::now());
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.woken.notified() => {
                    let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
                    stream::iter(&pending).for_each_concurrent(AT_ONCE, |account| async {
                        account.queued.store(false, Ordering::Release);
                        self.serve(&limiter, account, false).await;
                    }).await;
                }
                _ = ticks.tick() => {
                    let away = self.away_since.load(Ordering::Relaxed) != 0;
                    if away || renewed.elapsed() >= RENEW {
                        let lost = renewed.elapsed() >= PLACE_LEASE;
                        if self.renew(&limiter).await.is_ok() {
                            renewed = Instant::now();
                            if lost {
                                limiter.accounts().sweep(limiter.now(), |account| {
                                    account.state().slots.iter_mut().for_each(super::slots::Slots::lost);
                                });
                            }
                        } else {
                            continue;
                        }
                    }
                    self.look_over(&limiter).await;
                    if cleaned.elapsed() >= CLEAN {
                        cleaned = Instant::now();
                        drop(self.ask(&limiter, self.store.drop_idle_counts()).await);
                    }
                }
            }
        }
        self.give_up(&limiter).await;
        self.stopped.store(true, Ordering::Release);
        self.done.notify_waiters();
    }

    async fn renew(&self, limiter: &Limiter) -> Result<(), StoreError> {
        let lease = i64::try_from(PLACE_LEASE.as_micros()).unwrap_or(i64::MAX);
        self.ask(limiter, self.store.renew_places(self.replica, lease)).await
    }

    /// Looks at every account: what is not needed goes back, what is owed is paid.
    async fn look_over(&self, limiter: &Limiter) {
        let mut accounts = Vec::new();
        limiter.accounts().sweep(limiter.now(), |account| accounts.push(Arc::clone(account)));
        stream::iter(&accounts).for_each_concurrent(AT_ONCE, |account| self.serve(limiter, account, true)).await;
    }

    /// Does what one account wants.
    async fn serve(&self, limiter: &Limiter, account: &Arc<Account>, tick: bool) {
        for meter in [Meter::Requests, Meter::Tokens] {
            if tick {
                let wish = bucket(&mut account.state(), meter).and_then(|bucket| bucket.tick(limiter.now()));
                if let Some(wish) = wish {
                    self.grant(limiter, account, meter, wish).await;
                }
            }
            // What is owed comes before what is wanted.
            for _ in 0..2 {
                let wish = bucket(&mut account.state(), meter).and_then(|bucket| bucket.wish(limiter.now()));
                let Some(wish) = wish else { break };
                self.grant(limiter, account, meter, wish).await;
            }
        }
        self.place(limiter, account, tick).await;
        account.answered.notify_waiters();
    }

    async fn grant(&self, limiter: &Limiter, account: &Account, meter: Meter, wish: Wish) {
        let Some(pace) = bucket(&mut account.state(), meter).map(|bucket| bucket.pace()) else { return };
        let signed = |cells: u64| i64::try_from(cells).unwrap_or(i64::MAX);
        let rate =
            Rate { account: &account.name, meter, emission_nanos: signed(pace.emission()), burst: pace.burst().into() };
        let (least, answer) = match wish {
            Wish::Lease { least, most } => {
                (least, self.ask(limiter, self.store.lease_cells(rate, signed(least), signed(most))).await)
            }
            Wish::Charge(cells) => (0, self.ask(limiter, self.store.adjust_cells(rate, signed(cells))).await),
            Wish::GiveBack(cells) => (0, self.ask(limiter, self.store.adjust_cells(rate, -signed(cells))).await),
        };
        let mut state = account.state();
        let Some(bucket) = bucket(&mut state, meter) else { return };
        match answer {
            Ok(Lease { cells, backlog_nanos }) => {
                bucket.leased(limiter.now(), least, cells.unsigned_abs(), backlog_nanos.unsigned_abs());
            }
            Err(_) => bucket.failed(wish),
        }
    }

    async fn place(&self, limiter: &Limiter, account: &Account, tick: bool) {
        let wanted = account.state().slots.as_mut().and_then(|slots| {
            let now = limiter.now();
            let fewer = if tick { slots.tick(now) } else { None };
            Some((fewer.or_else(|| slots.wish(now))?, slots.limit()))
        });
        let Some((wanted, limit)) = wanted else { return };
        let places = Places {
            account: &account.name,
            replica: self.replica,
            limit: limit.into(),
            lease_micros: i64::try_from(PLACE_LEASE.as_micros()).unwrap_or(i64::MAX),
        };
        if let Ok(held) = self.ask(limiter, self.store.lease_places(places, wanted.into())).await
            && let Some(slots) = &mut account.state().slots
        {
            slots.leased(limiter.now(), wanted, u32::try_from(held).unwrap_or(0));
        }
    }

    /// Asks the database, and notes whether it answers.
    async fn ask<T>(
        &self,
        limiter: &Limiter,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(PATIENCE, question).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(StoreError::new(StoreErrorKind::Unavailable, format!("no answer within {PATIENCE:?}")))
        });
        match &answer {
            Ok(_) => self.note_there(),
            Err(error) => {
                tracing::debug!(%error, "limits cannot be leased");
                self.note_away(limiter.now());
            }
        }
        answer
    }

    /// Gives everything back at the end.
    async fn give_up(&self, limiter: &Limiter) {
        let mut accounts = Vec::new();
        limiter.accounts().sweep(limiter.now(), |account| accounts.push(Arc::clone(account)));
        stream::iter(&accounts)
            .for_each_concurrent(AT_ONCE, |account| async {
                for meter in [Meter::Requests, Meter::Tokens] {
                    let wish = bucket(&mut account.state(), meter).and_then(Bucket::all);
                    if let Some(wish) = wish {
                        self.grant(limiter, account, meter, wish).await;
                    }
                }
            })
            .await;
        drop(self.ask(limiter, self.store.release_places(self.replica)).await);
    }
}

fn bucket(state: &mut State, meter: Meter) -> Option<&mut Bucket> {
    match meter {
        Meter::Requests => state.requests.as_mut(),
        Meter::Tokens => state.tokens.as_mut(),
    }
}

impl Limiter {
    /// Starts what goes on beside the calls. It ends with [`Limiter::close`]. The rules are those of the generation `seen`.
    pub(super) fn start(&self, store: Arc<dyn LimitStore>, generations: watch::Receiver<Generations>, seen: i64) {
        tokio::spawn(follow(self.clone(), store, generations, seen));
        let limiter = self.clone();
        match self.leaser().cloned() {
            Some(leaser) => drop(tokio::spawn(async move { leaser.run(limiter).await })),
            None => drop(tokio::spawn(async move {
                let mut ticks = tokio::time::interval(SLOW_TICK);
                loop {
                    ticks.tick().await;
                    limiter.accounts().sweep(limiter.now(), |_| ());
                }
            })),
        }
    }

    /// Gives back what is leased. No call must be open any more.
    pub(crate) async fn close(&self) {
        let Some(leaser) = self.leaser() else { return };
        leaser.stop.cancel();
        let done = leaser.done.notified();
        if !leaser.stopped.load(Ordering::Acquire) && tokio::time::timeout(PATIENCE * 5, done).await.is_err() {
            tracing::warn!(
                event = event::LEASES_UNRETURNED,
                "what was leased of limits was not given back in time; it comes back by itself"
            );
        }
    }
}

/// Reads the limits again whenever one has changed.
async fn follow(
    limiter: Limiter,
    store: Arc<dyn LimitStore>,
    mut generations: watch::Receiver<Generations>,
    mut seen: i64,
) {
    while generations.changed().await.is_ok() {
        let now = generations.borrow_and_update().limits;
        if now == seen {
            continue;
        }
        loop {
            match Rules::load(&*store, Defaults::default()).await {
                Ok(rules) => break limiter.replace(&rules),
                Err(error) => {
                    tracing::warn!(event = event::LIMITS_UNREAD, %error, "limits have changed and cannot be read");
                    tokio::time::sleep(PATIENCE).await;
                }
            }
        }
        seen = now;
    }
}

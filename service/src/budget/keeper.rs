//! The task that keeps the books: it reports what was spent, fetches and gives back slices, settles what dead replicas
//! held, and notices other budgets and prices. It is the only part of budgets that waits for the database.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sabir_store::{Budget, BudgetStore, Generations, LeaseReport, Page, StoreError, unix_micros};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::book::Book;
use super::line::Line;
use super::price::dollars;
use super::prices::Prices;

use crate::telemetry::event;

/// How often the lines are looked at when nothing wakes the task.
const LOOK: Duration = Duration::from_millis(100);

/// How long an exchange may take before it counts as failed.
const ANSWER: Duration = Duration::from_secs(3);

/// How long the database has for the last reports at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often they are looked at while calls wait, or a slice runs low.
const PRESSED: Duration = Duration::from_millis(20);

/// How long the task rests after a failure.
const PAUSE: Duration = Duration::from_millis(100);

/// How often orphans are looked for, in looks.
const ORPHAN_LOOKS: u32 = 20;

/// How often the books of the past are tidied, in looks: every hour.
const FORGET_LOOKS: u32 = 36_000;

/// How long the books of a period are kept after its end.
const KEPT: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How many reports are sent at once.
const BATCH: usize = 256;

/// How many budgets are loaded at once.
const PAGE: u32 = 1_000;

pub(super) struct Keeper {
    store: Arc<dyn BudgetStore>,
    book: Arc<Book>,
    prices: Arc<Prices>,
    changes: watch::Receiver<Generations>,
    closing: CancellationToken,
    /// The generations that are loaded.
    loaded: Generations,
    /// Whether something that changed could not be loaded.
    stale: bool,
}

/// All budgets that there are.
pub(super) async fn every_budget(store: &dyn BudgetStore) -> Result<Vec<Budget>, StoreError> {
    let mut budgets: Vec<Budget> = Vec::new();
    loop {
        let after = budgets.last().map(|budget| budget.id);
        let page = store.list_budgets(None, Page { after, limit: PAGE }).await?;
        let last = page.len() < PAGE as usize;
        budgets.extend(page);
        if last {
            return Ok(budgets);
        }
    }
}

impl Keeper {
    pub(super) fn new(
        store: Arc<dyn BudgetStore>,
        book: Arc<Book>,
        prices: Arc<Prices>,
        changes: watch::Receiver<Generations>,
        closing: CancellationToken,
    ) -> Self {
        // The first change that is seen loads everything again, so that none is missed between the first load and this.
        Self { store, book, prices, changes, closing, loaded: Generations::default(), stale: false }
    }

    /// Runs until the service closes.
    pub(super) async fn run(mut self) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks: u32 = 0;
        let book = Arc::clone(&self.book);
        let closing = self.closing.clone();
        let mut watched = true;
        self.reload().await;
        loop {
            let pressed = book.lines().iter().any(|line| line.is_pressing());
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                () = book.wake.notified() => {}
                () = tokio::time::sleep(PRESSED), if pressed => {}
                changed = self.changes.changed(), if watched => {
                    // Without a sender there is nothing to be seen any more; the service is closing.
                    watched = changed.is_ok();
                    self.reload().await;
                }
                _ = look.tick() => {
                    looks = looks.wrapping_add(1);
                    if self.stale {
                        self.reload().await;
                    }
                    if looks.is_multiple_of(ORPHAN_LOOKS) {
                        self.settle_orphans().await;
                    }
                    if looks.is_multiple_of(FORGET_LOOKS) {
                        self.forget().await;
                    }
                }
            }
            if !self.exchange(false).await {
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = closing.cancelled() => break,
                }
            }
        }
        if timeout(FAREWELL, self.exchange(true)).await != Ok(true) {
            tracing::warn!(
                event = event::BUDGETS_UNREPORTED,
                "what was spent of budgets could not be reported at the end; others will charge it in full"
            );
        }
    }

    /// Sends every report that is due and hands on the answers. Answers whether the database did.
    async fn exchange(&self, closing: bool) -> bool {
        let now = Instant::now();
        let keep = self.book.config.lease;
        let due = self.book.lines().into_iter().flat_map(|line| {
            let reports = line.reports(now, keep, closing);
            reports.into_iter().map(move |report| (Arc::clone(&line), report))
        });
        let due: Vec<(Arc<Line>, LeaseReport)> = due.collect();
        let mut answered = true;
        for batch in due.chunks(BATCH) {
            answered &= self.send(batch).await;
        }
        answered
    }

    async fn send(&self, batch: &[(Arc<Line>, LeaseReport)]) -> bool {
        let reports: Vec<LeaseReport> = batch.iter().map(|(_, report)| report.clone()).collect();
        let keep = i64::try_from(self.book.config.lease.as_micros()).unwrap_or(i64::MAX);
        let answers = match timeout(ANSWER, self.store.exchange_leases(&reports, keep)).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => return self.failed(batch, &error.to_string()),
            Err(_) => return self.failed(batch, "the database does not answer"),
        };
        let now = Instant::now();
        self.heard(now);
        for ((line, report), answer) in batch.iter().zip(answers) {
            for percent in line.apply(report, answer, now) {
                tracing::warn!(
                    event = event::BUDGET_SPENT, budget = %report.budget_id, percent,
                    "a budget is spent to this part"
                );
            }
        }
        true
    }

    fn heard(&self, now: Instant) {
        if self.book.is_failing() {
            tracing::info!(event = event::BUDGETS_KEPT, "the books of budgets are kept again");
        }
        self.book.note(true, now);
    }

    fn failed(&self, batch: &[(Arc<Line>, LeaseReport)], error: &str) -> bool {
        let now = Instant::now();
        if !self.book.is_failing() {
            tracing::warn!(
                event = event::BUDGETS_UNKEPT,
                error,
                "the books of budgets cannot be kept now; calls go on within what this replica holds"
            );
        }
        self.book.note(false, now);
        batch.iter().for_each(|(line, _)| line.fail(now));
        false
    }

    /// Charges what dead replicas held. While the database is away, this is also how its return is noticed.
    async fn settle_orphans(&self) {
        let settled = match timeout(ANSWER, self.store.settle_orphans()).await {
            Ok(Ok(settled)) => settled,
            Ok(Err(error)) => {
                tracing::debug!(%error, "orphaned leases cannot be looked for now");
                return;
            }
            Err(_) => return,
        };
        self.heard(Instant::now());
        for orphan in settled {
            let charged = dollars(orphan.charged_nanos);
            let (budget, replica) = (orphan.budget_id, orphan.replica_id);
            tracing::warn!(
                event = event::REPLICA_GONE, %budget, %replica, charged,
                "a replica is gone; what it held of a budget counts as spent"
            );
        }
    }

    async fn forget(&self) {
        let before = unix_micros(SystemTime::now() - KEPT);
        match timeout(ANSWER, self.store.forget_periods(before)).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(periods)) => tracing::info!(
                event = event::BOOKS_REMOVED,
                periods,
                "books of budgets that are long past were removed"
            ),
            Ok(Err(error)) => tracing::debug!(%error, "books of the past cannot be removed now"),
        }
    }

    /// Loads the budgets and prices that are there now. What cannot be loaded is tried again a little later.
    async fn reload(&mut self) {
        let now = *self.changes.borrow_and_update();
        self.stale = false;
        if now.budgets != self.loaded.budgets {
            match every_budget(&*self.store).await {
                Ok(budgets) => {
                    self.book.replace(budgets);
                    self.loaded.budgets = now.budgets;
                }
                Err(error) => {
                    tracing::warn!(
                        event = event::BUDGETS_UNLOADED, %error,
                        "the budgets that changed cannot be loaded now"
                    );
                    self.stale = true;
                }
            }
        }
        if now.prices != self.loaded.prices {
            match self.prices.reload().await {
                Ok(()) => self.loaded.prices = now.prices,
                Err(error) => {
                    tracing::warn!(
                        event = event::PRICES_UNLOADED, %error,
                        "the prices that changed cannot be loaded now"
                    );
                    self.stale = true;
                }
            }
        }
    }
}

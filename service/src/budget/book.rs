//! All budgets as this replica knows them, and how a call reserves from those that it counts for.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use sabir_store::{Budget, BudgetStore, Generations, StoreError, Subject};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::config::{Config, Unpriced};
use super::keeper::{Keeper, every_budget};
use super::line::{Attempt, Line};
use super::prices::{Prices, is_free};
use super::reservation::{Denied, Reservation};
use crate::auth::Principal;

/// What a call is about to ask for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Who calls.
    pub(crate) principal: &'a Principal,
    /// The model as the caller named it.
    pub(crate) model_asked: &'a str,
    /// The model as `provider/model`.
    pub(crate) model: &'a str,
    /// How many tokens the input may have.
    pub(crate) prompt_tokens: u32,
    /// How long the answer may be; `None` if the caller does not say.
    pub(crate) output_tokens: Option<u32>,
    /// How many answers are asked for.
    pub(crate) answers: u32,
}

/// Reserves money for calls. Clones share everything.
#[derive(Clone)]
pub(crate) struct Budgets {
    book: Arc<Book>,
    prices: Arc<Prices>,
    closing: CancellationToken,
    keeper: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl fmt::Debug for Budgets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Budgets({:?})", self.prices)
    }
}

/// The budgets by whom they are for.
#[derive(Debug, Default)]
struct Index {
    by_subject: HashMap<Subject, Vec<Arc<Line>>>,
    lines: Vec<Arc<Line>>,
    /// Whether any of them is for a model.
    models: bool,
}

/// What calls and the task in the background share.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) config: Config,
    pub(super) replica: Uuid,
    index: RwLock<Arc<Index>>,
    /// Wakes the task in the background.
    pub(super) wake: Notify,
    began: Instant,
    /// Since when the database does not answer, in milliseconds after `began`, plus one; 0 while it does.
    failing_since: AtomicU64,
}

impl Budgets {
    /// Loads the budgets and starts the task that keeps their books, on the Tokio runtime this is called in. `changes`
    /// tells when there are other budgets or prices.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn start(
        store: Arc<dyn BudgetStore>,
        prices: Arc<Prices>,
        changes: watch::Receiver<Generations>,
        config: Config,
    ) -> Result<Self, StoreError> {
        let book = Arc::new(Book::new(config));
        book.replace(every_budget(&*store).await?);
        let closing = CancellationToken::new();
        let keeper = Keeper::new(store, Arc::clone(&book), Arc::clone(&prices), changes, closing.clone());
        let keeper = Arc::new(Mutex::new(Some(tokio::spawn(keeper.run()))));
        Ok(Self { book, prices, closing, keeper })
    }

    /// Prices and no budgets.
    #[cfg(test)]
    pub(super) fn without_books(prices: Arc<Prices>, config: Config) -> Self {
        let book = Arc::new(Book::new(config));
        Self { book, prices, closing: CancellationToken::new(), keeper: Arc::default() }
    }

    /// The prices in force.
    pub(crate) fn prices(&self) -> &Arc<Prices> {
        &self.prices
    }

    /// Reserves the most that the call can cost from every budget that it counts for. Takes no time while there is room.
    ///
    /// # Errors
    /// Why the call may not be made; nothing is reserved then.
    pub(crate) async fn reserve(&self, asked: &Asked<'_>) -> Result<Reservation, Denied> {
        let current = self.prices.current();
        let entry = current.table.find(asked.model);
        let lines = self.book.lines_for(asked);
        let Some(entry) = entry else {
            self.prices.complain(asked.model);
            let unpriced = !lines.is_empty() && !is_free(asked.model);
            if unpriced && self.book.config.unpriced == Unpriced::Refuse {
                return Err(Denied::Unpriced(asked.model.to_owned()));
            }
            return Ok(Reservation::new(Vec::new(), None, None, unpriced));
        };
        let price = entry.price();
        let longest = match (asked.output_tokens, entry.max_output_tokens) {
            (Some(asked), Some(most)) => asked.min(most),
            (asked, most) => asked.or(most).unwrap_or(self.book.config.output_tokens),
        };
        let amount = price.worst(asked.prompt_tokens, longest.saturating_mul(asked.answers.max(1)));
        let mut holds = Vec::with_capacity(lines.len());
        // In vain for the calls that cost nothing: they go through budgets that are spent.
        for line in lines.iter().filter(|_| amount > 0) {
            let now = Instant::now();
            if self.book.is_offline(now) {
                return Err(Denied::Away);
            }
            match line.reserve(amount, now) {
                Attempt::Held(hold) => {
                    holds.push(hold);
                    if line.is_pressing() {
                        self.book.wake.notify_one();
                    }
                }
                Attempt::Free => {}
                Attempt::Denied(denied) => return Err(denied),
                Attempt::Wait(answer) => {
                    self.book.wake.notify_one();
                    // The task ends only with the service, and then there is nobody to account for the call.
                    holds.extend(answer.await.unwrap_or(Err(Denied::Away))?);
                }
            }
        }
        Ok(Reservation::new(holds, Some(price), Some(current.version), false))
    }

    /// Reports everything that was spent and gives back the rest. Call it when no calls are left.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            // It has logged what it could not report.
            let _ = keeper.await;
        }
    }
}

impl Book {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            replica: Uuid::now_v7(),
            index: RwLock::default(),
            wake: Notify::new(),
            began: Instant::now(),
            failing_since: AtomicU64::new(0),
        }
    }

    /// Every budget.
    pub(super) fn lines(&self) -> Vec<Arc<Line>> {
        self.index().lines.clone()
    }

    /// Takes over the budgets that there are now. Those that were there before keep their accounts.
    pub(super) fn replace(&self, budgets: Vec<Budget>) {
        let before = self.index();
        let mut known: HashMap<Uuid, &Arc<Line>> = before.lines.iter().map(|line| (line.id(), line)).collect();
        let mut index = Index::default();
        for budget in budgets {
            let budget = Arc::new(budget);
            let line = match known.remove(&budget.id) {
                Some(line) => {
                    line.change(Some(Arc::clone(&budget)));
                    Arc::clone(line)
                }
                None => Line::new(Arc::clone(&budget), self.replica),
            };
            index.models |= matches!(budget.subject, Subject::Model(_));
            index.by_subject.entry(budget.subject.clone()).or_default().push(Arc::clone(&line));
            index.lines.push(line);
        }
        known.into_values().for_each(|line| line.change(None));
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(index);
    }

    /// Notes whether the database answered.
    pub(super) fn note(&self, answered: bool, now: Instant) {
        let millis = u64::try_from((now - self.began).as_millis()).unwrap_or(u64::MAX - 1) + 1;
        if answered {
            self.failing_since.store(0, Ordering::Relaxed);
        } else {
            // Whoever noted it first knows since when.
            let _ = self.failing_since.compare_exchange(0, millis, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Whether the database did not answer the last time it was asked.
    pub(super) fn is_failing(&self) -> bool {
        self.failing_since.load(Ordering::Relaxed) > 0
    }

    /// Whether the database has been away for longer than calls may go on without it.
    fn is_offline(&self, now: Instant) -> bool {
        let since = self.failing_since.load(Ordering::Relaxed);
        let millis = (now - self.began).as_millis();
        since > 0 && millis.saturating_sub(u128::from(since)) >= self.config.offline_for.as_millis()
    }

    /// The budgets that a call counts for.
    fn lines_for(&self, asked: &Asked<'_>) -> Vec<Arc<Line>> {
        let index = self.index();
        if index.lines.is_empty() {
            return Vec::new();
        }
        let mut models = Vec::new();
        if index.models {
            models.push(Subject::Model(asked.model_asked.to_owned()));
            if asked.model != asked.model_asked {
                models.push(Subject::Model(asked.model.to_owned()));
            }
        }
        let subjects = asked.principal.subjects.iter().chain(&models);
        subjects.filter_map(|subject| index.by_subject.get(subject)).flatten().cloned().collect()
    }

    fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }
}

//! What a call holds of the budgets it counts for, from before it asks anybody until it is charged.

use std::sync::Arc;
use std::time::Duration;

use sabir_store::Subject;
use uuid::Uuid;

use super::line::Line;
use super::price::{Price, TokenCount};

/// Why a call may not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// A budget is spent, or what is left of it is not enough for the call. RESOURCE_EXHAUSTED, 429.
    #[error("the budget of {subject} is spent: the call may cost up to ${needed}, and ${remaining} is left{when}",
        needed = super::dollars(*needed_nanos), remaining = super::dollars(standing.remaining_nanos), when = when(standing))]
    Spent {
        /// Whose budget it is.
        subject: Subject,
        /// What the call may cost.
        needed_nanos: i64,
        /// How the budget stands.
        standing: Standing,
    },
    /// The model has no price, and such calls are refused. FAILED_PRECONDITION, 400.
    #[error("the model \"{0}\" has no price, and a budget holds for this call; its operator must import one")]
    Unpriced(String),
    /// Whether there is money left cannot be found out now. UNAVAILABLE, 503.
    #[error("what is left of the budget cannot be found out now; try again")]
    Away,
}

fn when(standing: &Standing) -> String {
    standing.resets_in.map(|wait| format!("; it begins again in {} s", wait.as_secs().max(1))).unwrap_or_default()
}

/// How the tightest of the budgets stands that a call counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// What is neither spent nor reserved, as far as this replica knows.
    pub(crate) remaining_nanos: i64,
    /// When the budget begins again, if it does.
    pub(crate) resets_in: Option<Duration>,
    /// The highest threshold that is crossed, in percent.
    pub(crate) warned_percent: Option<u8>,
}

/// A part of one budget, held for a call. Dropped, it charges what it was told the call cost, at first nothing.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) line: Arc<Line>,
    pub(super) lease: Uuid,
    pub(super) amount: i64,
    pub(super) cost: i64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.line.settle(self.lease, self.amount, self.cost);
    }
}

/// What a call holds. Dropped without [`Reservation::settle`], it costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    holds: Vec<Hold>,
    price: Option<Price>,
    price_version: Option<i64>,
    unpriced: bool,
    /// How the tightest budget stood after the call was charged.
    settled: Option<Standing>,
}

impl Reservation {
    pub(super) fn new(holds: Vec<Hold>, price: Option<Price>, price_version: Option<i64>, unpriced: bool) -> Self {
        Self { holds, price, price_version, unpriced, settled: None }
    }

    /// The version of the table that the price is from; `None` where the model has none.
    pub(crate) fn price_version(&self) -> Option<i64> {
        self.price_version
    }

    /// Whether a budget holds for the call that cannot count it, because the model has no price.
    pub(crate) fn is_unpriced(&self) -> bool {
        self.unpriced
    }

    /// How the tightest budget stands; `None` if no budget holds for the call.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.settled.or_else(|| tightest(self.holds.iter().map(|hold| &hold.line)))
    }

    /// Ends the reservation: the call took these tokens. Answers what they cost, in nano-dollars.
    pub(crate) fn settle(&mut self, tokens: TokenCount) -> i64 {
        let cost = self.price.map_or(0, |price| price.cost(tokens));
        let charged = self.holds.drain(..).map(|mut hold| {
            hold.cost = cost;
            Arc::clone(&hold.line)
        });
        let lines: Vec<Arc<Line>> = charged.collect();
        self.settled = tightest(lines.iter());
        cost
    }
}

fn tightest<'a>(lines: impl Iterator<Item = &'a Arc<Line>>) -> Option<Standing> {
    lines.map(|line| line.standing()).min_by_key(|standing| standing.remaining_nanos)
}

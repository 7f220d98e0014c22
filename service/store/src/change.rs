//! How replicas notice what others changed: a generation for each aggregate that is kept in memory, moved in the same
//! transaction as the change, and asked for a few times a second.

mod watch;

use crate::StoreFuture;

pub use watch::ChangeWatch;

/// The kinds of things that are kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Teams, users and keys.
    Identity,
    /// The keys that sign tokens, and the families of refresh tokens that were revoked.
    Tokens,
    /// Limits.
    Limits,
    /// Budgets.
    Budgets,
    /// The price table.
    Prices,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 5] = [Self::Identity, Self::Tokens, Self::Limits, Self::Budgets, Self::Prices];

    /// The name, as the table of generations has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Tokens => "tokens",
            Self::Limits => "limits",
            Self::Budgets => "budgets",
            Self::Prices => "prices",
        }
    }
}

/// Counters that move whenever something of their kind changes. Only whether they differ matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generations {
    /// Teams, users and keys.
    pub identity: i64,
    /// The keys that sign tokens, and the families of refresh tokens that were revoked.
    pub tokens: i64,
    /// Limits.
    pub limits: i64,
    /// Budgets.
    pub budgets: i64,
    /// The price table.
    pub prices: i64,
}

impl Generations {
    /// The counter of a topic.
    pub fn of(&self, topic: Topic) -> i64 {
        match topic {
            Topic::Identity => self.identity,
            Topic::Tokens => self.tokens,
            Topic::Limits => self.limits,
            Topic::Budgets => self.budgets,
            Topic::Prices => self.prices,
        }
    }

    /// The counters as a table has them: names and values. Names that are not known are passed over.
    pub fn from_rows<'a>(rows: impl IntoIterator<Item = (&'a str, i64)>) -> Self {
        let mut generations = Self::default();
        for (name, value) in rows {
            match Topic::ALL.into_iter().find(|topic| topic.as_str() == name) {
                Some(Topic::Identity) => generations.identity = value,
                Some(Topic::Tokens) => generations.tokens = value,
                Some(Topic::Limits) => generations.limits = value,
                Some(Topic::Budgets) => generations.budgets = value,
                Some(Topic::Prices) => generations.prices = value,
                None => {}
            }
        }
        generations
    }
}

/// Tells what changed.
pub trait ChangeStore: Send + Sync {
    /// The generations as they are now, in one cheap query.
    fn generations(&self) -> StoreFuture<'_, Generations>;
}

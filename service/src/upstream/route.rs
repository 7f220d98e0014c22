//! Routes: names that stand for several models, one of which answers.
//!
//! A route orders its targets for each call, by its strategy and by how each target has done of late; trying them one after
//! the other is the chat's.

mod breaker;
mod config;
mod health;
mod order;

use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::MetadataMap;

pub use self::config::RoutesConfig;
pub(super) use self::config::read;
pub(crate) use self::health::{Health, InFlight};
pub(crate) use self::order::{Strategy, random};
use super::Target;
use crate::auth::Principal;

/// A name that stands for several models.
#[derive(Debug)]
pub(crate) struct Route {
    rules: Vec<Rule>,
    targets: Vec<Weighted>,
    pub(super) policy: Policy,
}

/// A target, and how much of the calls it shall have.
#[derive(Debug)]
pub(crate) struct Weighted {
    pub(crate) target: Target,
    pub(crate) health: Arc<Health>,
    pub(crate) weight: f64,
}

/// How targets are tried.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    /// Who is asked first.
    pub(crate) strategy: Strategy,
    /// How many attempts a call has.
    pub(crate) attempts: usize,
    /// How long an attempt may take to its first byte; `None` for as long as the transport lets it.
    pub(crate) timeout: Option<Duration>,
    /// After how long without a first byte the next target is asked as well; `None` for never.
    pub(crate) hedge_after: Option<Duration>,
    /// How much alike two questions must be for one kept answer; `None` if they must be the same.
    pub(crate) cache_similarity: Option<f64>,
}

/// Other targets for some calls.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) condition: Condition,
    pub(crate) targets: Vec<Weighted>,
}

/// Which calls a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Those with this header.
    Header {
        /// The header's name, in lower case.
        name: String,
        /// Its value.
        value: String,
    },
    /// Those whose caller's name in logs is this: `key:ID`, `user:NAME`.
    Caller(String),
    /// Those of this team, by its id.
    Team(String),
}

impl Condition {
    fn holds(&self, principal: &Principal, headers: Option<&MetadataMap>) -> bool {
        match self {
            Self::Header { name, value } => headers
                .and_then(|headers| headers.get(name.as_str()))
                .is_some_and(|given| given.as_bytes() == value.as_bytes()),
            Self::Caller(name) => *principal.actor == **name,
            Self::Team(id) => principal.team_id.is_some_and(|team| team.to_string() == *id),
        }
    }
}

/// Where a call may go, first choice first.
#[derive(Debug)]
pub(crate) struct Plan {
    /// In the order in which they are tried.
    pub(crate) targets: Vec<Target>,
    /// How many attempts the call has; more than there are targets begin anew with the first.
    pub(crate) attempts: usize,
    /// How long an attempt may take to its first byte.
    pub(crate) timeout: Option<Duration>,
    /// After how long the next target is asked as well.
    pub(crate) hedge_after: Option<Duration>,
    /// How much alike two questions must be for one kept answer; `None` if they must be the same.
    pub(crate) cache_similarity: Option<f64>,
}

impl Plan {
    /// The plan of a name that stands for one model.
    pub(crate) fn of(target: Target, attempts: usize) -> Self {
        Self { targets: vec![target], attempts, timeout: None, hedge_after: None, cache_similarity: None }
    }

    /// The target of an attempt, which are counted from 1.
    pub(crate) fn target(&self, attempt: usize) -> &Target {
        &self.targets[(attempt.max(1) - 1) % self.targets.len()]
    }
}

impl Route {
    pub(crate) fn new(targets: Vec<Weighted>, rules: Vec<Rule>, policy: Policy) -> Self {
        Self { rules, targets, policy }
    }

    /// Where a call goes.
    pub(crate) fn plan(&self, principal: &Principal, headers: Option<&MetadataMap>, streamed: bool) -> Plan {
        let rule = self.rules.iter().find(|rule| rule.condition.holds(principal, headers));
        let targets = rule.map_or(&self.targets, |rule| &rule.targets);
        Plan {
            targets: order::order(targets, self.policy.strategy, streamed).into_iter().cloned().collect(),
            attempts: self.policy.attempts,
            timeout: self.policy.timeout,
            hedge_after: self.policy.hedge_after,
            cache_similarity: self.policy.cache_similarity,
        }
    }

    /// Whether it looks at the headers of calls.
    pub(crate) fn reads_headers(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.condition, Condition::Header { .. }))
    }

    /// Every target, those of rules as well.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Target> {
        let ruled = self.rules.iter().flat_map(|rule| &rule.targets);
        self.targets.iter().chain(ruled).map(|weighted| &weighted.target)
    }
}

//! The `[limits]` section: what holds where no limit is set, who counts, and what to do while the database is away.

use std::sync::Arc;
use std::time::Duration;

use sabir_store::{ChangeWatch, LimitStore, StoreError};

use super::gcra::Pace;
use super::leaser::Leaser;
use super::limiter::Limiter;
use super::rules::{Defaults, Rule, Rules};
use crate::config::Section;

/// The most that may be set for anything, which keeps a minute's cells at least sixty nanoseconds apart.
pub(crate) const MOST: u32 = 1_000_000_000;

/// How many accounts are kept in memory, about: those with something to remember.
const ACCOUNTS: usize = 131_072;

/// How limits are kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// `limits.mode`: whether all replicas count together. Left out: on Postgres.
    shared: Option<bool>,
    /// `limits.when_database_is_away` and `limits.open_for`: for how long a replica counts for itself; `None` for not at
    /// all.
    open_for: Option<Duration>,
    /// `limits.wait`: how long a call waits for the database, if it must.
    wait: Duration,
    /// `limits.output_estimate`: how many tokens an answer is taken to have whose request sets no limit.
    pub(crate) output_estimate: u32,
    /// `limits.everyone`, `limits.each_...`.
    defaults: Defaults,
}

impl Config {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let modes = [("auto", None), ("shared", Some(true)), ("replica", Some(false))];
        let policies = [("open", true), ("closed", false)];
        let shared = section.choice("mode", &modes, None);
        let open = section.choice("when_database_is_away", &policies, true);
        let open_for = section.value("open_for", Duration::from_secs(60));
        let config = Self {
            shared,
            open_for: open.then_some(open_for),
            wait: section.value("wait", Duration::from_millis(250)),
            output_estimate: u32::try_from(section.value("output_estimate", 256_usize)).unwrap_or(u32::MAX),
            defaults: Defaults {
                everyone: rule(section.section("everyone")),
                each_team: rule(section.section("each_team")),
                each_user: rule(section.section("each_user")),
                each_key: rule(section.section("each_key")),
                each_external: rule(section.section("each_external")),
                each_model: rule(section.section("each_model")),
            },
        };
        if !(Duration::from_millis(1)..=Duration::from_secs(10)).contains(&config.wait) {
            section.problem("wait", "must be from 1ms to 10s");
        }
        section.finish();
        config
    }

    /// What holds for those who have no limit of their own.
    pub(crate) fn defaults(&self) -> Defaults {
        self.defaults
    }

    /// Starts to hold callers to the limits in the store. `shared` tells whether other replicas may use the same store.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn build(
        &self,
        store: Arc<dyn LimitStore>,
        changes: &ChangeWatch,
        shared: bool,
    ) -> Result<Limiter, StoreError> {
        let mut generations = changes.subscribe();
        // Before the limits are read: a change while they are is one that has not been seen.
        let seen = generations.borrow_and_update().limits;
        let rules = Rules::load(&*store, self.defaults).await?;
        let leaser = self.shared.unwrap_or(shared).then(|| Arc::new(Leaser::new(Arc::clone(&store), self.open_for)));
        let limiter = Limiter::new(rules, ACCOUNTS, leaser, self.wait);
        limiter.start(store, generations, seen);
        Ok(limiter)
    }
}

/// Reads what holds for each of a kind.
fn rule(mut section: Section<'_>) -> Option<Rule> {
    let mut figure = |key: &str| {
        let figure = u32::try_from(section.optional::<usize>(key)?).unwrap_or(u32::MAX);
        if !(1..=MOST).contains(&figure) {
            section.problem(key, format!("must be from 1 to {MOST}"));
        }
        Some(figure)
    };
    let (requests, request_burst) = (figure("requests_per_minute"), figure("request_burst"));
    let (tokens, token_burst) = (figure("tokens_per_minute"), figure("token_burst"));
    let concurrent = figure("concurrent_requests");
    for (key, burst, rate) in [("request_burst", request_burst, requests), ("token_burst", token_burst, tokens)] {
        if burst.is_some() && rate.is_none() {
            section.problem(key, "means nothing without a rate per minute");
        }
    }
    section.finish();
    let rule = Rule {
        requests: requests.map(|rate| Pace::per_minute(rate, request_burst)),
        tokens: tokens.map(|rate| Pace::per_minute(rate, token_burst)),
        concurrent,
    };
    (rule != Rule::default()).then_some(rule)
}

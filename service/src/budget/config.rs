//! The `[budgets]` and `[prices]` sections.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Section;

/// What becomes of a call for a model that has no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpriced {
    /// It costs nothing, and a warning says so.
    Allow,
    /// It is refused where a budget holds for it.
    Refuse,
}

/// How budgets are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `budgets.unpriced`.
    pub unpriced: Unpriced,
    /// `budgets.output_tokens`: the longest answer that is reckoned with where neither the call nor the price table says.
    pub output_tokens: u32,
    /// `budgets.lease`: how long what a replica holds is kept for it without a word from it.
    pub lease: Duration,
    /// `budgets.offline_for`: how long calls go on within what the replica holds while the database is away.
    pub offline_for: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            unpriced: Unpriced::Allow,
            output_tokens: 4_096,
            lease: Duration::from_secs(15),
            offline_for: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Reads the `[budgets]` section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let usual = Self::default();
        let words = [("allow", Unpriced::Allow), ("refuse", Unpriced::Refuse)];
        let unpriced = section.choice("unpriced", &words, usual.unpriced);
        let output_tokens = section.value("output_tokens", usual.output_tokens as usize);
        let lease = section.value("lease", usual.lease);
        let offline_for = section.value("offline_for", usual.offline_for);
        if !(1..=10_000_000).contains(&output_tokens) {
            section.problem("output_tokens", "must be from 1 to 10000000");
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&lease) {
            section.problem("lease", "must be from 1s to 1h");
        }
        section.finish();
        let output_tokens = u32::try_from(output_tokens).unwrap_or(usual.output_tokens);
        Self { unpriced, output_tokens, lease, offline_for }
    }
}

/// Where prices come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PricesConfig {
    /// `prices.file`: a table that takes the place of the built-in one.
    pub file: Option<PathBuf>,
}

impl PricesConfig {
    /// Reads the `[prices]` section.
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let file = section.optional("file");
        section.finish();
        Self { file }
    }
}

//! The price table: which model has which price, and what changed from one table to the next.
//!
//! A table is data, with a checksum. It is read from a file (TOML or JSON, prices in dollars) or from what the database
//! keeps (JSON, prices in nano-dollars); which of them is in force, it does not know.

mod file;

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::price::{MAX_PRICE, Price};
use crate::auth::fits;

/// How many models a table may name.
pub(crate) const MAX_ENTRIES: usize = 10_000;

/// The longest pattern, in bytes.
pub(crate) const MAX_PATTERN: usize = 256;

/// The table that comes with the program.
const BUILT_IN: &str = include_str!("prices.toml");

/// Why a table cannot be used. The message names the entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TableError(String);

/// One line of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Which models: `provider/model`, where `*` stands for any text.
    pub(crate) pattern: String,
    /// Nano-dollars per million tokens, as in [`Price`].
    pub(crate) input_nanos: i64,
    /// See [`Price`].
    pub(crate) cached_input_nanos: i64,
    /// See [`Price`].
    pub(crate) output_nanos: i64,
    /// See [`Price`].
    pub(crate) reasoning_nanos: i64,
    /// The most that the model writes in one answer; `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_output_tokens: Option<u32>,
    /// Where the price was found, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) source: String,
    /// The day for which it is known, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) as_of: String,
}

impl Entry {
    /// What its models cost.
    pub(crate) fn price(&self) -> Price {
        Price {
            input: self.input_nanos,
            cached_input: self.cached_input_nanos,
            output: self.output_nanos,
            reasoning: self.reasoning_nanos,
        }
    }

    fn check(&self) -> Result<(), TableError> {
        let pattern = &self.pattern;
        let bad = |what: &str| Err(TableError(format!("{pattern:?}: {what}")));
        if pattern.is_empty() || pattern.len() > MAX_PATTERN || pattern.chars().any(char::is_control) {
            return bad("a pattern has 1 to 256 bytes and no control characters");
        }
        if pattern.bytes().filter(|byte| *byte == b'*').count() > 8 {
            return bad("a pattern has at most 8 `*`");
        }
        let prices = [self.input_nanos, self.cached_input_nanos, self.output_nanos, self.reasoning_nanos];
        if prices.iter().any(|price| !(0..=MAX_PRICE).contains(price)) {
            return bad("a price is from $0 to $1000000 per million tokens");
        }
        if self.source.len() > 512 || self.as_of.len() > 32 {
            return bad("the source or the day is too long");
        }
        Ok(())
    }
}

/// A table, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct PriceTable {
    /// Sorted by pattern.
    entries: Vec<Entry>,
    /// The patterns without `*`, with the index of their entry.
    exact: HashMap<String, usize>,
    /// The others, the longest first.
    globs: Vec<usize>,
}

/// One difference between two tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The line as it was; `None` for a new one.
    pub(crate) before: Option<Entry>,
    /// The line as it will be; `None` for one that goes.
    pub(crate) after: Option<Entry>,
}

impl PriceTable {
    /// A table of these lines.
    ///
    /// # Errors
    /// A line that cannot be, or a pattern that is there twice.
    pub(crate) fn new(mut entries: Vec<Entry>) -> Result<Self, TableError> {
        if entries.len() > MAX_ENTRIES {
            return Err(TableError(format!("a table has at most {MAX_ENTRIES} models")));
        }
        entries.iter().try_for_each(Entry::check)?;
        entries.sort_by(|one, other| one.pattern.cmp(&other.pattern));
        if let Some(twice) = entries.windows(2).find(|pair| pair[0].pattern == pair[1].pattern) {
            return Err(TableError(format!("{:?} is there twice", twice[0].pattern)));
        }
        let (globs, exact): (Vec<usize>, Vec<usize>) =
            (0..entries.len()).partition(|index| entries[*index].pattern.contains('*'));
        let exact = exact.into_iter().map(|index| (entries[index].pattern.clone(), index)).collect();
        let letters = |index: &usize| entries[*index].pattern.bytes().filter(|byte| *byte != b'*').count();
        let mut globs = globs;
        globs.sort_by_key(|index| std::cmp::Reverse(letters(index)));
        Ok(Self { entries, exact, globs })
    }

    /// The table that comes with the program.
    ///
    /// # Errors
    /// None: a test reads it.
    pub(crate) fn built_in() -> Result<Self, TableError> {
        Self::read(BUILT_IN)
    }

    /// The table of a file, in TOML or JSON.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(crate) fn read(text: &str) -> Result<Self, TableError> {
        Self::new(file::read(text)?)
    }

    /// The table that the database keeps.
    ///
    /// # Errors
    /// What it keeps is none.
    pub(crate) fn from_content(content: &str) -> Result<Self, TableError> {
        let entries = serde_json::from_str(content).map_err(|error| TableError(error.to_string()))?;
        Self::new(entries)
    }

    /// The same table always has the same text, by which it is kept and its checksum is made.
    pub(crate) fn content(&self) -> String {
        // Lines of texts and numbers can always be written.
        serde_json::to_string(&self.entries).unwrap_or_default()
    }

    /// SHA-256 of the content, in hexadecimal.
    pub(crate) fn checksum(&self) -> String {
        let hash = digest::digest(&digest::SHA256, self.content().as_bytes());
        hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its lines, sorted by pattern.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The line for a model, by its full name `provider/model`: the one of that name, else the longest pattern that fits.
    pub(crate) fn find(&self, model: &str) -> Option<&Entry> {
        let index = self
            .exact
            .get(model)
            .or_else(|| self.globs.iter().find(|index| fits(&self.entries[**index].pattern, model)));
        index.and_then(|index| self.entries.get(*index))
    }

    /// What changes from this table to another, sorted by pattern.
    pub(crate) fn changes_to(&self, other: &Self) -> Vec<Change> {
        let mut lines: BTreeMap<&str, (Option<&Entry>, Option<&Entry>)> = BTreeMap::new();
        for entry in &self.entries {
            lines.entry(&entry.pattern).or_default().0 = Some(entry);
        }
        for entry in &other.entries {
            lines.entry(&entry.pattern).or_default().1 = Some(entry);
        }
        let changed = lines.into_values().filter(|(before, after)| before != after);
        changed.map(|(before, after)| Change { before: before.cloned(), after: after.cloned() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pattern: &str, input: i64) -> Entry {
        Entry {
            pattern: pattern.to_owned(),
            input_nanos: input,
            cached_input_nanos: input,
            output_nanos: input,
            reasoning_nanos: input,
            max_output_tokens: None,
            source: String::new(),
            as_of: String::new(),
        }
    }

    #[test]
    fn the_longest_pattern_that_fits_counts() {
        let patterns = ["*", "openai/*", "openai/gpt-4o*", "openai/gpt-4o", "*/gpt-4o-mini"];
        let table = PriceTable::new(patterns.iter().map(|pattern| entry(pattern, 1)).collect()).unwrap();
        for (model, expected) in [
            ("openai/gpt-4o", "openai/gpt-4o"),
            ("openai/gpt-4o-2024", "openai/gpt-4o*"),
            ("openai/gpt-4o-mini", "openai/gpt-4o*"),
            ("azure/gpt-4o-mini", "*/gpt-4o-mini"),
            ("openai/o3", "openai/*"),
            ("x/y", "*"),
        ] {
            assert_eq!(table.find(model).unwrap().pattern, expected, "{model}");
        }
        assert!(PriceTable::default().find("x").is_none());
    }

    #[test]
    fn the_built_in_table_is_one_and_survives_the_database() {
        let table = PriceTable::built_in().unwrap();
        let mini = table.find("openai/gpt-4o-mini-2024-07-18").unwrap();
        assert_eq!((mini.input_nanos, mini.cached_input_nanos), (150_000_000, 75_000_000));
        assert_eq!((mini.output_nanos, mini.reasoning_nanos), (600_000_000, 600_000_000));
        assert!(table.entries().iter().all(|entry| entry.source.starts_with("https://") && entry.as_of.len() == 10));
        let kept = PriceTable::from_content(&table.content()).unwrap();
        assert_eq!((kept.entries(), kept.checksum()), (table.entries(), table.checksum()));
        assert_eq!(table.checksum().len(), 64);
    }

    #[test]
    fn a_table_with_a_wrong_line_is_refused_and_the_line_named() {
        let long = "x".repeat(MAX_PATTERN + 1);
        let wrong = [
            entry("", 1),
            entry(&long, 1),
            entry("a\0b", 1),
            entry("a/b", -1),
            entry("a/c", MAX_PRICE + 1),
            entry("*********", 1),
        ];
        for entry in wrong {
            let pattern = entry.pattern.clone();
            let message = PriceTable::new(vec![entry]).unwrap_err().to_string();
            assert!(message.contains(&format!("{pattern:?}")), "{message}");
        }
        let twice = PriceTable::new(vec![entry("a/b", 1), entry("a/b", 2)]).unwrap_err();
        assert!(twice.to_string().contains("\"a/b\" is there twice"), "{twice}");
    }

    #[test]
    fn changes_name_what_comes_goes_and_differs() {
        let before = PriceTable::new(vec![entry("a", 1), entry("b", 1), entry("c", 1)]).unwrap();
        let after = PriceTable::new(vec![entry("b", 2), entry("c", 1), entry("d", 1)]).unwrap();
        let changes: Vec<_> = before
            .changes_to(&after)
            .into_iter()
            .map(|change| (change.before.map(|line| line.pattern), change.after.map(|line| line.pattern)))
            .collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(changes, [(some("a"), None), (some("b"), some("b")), (None, some("d"))]);
        assert_eq!(after.changes_to(&after), []);
    }
}

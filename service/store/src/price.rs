//! The history of the price table: every version that was ever in force, with its checksum. What a price is, the store
//! does not know: a version's content is text.

use crate::{AuditEntry, StoreFuture};

/// A version of the price table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceVersion {
    /// Its number. The first is 1, and the highest is in force.
    pub version: i64,
    /// SHA-256 of the content, in hexadecimal.
    pub checksum: String,
    /// Where it came from: `built-in`, `file`, or who imported it.
    pub source: String,
    /// When it came into force, in microseconds since the Unix epoch, UTC.
    pub imported_at_micros: i64,
    /// The table; empty in a list of versions.
    pub content: String,
}

/// A table that is to come into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPrices {
    /// SHA-256 of the content, in hexadecimal.
    pub checksum: String,
    /// Where it comes from.
    pub source: String,
    /// The table.
    pub content: String,
}

/// When a table comes into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportRule {
    /// If there is none yet, or the one in force came from the same source and is another. For the built-in table, which
    /// must not take the place of one that somebody chose.
    InPlaceOfSameSource,
    /// If it never was in force. For a file that is read at every start, which must not undo what was imported since.
    IfNew,
    /// If the version in force is still this one; 0 for none.
    After(i64),
    /// Whatever is in force.
    Always,
}

/// Keeps the price table. Every import moves the `prices` generation (see [`crate::ChangeStore`]).
pub trait PriceStore: Send + Sync {
    /// The version in force.
    fn current_prices(&self) -> StoreFuture<'_, Option<PriceVersion>>;

    /// The version of this number.
    fn prices(&self, version: i64) -> StoreFuture<'_, Option<PriceVersion>>;

    /// The versions before this number, the latest first, without their content.
    fn list_prices(&self, before: Option<i64>, limit: u32) -> StoreFuture<'_, Vec<PriceVersion>>;

    /// Puts a table in force, if the rule allows. Answers its version; `None` if the rule does not.
    fn import_prices<'a>(
        &'a self,
        prices: &'a NewPrices,
        rule: ImportRule,
        audit: Option<&'a AuditEntry>,
    ) -> StoreFuture<'a, Option<i64>>;
}

impl ImportRule {
    /// Whether the rule allows an import, given the version in force and whether the checksum is in the history.
    pub fn allows(self, prices: &NewPrices, current: Option<&PriceVersion>, known: bool) -> bool {
        match self {
            Self::InPlaceOfSameSource => {
                current.is_none_or(|now| now.source == prices.source && now.checksum != prices.checksum)
            }
            Self::IfNew => !known,
            Self::After(version) => current.map_or(0, |now| now.version) == version,
            Self::Always => true,
        }
    }
}

//! How a JSON document is read: how strictly, and how much of it.

/// How strictly a document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What a caller says: an unknown member or enum string is an error.
    Strict,
    /// What another server says: a value that the schema cannot hold is kept among the additional members where the
    /// message has them, and skipped where it has none. An unknown enum string in a list or a map is skipped.
    Lenient,
}

/// How much a document may hold. The errors are [`ReadErrorKind::TooDeep`](super::ReadErrorKind::TooDeep) and
/// [`ReadErrorKind::TooManyItems`](super::ReadErrorKind::TooManyItems).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep objects and arrays may nest; the document itself is the first level. An object within a
    /// `google.protobuf.Struct` counts for three, which is how deep it stands on the wire. Default: 100, which is also as
    /// deep as most readers of protobuf go; more than 128 is never read.
    pub max_depth: usize,
    /// How many elements of lists and entries of maps there may be in the whole document. Default: 100,000.
    pub max_items: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_depth: 100, max_items: 100_000 }
    }
}

/// How a document is read. A [`Mode`] alone stands for the default limits, but without a limit on items when it is
/// lenient: what another server sends is bounded by its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// How strictly.
    pub mode: Mode,
    /// How much.
    pub limits: Limits,
}

impl From<Mode> for Reading {
    fn from(mode: Mode) -> Self {
        let max_items = match mode {
            Mode::Strict => Limits::default().max_items,
            Mode::Lenient => usize::MAX,
        };
        Self { mode, limits: Limits { max_items, ..Limits::default() } }
    }
}

impl From<Limits> for Reading {
    fn from(limits: Limits) -> Self {
        Self { mode: Mode::Strict, limits }
    }
}

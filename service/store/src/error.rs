//! The one error of every store. It says what kind of trouble it is; it must not know which database is behind.

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The database cannot be reached or cannot write now: locked, full, gone, shutting down. The same call may succeed
    /// later.
    Unavailable,
    /// The database refuses the row itself. The same row will be refused again.
    Constraint,
    /// A name that must be one of a kind is another row's already.
    Taken,
    /// What is stored cannot be read back, or the file is no database.
    Corrupt,
    /// The database has another schema than this program knows.
    Schema,
}

/// A failed call to a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
}

impl StoreError {
    /// An error of this kind. The message is shown to operators: it names the thing concerned and, where there is one,
    /// the way out; it never contains a password.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What kind of trouble it is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The text for operators.
    pub fn message(&self) -> &str {
        &self.message
    }
}

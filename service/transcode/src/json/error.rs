//! What can go wrong between JSON and the wire.

/// The options of a descriptor set contradict each other, or the set is not readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{element}: {problem}")]
pub struct PlanError {
    element: String,
    problem: String,
}

impl PlanError {
    pub(crate) fn new(element: &str, problem: &str) -> Self {
        Self { element: element.to_owned(), problem: problem.to_owned() }
    }
}

/// In which way a JSON text does not fit its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadErrorKind {
    /// It is not JSON, or not UTF-8.
    Malformed,
    /// A value does not fit its field.
    Invalid,
    /// It nests deeper than [`Limits::max_depth`](super::Limits::max_depth).
    TooDeep,
    /// It holds more than [`Limits::max_items`](super::Limits::max_items) elements and entries.
    TooManyItems,
}

/// A JSON text does not fit its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    kind: ReadErrorKind,
    path: String,
    message: String,
}

impl ReadError {
    pub(crate) fn new(path: String, message: impl Into<String>) -> Self {
        Self::of(ReadErrorKind::Invalid, path, message)
    }

    pub(crate) fn of(kind: ReadErrorKind, path: String, message: impl Into<String>) -> Self {
        Self { kind, path, message: message.into() }
    }

    /// In which way.
    pub fn kind(&self) -> ReadErrorKind {
        self.kind
    }

    /// Where: `messages[0].role`; empty when the document as a whole is meant.
    pub fn field_path(&self) -> &str {
        &self.path
    }

    /// What is wrong, without the path.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() { out.write_str(&self.message) } else { write!(out, "{}: {}", self.path, self.message) }
    }
}

impl std::error::Error for ReadError {}

/// Wire bytes do not fit their message: cut short, of another type, or nested too deep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WriteError {
    message: String,
}

impl WriteError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl From<super::wire::Malformed> for WriteError {
    fn from(error: super::wire::Malformed) -> Self {
        Self::new(error.to_string())
    }
}

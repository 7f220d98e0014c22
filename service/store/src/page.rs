//! Keyset paging: a page begins after an id, not at an offset, so that it stays right while rows come and go.

use uuid::Uuid;

/// A stretch of a list that is sorted by id, latest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The id of the last row of the page before; `None` for the first page.
    pub after: Option<Uuid>,
    /// How many rows at most.
    pub limit: u32,
}

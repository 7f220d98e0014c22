//! Persistence: what Sabir keeps, the traits a database implements, and the batcher in front of them.
//!
//! Nothing here knows a database, a protocol or a request. The database crates beside this one implement the traits,
//! and all of them pass the same suite ([`conformance`], behind the feature of that name).

mod batch;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod usage;

pub use batch::{BatchConfig, UsagePermit, UsageWriter};
pub use error::{StoreError, StoreErrorKind};
pub use usage::{
    Operation, Outcome, Protocol, StoreFuture, TokenSource, UsageFilter, UsageRow, UsageStore, unix_micros,
};

//! Persistence: what Sabir keeps, the traits a database implements, and the batcher in front of them.
//!
//! Nothing here knows a database, a protocol or a request. The database crates beside this one implement the traits,
//! and all of them pass the same suite ([`conformance`], behind the feature of that name).

mod answer;
mod audit;
mod batch;
mod budget;
mod capture;
mod change;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod identity;
mod limits;
mod page;
mod price;
mod store;
mod subject;
mod tokens;
mod usage;
mod waits;

pub use answer::{AnswerStore, KeptAnswer};
pub use audit::{AuditEntry, AuditFilter, AuditStore};
pub use batch::{BatchConfig, UsageFigures, UsagePermit, UsageWriter};
pub use budget::{
    Budget, BudgetPeriod, BudgetState, BudgetStore, LeaseAnswer, LeaseBook, LeaseGrant, LeaseReport, MAX_AMOUNT_NANOS,
    OrphanedLease, PeriodBook, Span, crossing, exchange, orphan_audit, settle, warning_audit,
};
pub use capture::{Capture, CaptureFilter, CaptureStore};
pub use change::{ChangeStore, ChangeWatch, Generations, Topic};
pub use error::{StoreError, StoreErrorKind};
pub use identity::{ApiKey, IdentityStore, KeyFilter, KeyIdentity, Team, Update, User};
pub use limits::{Lease, Limit, LimitStore, Meter, Places, Rate};
pub use page::Page;
pub use price::{ImportRule, NewPrices, PriceStore, PriceVersion};
pub use store::Store;
pub use subject::Subject;
pub use tokens::{OAuthClient, RefreshFamily, Renewal, Revocation, SigningKey, TokenStore};
pub use usage::{
    Operation, Outcome, Protocol, StoreFuture, TokenSource, UsageAttempt, UsageFilter, UsageGroup, UsageGrouping,
    UsageRow, UsageStore, UsageSum, UsageSumQuery, UsageSumStore, unix_day, unix_micros,
};
pub use waits::{ConnectionWaits, WAIT_BOUNDS};

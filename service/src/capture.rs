//! The request log: what was asked and answered, where an operator wants it kept. Off unless it is switched on.
//!
//! A call gives away copies of its texts and never waits: when the database is slow, captures are dropped and counted, not
//! calls held up. Headers are not looked at, and what looks like a credential is redacted whatever the configuration says.
//! It must not know how a call is answered.

mod config;
mod recording;
mod writer;

pub use config::Config;
pub(crate) use recording::{Recording, Subject};
pub(crate) use writer::CaptureLog;

//! Why a call is refused for a limit.

use std::time::Duration;

use sabir_store::Subject;

use super::standing::{Measure, Standing};

/// A call that a limit does not let pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub(crate) struct Refusal {
    /// Why.
    pub(crate) cause: Cause,
    /// When to try again; `None` where waiting does not help.
    pub(crate) retry_after: Option<Duration>,
    /// Where the caller stands.
    pub(crate) standing: Standing,
}

/// Why a limit does not let a call pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    /// RESOURCE_EXHAUSTED, 429.
    #[error("the limit of {limit} {measure} for {} is reached", whose(.subject))]
    Exceeded {
        /// Whose limit it is.
        subject: Subject,
        /// What is limited.
        measure: Measure,
        /// How much of it there may be.
        limit: u32,
    },
    /// The request alone is more than the limit ever lets pass at once. RESOURCE_EXHAUSTED, 429, with no delay.
    #[error("the request has about {tokens} tokens, more than the limit of {limit} {measure} for {} ever lets pass at once", whose(.subject))]
    TooLarge {
        /// Whose limit it is.
        subject: Subject,
        /// What is limited.
        measure: Measure,
        /// How much of it there may be.
        limit: u32,
        /// How many tokens the request has, about.
        tokens: u64,
    },
    /// The limits cannot be looked up, and what is let pass without has passed. UNAVAILABLE, 503.
    #[error("limits cannot be checked now; try again")]
    Away,
}

/// A subject in words. Ids stay out of the message: the caller knows which key it uses.
fn whose(subject: &Subject) -> String {
    match subject {
        Subject::Everyone => "everyone together".to_owned(),
        Subject::Team(_) => "your team".to_owned(),
        Subject::User(_) | Subject::External(_) => "you".to_owned(),
        Subject::Key(_) => "this API key".to_owned(),
        Subject::Model(name) => format!("the model {name}"),
    }
}

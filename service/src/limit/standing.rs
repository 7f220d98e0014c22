//! Where a caller stands: what the headers tell. Pure values.

use std::fmt;
use std::time::Duration;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Requests per minute.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Calls that are open at once.
    Concurrent,
}

impl Measure {
    /// Its name in headers, details and tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent-requests",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Requests => "requests per minute",
            Self::Tokens => "tokens per minute",
            Self::Concurrent => "requests at once",
        })
    }
}

/// Where one rate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figure {
    /// Whose rate it is: a kind of subject.
    pub(crate) whose: &'static str,
    /// How much a minute.
    pub(crate) per_minute: u32,
    /// How much at once.
    pub(crate) burst: u32,
    /// How much is left now.
    pub(crate) remaining: u64,
    /// When all of it is there again.
    pub(crate) reset: Duration,
}

/// Where a caller stands with the tightest of its rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// In requests.
    pub(crate) requests: Option<Figure>,
    /// In tokens.
    pub(crate) tokens: Option<Figure>,
    /// Whether every replica counts together; else each counts for itself.
    pub(crate) shared: bool,
}

impl Standing {
    /// With those of another account, of which the tighter count.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            requests: tighter(self.requests, other.requests),
            tokens: tighter(self.tokens, other.tokens),
            shared: self.shared || other.shared,
        }
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }
}

fn tighter(one: Option<Figure>, other: Option<Figure>) -> Option<Figure> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.remaining < one.remaining { other } else { one }),
        (one, other) => one.or(other),
    }
}

//! What can go wrong with a call.

use std::time::Duration;

use tonic::{Code, Status};

use crate::details::Details;

/// A failed call, or one that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address, a header or a token cannot be used; nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// Nothing answers at the address.
    #[error("cannot connect to {url}: {reason}")]
    Connect {
        /// The address.
        url: String,
        /// What the system said.
        reason: String,
    },
    /// The server answered with an error, or the call broke off.
    #[error(transparent)]
    Call(#[from] Box<CallError>),
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// The kind of failure.
    pub code: Code,
    /// What went wrong, for people.
    pub message: String,
    /// What went wrong, for programs: `MODEL_NOT_FOUND`, `INVALID_REQUEST`, ...
    pub reason: Option<String>,
    /// Which parts of the request are wrong.
    pub violations: Vec<FieldViolation>,
    /// How long the server asks to wait before the next try.
    pub retry_after: Option<Duration>,
    /// The server's name for this call, to find it in its records.
    pub request_id: Option<String>,
}

/// One part of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The path of the field: `messages[0].role`.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Error {
    /// The failed call, if the server had been reached.
    pub fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) => Some(error),
            Self::Invalid(_) | Self::Connect { .. } => None,
        }
    }

    /// The status code, if the server had been reached.
    pub fn code(&self) -> Option<Code> {
        self.call().map(|error| error.code)
    }

    pub(crate) fn deadline_exceeded() -> Self {
        Status::deadline_exceeded("the deadline of the call has passed").into()
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = Details::read(status.details());
        // A status with a cause was made on this side, because the connection failed under the call.
        let message = match std::error::Error::source(&status) {
            None => status.message().to_owned(),
            Some(_) => format!("the connection to the server broke off: {}", status.message()),
        };
        let request_id = status.metadata().get("sabir-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        Self::Call(Box::new(CallError {
            code: status.code(),
            message,
            reason: details.reason,
            violations: details.violations,
            retry_after: details.retry_after,
            request_id,
        }))
    }
}

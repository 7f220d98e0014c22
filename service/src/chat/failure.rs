//! Every way in which a chat call fails, before it is anybody's status code.

use std::fmt::Write as _;
use std::sync::Arc;

use sabir_providers::{UpstreamError, UpstreamErrorKind};
use sabir_store::{Outcome, StoreError};

use super::check::Violation;
use crate::budget::Denied;
use crate::limit::{self, Cause};
use crate::telemetry::ErrorType;
use crate::upstream::UnknownModel;

/// How much of a provider's code for an error is logged, in bytes.
const WORD_LIMIT: usize = 64;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The request is wrong.
    #[error("the request is invalid")]
    Invalid(Vec<Violation>),
    /// No such model.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// The caller may not ask this model.
    #[error("the caller may not ask the model \"{0}\"")]
    Forbidden(Arc<str>),
    /// There is no money for it.
    #[error(transparent)]
    Budget(#[from] Denied),
    /// A limit does not let it pass.
    #[error(transparent)]
    Limited(#[from] limit::Refusal),
    /// The upstream did not answer, or not in full.
    #[error("{provider}: {error}")]
    Upstream {
        /// The provider's name in the configuration.
        provider: Arc<str>,
        /// What it said, or what we saw.
        error: UpstreamError,
    },
    /// The deadline of the call has passed.
    #[error("the deadline of the call has passed")]
    Deadline,
    /// There is no place for the call's usage row.
    #[error("calls cannot be recorded now: {0}")]
    Unrecordable(#[from] StoreError),
}

impl Failure {
    /// What the log says of it. What a provider has to say about a request or an answer may quote it, and is for the
    /// caller alone.
    pub(super) fn in_log(&self) -> String {
        let Self::Upstream { provider, error } = self else { return self.to_string() };
        let quotes = match error.kind {
            UpstreamErrorKind::InvalidRequest
            | UpstreamErrorKind::ContextLength
            | UpstreamErrorKind::ContentFilter
            | UpstreamErrorKind::TooLarge
            | UpstreamErrorKind::Protocol
            | UpstreamErrorKind::Internal => true,
            UpstreamErrorKind::Authentication
            | UpstreamErrorKind::PermissionDenied
            | UpstreamErrorKind::NotFound
            | UpstreamErrorKind::RateLimited
            | UpstreamErrorKind::Overloaded
            | UpstreamErrorKind::Unavailable
            | UpstreamErrorKind::Timeout
            | UpstreamErrorKind::Truncated => false,
        };
        if !quotes {
            return self.to_string();
        }
        let mut text = format!("{provider}: {}", error.kind.as_str());
        if let Some(status) = error.status {
            let _ = write!(text, ", status {status}");
        }
        for (name, value) in [("code", &error.code), ("member", &error.param)] {
            if let Some(value) = value {
                let _ = write!(text, ", {name} {}", &value[..value.floor_char_boundary(WORD_LIMIT)]);
            }
        }
        text
    }

    /// How the usage row calls it.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Invalid(_)
            | Self::UnknownModel(_)
            | Self::Forbidden(_)
            | Self::Limited(limit::Refusal { cause: Cause::Exceeded { .. } | Cause::TooLarge { .. }, .. })
            | Self::Budget(Denied::Spent { .. } | Denied::Unpriced(_)) => Outcome::Rejected,
            Self::Deadline => Outcome::Deadline,
            Self::Unrecordable(_) | Self::Budget(Denied::Away) | Self::Limited(_) => Outcome::Failed,
            Self::Upstream { error, .. } => match error.kind {
                UpstreamErrorKind::Unavailable
                | UpstreamErrorKind::Timeout
                | UpstreamErrorKind::Protocol
                | UpstreamErrorKind::Truncated => Outcome::UpstreamLost,
                UpstreamErrorKind::ContentFilter => Outcome::Filtered,
                UpstreamErrorKind::InvalidRequest
                | UpstreamErrorKind::Authentication
                | UpstreamErrorKind::PermissionDenied
                | UpstreamErrorKind::NotFound
                | UpstreamErrorKind::RateLimited
                | UpstreamErrorKind::ContextLength
                | UpstreamErrorKind::Overloaded
                | UpstreamErrorKind::TooLarge
                | UpstreamErrorKind::Internal => Outcome::UpstreamRefused,
            },
        }
    }

    /// What spans and metrics call it.
    pub(crate) fn error_type(&self) -> ErrorType {
        match self {
            Self::Upstream { error, .. } => error.kind.into(),
            Self::Deadline => ErrorType::Deadline,
            _ => ErrorType::Other,
        }
    }

    /// How the record of an attempt calls it: what the target did, or what kept us from asking it.
    pub(super) fn of_attempt(&self) -> &'static str {
        match self {
            Self::Upstream { error, .. } => error.kind.as_str(),
            Self::Deadline => "deadline",
            Self::Limited(_) => "limited",
            Self::Budget(_) => "over_budget",
            Self::Forbidden(_) => "forbidden",
            Self::Invalid(_) | Self::UnknownModel(_) | Self::Unrecordable(_) => "failed",
        }
    }

    /// Whether an upstream did not answer in time.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Upstream { error, .. } if error.kind == UpstreamErrorKind::Timeout)
    }

    /// Whether the caller could have known better. The others are the operator's business and are logged as warnings.
    pub(crate) fn is_the_callers(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::UnknownModel(_)
            | Self::Forbidden(_)
            | Self::Deadline
            | Self::Limited(_)
            | Self::Budget(Denied::Spent { .. }) => true,
            Self::Unrecordable(_) | Self::Budget(_) => false,
            Self::Upstream { error, .. } => matches!(
                error.kind,
                UpstreamErrorKind::InvalidRequest
                    | UpstreamErrorKind::NotFound
                    | UpstreamErrorKind::ContextLength
                    | UpstreamErrorKind::ContentFilter
            ),
        }
    }
}

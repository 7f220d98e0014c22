//! Why an attempt failed, in a closed set of words: `error.type` of spans and metrics, `outcome` of attempts.

use sabir_providers::UpstreamErrorKind;

/// Declares the set, and the words for it.
macro_rules! error_types {
    ($($(#[$doc:meta])* $variant:ident $word:literal,)+) => {
        /// Why an attempt failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ErrorType {
            $($(#[$doc])* $variant,)+
        }

        impl ErrorType {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word for it.
            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

error_types! {
    /// The caller went away, or another attempt was faster.
    Cancelled "cancelled",
    /// The deadline of the call has passed.
    Deadline "deadline_exceeded",
    /// The upstream cannot be reached.
    Unavailable "unavailable",
    /// The upstream was too slow.
    Timeout "timeout",
    /// The upstream spoke garbage.
    Protocol "protocol",
    /// The upstream broke off.
    Truncated "truncated",
    /// The upstream has more to do than it can.
    Overloaded "overloaded",
    /// The upstream's limits do not let us pass.
    RateLimited "rate_limited",
    /// The upstream refuses our key.
    Authentication "authentication",
    /// The upstream does not let us do this.
    PermissionDenied "permission_denied",
    /// The upstream has no such model.
    NotFound "not_found",
    /// The upstream finds the request wrong.
    InvalidRequest "invalid_request",
    /// The request is longer than the model reads.
    ContextLength "context_length",
    /// The request or the answer is too large.
    TooLarge "too_large",
    /// The upstream finds the content inadmissible.
    ContentFilter "content_filter",
    /// The upstream failed.
    Internal "internal",
    /// It was not the upstream.
    Other "_OTHER",
}

impl From<UpstreamErrorKind> for ErrorType {
    fn from(kind: UpstreamErrorKind) -> Self {
        match kind {
            UpstreamErrorKind::InvalidRequest => Self::InvalidRequest,
            UpstreamErrorKind::Authentication => Self::Authentication,
            UpstreamErrorKind::PermissionDenied => Self::PermissionDenied,
            UpstreamErrorKind::NotFound => Self::NotFound,
            UpstreamErrorKind::RateLimited => Self::RateLimited,
            UpstreamErrorKind::ContextLength => Self::ContextLength,
            UpstreamErrorKind::ContentFilter => Self::ContentFilter,
            UpstreamErrorKind::Overloaded => Self::Overloaded,
            UpstreamErrorKind::Unavailable => Self::Unavailable,
            UpstreamErrorKind::Timeout => Self::Timeout,
            UpstreamErrorKind::TooLarge => Self::TooLarge,
            UpstreamErrorKind::Protocol => Self::Protocol,
            UpstreamErrorKind::Truncated => Self::Truncated,
            UpstreamErrorKind::Internal => Self::Internal,
        }
    }
}

//! What can go wrong with an upstream, as one small closed set.
//!
//! Every protocol and the sender end here, so that the service needs to know no vendor's error format. It does not
//! know how the service answers its own callers: turning a kind into a gRPC status or an HTTP status is the service's.

use std::time::Duration;

/// What went wrong, in the terms a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamErrorKind {
    /// The upstream says that the request is wrong, or the request cannot be said in its protocol.
    InvalidRequest,
    /// The upstream does not accept our credentials.
    Authentication,
    /// The credentials are good, but not for this model, region or operation.
    PermissionDenied,
    /// The upstream knows no such model or path.
    NotFound,
    /// Too many requests or tokens, or the account's quota is used up. The code tells quota from rate.
    RateLimited,
    /// The prompt, alone or with the tokens asked for, does not fit the model's context.
    ContextLength,
    /// The upstream refused the prompt or the answer for its content.
    ContentFilter,
    /// The upstream is up but has no capacity.
    Overloaded,
    /// The upstream cannot be reached: refused, reset before an answer, no such host, bad gateway.
    Unavailable,
    /// A limit of time ran out: connecting, waiting for headers, silence within a stream, or the caller's deadline.
    Timeout,
    /// The upstream's answer is not what its protocol allows.
    Protocol,
    /// The answer began and then ended without the protocol's mark of a normal end.
    Truncated,
    /// The request is too large for the upstream, or its answer is larger than we allow.
    TooLarge,
    /// The upstream failed within, or we did.
    Internal,
}

impl UpstreamErrorKind {
    /// Its name in records: `rate_limited`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Authentication => "authentication",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::ContextLength => "context_length",
            Self::ContentFilter => "content_filter",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
            Self::Truncated => "truncated",
            Self::TooLarge => "too_large",
            Self::Internal => "internal",
        }
    }
}

/// Why an upstream call failed.
///
/// The message is meant for the caller. It never holds credentials: neither our key nor user information of a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UpstreamError {
    /// What went wrong.
    pub kind: UpstreamErrorKind,
    /// The HTTP status of the upstream's answer, if there was one.
    pub status: Option<u16>,
    /// What the upstream said, or what we saw.
    pub message: String,
    /// The request member that the upstream blames.
    pub param: Option<String>,
    /// The upstream's own code, such as `model_not_found`.
    pub code: Option<String>,
    /// How long the upstream asks us to wait before the next try.
    pub retry_after: Option<Duration>,
}

impl UpstreamError {
    /// An error that has a kind and a message and nothing else.
    pub fn new(kind: UpstreamErrorKind, message: impl Into<String>) -> Self {
        Self { kind, status: None, message: message.into(), param: None, code: None, retry_after: None }
    }

    /// The same error, naming the request member to blame.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same error, with a code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
}

/// Why an upstream cannot be set up as configured. No variant holds a key or the text of a URL, which may hold one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The vendor has no fixed address, and none was given.
    #[error("no base URL is given, and the vendor has no fixed one")]
    NoBaseUrl,
    /// The vendor has an address for each region, and no region was given.
    #[error("no region is given: set region, or AWS_REGION in the environment")]
    NoRegion,
    /// The base URL is not an absolute URL that can be called.
    #[error("the base URL is not valid: {0}")]
    BaseUrl(&'static str),
    /// The key cannot be put into a header.
    #[error("the key holds characters that no HTTP header can carry")]
    Key,
    /// The protocol's messages are not in the descriptor set that the plans were compiled from.
    #[error("the descriptor set has no message {0}")]
    Message(&'static str),
}

//! The one place where failures become gRPC statuses. Each status carries a reason for programs, and where it helps a
//! delay before the next try or the fields that are wrong.
//!
//! It does not know how a status looks over HTTP; that is the transcoder's.

use std::collections::HashMap;
use std::time::Duration;

use sabir_providers::{UpstreamError, UpstreamErrorKind};
use sabir_store::{StoreError, StoreErrorKind};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::auth::{GrantError, PasswordError, Refusal};
use crate::budget::Denied;
use crate::chat::{Failure, Violation};
use crate::limit::{self, Cause, Measure};
use crate::upstream::UnknownModel;

/// Who gives the reasons (`google.rpc.ErrorInfo.domain`).
const DOMAIN: &str = "sabir";

/// What an overloaded upstream that names no time is given.
const OVERLOAD_PAUSE: Duration = Duration::from_secs(1);

impl From<&Failure> for Status {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Invalid(violations) => invalid(violations),
            Failure::UnknownModel(unknown) => Self::from(unknown),
            Failure::Forbidden(model) => model_forbidden(model),
            Failure::Budget(denied) => budget(denied),
            Failure::Upstream { provider, error } => upstream(provider, error),
            Failure::Limited(refusal) => Self::from(refusal),
            Failure::Deadline => {
                status(Code::DeadlineExceeded, &failure.to_string(), "DEADLINE_EXCEEDED", ErrorDetails::new())
            }
            Failure::Unrecordable(_) => {
                let mut details = ErrorDetails::new();
                details.set_retry_info(Some(OVERLOAD_PAUSE));
                status(Code::Unavailable, &failure.to_string(), "DATABASE_UNAVAILABLE", details)
            }
        }
    }
}

impl From<&UnknownModel> for Status {
    fn from(unknown: &UnknownModel) -> Self {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("model", unknown.to_string());
        status(Code::NotFound, &unknown.to_string(), "MODEL_NOT_FOUND", details)
    }
}

/// A model that is there, for others.
pub(crate) fn model_forbidden(model: &str) -> Status {
    let message = format!(
        "the model \"{model}\" may not be asked with this API key or token; GET /v1/models lists those that may"
    );
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("model", &message);
    status(Code::PermissionDenied, &message, "MODEL_NOT_ALLOWED", details)
}

/// An answer that does not follow the schema it was asked to follow.
pub(crate) fn unstructured(problem: &str) -> Status {
    let message = format!("the model's answer does not follow the schema: {problem}");
    status(Code::Internal, &message, "STRUCTURED_OUTPUT_INVALID", ErrorDetails::new())
}

/// What a guardrail refuses, and why.
pub(crate) fn blocked(guardrail: &str, why: &str) -> Status {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    let message = format!("the guardrail {guardrail} refuses this{why}");
    status(Code::InvalidArgument, &message, "CONTENT_FILTER", ErrorDetails::new())
}

/// A request that breaks rules. The message names the first; the details name all.
fn invalid(violations: &[Violation]) -> Status {
    let message = match violations {
        [] => "the request is invalid".to_owned(),
        [one] => format!("{}: {}", one.field, one.message),
        [first, rest @ ..] => format!("{}: {} (and {} more)", first.field, first.message, rest.len()),
    };
    let fields: Vec<FieldViolation> =
        violations.iter().map(|one| FieldViolation::new(&one.field, &one.message)).collect();
    status(Code::InvalidArgument, &message, "INVALID_REQUEST", ErrorDetails::with_bad_request(fields))
}

/// A call that there is no money for.
fn budget(denied: &Denied) -> Status {
    let mut details = ErrorDetails::new();
    let message = denied.to_string();
    match denied {
        Denied::Spent { standing, .. } => {
            // A budget that never begins again has no time at which to come back.
            if standing.resets_in.is_some() {
                details.set_retry_info(standing.resets_in);
            }
            // OpenAI's clients know what is spent by this code.
            let metadata = HashMap::from([("code".to_owned(), "insufficient_quota".to_owned())]);
            details.set_error_info("BUDGET_EXCEEDED", DOMAIN, metadata);
            Status::with_error_details(Code::ResourceExhausted, message, details)
        }
        Denied::Unpriced(_) => status(Code::FailedPrecondition, &message, "MODEL_UNPRICED", details),
        Denied::Away => {
            details.set_retry_info(Some(OVERLOAD_PAUSE));
            status(Code::Unavailable, &message, "BUDGET_UNAVAILABLE", details)
        }
    }
}

/// What an upstream's failure means to our caller.
///
/// The caller's own credentials are never at fault here: those the upstream judges are the server's. Failures that a
/// retry can cure are `UNAVAILABLE`; those that an operator must cure are `INTERNAL`.
fn upstream(provider: &str, error: &UpstreamError) -> Status {
    use UpstreamErrorKind as Kind;
    let mut message = format!("{provider}: {error}");
    let mut details = ErrorDetails::new();
    let (code, reason) = match error.kind {
        Kind::InvalidRequest => (Code::InvalidArgument, "INVALID_REQUEST"),
        Kind::ContextLength => (Code::InvalidArgument, "CONTEXT_LENGTH_EXCEEDED"),
        Kind::ContentFilter => (Code::InvalidArgument, "CONTENT_FILTER"),
        Kind::NotFound => (Code::NotFound, "MODEL_NOT_FOUND"),
        Kind::PermissionDenied => (Code::PermissionDenied, "UPSTREAM_PERMISSION_DENIED"),
        Kind::RateLimited => (Code::ResourceExhausted, "RATE_LIMIT_EXCEEDED"),
        Kind::Overloaded => (Code::Unavailable, "UPSTREAM_OVERLOADED"),
        Kind::Unavailable => (Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
        Kind::Timeout => (Code::Unavailable, "UPSTREAM_TIMEOUT"),
        Kind::Truncated => (Code::Unavailable, "UPSTREAM_TRUNCATED"),
        Kind::Protocol => (Code::Internal, "UPSTREAM_PROTOCOL"),
        Kind::Internal => (Code::Internal, "UPSTREAM_INTERNAL"),
        // With a status, the upstream found our request too large; without, we found its answer too large.
        Kind::TooLarge if error.status.is_some() => (Code::InvalidArgument, "REQUEST_TOO_LARGE"),
        Kind::TooLarge => (Code::Internal, "UPSTREAM_ANSWER_TOO_LARGE"),
        Kind::Authentication => {
            message =
                format!("{provider} refuses the key that this server uses; its operator must set another ({error})");
            (Code::Internal, "UPSTREAM_AUTHENTICATION")
        }
    };
    let pause = match error.kind {
        Kind::Overloaded => Some(error.retry_after.unwrap_or(OVERLOAD_PAUSE)),
        _ => error.retry_after,
    };
    if pause.is_some() {
        details.set_retry_info(pause);
    }
    if let Some(param) = error.param.as_deref().filter(|_| matches!(code, Code::InvalidArgument | Code::NotFound)) {
        details.add_bad_request_violation(param, &error.message);
    }
    // The upstream's own word for it is what its SDK's users look for: `insufficient_quota`, `model_not_found`, ...
    let own = error.code.as_deref().and_then(reason_of).filter(|_| error.kind != Kind::Authentication);
    status(code, &message, own.as_deref().unwrap_or(reason), details)
}

/// An upstream's code in the form of a reason: at most 63 upper case letters, digits and underscores, a letter first.
///
/// Source: <https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto> (`ErrorInfo.reason`).
fn reason_of(code: &str) -> Option<String> {
    let well_formed = (2..=63).contains(&code.len())
        && code.starts_with(|first: char| first.is_ascii_alphabetic())
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    well_formed.then(|| code.to_ascii_uppercase())
}

/// What a database's answer means to the caller of an administrative method. What the database said is for operators.
pub(crate) fn store_status(error: &StoreError) -> Status {
    let mut details = ErrorDetails::new();
    match error.kind() {
        StoreErrorKind::Unavailable => {
            details.set_retry_info(Some(OVERLOAD_PAUSE));
            status(Code::Unavailable, "the database is away; try again", "DATABASE_UNAVAILABLE", details)
        }
        StoreErrorKind::Taken => status(Code::AlreadyExists, "the name is taken", "NAME_TAKEN", details),
        StoreErrorKind::Constraint => {
            let message = "the change does not fit what is there: something it refers to is not, or still is";
            status(Code::FailedPrecondition, message, "CONSTRAINT", details)
        }
        StoreErrorKind::Corrupt | StoreErrorKind::Schema => {
            status(Code::Internal, "the database holds what cannot be read", "DATABASE_BROKEN", details)
        }
    }
}

/// What is to be changed is changed by others again and again.
pub(crate) fn contended(kind: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(OVERLOAD_PAUSE));
    status(Code::Aborted, &format!("others change this {kind} at the same time; try again"), "CONTENDED", details)
}

/// A field of an administrative request that is wrong beyond what the contract's bounds say.
pub(crate) fn field_status(field: &str, message: &str) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, message);
    status(Code::InvalidArgument, &format!("{field}: {message}"), "INVALID_REQUEST", details)
}

/// What an administrative request names and is not there, or not for this caller.
pub(crate) fn missing(kind: &str, name: &str) -> Status {
    status(Code::NotFound, &format!("there is no {kind} {name:?}"), "NOT_FOUND", ErrorDetails::new())
}

/// What is beyond the team of the caller.
pub(crate) fn out_of_reach(message: &str) -> Status {
    status(Code::PermissionDenied, message, "OUT_OF_REACH", ErrorDetails::new())
}

/// A change that was made with something in mind that has changed since.
pub(crate) fn outdated(kind: &str, version: i64) -> Status {
    let message = format!("the {kind} have changed: version {version} is in force now");
    status(Code::Aborted, &message, "OUTDATED", ErrorDetails::new())
}

/// A key that is revoked cannot be used for this.
pub(crate) fn revoked(message: &str) -> Status {
    status(Code::FailedPrecondition, message, "REVOKED", ErrorDetails::new())
}

/// The system gives no random numbers, of which secrets are made.
pub(crate) fn no_randomness() -> Status {
    status(Code::Internal, "the system gives no random numbers", "NO_RANDOMNESS", ErrorDetails::new())
}

/// Why a password was not hashed.
pub(crate) fn password_status(error: &PasswordError) -> Status {
    let mut details = ErrorDetails::new();
    match error {
        PasswordError::Busy => {
            details.set_retry_info(Some(OVERLOAD_PAUSE));
            status(Code::ResourceExhausted, &error.to_string(), "TOO_MANY_ATTEMPTS", details)
        }
        PasswordError::TooLong => field_status("password", &error.to_string()),
        PasswordError::Failed => status(Code::Internal, &error.to_string(), "PASSWORD_NOT_HASHED", details),
    }
}

impl From<&Refusal> for Status {
    fn from(refusal: &Refusal) -> Self {
        let (code, reason) = match refusal {
            Refusal::Missing => (Code::Unauthenticated, "CREDENTIALS_MISSING"),
            Refusal::Invalid => (Code::Unauthenticated, "CREDENTIALS_INVALID"),
            Refusal::Expired => (Code::Unauthenticated, "CREDENTIALS_EXPIRED"),
            Refusal::Scope(_) => (Code::PermissionDenied, "SCOPE_MISSING"),
            Refusal::Undeclared => (Code::PermissionDenied, "METHOD_CLOSED"),
            Refusal::Unavailable => (Code::Unavailable, "IDENTITY_UNAVAILABLE"),
        };
        let mut status = status(code, &refusal.to_string(), reason, ErrorDetails::new());
        // Over HTTP the metadata are headers, and RFC 9110 (section 11.6.1) wants this one.
        if let Some(challenge) = refusal.challenge().and_then(|challenge| challenge.parse().ok()) {
            status.metadata_mut().insert("www-authenticate", challenge);
        }
        status
    }
}

/// The server has as many calls as it may.
pub(crate) fn overloaded() -> Status {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(OVERLOAD_PAUSE));
    let message = "the server has as many calls as it can serve; try again soon";
    let mut status = status(Code::ResourceExhausted, message, "OVERLOADED", details);
    status.metadata_mut().insert("retry-after", OVERLOAD_PAUSE.as_secs().into());
    status
}

impl From<&limit::Refusal> for Status {
    fn from(refusal: &limit::Refusal) -> Self {
        let mut details = ErrorDetails::new();
        if let Some(pause) = refusal.retry_after {
            details.set_retry_info(Some(pause));
        }
        let (code, reason) = match &refusal.cause {
            Cause::Exceeded { subject, measure, .. } => {
                details.add_quota_failure_violation(subject.to_string(), refusal.to_string());
                let reason = match measure {
                    Measure::Requests => "REQUEST_LIMIT_EXCEEDED",
                    Measure::Tokens => "TOKEN_LIMIT_EXCEEDED",
                    Measure::Concurrent => "CONCURRENCY_LIMIT_EXCEEDED",
                };
                (Code::ResourceExhausted, reason)
            }
            Cause::TooLarge { subject, .. } => {
                details.add_quota_failure_violation(subject.to_string(), refusal.to_string());
                (Code::ResourceExhausted, "REQUEST_ABOVE_TOKEN_LIMIT")
            }
            Cause::Away => (Code::Unavailable, "LIMITS_UNAVAILABLE"),
        };
        let mut status = status(code, &refusal.to_string(), reason, details);
        if let Some(pause) = refusal.retry_after {
            // Over gRPC no layer says it in a header.
            let seconds = u64::try_from(pause.as_nanos().div_ceil(1_000_000_000)).unwrap_or(u64::MAX);
            status.metadata_mut().insert("retry-after", seconds.max(1).into());
        }
        status
    }
}

impl From<&GrantError> for Status {
    fn from(error: &GrantError) -> Self {
        let mut details = ErrorDetails::new();
        // The codes of RFC 6749, section 5.2, where it has one.
        let (code, reason) = match error {
            GrantError::Request(_) => (Code::InvalidArgument, "INVALID_REQUEST"),
            GrantError::Type => (Code::InvalidArgument, "UNSUPPORTED_GRANT_TYPE"),
            GrantError::Client => (Code::Unauthenticated, "INVALID_CLIENT"),
            GrantError::Grant => (Code::InvalidArgument, "INVALID_GRANT"),
            GrantError::Scope => (Code::InvalidArgument, "INVALID_SCOPE"),
            GrantError::TooManyAttempts(pause) => {
                details.set_retry_info(Some(*pause));
                (Code::ResourceExhausted, "TOO_MANY_ATTEMPTS")
            }
            GrantError::Busy | GrantError::Unavailable => {
                details.set_retry_info(Some(OVERLOAD_PAUSE));
                (Code::Unavailable, "TEMPORARILY_UNAVAILABLE")
            }
            GrantError::Internal => (Code::Internal, "SERVER_ERROR"),
        };
        status(code, &error.to_string(), reason, details)
    }
}

fn status(code: Code, message: &str, reason: &str, mut details: ErrorDetails) -> Status {
    details.set_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn answered(error: UpstreamError) -> Status {
        Status::from(&Failure::Upstream { provider: Arc::from("acme"), error })
    }

    fn reason(status: &Status) -> String {
        status.get_details_error_info().unwrap().reason
    }

    #[test]
    fn a_refused_server_key_is_never_the_callers_fault() {
        let error = UpstreamError::new(UpstreamErrorKind::Authentication, "invalid key").with_code("invalid_api_key");
        let status = answered(error);
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(reason(&status), "UPSTREAM_AUTHENTICATION");
        assert!(status.message().contains("acme"));
    }

    #[test]
    fn a_rate_limit_carries_the_delay_and_the_upstreams_own_word() {
        let mut error = UpstreamError::new(UpstreamErrorKind::RateLimited, "slow down").with_code("insufficient_quota");
        error.retry_after = Some(Duration::from_secs(7));
        let status = answered(error);
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(reason(&status), "INSUFFICIENT_QUOTA");
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(7)));
    }

    #[test]
    fn every_violation_is_in_the_details_and_the_first_in_the_message() {
        let violation = |field: &str| Violation { field: field.to_owned(), message: "is required".to_owned() };
        let status = Status::from(&Failure::Invalid(vec![violation("model"), violation("messages")]));
        assert_eq!(status.message(), "model: is required (and 1 more)");
        let fields = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(fields.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>(), ["model", "messages"]);
    }

    #[test]
    fn codes_that_are_no_reasons_are_left_out() {
        assert_eq!(reason_of("context_length_exceeded").as_deref(), Some("CONTEXT_LENGTH_EXCEEDED"));
        for code in ["", "4", "429", "no spaces", "dash-ed"] {
            assert_eq!(reason_of(code), None);
        }
    }
}

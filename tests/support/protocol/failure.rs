//! A failed call as claims look at it, whichever protocol told of it.

use std::time::Duration;

use http::HeaderMap;
use prost::Message;
use serde_json::Value;
use tonic::{Code, Status};

/// What the server said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// The gRPC code's name, such as `NOT_FOUND`. Where REST only says an HTTP status, the code that stands for it;
    /// empty for an error event of a stream that does not name one.
    pub(crate) code: String,
    /// The HTTP status, where the answer had one of its own.
    pub(crate) http: Option<u16>,
    pub(crate) message: String,
    /// The path of the field that is wrong.
    pub(crate) field: Option<String>,
    /// When to come back.
    pub(crate) retry_after: Option<Duration>,
    /// OpenAI's error object (REST only).
    pub(crate) error: Option<Value>,
}

impl Failure {
    /// From a status, as gRPC and gRPC-Web have it.
    pub(crate) fn from_status(status: &Status) -> Self {
        let details = RpcStatus::decode(status.details()).unwrap();
        let detail = |name: &str| details.details.iter().find(|any| any.type_url.ends_with(name));
        let field = detail("/google.rpc.BadRequest").and_then(|any| {
            let violations = BadRequest::decode(any.value.as_slice()).unwrap().field_violations;
            violations.into_iter().next().map(|violation| violation.field)
        });
        let retry_after = detail("/google.rpc.RetryInfo").and_then(|any| {
            let delay = RetryInfo::decode(any.value.as_slice()).unwrap().retry_delay?;
            Some(Duration::new(delay.seconds.try_into().unwrap(), delay.nanos.try_into().unwrap()))
        });
        let message = status.message().to_owned();
        Self { code: name(status.code()).to_owned(), http: None, message, field, retry_after, error: None }
    }

    /// From a response that is no success.
    pub(crate) fn from_http(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let document: Value = serde_json::from_slice(body)
            .unwrap_or_else(|_| panic!("an error is JSON, not {:?}", String::from_utf8_lossy(body)));
        let seconds = headers.get("retry-after").map(|seconds| seconds.to_str().unwrap().parse().unwrap());
        let code = code_of_http_status(status).to_owned();
        let retry_after = seconds.map(Duration::from_secs);
        Self { code, http: Some(status), retry_after, ..Self::from_error(&document["error"]) }
    }

    /// From a proxy in between that speaks neither gRPC-Web nor OpenAI's error objects.
    pub(crate) fn from_proxy(status: u16, body: &[u8]) -> Self {
        Self {
            code: code_of_http_status(status).to_owned(),
            http: Some(status),
            message: String::from_utf8_lossy(body).into_owned(),
            field: None,
            retry_after: None,
            error: None,
        }
    }

    /// From OpenAI's error object. Source: <https://platform.openai.com/docs/guides/error-codes>.
    pub(super) fn from_error(error: &Value) -> Self {
        let members: Vec<_> =
            error.as_object().unwrap_or_else(|| panic!("not an error object: {error}")).keys().collect();
        for expected in ["message", "type", "param", "code"] {
            assert!(error.get(expected).is_some(), "an error has `{expected}`: {error}, {members:?}");
        }
        Self {
            code: String::new(),
            http: None,
            message: error["message"].as_str().unwrap().to_owned(),
            field: error["param"].as_str().map(str::to_owned),
            retry_after: None,
            error: Some(error.clone()),
        }
    }
}

/// Source: <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>, and the reverse of it where
/// several codes share a status.
fn code_of_http_status(status: u16) -> &'static str {
    match status {
        400 | 413 | 415 | 422 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 | 501 => "UNIMPLEMENTED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        500 => "INTERNAL",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    }
}

fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The messages of `google.rpc` that are looked at, cut down to what is looked at.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<AnyMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<RetryDelay>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryDelay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

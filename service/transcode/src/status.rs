//! gRPC status to HTTP: the code, the body in the shape the API has, and the headers that go with it.
//!
//! The one file that turns a `Status` into an HTTP error. Source of the codes:
//! <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>.

mod details;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde_json::value::RawValue;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::json::Plans;
use crate::options::ErrorShape;

/// The HTTP status of a gRPC code, where nothing more particular is known.
pub const fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Aborted | Code::AlreadyExists => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Cancelled => CLIENT_CLOSED_REQUEST,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::DataLoss | Code::Internal | Code::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// 499, which nginx introduced and google/rpc/code.proto names.
const CLIENT_CLOSED_REQUEST: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// The name of a code, as google/rpc/code.proto spells it.
pub const fn code_name(code: Code) -> &'static str {
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

/// An HTTP status more particular than the gRPC code; in the extensions of a gRPC response on its way to HTTP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HttpStatus(pub(crate) StatusCode);

/// A gRPC answer that carries only a status.
pub(crate) fn grpc_response(status: Status, http: Option<StatusCode>) -> Response<Body> {
    let mut response = status.into_http();
    if let Some(http) = http {
        response.extensions_mut().insert(HttpStatus(http));
    }
    response
}

/// The status in the headers or trailers of a gRPC answer, if there is one.
///
/// As [`Status::from_header_map`], which panics over details that are not base64: a remote server may send what it likes.
pub(crate) fn of_headers(headers: &HeaderMap) -> Option<Status> {
    const DETAILS: &str = "grpc-status-details-bin";
    if !headers.contains_key("grpc-status") {
        return None;
    }
    let readable = headers.get(DETAILS).is_none_or(|details| {
        let details = details.as_bytes();
        STANDARD.decode(details).is_ok() || STANDARD_NO_PAD.decode(details).is_ok()
    });
    if readable {
        return Status::from_header_map(headers);
    }
    let mut headers = headers.clone();
    headers.remove(DETAILS);
    Status::from_header_map(&headers)
}

/// The HTTP answer to a failed request.
pub(crate) fn http_response(shape: ErrorShape, status: &Status, http: Option<StatusCode>) -> Response<Body> {
    http_response_with(None, shape, status, http)
}

/// The same where details may hold messages of an API, which its plans know.
pub(crate) fn http_response_with(
    plans: Option<&Plans>,
    shape: ErrorShape,
    status: &Status,
    http: Option<StatusCode>,
) -> Response<Body> {
    let http = http.unwrap_or_else(|| http_status(status.code()));
    let mut response = Response::new(Body::new(Full::from(body(plans, shape, status, http))));
    *response.status_mut() = http;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        // Whole seconds (RFC 9110, section 10.2.3), rounded up so that nobody comes back too early.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The body of an error answer.
pub(crate) fn body(plans: Option<&Plans>, shape: ErrorShape, status: &Status, http: StatusCode) -> Vec<u8> {
    let error = object(plans, shape, status, http);
    match shape {
        ErrorShape::Status | ErrorShape::OAuth2 => error,
        ErrorShape::OpenAi => [br#"{"error":"#, error.as_slice(), b"}"].concat(),
        ErrorShape::Anthropic => [br#"{"type":"error","error":"#, error.as_slice(), b"}"].concat(),
    }
}

/// The error itself, without the envelope that OpenAI's and Anthropic's bodies put around it.
pub(crate) fn object(plans: Option<&Plans>, shape: ErrorShape, status: &Status, http: StatusCode) -> Vec<u8> {
    let written = match shape {
        ErrorShape::Status => serde_json::to_vec(&StatusBody::new(plans, status)),
        ErrorShape::OpenAi => serde_json::to_vec(&OpenAiError::new(status, http)),
        ErrorShape::OAuth2 => serde_json::to_vec(&OAuth2Error::new(status, http)),
        ErrorShape::Anthropic => serde_json::to_vec(&AnthropicError::new(status, http)),
    };
    written.unwrap_or_else(|_| b"{}".to_vec())
}

/// `google.rpc.Status` as JSON, with the name of the code beside its number.
#[derive(Serialize)]
struct StatusBody<'a> {
    code: i32,
    status: &'static str,
    message: &'a str,
    details: Vec<Box<RawValue>>,
}

impl<'a> StatusBody<'a> {
    fn new(plans: Option<&Plans>, status: &'a Status) -> Self {
        let code = status.code();
        let details = details::json(plans, status.details());
        Self { code: code as i32, status: code_name(code), message: status.message(), details }
    }
}

/// OpenAI's error. Source: <https://platform.openai.com/docs/guides/error-codes>.
#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<String>,
    code: Option<String>,
}

impl<'a> OpenAiError<'a> {
    fn new(status: &'a Status, http: StatusCode) -> Self {
        let details = status.get_error_details();
        let violation = details.bad_request().and_then(|bad| bad.field_violations.first());
        Self {
            message: status.message(),
            r#type: match http.as_u16() {
                401 => "authentication_error",
                403 => "permission_error",
                429 => "rate_limit_error",
                400..=498 => "invalid_request_error",
                _ => "server_error",
            },
            param: violation.map(|violation| violation.field.clone()).filter(|field| !field.is_empty()),
            // An API may name what clients of this shape know the reason by. Where a field broke a rule, that is it.
            code: details
                .error_info()
                .map(|info| info.metadata.get("code").cloned().unwrap_or_else(|| info.reason.to_ascii_lowercase()))
                .or_else(|| violation.map(|violation| violation.reason.clone()).filter(|rule| !rule.is_empty())),
        }
    }
}

/// Anthropic's error. Source: <https://docs.claude.com/en/api/errors>.
#[derive(Serialize)]
struct AnthropicError<'a> {
    r#type: &'static str,
    message: &'a str,
}

impl<'a> AnthropicError<'a> {
    fn new(status: &'a Status, http: StatusCode) -> Self {
        let r#type = match http.as_u16() {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            400..=498 => "invalid_request_error",
            503 | 529 => "overloaded_error",
            504 => "timeout_error",
            _ => "api_error",
        };
        Self { r#type, message: status.message() }
    }
}

/// OAuth 2.0's error. Source: RFC 6749, section 5.2; `server_error` and `temporarily_unavailable` are of section 4.1.2.1.
#[derive(Serialize)]
struct OAuth2Error<'a> {
    error: String,
    error_description: Cow<'a, str>,
}

impl<'a> OAuth2Error<'a> {
    fn new(status: &'a Status, http: StatusCode) -> Self {
        let usual = match http.as_u16() {
            401 => "invalid_client",
            403 => "access_denied",
            429 | 503 | 504 => "temporarily_unavailable",
            400..=499 => "invalid_request",
            _ => "server_error",
        };
        let reason = status.get_details_error_info().map(|info| info.reason.to_ascii_lowercase());
        // Visible ASCII without quotes and backslashes alone may stand in a description.
        let allowed = |letter: char| matches!(letter, ' '..='~') && !matches!(letter, '"' | '\\');
        let error_description = match status.message() {
            message if message.chars().all(allowed) => Cow::Borrowed(message),
            message => Cow::Owned(message.chars().map(|letter| if allowed(letter) { letter } else { '\'' }).collect()),
        };
        Self { error: reason.unwrap_or_else(|| usual.to_owned()), error_description }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic_types::ErrorDetails;

    use super::*;

    fn sample() -> Status {
        let mut details = ErrorDetails::with_bad_request_violation("messages[0].role", "is missing");
        details.set_error_info("MODEL_NOT_FOUND", "sabir", std::collections::HashMap::new());
        details.set_retry_info(Some(Duration::from_millis(1200)));
        Status::with_error_details(Code::InvalidArgument, "no", details)
    }

    #[test]
    fn each_shape_names_the_field() {
        let status: serde_json::Value =
            serde_json::from_slice(&body(None, ErrorShape::Status, &sample(), StatusCode::BAD_REQUEST)).unwrap();
        assert_eq!(status["status"], "INVALID_ARGUMENT");
        let expected = serde_json::json!([
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.200s"},
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "MODEL_NOT_FOUND", "domain": "sabir"},
            {"@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "messages[0].role", "description": "is missing"}]},
        ]);
        assert_eq!(status["details"], expected);
        let openai: serde_json::Value =
            serde_json::from_slice(&body(None, ErrorShape::OpenAi, &sample(), StatusCode::BAD_REQUEST)).unwrap();
        let expected = serde_json::json!({"error": {"message": "no", "type": "invalid_request_error",
            "param": "messages[0].role", "code": "model_not_found"}});
        assert_eq!(openai, expected);
        let oauth2 = |status: &Status| -> serde_json::Value {
            serde_json::from_slice(&body(None, ErrorShape::OAuth2, status, StatusCode::BAD_REQUEST)).unwrap()
        };
        let expected = serde_json::json!({"error": "model_not_found", "error_description": "no"});
        assert_eq!(oauth2(&sample()), expected);
        let expected = serde_json::json!({"error": "invalid_request", "error_description": "'a' is 'b'"});
        assert_eq!(oauth2(&Status::invalid_argument("\"a\" is \\b\u{e9}")), expected);
    }

    #[test]
    fn a_reason_may_have_another_name_in_openais_shape() {
        let mut details = ErrorDetails::new();
        let metadata = std::collections::HashMap::from([("code".to_owned(), "known_by_this".to_owned())]);
        details.set_error_info("OUR_REASON", "sabir", metadata);
        let status = Status::with_error_details(Code::ResourceExhausted, "no", details);
        let openai: serde_json::Value =
            serde_json::from_slice(&body(None, ErrorShape::OpenAi, &status, StatusCode::TOO_MANY_REQUESTS)).unwrap();
        assert_eq!(openai["error"]["code"], "known_by_this");
    }

    #[test]
    fn a_retry_delay_becomes_whole_seconds_rounded_up() {
        let response = http_response(ErrorShape::Status, &sample(), None);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }
}

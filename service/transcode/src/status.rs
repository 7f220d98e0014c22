//! gRPC status to HTTP: the code, the body in the shape the API has, and the headers that go with it.
//!
//! The one file that turns a `Status` into an HTTP error. Source of the codes:
//! <https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>.

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

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

/// The HTTP answer to a failed request.
pub(crate) fn http_response(shape: ErrorShape, status: &Status, http: Option<StatusCode>) -> Response<Body> {
    let http = http.unwrap_or_else(|| http_status(status.code()));
    let mut response = Response::new(Body::new(Full::from(body(shape, status, http))));
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
pub(crate) fn body(shape: ErrorShape, status: &Status, http: StatusCode) -> Vec<u8> {
    let written = match shape {
        ErrorShape::Status => serde_json::to_vec(&StatusBody::new(status)),
        ErrorShape::OpenAi => serde_json::to_vec(&OpenAiBody::new(status, http)),
    };
    written.unwrap_or_else(|_| b"{}".to_vec())
}

/// `google.rpc.Status` as JSON, with the name of the code beside its number.
#[derive(Serialize)]
struct StatusBody<'a> {
    code: i32,
    status: &'static str,
    message: &'a str,
    details: Vec<Detail>,
}

#[derive(Serialize)]
#[serde(tag = "@type")]
enum Detail {
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo { reason: String, domain: String, metadata: std::collections::BTreeMap<String, String> },
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest", rename_all = "camelCase")]
    BadRequest { field_violations: Vec<Violation> },
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo", rename_all = "camelCase")]
    RetryInfo { retry_delay: String },
}

#[derive(Serialize)]
struct Violation {
    field: String,
    description: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

impl<'a> StatusBody<'a> {
    fn new(status: &'a Status) -> Self {
        let given = status.get_error_details();
        let mut details = Vec::new();
        if let Some(info) = given.error_info() {
            details.push(Detail::ErrorInfo {
                reason: info.reason.clone(),
                domain: info.domain.clone(),
                metadata: info.metadata.clone().into_iter().collect(),
            });
        }
        if let Some(bad) = given.bad_request() {
            let violations = bad.field_violations.iter().map(|violation| Violation {
                field: violation.field.clone(),
                description: violation.description.clone(),
                reason: violation.reason.clone(),
            });
            details.push(Detail::BadRequest { field_violations: violations.collect() });
        }
        if let Some(delay) = given.retry_info().and_then(|info| info.retry_delay) {
            details.push(Detail::RetryInfo { retry_delay: format!("{}s", delay.as_secs_f64()) });
        }
        let code = status.code();
        Self { code: code as i32, status: code_name(code), message: status.message(), details }
    }
}

/// OpenAI's error body. Source: <https://platform.openai.com/docs/guides/error-codes>.
#[derive(Serialize)]
struct OpenAiBody<'a> {
    error: OpenAiError<'a>,
}

#[derive(Serialize)]
struct OpenAiError<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<String>,
    code: Option<String>,
}

impl<'a> OpenAiBody<'a> {
    fn new(status: &'a Status, http: StatusCode) -> Self {
        let details = status.get_error_details();
        let violation = details.bad_request().and_then(|bad| bad.field_violations.first());
        Self {
            error: OpenAiError {
                message: status.message(),
                r#type: match http.as_u16() {
                    401 => "authentication_error",
                    403 => "permission_error",
                    429 => "rate_limit_error",
                    400..=498 => "invalid_request_error",
                    _ => "server_error",
                },
                param: violation.map(|violation| violation.field.clone()).filter(|field| !field.is_empty()),
                code: details.error_info().map(|info| info.reason.to_ascii_lowercase()),
            },
        }
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
            serde_json::from_slice(&body(ErrorShape::Status, &sample(), StatusCode::BAD_REQUEST)).unwrap();
        assert_eq!(status["status"], "INVALID_ARGUMENT");
        assert_eq!(status["details"][1]["fieldViolations"][0]["field"], "messages[0].role");
        assert_eq!(status["details"][2]["retryDelay"], "1.2s");
        let openai: serde_json::Value =
            serde_json::from_slice(&body(ErrorShape::OpenAi, &sample(), StatusCode::BAD_REQUEST)).unwrap();
        let expected = serde_json::json!({"error": {"message": "no", "type": "invalid_request_error",
            "param": "messages[0].role", "code": "model_not_found"}});
        assert_eq!(openai, expected);
    }

    #[test]
    fn a_retry_delay_becomes_whole_seconds_rounded_up() {
        let response = http_response(ErrorShape::Status, &sample(), None);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }
}

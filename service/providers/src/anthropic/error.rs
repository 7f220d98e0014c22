//! What errors mean. Source: <https://docs.claude.com/en/api/errors>.

use serde::Deserialize;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::failure;

/// `{"type": "error", "error": {"type": "overloaded_error", "message": "..."}}`.
#[derive(Deserialize, Default)]
struct Body {
    error: Option<Said>,
}

#[derive(Deserialize, Default)]
struct Said {
    r#type: Option<String>,
    message: Option<String>,
}

/// Reads an error, from an answer with this status, or without one from within a stream.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    let said = serde_json::from_slice::<Body>(body).ok().and_then(|body| body.error);
    let said = said.unwrap_or_else(|| Said { r#type: None, message: failure::plain_text(body) });
    let message = said.message.unwrap_or_else(|| failure::silent(status));
    let kind = said.r#type.as_deref().and_then(|word| by_word(word, &message));
    let kind = kind.or_else(|| status.map(failure::by_status)).unwrap_or(UpstreamErrorKind::Internal);
    UpstreamError { status, code: said.r#type, ..UpstreamError::new(kind, failure::shortened(message)) }
}

fn by_word(word: &str, message: &str) -> Option<UpstreamErrorKind> {
    Some(match word {
        // The one word that means several things.
        "invalid_request_error" if failure::says_too_long(message) => UpstreamErrorKind::ContextLength,
        "invalid_request_error" if message.contains("credit balance") => UpstreamErrorKind::RateLimited,
        "invalid_request_error" => UpstreamErrorKind::InvalidRequest,
        "authentication_error" => UpstreamErrorKind::Authentication,
        "billing_error" | "rate_limit_error" => UpstreamErrorKind::RateLimited,
        "permission_error" => UpstreamErrorKind::PermissionDenied,
        "not_found_error" => UpstreamErrorKind::NotFound,
        "request_too_large" => UpstreamErrorKind::TooLarge,
        "overloaded_error" => UpstreamErrorKind::Overloaded,
        "timeout_error" => UpstreamErrorKind::Timeout,
        "api_error" => UpstreamErrorKind::Internal,
        _ => return None,
    })
}

//! What errors mean. Sources: <https://ai.google.dev/gemini-api/docs/troubleshooting>,
//! <https://cloud.google.com/apis/design/errors>.

use std::time::Duration;

use serde::Deserialize;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::failure;

/// `{"error": {"code": 429, "message": "...", "status": "RESOURCE_EXHAUSTED", "details": [...]}}`, which some methods put
/// into a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    One { error: Said },
    Listed([One; 1]),
}

#[derive(Deserialize)]
struct One {
    error: Said,
}

#[derive(Deserialize, Default)]
struct Said {
    code: Option<u16>,
    message: Option<String>,
    status: Option<String>,
    #[serde(default)]
    details: Vec<Detail>,
}

/// Of the many kinds of details, the members that say something to us.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    reason: Option<String>,
    retry_delay: Option<String>,
    #[serde(default)]
    field_violations: Vec<Violation>,
}

#[derive(Deserialize)]
struct Violation {
    field: Option<String>,
}

/// Reads an error, from an answer with this status, or without one from within an answer.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    let said = match serde_json::from_slice::<Body>(body) {
        Ok(Body::One { error } | Body::Listed([One { error }])) => error,
        Err(_) => Said { message: failure::plain_text(body), ..Said::default() },
    };
    // Within an answer, the status that it would have had is a number beside the word.
    let meant = status.or(said.code);
    let message = said.message.unwrap_or_else(|| failure::silent(meant));
    let reason = said.details.iter().find_map(|detail| detail.reason.as_deref());
    let kind = said.status.as_deref().and_then(|word| by_word(word, reason, &message));
    let kind = kind.or_else(|| meant.map(failure::by_status)).unwrap_or(UpstreamErrorKind::Internal);
    let mut fields = said.details.iter().flat_map(|detail| &detail.field_violations);
    UpstreamError {
        kind,
        status,
        message: failure::shortened(message),
        param: fields.find_map(|violation| violation.field.clone()).filter(|field| !field.is_empty()),
        retry_after: said.details.iter().find_map(|detail| seconds(detail.retry_delay.as_deref()?)),
        code: reason.map(str::to_owned).or(said.status),
    }
}

fn by_word(word: &str, reason: Option<&str>, message: &str) -> Option<UpstreamErrorKind> {
    Some(match word {
        // The one word that means several things.
        "INVALID_ARGUMENT" if is_about_the_key(reason, message) => UpstreamErrorKind::Authentication,
        "INVALID_ARGUMENT" if is_too_long(message) => UpstreamErrorKind::ContextLength,
        "INVALID_ARGUMENT" if message.contains("payload size exceeds") => UpstreamErrorKind::TooLarge,
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" => UpstreamErrorKind::InvalidRequest,
        "FAILED_PRECONDITION" if message.contains("location is not supported") => UpstreamErrorKind::PermissionDenied,
        "FAILED_PRECONDITION" => UpstreamErrorKind::InvalidRequest,
        "UNAUTHENTICATED" => UpstreamErrorKind::Authentication,
        "PERMISSION_DENIED" => UpstreamErrorKind::PermissionDenied,
        "NOT_FOUND" => UpstreamErrorKind::NotFound,
        "RESOURCE_EXHAUSTED" => UpstreamErrorKind::RateLimited,
        "UNAVAILABLE" => UpstreamErrorKind::Overloaded,
        "DEADLINE_EXCEEDED" => UpstreamErrorKind::Timeout,
        "INTERNAL" | "UNKNOWN" => UpstreamErrorKind::Internal,
        _ => return None,
    })
}

fn is_about_the_key(reason: Option<&str>, message: &str) -> bool {
    reason == Some("API_KEY_INVALID") || message.contains("API key not valid") || message.contains("API key expired")
}

fn is_too_long(message: &str) -> bool {
    failure::says_too_long(message) || message.contains("exceeds the maximum number of tokens")
}

/// A duration such as `21.5s`.
fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.strip_suffix('s')?.parse().ok()?).ok()
}

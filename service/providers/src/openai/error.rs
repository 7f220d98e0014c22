//! What errors mean: OpenAI's `{"error": {...}}` and the variants that other servers send in its place.
//!
//! Sources: <https://platform.openai.com/docs/guides/error-codes> and the error bodies that the tests quote.

mod body;

use std::collections::BTreeMap;

use self::body::Said;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::failure;

/// Whether a document that was read as an answer is an error: it has a member `error` that says something, or calls
/// itself one (vLLM, Mistral).
pub(super) fn is_error(object: &str, additional_members: &BTreeMap<String, String>) -> bool {
    object == "error" || additional_members.get("error").is_some_and(|text| !matches!(text.as_str(), "" | "null"))
}

/// Reads an error, from an answer with this status, or without one from within an answer.
pub(crate) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    let said = Said::read(body);
    // Within a stream, OpenRouter and vLLM give the status that the answer would have had as a number for a code.
    let meant = status.or(said.status);
    let message = failure::shortened(said.message.clone().unwrap_or_else(|| failure::silent(meant)));
    UpstreamError { kind: kind(meant, &said), status, message, param: said.param, code: said.code, retry_after: None }
}

/// Tells the kind: by the upstream's own words where they are specific, else by the status, else by what is left.
fn kind(status: Option<u16>, said: &Said) -> UpstreamErrorKind {
    let words = || [&said.code, &said.error_type].into_iter().flatten();
    words()
        .find_map(|word| by_specific_word(word))
        .or_else(|| by_message(status, said.message.as_deref()?))
        .or_else(|| status.map(failure::by_status))
        .or_else(|| words().find_map(|word| by_general_word(word)))
        .unwrap_or(UpstreamErrorKind::Internal)
}

fn by_specific_word(word: &str) -> Option<UpstreamErrorKind> {
    Some(match word {
        "context_length_exceeded" | "exceed_context_size_error" => UpstreamErrorKind::ContextLength,
        "content_filter" | "content_policy_violation" | "ResponsibleAIPolicyViolation" => {
            UpstreamErrorKind::ContentFilter
        }
        "model_not_found" | "DeploymentNotFound" => UpstreamErrorKind::NotFound,
        "insufficient_quota" | "rate_limit_exceeded" | "billing_hard_limit_reached" => UpstreamErrorKind::RateLimited,
        "invalid_api_key" | "authentication_error" => UpstreamErrorKind::Authentication,
        "overloaded_error" | "engine_overloaded" | "capacity_exceeded" => UpstreamErrorKind::Overloaded,
        _ => return None,
    })
}

/// Most servers say only in words that a prompt is too long.
fn by_message(status: Option<u16>, message: &str) -> Option<UpstreamErrorKind> {
    let refused = matches!(status, None | Some(400 | 413 | 422));
    (refused && failure::says_too_long(message)).then_some(UpstreamErrorKind::ContextLength)
}

/// Words that say no more than a status would, for errors without one.
fn by_general_word(word: &str) -> Option<UpstreamErrorKind> {
    Some(match word {
        "invalid_request_error" | "BadRequestError" | "validation" => UpstreamErrorKind::InvalidRequest,
        "permission_error" => UpstreamErrorKind::PermissionDenied,
        "not_found_error" | "NotFoundError" => UpstreamErrorKind::NotFound,
        "rate_limit_error" => UpstreamErrorKind::RateLimited,
        "service_unavailable" | "unavailable_error" => UpstreamErrorKind::Overloaded,
        "timeout" | "request_timeout" => UpstreamErrorKind::Timeout,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

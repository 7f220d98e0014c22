//! What errors mean: OpenAI's `{"error": {...}}` and the variants that other servers send in its place.
//!
//! Sources: <https://platform.openai.com/docs/guides/error-codes> and the error bodies that the tests quote.

mod body;

use std::collections::BTreeMap;

use self::body::Said;
use crate::error::{UpstreamError, UpstreamErrorKind};

/// The longest message that is passed on, in bytes. Some servers send whole pages or the prompt itself.
const LONGEST_MESSAGE: usize = 2048;

/// Whether a document that was read as an answer is an error: it has a member `error` that says something, or calls
/// itself one (vLLM, Mistral).
pub(super) fn is_error(object: &str, additional_members: &BTreeMap<String, String>) -> bool {
    object == "error" || additional_members.get("error").is_some_and(|text| !matches!(text.as_str(), "" | "null"))
}

/// Reads an error, from an answer with this status, or without one from within an answer.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    let said = Said::read(body);
    // Within a stream, OpenRouter and vLLM give the status that the answer would have had as a number for a code.
    let meant = status.or(said.status);
    let mut message = said.message.clone().unwrap_or_else(|| silent(meant));
    truncate(&mut message);
    UpstreamError { kind: kind(meant, &said), status, message, param: said.param, code: said.code, retry_after: None }
}

/// Tells the kind: by the upstream's own words where they are specific, else by the status, else by what is left.
fn kind(status: Option<u16>, said: &Said) -> UpstreamErrorKind {
    let words = || [&said.code, &said.error_type].into_iter().flatten();
    words()
        .find_map(|word| by_specific_word(word))
        .or_else(|| by_message(status, said.message.as_deref()?))
        .or_else(|| status.map(by_status))
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
    const TOO_LONG: [&str; 4] = ["maximum context length", "maximum prompt length", "context window", "context size"];
    let refused = matches!(status, None | Some(400 | 413 | 422));
    let message = refused.then(|| message.to_ascii_lowercase())?;
    TOO_LONG.iter().any(|words| message.contains(words)).then_some(UpstreamErrorKind::ContextLength)
}

fn by_status(status: u16) -> UpstreamErrorKind {
    match status {
        401 => UpstreamErrorKind::Authentication,
        // DeepSeek and OpenRouter: the account has run out of money.
        402 => UpstreamErrorKind::RateLimited,
        403 => UpstreamErrorKind::PermissionDenied,
        404 => UpstreamErrorKind::NotFound,
        413 => UpstreamErrorKind::TooLarge,
        429 => UpstreamErrorKind::RateLimited,
        // 498 is Groq's for no capacity in the flex tier, 529 a custom for overload.
        498 | 503 | 529 => UpstreamErrorKind::Overloaded,
        // 522 and 524 are Cloudflare's for a server behind it that did not connect or answer in time.
        408 | 504 | 522 | 524 => UpstreamErrorKind::Timeout,
        502 | 520 | 521 | 523 | 525 | 526 | 530 => UpstreamErrorKind::Unavailable,
        400..=499 => UpstreamErrorKind::InvalidRequest,
        500..=599 => UpstreamErrorKind::Internal,
        // A redirect, or a status that HTTP does not know.
        _ => UpstreamErrorKind::Protocol,
    }
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

fn silent(status: Option<u16>) -> String {
    match status {
        Some(status) => format!("the upstream answered with status {status} and no reason"),
        None => "the upstream reported an error without a reason".to_owned(),
    }
}

fn truncate(message: &mut String) {
    if message.len() > LONGEST_MESSAGE {
        let end = (0..=LONGEST_MESSAGE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
}

#[cfg(test)]
mod tests;

//! What errors mean: those of HTTP are OpenAI's; within an answer they have a shape of their own.

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::openai::error as openai;

/// Reads an error from an answer with this status.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    openai::read(status, body)
}

/// Reads an event of type `error`.
///
/// Source: <https://platform.openai.com/docs/api-reference/responses-streaming/error>.
pub(super) fn read_event(data: &[u8]) -> UpstreamError {
    // At its top, or a level deeper with newer servers.
    let error = openai::read(None, data);
    match error.kind {
        UpstreamErrorKind::Internal => UpstreamError { kind: kind(error.code.as_deref()), ..error },
        _ => error,
    }
}

/// The error of a response that has failed. Source: <https://platform.openai.com/docs/api-reference/responses/object>.
pub(super) fn of(code: Option<String>, message: Option<String>, param: Option<String>) -> UpstreamError {
    let kind = kind(code.as_deref());
    let message = message.filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| "the upstream failed while answering, and did not say why".to_owned());
    UpstreamError { param, code, ..UpstreamError::new(kind, crate::failure::shortened(message)) }
}

fn kind(code: Option<&str>) -> UpstreamErrorKind {
    match code {
        Some("rate_limit_exceeded" | "insufficient_quota" | "too_many_requests") => UpstreamErrorKind::RateLimited,
        Some("invalid_prompt" | "invalid_image" | "image_parse_error" | "invalid_request_error") => {
            UpstreamErrorKind::InvalidRequest
        }
        Some("context_length_exceeded") => UpstreamErrorKind::ContextLength,
        Some("image_content_policy_violation" | "content_filter" | "cyber_policy_violation") => {
            UpstreamErrorKind::ContentFilter
        }
        Some("vector_store_timeout") => UpstreamErrorKind::Timeout,
        Some("server_is_overloaded" | "slow_down") => UpstreamErrorKind::Overloaded,
        _ => UpstreamErrorKind::Internal,
    }
}

//! What errors mean. Source: <https://docs.cohere.com/reference/errors>.

use serde::Deserialize;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::failure;

/// `{"id": "...", "message": "invalid api token"}`.
#[derive(Deserialize)]
struct Body {
    message: Option<String>,
}

/// Reads an error, from an answer with this status, or without one from within a stream.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    let message = match serde_json::from_slice::<Body>(body) {
        Ok(body) => body.message.filter(|message| !message.is_empty()),
        Err(_) => failure::plain_text(body),
    };
    said(status, message)
}

/// The error of a message, if there is one.
pub(super) fn said(status: Option<u16>, message: Option<String>) -> UpstreamError {
    let message = message.unwrap_or_else(|| failure::silent(status));
    let (kind, param) = by_words(&message);
    let kind = kind.or_else(|| status.map(by_status)).unwrap_or(UpstreamErrorKind::Internal);
    let param = param.map(str::to_owned);
    UpstreamError { status, param, ..UpstreamError::new(kind, failure::shortened(message)) }
}

/// An answer that the model could not finish.
pub(super) fn unfinished(reason: &str, message: Option<String>) -> UpstreamError {
    let message = message.filter(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| format!("the model stopped with {reason}"));
    let error = said(None, Some(message)).with_code(reason);
    if reason == "TIMEOUT" { UpstreamError { kind: UpstreamErrorKind::Timeout, ..error } } else { error }
}

fn by_words(message: &str) -> (Option<UpstreamErrorKind>, Option<&'static str>) {
    let message = message.to_ascii_lowercase();
    let says = |words: &str| message.contains(words);
    if says("max tokens must be") {
        (Some(UpstreamErrorKind::InvalidRequest), Some("max_tokens"))
    } else if says("too many tokens") || failure::says_too_long(&message) {
        (Some(UpstreamErrorKind::ContextLength), None)
    } else {
        (None, None)
    }
}

fn by_status(status: u16) -> UpstreamErrorKind {
    match status {
        // The prompt or the answer has a word that is on the vendor's list.
        498 => UpstreamErrorKind::ContentFilter,
        // The call was cancelled on its way.
        499 => UpstreamErrorKind::Unavailable,
        501 => UpstreamErrorKind::InvalidRequest,
        status => failure::by_status(status),
    }
}

//! What errors mean. Source: <https://docs.ollama.com/api/errors>.
//!
//! An error is a sentence; what it is about is found in its words.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::failure;

/// `{"error": "model 'x' not found"}`.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What servers in front of Ollama put in place of the sentence.
#[derive(Deserialize)]
struct Said {
    message: Option<String>,
}

/// Reads an error, from an answer with this status, or without one from within an answer.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    let message = match serde_json::from_slice::<Body<'_>>(body) {
        Ok(body) => body.error.and_then(sentence),
        Err(_) => failure::plain_text(body),
    };
    let message = message.unwrap_or_else(|| failure::silent(status));
    let kind = by_words(&message).or_else(|| status.map(failure::by_status)).unwrap_or(UpstreamErrorKind::Internal);
    let param = param(&message).map(str::to_owned);
    UpstreamError { status, param, ..UpstreamError::new(kind, failure::shortened(message)) }
}

fn sentence(error: &RawValue) -> Option<String> {
    let sentence = serde_json::from_str::<String>(error.get()).ok();
    let sentence = sentence.or_else(|| serde_json::from_str::<Said>(error.get()).ok()?.message);
    sentence.filter(|sentence| !sentence.is_empty())
}

fn by_words(message: &str) -> Option<UpstreamErrorKind> {
    let message = message.to_ascii_lowercase();
    let says = |words: &str| message.contains(words);
    if says("context length") || failure::says_too_long(&message) {
        Some(UpstreamErrorKind::ContextLength)
    } else if says("server busy") || says("more system memory") {
        Some(UpstreamErrorKind::Overloaded)
    } else if says("does not support") {
        Some(UpstreamErrorKind::InvalidRequest)
    } else if says("model") && says("not found") {
        Some(UpstreamErrorKind::NotFound)
    } else {
        None
    }
}

/// The member that a model cannot honour, of those that the server checks.
fn param(message: &str) -> Option<&'static str> {
    let (_, what) = message.split_once("does not support ")?;
    match what.split(|character: char| !character.is_ascii_alphabetic()).next()? {
        "tools" => Some("tools"),
        "thinking" => Some("reasoning_effort"),
        "chat" | "embeddings" | "generate" => Some("model"),
        _ => None,
    }
}

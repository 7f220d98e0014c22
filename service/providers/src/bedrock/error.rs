//! What errors mean.
//!
//! The kind of an error is a header of its answer, which is not seen here; so its words count first where they tell more than
//! the status. Within a stream the kind is the name of the message.
//! Sources: <https://docs.aws.amazon.com/bedrock/latest/APIReference/CommonErrors.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>.

use serde::Deserialize;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::failure;

/// `{"message": "The provided model identifier is invalid."}`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(alias = "Message")]
    message: Option<String>,
    #[serde(rename = "__type")]
    kind: Option<String>,
    /// Of errors that come from the model's own server: what it said.
    original_status_code: Option<u16>,
    original_message: Option<String>,
}

/// Reads an error, from an answer with this status, or without one from an answer that is none.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    let body = serde_json::from_slice::<Body>(body)
        .unwrap_or_else(|_| Body { message: failure::plain_text(body), ..Body::default() });
    let kind = body.kind.clone();
    said(status, kind.as_deref(), body)
}

/// Reads an error within a stream.
pub(super) fn exception(name: &str, payload: &[u8]) -> UpstreamError {
    let body = serde_json::from_slice::<Body>(payload).unwrap_or_default();
    said(None, Some(name), body)
}

/// An error within a stream that the service's description does not know.
pub(super) fn unmodelled(code: &str, message: String) -> UpstreamError {
    let message = Some(message).filter(|message| !message.is_empty());
    said(None, Some(code), Body { message, ..Body::default() })
}

fn said(status: Option<u16>, word: Option<&str>, body: Body) -> UpstreamError {
    let word = word.map(plain).filter(|word| !word.is_empty());
    let message = [body.message, body.original_message].into_iter().flatten().find(|message| !message.is_empty());
    let message = message.unwrap_or_else(|| failure::silent(status));
    let (kind, param) = by_message(&message);
    let kind = kind.or_else(|| word.and_then(|word| by_word(word, body.original_status_code)));
    let kind = kind.or_else(|| status.map(by_status)).unwrap_or(UpstreamErrorKind::Internal);
    let (code, param) = (word.map(str::to_owned), param.map(str::to_owned));
    UpstreamError { status, code, param, ..UpstreamError::new(kind, failure::shortened(message)) }
}

/// A word without what some servers put around it: `com.amazon.coral.service#ThrottlingException:http://...`.
fn plain(word: &str) -> &str {
    let word = word.rsplit_once('#').map_or(word, |(_, word)| word);
    word.split(':').next().unwrap_or_default()
}

fn by_message(message: &str) -> (Option<UpstreamErrorKind>, Option<&'static str>) {
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if says(&["too many input tokens", "exceeds the maximum number of tokens", "input tokens exceeded"])
        || failure::says_too_long(&message)
    {
        (Some(UpstreamErrorKind::ContextLength), None)
    } else if says(&[
        "model identifier is invalid",
        "could not resolve the foundation model",
        "reached the end of its life",
    ]) {
        (Some(UpstreamErrorKind::NotFound), Some("model"))
    } else if says(&["with on-demand throughput"]) {
        (Some(UpstreamErrorKind::InvalidRequest), Some("model"))
    } else if says(&["blocked by our content filters", "content filtering policy"]) {
        (Some(UpstreamErrorKind::ContentFilter), None)
    } else if says(&["security token", "request signature", "signature expired", "api key", "bearer token"]) {
        (Some(UpstreamErrorKind::Authentication), None)
    } else if says(&["model is not ready"]) {
        (Some(UpstreamErrorKind::Overloaded), None)
    } else {
        (None, None)
    }
}

/// The kind that a word stands for. The words begin with a small letter within streams, and with a large one elsewhere.
fn by_word(word: &str, original: Option<u16>) -> Option<UpstreamErrorKind> {
    let word = word.to_ascii_lowercase();
    Some(match word.strip_suffix("exception").unwrap_or(&word) {
        "validation" => UpstreamErrorKind::InvalidRequest,
        "accessdenied" => UpstreamErrorKind::PermissionDenied,
        "expiredtoken"
        | "incompletesignature"
        | "invalidclienttokenid"
        | "invalidsignature"
        | "missingauthenticationtoken"
        | "notauthorized"
        | "signaturedoesnotmatch"
        | "unrecognizedclient" => UpstreamErrorKind::Authentication,
        "resourcenotfound" | "unknownoperation" => UpstreamErrorKind::NotFound,
        "throttling" | "servicequotaexceeded" | "toomanyrequests" => UpstreamErrorKind::RateLimited,
        "modelnotready" | "serviceunavailable" => UpstreamErrorKind::Overloaded,
        "modeltimeout" => UpstreamErrorKind::Timeout,
        "modelerror" | "modelstreamerror" => match original {
            Some(status @ (408 | 429 | 500..)) => failure::by_status(status),
            _ => UpstreamErrorKind::Internal,
        },
        "internalserver" | "internalfailure" => UpstreamErrorKind::Internal,
        _ => return None,
    })
}

fn by_status(status: u16) -> UpstreamErrorKind {
    match status {
        // The model's own server failed.
        424 => UpstreamErrorKind::Internal,
        status => failure::by_status(status),
    }
}

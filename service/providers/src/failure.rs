//! What the errors of all vendors have in common: what an HTTP status means, how a message is kept short, how a page in
//! place of an error is read.

use crate::error::UpstreamErrorKind;

/// The longest message that is passed on, in bytes. Some servers send whole pages or the prompt itself.
pub(crate) const LONGEST_MESSAGE: usize = 2048;

/// The kind of an error whose words say no more than its status.
pub(crate) fn by_status(status: u16) -> UpstreamErrorKind {
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

/// Whether a message says that the prompt is too long, which most servers say only in words.
pub(crate) fn says_too_long(message: &str) -> bool {
    const TOO_LONG: [&str; 7] = [
        "maximum context length",
        "maximum prompt length",
        "context window",
        "context size",
        "context limit",
        "prompt is too long",
        "input is too long",
    ];
    let message = message.to_ascii_lowercase();
    TOO_LONG.iter().any(|words| message.contains(words))
}

/// The text of a body that is not JSON. Of a page of HTML only the title is of use.
pub(crate) fn plain_text(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if !text.starts_with('<') {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let (_, rest) = text.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    Some(format!("the upstream answered with a page: {}", title.trim()))
}

/// The message of an error that has none.
pub(crate) fn silent(status: Option<u16>) -> String {
    match status {
        Some(status) => format!("the upstream answered with status {status} and no reason"),
        None => "the upstream reported an error without a reason".to_owned(),
    }
}

/// A message, cut where it becomes too long.
pub(crate) fn shortened(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        message.push('…');
    }
    message
}

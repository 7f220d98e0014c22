//! What the HTTP client's errors mean.

use std::error::Error as StdError;
use std::io;

use http::uri::Authority;
use hyper_util::client::legacy::Error;

use super::watchdog::Expired;
use crate::error::{UpstreamError, UpstreamErrorKind};

/// The error of a call that ran out of time while waiting for `what`.
pub(crate) fn expired(reason: Expired, what: &str) -> UpstreamError {
    let message = match reason {
        Expired::Silence(patience) => format!("the upstream was silent for {patience:?} while we waited for {what}"),
        Expired::Deadline => format!("the deadline passed while we waited for {what} from the upstream"),
    };
    UpstreamError::new(UpstreamErrorKind::Timeout, message)
}

/// The error of an answer whose body broke off.
pub(crate) fn lost_body(error: &hyper::Error) -> UpstreamError {
    let kind = if error.is_parse() { UpstreamErrorKind::Protocol } else { UpstreamErrorKind::Truncated };
    UpstreamError::new(kind, format!("the upstream's answer broke off: {}", root_cause(error)))
}

/// The error of a request that got no answer.
pub(super) fn no_answer(error: &Error, authority: Option<&Authority>) -> UpstreamError {
    let host = authority.map_or("", Authority::as_str);
    let cause = root_cause(error);
    if error.is_connect() {
        let timed_out = find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
        let kind = if timed_out { UpstreamErrorKind::Timeout } else { UpstreamErrorKind::Unavailable };
        return UpstreamError::new(kind, format!("cannot connect to {host}: {cause}"));
    }
    match find::<hyper::Error>(error) {
        Some(error) if error.is_parse() => {
            UpstreamError::new(UpstreamErrorKind::Protocol, format!("{host} does not speak HTTP as we do: {cause}"))
        }
        _ => UpstreamError::new(UpstreamErrorKind::Unavailable, format!("{host} gave no answer: {cause}")),
    }
}

/// Whether the connection was closed before any of the answer arrived.
pub(super) fn closed_without_answer(error: &Error) -> bool {
    let by_peer = |kind| {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
        matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
    };
    !error.is_connect()
        && find::<hyper::Error>(error).is_some_and(|error| {
            error.is_incomplete_message() || find::<io::Error>(error).is_some_and(|error| by_peer(error.kind()))
        })
}

/// The first error of a type among an error and its causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The innermost cause, which says what happened; the errors around it say where.
fn root_cause<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

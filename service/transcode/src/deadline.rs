//! Deadlines, as a request's headers ask for them. They are held elsewhere.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::Status;

/// gRPC's own header. Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A header any HTTP client can set: seconds, with a fraction if need be.
pub const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-server-timeout");

/// Timeouts beyond this are as good as none.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// When the caller stops waiting; in the extensions of every request that has a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(pub Instant);

/// The deadline a request's headers ask for: the earlier one where both headers are there, and never beyond `longest`.
pub(crate) fn of(headers: &HeaderMap, longest: Option<Duration>) -> Result<Option<Deadline>, Status> {
    let mut timeout = longest;
    for (name, parse) in
        [(GRPC_TIMEOUT, parse_grpc as fn(&str) -> Option<Duration>), (TIMEOUT_HEADER, parse_seconds as _)]
    {
        let Some(value) = headers.get(&name) else {
            continue;
        };
        let parsed = value.to_str().ok().and_then(parse).ok_or_else(|| {
            let form = if name == GRPC_TIMEOUT { "digits and a unit, such as 500m" } else { "seconds, such as 1.5" };
            Status::invalid_argument(format!("the header {name} must be {form}"))
        })?;
        timeout = Some(timeout.map_or(parsed, |other| other.min(parsed)));
    }
    Ok(timeout.map(|timeout| Deadline(Instant::now() + timeout.min(LONGEST))))
}

/// One to eight digits and a unit.
fn parse_grpc(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// A number as JSON has it. One that no duration can hold is beyond [`LONGEST`] all the same.
fn parse_seconds(text: &str) -> Option<Duration> {
    // Rust reads `inf` and `nan` too.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds.min(LONGEST.as_secs_f64())).ok()
}

/// A timeout as `grpc-timeout` has it: in the finest unit that eight digits can hold, so that little is lost of it.
pub(crate) fn format_grpc(timeout: Duration) -> HeaderValue {
    let (amount, unit) = match timeout.as_nanos() {
        nanos @ 0..=99_999_999 => (nanos, 'n'),
        nanos @ ..=99_999_999_000 => (nanos / 1_000, 'u'),
        nanos @ ..=99_999_999_000_000 => (nanos / 1_000_000, 'm'),
        nanos => ((nanos / 1_000_000_000).min(99_999_999), 'S'),
    };
    // Digits and a letter are always a header value.
    HeaderValue::try_from(format!("{amount}{unit}")).unwrap_or_else(|_| HeaderValue::from_static("99999999S"))
}

/// The status of a call whose deadline has passed.
pub(crate) fn exceeded() -> Status {
    Status::deadline_exceeded("the deadline has passed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_headers_are_understood_and_the_earlier_wins() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(&headers, None).unwrap(), None);
        headers.insert(GRPC_TIMEOUT, "10S".parse().unwrap());
        headers.insert(TIMEOUT_HEADER, "0.5".parse().unwrap());
        let left = of(&headers, Some(Duration::from_secs(9))).unwrap().unwrap().0 - Instant::now();
        assert!(left <= Duration::from_millis(500) && left > Duration::from_millis(100), "{left:?}");
    }

    #[test]
    fn a_timeout_is_written_as_it_is_read() {
        for (timeout, text) in [
            (Duration::from_nanos(1), "1n"),
            (Duration::from_millis(99), "99000000n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_secs(99), "99000000u"),
            (Duration::from_secs(100), "100000m"),
            (LONGEST, "31536000S"),
        ] {
            assert_eq!(format_grpc(timeout), text);
            assert_eq!(parse_grpc(text), Some(timeout));
        }
    }

    #[test]
    fn seconds_are_any_number_of_json() {
        for (text, seconds) in [("0", 0.0), ("1.5", 1.5), ("25e-2", 0.25), ("1E+3", 1e3)] {
            assert_eq!(parse_seconds(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        assert_eq!(parse_seconds("1.4e+308"), Some(LONGEST));
    }

    #[test]
    fn malformed_timeouts_are_refused() {
        for (name, text) in [
            (GRPC_TIMEOUT, "10"),
            (GRPC_TIMEOUT, "S"),
            (GRPC_TIMEOUT, "123456789S"),
            (GRPC_TIMEOUT, "-1S"),
            (TIMEOUT_HEADER, "soon"),
            (TIMEOUT_HEADER, "-1"),
            (TIMEOUT_HEADER, "inf"),
            (TIMEOUT_HEADER, "nan"),
            (TIMEOUT_HEADER, "1e"),
            (TIMEOUT_HEADER, ""),
        ] {
            let headers = HeaderMap::from_iter([(name.clone(), text.parse().unwrap())]);
            assert!(of(&headers, None).is_err(), "{name}: {text}");
        }
    }
}

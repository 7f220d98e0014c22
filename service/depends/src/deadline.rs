//! The `grpc-timeout` header.
//!
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md> (Requests, `Timeout`).

use std::time::Duration;

/// How long the caller gives the call; `None` if the header is not as it should be.
pub(crate) fn parse(header: &str) -> Option<Duration> {
    let unit = header.len().checked_sub(1).filter(|digits| (1..=8).contains(digits))?;
    let (digits, unit) = header.split_at_checked(unit)?;
    let amount = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse::<u64>().ok())??;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        let minute = Some(Duration::from_secs(60));
        for header in ["60S", "1M", "60000m", "60000000u"] {
            assert_eq!(parse(header), minute, "{header}");
        }
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(parse("7n"), Some(Duration::from_nanos(7)));
        for header in ["", "S", "1", "1s", "+1S", "-1S", " 1S", "123456789S", "1ä", "ä"] {
            assert_eq!(parse(header), None, "{header}");
        }
    }
}

//! `google.protobuf.Timestamp` and `Duration` as text and back.
//!
//! Timestamps are RFC 3339 in UTC with 0, 3, 6 or 9 fractional digits; durations are seconds with an `s`.
//! Source: the comments in google/protobuf/timestamp.proto and duration.proto.

/// The first and last second a timestamp may hold: year 1 and year 9999.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// About 10,000 years.
const DURATION_SECONDS: std::ops::RangeInclusive<i64> = -315_576_000_000..=315_576_000_000;

pub(crate) fn timestamp_text(seconds: i64, nanos: i32) -> Option<String> {
    if !TIMESTAMP_SECONDS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return None;
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = fraction_text(nanos as u32);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

pub(crate) fn duration_text(seconds: i64, nanos: i32) -> Option<String> {
    let signs_agree = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    if !DURATION_SECONDS.contains(&seconds) || !(-999_999_999..=999_999_999).contains(&nanos) || !signs_agree {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    Some(format!("{sign}{}{}s", seconds.abs(), fraction_text(nanos.unsigned_abs())))
}

/// `.` and 3, 6 or 9 digits; nothing for zero.
fn fraction_text(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        _ if nanos.is_multiple_of(1_000_000) => format!(".{:03}", nanos / 1_000_000),
        _ if nanos.is_multiple_of(1_000) => format!(".{:06}", nanos / 1_000),
        _ => format!(".{nanos:09}"),
    }
}

pub(super) fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| bytes.get(at) != Some(&byte)) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let rest = text.get(19..)?;
    let zone_at = rest.find(['Z', '+', '-'])?;
    let nanos = parse_fraction(&rest[..zone_at])?;
    let offset = match &rest[zone_at..] {
        "Z" => 0,
        zone if zone.len() == 6 && zone.as_bytes()[3] == b':' => {
            let at = text.len() - 6;
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            let seconds = hours * 3600 + minutes * 60;
            if zone.starts_with('-') { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    TIMESTAMP_SECONDS.contains(&seconds).then_some((seconds, nanos))
}

pub(super) fn parse_duration(text: &str) -> Option<(i64, i32)> {
    let number = text.strip_suffix('s')?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (seconds, nanos): (i64, i32) = (whole.parse().ok()?, parse_fraction(fraction)?);
    let sign = if negative { -1 } else { 1 };
    DURATION_SECONDS.contains(&seconds).then_some((sign * seconds, sign as i32 * nanos))
}

/// Nothing, or `.` and one to nine digits.
fn parse_fraction(text: &str) -> Option<i32> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix('.')?;
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// The civil date of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
/// Eras of 400 years beginning on March 1st make the leap day the last day of a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The reverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_they_are_written() {
        for seconds in [-62_135_596_800, -1, 0, 1, 951_782_400, 1_790_000_000, 253_402_300_799] {
            for nanos in [0, 1, 1_000, 120_000_000, 999_999_999] {
                let text = timestamp_text(seconds, nanos);
                assert_eq!(text.as_deref().and_then(parse_timestamp), Some((seconds, nanos)), "{text:?}");
            }
        }
        assert_eq!(parse_timestamp("2000-02-29T01:00:00+01:00"), Some((951_782_400, 0)));
        for bad in ["2001-02-29T00:00:00Z", "2000-01-01", "2000-01-01T00:00:00", "2000-01-01t00:00:00Z", ""] {
            assert_eq!(parse_timestamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_read_as_they_are_written() {
        for (seconds, nanos) in [(0, 0), (1, 500_000_000), (-1, -1), (0, -500), (315_576_000_000, 0)] {
            let text = duration_text(seconds, nanos);
            assert_eq!(text.as_deref().and_then(parse_duration), Some((seconds, nanos)), "{text:?}");
        }
        for (seconds, nanos) in [(0, i32::MIN), (0, 1_000_000_000), (1, -1), (i64::MIN, 0), (315_576_000_001, 0)] {
            assert_eq!(duration_text(seconds, nanos), None, "{seconds} {nanos}");
        }
        for bad in ["1", "s", ".5s", "1.s", "1e3s", "315576000001s", "- 1s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}

//! Times as the protocol writes them: RFC 3339.

/// Seconds since 1970 UTC of a time such as `2025-10-26T17:15:24.097767Z`. `None` if it is none.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok().map(i64::from);
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let zone = text.get(19..)?.trim_start_matches(|character: char| character == '.' || character.is_ascii_digit());
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let part = |range: std::ops::Range<usize>| zone.get(range)?.parse::<u32>().ok().map(i64::from);
            sign * (part(1..3)? * 3600 + part(4..6)? * 60)
        }
    };
    // The day's number, by years that begin in March, so that the odd day is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_zone_are_read_and_others_are_none() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2025-10-26T17:15:24.097767Z", Some(1_761_498_924)),
            ("2025-10-26T10:15:24.097767123-07:00", Some(1_761_498_924)),
            ("2024-02-29T23:59:60+05:30", Some(1_709_231_400)),
            ("2024-03-01T00:00:00Z", Some(1_709_251_200)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800)),
            ("yesterday", None),
            ("2025-10-26T17:15:24", None),
            ("2025-10-26T17:15:24ä", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}

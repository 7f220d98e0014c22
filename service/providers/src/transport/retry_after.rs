//! How long an upstream asks us to wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest wait that is passed on. More is a mistake or as good as never.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Reads `retry-after-ms` (OpenAI, Azure: milliseconds) or `Retry-After` (RFC 9110 section 10.2.3: seconds or a date).
///
/// A date is measured against the answer's own `Date`, because two clocks rarely agree; `now` stands in if there is
/// none.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str| text.parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number).ok());
    let wait = match text("retry-after-ms").and_then(seconds) {
        Some(thousandfold) => thousandfold / 1000,
        None => {
            let value = text(RETRY_AFTER.as_str())?;
            match seconds(value) {
                Some(wait) => wait,
                None => {
                    let from =
                        text(DATE.as_str()).and_then(unix_time).or_else(|| now.duration_since(UNIX_EPOCH).ok())?;
                    unix_time(value)?.saturating_sub(from)
                }
            }
        }
    };
    Some(wait.min(LONGEST))
}

/// Reads the preferred date format of HTTP, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7), as the time since
/// the Unix epoch. The two obsolete formats, which no LLM server sends, are not read.
fn unix_time(date: &str) -> Option<Duration> {
    let (_, date) = date.split_once(", ")?;
    let mut words = date.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(|number| number.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let plausible = (1970..10_000).contains(&year) && (1..=31).contains(&day);
    if words.next()? != "GMT" || !plausible || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let days = days_from_epoch(year, month, day);
    u64::try_from(((days * 24 + hour) * 60 + minute) * 60 + second).ok().map(Duration::from_secs)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the leap day is the
/// last of its year and the lengths of the months before it follow one formula.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let map = headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect();
        retry_after(&map, UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_read() {
        assert_eq!(wait(&[("retry-after", "20")]), Some(Duration::from_secs(20)));
        assert_eq!(wait(&[("retry-after", "1.5")]), Some(Duration::from_millis(1500)));
        assert_eq!(wait(&[("retry-after", "20"), ("retry-after-ms", "250")]), Some(Duration::from_millis(250)));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")]), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_date_is_measured_against_the_servers_clock() {
        let date = ("date", "Tue, 29 Feb 2000 23:59:50 GMT");
        let until = ("retry-after", "Wed, 01 Mar 2000 00:00:00 GMT");
        assert_eq!(wait(&[until, date]), Some(Duration::from_secs(10)));
        assert_eq!(wait(&[("retry-after", date.1), ("date", until.1)]), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_ignored_and_ages_are_cut() {
        for value in ["", "soon", "-5", "NaN", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 1994"] {
            assert_eq!(wait(&[("retry-after", value)]), None, "{value}");
        }
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&[("retry-after", "99999999")]), Some(LONGEST));
    }
}

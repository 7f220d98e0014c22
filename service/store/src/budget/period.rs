//! When budgets begin again: at midnight UTC, of every day, every Monday, or every first of a month.

/// How often a budget begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BudgetPeriod {
    /// Never.
    Total,
    /// At midnight.
    Day,
    /// At midnight from Sunday to Monday, as weeks are in ISO 8601.
    Week,
    /// At midnight before the first of the month.
    Month,
}

/// A stretch of time, in microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it begins. The period that never ends began at 0.
    pub starts_at_micros: i64,
    /// When the next begins; `None` if none does.
    pub ends_at_micros: Option<i64>,
}

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// The days of 400 years, after which the calendar repeats itself.
const DAYS_OF_ERA: i64 = 146_097;

/// From 0000-03-01, with which the count below begins, to 1970-01-01.
const EPOCH: i64 = 719_468;

impl BudgetPeriod {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Total, Self::Day, Self::Week, Self::Month];

    /// The name, as tables, the API and the command line have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "none",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The period of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == name)
    }

    /// The period that this time is in.
    pub fn span(self, now_micros: i64) -> Span {
        let today = now_micros.div_euclid(DAY);
        let (first, next) = match self {
            Self::Total => return Span { starts_at_micros: 0, ends_at_micros: None },
            Self::Day => (today, today + 1),
            Self::Week => {
                // 1970-01-01 was a Thursday, three days after a Monday.
                let monday = today - (today + 3).rem_euclid(7);
                (monday, monday + 7)
            }
            Self::Month => {
                let (year, month) = month_of(today);
                let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                (first_of(year, month), first_of(next_year, next_month))
            }
        };
        Span { starts_at_micros: first * DAY, ends_at_micros: Some(next * DAY) }
    }
}

/// The year and the month of a day since 1970-01-01. Years are counted from March, so that the leap day is the last.
/// Source: <https://howardhinnant.github.io/date_algorithms.html>
fn month_of(day: i64) -> (i64, i64) {
    let day = day + EPOCH;
    let era = day.div_euclid(DAYS_OF_ERA);
    let day_of_era = day.rem_euclid(DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March have 31, 30, 31, 30, 31 days, five of them 153.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

/// The first day of a month, since 1970-01-01: [`month_of`] the other way.
fn first_of(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year.div_euclid(400) * DAYS_OF_ERA + day_of_era - EPOCH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_at_midnight_utc() {
        // `date -u -d 2028-02-29T13:14:15 +%s`, a Tuesday in a leap year.
        let now = 1_835_442_855_000_000;
        let days = |period: BudgetPeriod| {
            let span = period.span(now);
            (span.starts_at_micros / DAY, span.ends_at_micros.map(|end| end / DAY))
        };
        assert_eq!(days(BudgetPeriod::Total), (0, None));
        assert_eq!(days(BudgetPeriod::Day), (21_243, Some(21_244)));
        assert_eq!(days(BudgetPeriod::Week), (21_242, Some(21_249)));
        assert_eq!(days(BudgetPeriod::Month), (21_215, Some(21_244)));
        assert!(BudgetPeriod::ALL.into_iter().all(|period| BudgetPeriod::parse(period.as_str()) == Some(period)));
    }

    #[test]
    fn every_moment_of_800_years_is_in_a_period_that_touches_the_next() {
        for period in [BudgetPeriod::Day, BudgetPeriod::Week, BudgetPeriod::Month] {
            let mut span = period.span(-200 * 365 * DAY);
            while span.starts_at_micros < 600 * 365 * DAY {
                let end = span.ends_at_micros.unwrap();
                assert!(end > span.starts_at_micros && end - span.starts_at_micros <= 31 * DAY);
                assert_eq!(period.span(end - 1), span);
                span = period.span(end);
                assert_eq!(span.starts_at_micros, end);
            }
        }
    }
}

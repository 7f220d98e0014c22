//! The months of the table `usage`: made ahead, and dropped whole when they are old enough.

use sqlx::{AssertSqlSafe, Postgres, Transaction};

use crate::PostgresStore;

/// Held while partitions are tended, so that replicas do not do so at once.
const LOCK: i64 = 0x5AB1_2005;

/// How many months after the present one are made ahead.
const MONTHS_AHEAD: i64 = 2;

/// The partition of rows that have no month.
const OTHER: &str = "usage_other";

const DAY_MICROS: i64 = 86_400_000_000;

impl PostgresStore {
    /// Makes the partitions of this month and the next ones, and drops those that end before `keep_since_micros`. Answers
    /// how many partitions, and rows without one, have gone.
    pub(super) async fn tend_partitions(
        &self,
        now_micros: i64,
        keep_since_micros: Option<i64>,
    ) -> Result<u64, sqlx::Error> {
        let mut transaction = self.connections.begin().await?;
        // Queries must not pile up behind one that waits for another that takes long; the next time will do.
        sqlx::query("SET LOCAL lock_timeout = '3s'").execute(&mut *transaction).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
        let there = partitions(&mut transaction).await?;
        let present = Month::of(now_micros);
        for month in (0..=MONTHS_AHEAD).map(|ahead| Month(present.0 + ahead)) {
            if !there.contains(&month.partition()) {
                month.make(&mut transaction).await?;
            }
        }
        let mut removed = 0;
        if let Some(since) = keep_since_micros {
            for name in there.iter().filter(|name| Month::named(name).is_some_and(|month| month.end() <= since)) {
                // A name that `Month::named` reads back is one of ours: letters, digits and underscores.
                let statement = format!("DROP TABLE {name}");
                sqlx::query(AssertSqlSafe(statement)).execute(&mut *transaction).await?;
                tracing::info!(event = "month-removed", partition = %name, "a month of usage rows was removed");
                removed += 1;
            }
            removed += sqlx::query!("DELETE FROM usage_other WHERE started_at < $1", since)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
        }
        transaction.commit().await?;
        Ok(removed)
    }
}

/// The names of the partitions that are there.
async fn partitions(transaction: &mut Transaction<'_, Postgres>) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT child.relname::text AS "name!"
           FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
           WHERE inhparent = 'usage'::regclass"#
    )
    .fetch_all(&mut **transaction)
    .await
}

/// A month of the Gregorian calendar, UTC, counted from the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Month(i64);

impl Month {
    /// The month of a time in microseconds since the Unix epoch.
    fn of(micros: i64) -> Self {
        // Days to a date, with years that begin in March, so that the leap day is the last.
        // Source: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
        let days = micros.div_euclid(DAY_MICROS) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let months_since_march = (5 * day_of_year + 2) / 153;
        Self((era * 400 + year_of_era) * 12 + months_since_march + 2)
    }

    /// When it begins, in microseconds since the Unix epoch.
    fn start(self) -> i64 {
        // Source: https://howardhinnant.github.io/date_algorithms.html#days_from_civil
        let months = self.0 - 2;
        let (year, months_since_march) = (months.div_euclid(12), months.rem_euclid(12));
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * months_since_march + 2) / 5;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        (era * 146_097 + day_of_era - 719_468) * DAY_MICROS
    }

    /// When the next one begins.
    fn end(self) -> i64 {
        Self(self.0 + 1).start()
    }

    /// Its partition: `usage_2026_11`.
    fn partition(self) -> String {
        format!("usage_{:04}_{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }

    /// The month whose partition has this name.
    fn named(name: &str) -> Option<Self> {
        let (year, month) = name.strip_prefix("usage_")?.split_once('_')?;
        let month = Self(year.parse::<i64>().ok()? * 12 + month.parse::<i64>().ok()? - 1);
        (month.partition() == name).then_some(month)
    }

    /// Makes its partition. Rows of it that came before there was one move into it.
    async fn make(self, transaction: &mut Transaction<'_, Postgres>) -> Result<(), sqlx::Error> {
        let (name, start, end) = (self.partition(), self.start(), self.end());
        let statements = [
            format!("CREATE TABLE {name} (LIKE usage INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"),
            format!(
                "WITH moved AS (DELETE FROM {OTHER} WHERE started_at >= {start} AND started_at < {end} RETURNING *)
                 INSERT INTO {name} SELECT * FROM moved"
            ),
            format!("ALTER TABLE usage ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"),
        ];
        // Only numbers of ours are in them.
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut **transaction).await?;
        }
        tracing::debug!(partition = %name, "a month was made for usage rows");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_the_calendar_says() {
        for (seconds, name) in [
            (0, "usage_1970_01"),
            (951_782_399, "usage_2000_02"),
            (951_868_800, "usage_2000_03"),
            (1_795_305_599, "usage_2026_11"),
            (1_798_761_600, "usage_2027_01"),
            (4_107_542_399, "usage_2100_02"),
            (4_107_542_400, "usage_2100_03"),
        ] {
            let month = Month::of(seconds * 1_000_000);
            assert_eq!(month.partition(), name, "{seconds}");
            assert!((month.start()..month.end()).contains(&(seconds * 1_000_000)), "{seconds}");
            assert_eq!(Month::named(name), Some(month));
        }
        for month in (1_900 * 12..2_500 * 12).map(Month) {
            assert_eq!((Month::of(month.start()), Month::of(month.end() - 1)), (month, month));
        }
        for name in ["usage_other", "usage_2026_13", "usage_26_1", "usage_daily", "usage_2026_11_x", "x"] {
            assert_eq!(Month::named(name), None, "{name}");
        }
    }
}

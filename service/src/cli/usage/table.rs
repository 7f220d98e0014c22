//! Usage for people: sums and single calls in columns, money in dollars. It does not know where they come from.

use sabir_client::v1::{UsageRecord, UsageSum};

use super::By;
use crate::budget::dollars;
use crate::cli::columns::columns;

/// Sums, with a column for each thing they are told apart by.
pub(super) fn sum_table(sums: &[UsageSum], by: &[By]) -> String {
    let grouped = [
        (By::Day, "DAY"),
        (By::Key, "KEY"),
        (By::User, "USER"),
        (By::Team, "TEAM"),
        (By::Model, "MODEL"),
        (By::Provider, "PROVIDER"),
    ];
    let grouped: Vec<(By, &str)> = grouped.into_iter().filter(|(dimension, _)| by.contains(dimension)).collect();
    let figures = ["CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "REASONING", "COST $"];
    let titles: Vec<&str> = grouped.iter().map(|(_, title)| *title).chain(figures).collect();
    let row = |sum: &UsageSum| -> Vec<String> {
        let group = grouped.iter().map(|(dimension, _)| {
            named(match dimension {
                By::Day => &sum.day,
                By::Key => &sum.key_id,
                By::User => &sum.user_id,
                By::Team => &sum.team_id,
                By::Model => &sum.model,
                By::Provider => &sum.provider,
            })
        });
        let figures = [
            sum.calls,
            sum.failed_calls,
            sum.prompt_tokens,
            sum.cached_tokens,
            sum.completion_tokens,
            sum.reasoning_tokens,
        ];
        let figures = figures.iter().map(ToString::to_string);
        group.chain(figures).chain([dollars(sum.cost_nanos)]).collect()
    };
    columns(titles, &sums.iter().map(row).collect::<Vec<_>>())
}

/// Single calls.
pub(super) fn record_table(records: &[UsageRecord]) -> String {
    let row = |record: &UsageRecord| {
        [
            record.start_time.map(|time| time.to_string()).unwrap_or_default(),
            record.id.clone(),
            named(&record.caller),
            named(&record.model),
            record.outcome.clone(),
            record.prompt_tokens.to_string(),
            record.completion_tokens.to_string(),
            dollars(record.cost_nanos),
            (record.latency_micros / 1_000).to_string(),
        ]
    };
    let rows: Vec<[String; 9]> = records.iter().map(row).collect();
    columns(["TIME", "CALL", "WHO", "MODEL", "OUTCOME", "INPUT", "OUTPUT", "COST $", "MS"], &rows)
}

/// A name, or a dash where there is none.
fn named(name: &str) -> String {
    if name.is_empty() { "-".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_has_a_column_for_what_it_is_told_apart_by() {
        let sum = UsageSum { model: "a/b".to_owned(), calls: 2, cost_nanos: 1_500_000_000, ..Default::default() };
        let text = sum_table(&[sum], &[By::Model, By::Day]);
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let titles = ["DAY", "MODEL", "CALLS", "FAILED", "INPUT", "CACHED", "OUTPUT", "REASONING", "COST", "$"];
        assert_eq!(words, [&titles[..], &["-", "a/b", "2", "0", "0", "0", "0", "0", "1.50"]]);
    }
}

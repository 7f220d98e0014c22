//! Sums as comma-separated values. Source: <https://www.rfc-editor.org/rfc/rfc4180>

use std::fmt::Write;

use sabir_store::{UsageGrouping, UsageSum};

use super::message::sum_message;

/// The titles of what every sum has.
const FIGURES: [&str; 7] =
    ["calls", "failed_calls", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_nanos"];

/// The line of titles: what is grouped by, then the figures.
pub(super) fn titles(by: UsageGrouping) -> Vec<u8> {
    let grouped = [
        (by.day, "day"),
        (by.key, "key_id"),
        (by.user, "user_id"),
        (by.team, "team_id"),
        (by.model, "model"),
        (by.provider, "provider"),
    ];
    let grouped = grouped.into_iter().filter(|(asked, _)| *asked).map(|(_, title)| title);
    let mut line = grouped.chain(FIGURES).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line.into_bytes()
}

/// A line for each sum.
pub(super) fn lines(sums: &[UsageSum], by: UsageGrouping) -> Vec<u8> {
    let mut text = String::new();
    for sum in sums {
        let sum = sum_message(sum, by);
        let grouped = [
            (by.day, &sum.day),
            (by.key, &sum.key_id),
            (by.user, &sum.user_id),
            (by.team, &sum.team_id),
            (by.model, &sum.model),
            (by.provider, &sum.provider),
        ];
        for (_, cell) in grouped.into_iter().filter(|(asked, _)| *asked) {
            push_cell(&mut text, cell);
            text.push(',');
        }
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{},{},{},{},{},{},{}\r\n",
            sum.calls,
            sum.failed_calls,
            sum.prompt_tokens,
            sum.completion_tokens,
            sum.cached_tokens,
            sum.reasoning_tokens,
            sum.cost_nanos
        );
    }
    text.into_bytes()
}

/// A text in quotes where it needs them. Callers choose the names of models: one that a spreadsheet would take for a formula
/// is kept from being one. Source: <https://owasp.org/www-community/attacks/CSV_Injection>
fn push_cell(line: &mut String, text: &str) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !text.contains([',', '"', '\r', '\n']) {
        return line.push_str(text);
    }
    line.push('"');
    if formula {
        line.push('\'');
    }
    line.push_str(&text.replace('"', "\"\""));
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_cell_and_no_formula() {
        let cell = |text: &str| {
            let mut line = String::new();
            push_cell(&mut line, text);
            line
        };
        assert_eq!(cell("openai/gpt-4o"), "openai/gpt-4o");
        assert_eq!(cell("a,b\"c\n"), "\"a,b\"\"c\n\"");
        assert_eq!(cell("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
    }
}

//! Rules on strings.

use super::form::Form;
use super::pattern::Pattern;
use super::rules::Report;

/// What must hold for a text.
#[derive(Debug, Default)]
pub(crate) struct Text {
    pub(crate) rules: Vec<Rule>,
}

/// One rule on a text. Lengths without a unit are in code points.
#[derive(Debug)]
pub(crate) enum Rule {
    Is(Box<str>),
    Length(u64),
    MinLength(u64),
    MaxLength(u64),
    Bytes(u64),
    MinBytes(u64),
    MaxBytes(u64),
    Matches(Pattern),
    Begins(Box<str>),
    Ends(Box<str>),
    Contains(Box<str>),
    Lacks(Box<str>),
    OneOf(Box<[Box<str>]>),
    NoneOf(Box<[Box<str>]>),
    Form(Form),
}

impl Text {
    #[inline]
    pub(crate) fn check(&self, text: &str, report: &mut impl Report) {
        for rule in &self.rules {
            if !rule.holds(text) {
                let (id, problem) = rule.describe(text);
                report.broken(id, &problem);
            }
        }
    }
}

fn length(text: &str) -> u64 {
    text.chars().count() as u64
}

impl Rule {
    #[inline]
    fn holds(&self, text: &str) -> bool {
        let bytes = text.len() as u64;
        match self {
            // A code point takes one to four bytes, which settles most cases without counting.
            Rule::MinLength(least) => bytes >= least.saturating_mul(4) || (bytes >= *least && length(text) >= *least),
            Rule::MaxLength(most) => bytes <= *most || (bytes / 4 <= *most && length(text) <= *most),
            Rule::Length(exact) => length(text) == *exact,
            Rule::Bytes(exact) => bytes == *exact,
            Rule::MinBytes(least) => bytes >= *least,
            Rule::MaxBytes(most) => bytes <= *most,
            Rule::Is(one) => *text == **one,
            Rule::Matches(pattern) => pattern.matches(text),
            Rule::Begins(part) => text.starts_with(&**part),
            Rule::Ends(part) => text.ends_with(&**part),
            Rule::Contains(part) => text.contains(&**part),
            Rule::Lacks(part) => !text.contains(&**part),
            Rule::OneOf(list) => list.iter().any(|one| **one == *text),
            Rule::NoneOf(list) => !list.iter().any(|one| **one == *text),
            Rule::Form(form) => form.fits(text),
        }
    }

    /// The id of the broken rule, and what is wrong.
    fn describe(&self, text: &str) -> (&str, String) {
        let characters = |count: &u64| if *count == 1 { "1 character".into() } else { format!("{count} characters") };
        match self {
            Rule::Is(one) => ("string.const", format!("must be `{one}`")),
            Rule::Length(exact) => ("string.len", format!("must be {} long", characters(exact))),
            Rule::MinLength(1) => ("string.min_len", "must not be empty".to_owned()),
            Rule::MinLength(least) => ("string.min_len", format!("must be at least {} long", characters(least))),
            Rule::MaxLength(most) => ("string.max_len", format!("must be at most {} long", characters(most))),
            Rule::Bytes(exact) => ("string.len_bytes", format!("must be {exact} bytes long")),
            Rule::MinBytes(least) => ("string.min_bytes", format!("must be at least {least} bytes long")),
            Rule::MaxBytes(most) => ("string.max_bytes", format!("must be at most {most} bytes long")),
            Rule::Matches(pattern) => ("string.pattern", format!("must match the pattern {pattern}")),
            Rule::Begins(part) => ("string.prefix", format!("must begin with `{part}`")),
            Rule::Ends(part) => ("string.suffix", format!("must end with `{part}`")),
            Rule::Contains(part) => ("string.contains", format!("must contain `{part}`")),
            Rule::Lacks(part) => ("string.not_contains", format!("must not contain `{part}`")),
            Rule::OneOf(list) => ("string.in", format!("must be one of {}", quoted(list))),
            Rule::NoneOf(list) => ("string.not_in", format!("must be none of {}", quoted(list))),
            Rule::Form(form) => form.describe(text),
        }
    }
}

/// The texts in a row, each in backticks.
pub(crate) fn quoted(list: &[Box<str>]) -> String {
    list.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_code_points() {
        let text = "äöü€😀";
        for (rule, holds) in [
            (Rule::MinLength(5), true),
            (Rule::MinLength(6), false),
            (Rule::MaxLength(5), true),
            (Rule::MaxLength(4), false),
            (Rule::Length(5), true),
            (Rule::MinBytes(13), true),
            (Rule::MaxBytes(12), false),
            (Rule::Bytes(13), true),
            (Rule::MaxLength(u64::MAX), true),
            (Rule::MinLength(u64::MAX), false),
        ] {
            assert_eq!(rule.holds(text), holds, "{rule:?}");
        }
    }
}

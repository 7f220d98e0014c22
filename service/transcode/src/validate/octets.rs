//! Rules on bytes.

use super::pattern::Pattern;
use super::rules::Report;

/// What must hold for a value of type `bytes`.
#[derive(Debug, Default)]
pub(crate) struct Octets {
    pub(crate) rules: Vec<Rule>,
}

/// One rule on bytes.
#[derive(Debug)]
pub(crate) enum Rule {
    Is(Box<[u8]>),
    Length(u64),
    MinLength(u64),
    MaxLength(u64),
    Matches(Pattern),
    Begins(Box<[u8]>),
    Ends(Box<[u8]>),
    Contains(Box<[u8]>),
    OneOf(Box<[Box<[u8]>]>),
    NoneOf(Box<[Box<[u8]>]>),
    /// One of these lengths: an address or an identifier.
    Form {
        ids: [&'static str; 2],
        name: &'static str,
        lengths: &'static [usize],
    },
}

impl Octets {
    pub(crate) fn check(&self, bytes: &[u8], report: &mut impl Report) {
        for rule in &self.rules {
            if !rule.holds(bytes) {
                let (id, problem) = rule.describe(bytes);
                report.broken(id, &problem);
            }
        }
    }
}

impl Rule {
    fn holds(&self, bytes: &[u8]) -> bool {
        let length = bytes.len() as u64;
        match self {
            Rule::Is(one) => *bytes == **one,
            Rule::Length(exact) => length == *exact,
            Rule::MinLength(least) => length >= *least,
            Rule::MaxLength(most) => length <= *most,
            // A pattern is about text: what is no text does not match.
            Rule::Matches(pattern) => std::str::from_utf8(bytes).is_ok_and(|text| pattern.matches(text)),
            Rule::Begins(part) => bytes.starts_with(part),
            Rule::Ends(part) => bytes.ends_with(part),
            Rule::Contains(part) => memchr::memmem::find(bytes, part).is_some(),
            Rule::OneOf(list) => list.iter().any(|one| **one == *bytes),
            Rule::NoneOf(list) => !list.iter().any(|one| **one == *bytes),
            Rule::Form { lengths, .. } => lengths.contains(&bytes.len()),
        }
    }

    fn describe(&self, bytes: &[u8]) -> (&'static str, String) {
        match self {
            Rule::Is(one) => ("bytes.const", format!("must be {}", hex(one))),
            Rule::Length(exact) => ("bytes.len", format!("must be {exact} bytes long")),
            Rule::MinLength(least) => ("bytes.min_len", format!("must be at least {least} bytes long")),
            Rule::MaxLength(most) => ("bytes.max_len", format!("must be at most {most} bytes long")),
            Rule::Matches(pattern) => ("bytes.pattern", format!("must match the pattern {pattern}")),
            Rule::Begins(part) => ("bytes.prefix", format!("must begin with {}", hex(part))),
            Rule::Ends(part) => ("bytes.suffix", format!("must end with {}", hex(part))),
            Rule::Contains(part) => ("bytes.contains", format!("must contain {}", hex(part))),
            Rule::OneOf(list) => ("bytes.in", format!("must be one of {}", row(list))),
            Rule::NoneOf(list) => ("bytes.not_in", format!("must be none of {}", row(list))),
            Rule::Form { ids: [id, empty], name, .. } => {
                (if bytes.is_empty() { empty } else { id }, format!("must be {name}"))
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn row(list: &[Box<[u8]>]) -> String {
    list.iter().map(|bytes| hex(bytes)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_match_no_pattern() {
        let rule = Rule::Matches(Pattern::new(".*").unwrap());
        assert!(rule.holds(b"text"));
        assert!(!rule.holds(b"\xff"));
    }

    #[test]
    fn an_empty_value_is_reported_as_such() {
        let rule = Rule::Form { ids: ["bytes.ip", "bytes.ip_empty"], name: "an IP address", lengths: &[4, 16] };
        assert!(rule.holds(&[0; 4]) && rule.holds(&[0; 16]));
        assert_eq!(rule.describe(b"").0, "bytes.ip_empty");
        assert_eq!(rule.describe(b"abc").0, "bytes.ip");
        assert_eq!(hex(b"\x01\xab"), "0x01ab");
    }
}

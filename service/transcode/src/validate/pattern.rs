//! Regular expressions. The commonest one, a row of characters of one class, is matched by hand in a few nanoseconds.

use std::fmt;

use regex::Regex;

/// A compiled regular expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    source: Box<str>,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    /// `^[class]{least,most}$` over ASCII: a bit for each character of the class.
    Row {
        class: u128,
        least: usize,
        most: usize,
    },
    Regex(Box<Regex>),
}

impl Pattern {
    /// Compiles a pattern in RE2's syntax, of which Rust's is an extension.
    pub(crate) fn new(source: &str) -> Result<Self, regex::Error> {
        // Compiled in any case, so that an invalid pattern is an error.
        let regex = Regex::new(source)?;
        let matcher = row(source).unwrap_or_else(|| Matcher::Regex(Box::new(regex)));
        Ok(Self { source: source.into(), matcher })
    }

    #[inline]
    pub(crate) fn matches(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Row { class, least, most } => {
                (*least..=*most).contains(&text.len()) && text.bytes().all(|byte| byte < 128 && class >> byte & 1 == 1)
            }
            Matcher::Regex(regex) => regex.is_match(text),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}`", self.source)
    }
}

/// Reads `^[...]{m,n}$`, `^[...]+$` and `^[...]*$` where the class is of plain ASCII characters and ranges.
fn row(source: &str) -> Option<Matcher> {
    let (class, count) = source.strip_prefix("^[")?.strip_suffix('$')?.split_once(']')?;
    // A class that is negated, named, escaped or operated on is left to the library.
    if class.is_empty() || class.starts_with('^') || class.contains(['[', '\\', '&', '~']) || class.contains("--") {
        return None;
    }
    let mut bits = 0u128;
    let mut rest = class.as_bytes();
    while let [first, tail @ ..] = rest {
        let (last, tail) = match tail {
            [b'-', last, tail @ ..] => (last, tail),
            _ => (first, tail),
        };
        if !first.is_ascii_graphic() || !last.is_ascii_graphic() || last < first {
            return None;
        }
        (*first..=*last).for_each(|byte| bits |= 1 << byte);
        rest = tail;
    }
    let (least, most) = match count {
        "" => (1, 1),
        "+" => (1, usize::MAX),
        "*" => (0, usize::MAX),
        _ => {
            let count = count.strip_prefix('{')?.strip_suffix('}')?;
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?;
            match count.split_once(',') {
                Some((least, "")) => (digits(least)?, usize::MAX),
                Some((least, most)) => (digits(least)?, digits(most)?),
                None => (digits(count)?, digits(count)?),
            }
        }
    };
    Some(Matcher::Row { class: bits, least, most })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_of_one_class_are_matched_by_hand() {
        for source in ["^[a-zA-Z0-9_-]{1,64}$", "^[a-z]+$", "^[a-z]*$", "^[.+]{3}$", "^[x]$", "^[-a]{2,}$"] {
            assert!(matches!(Pattern::new(source).unwrap().matcher, Matcher::Row { .. }), "{source}");
        }
        for source in ["^[^a]+$", "[a-z]+", "^[\\w]+$", "^[[:alpha:]]+$", "^[a-z]+?$", "^[ä]+$", "^a[b]$", "^[]]$"] {
            assert!(row(source).is_none(), "{source}");
        }
        assert!(Pattern::new("^[a-z").is_err());
    }

    proptest! {
        #[test]
        fn what_is_matched_by_hand_is_what_the_library_matches(
            class in "[a-z0-9_.-]{1,6}", count in prop_oneof!["", "\\+", "\\*", "\\{[0-4],[4-9]\\}", "\\{[0-3],\\}", "\\{[0-3]\\}"],
            texts in prop::collection::vec("[a-z0-9_.ä\n-]{0,6}", 1..20),
        ) {
            let source = format!("^[{class}]{count}$");
            if let (Ok(pattern), Ok(regex)) = (Pattern::new(&source), Regex::new(&source)) {
                for text in texts {
                    prop_assert_eq!(pattern.matches(&text), regex.is_match(&text), "{} on {:?}", source, text);
                }
            }
        }
    }
}

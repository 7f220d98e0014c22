//! Finds in a text what not everybody should see: credentials, personal data, what a pattern says. Patterns are of the crate `regex`, which takes time linear in the text
//! whatever the pattern, because the text is anybody's.

use regex::{Regex, RegexBuilder};

/// How large a compiled pattern may be, in bytes.
const PATTERN_LIMIT: usize = 1 << 20;

/// How many digits the number of a payment card has (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Finds credentials: keys by the beginnings that vendors give them, what follows a word that announces one, JSON Web
/// Tokens, private keys in PEM, passwords in URLs. A piece of one is found as well: texts are cut.
const CREDENTIALS: [&str; 6] = [
    r"\bsk-[A-Za-z0-9_-]{6,}",
    r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|AKIA|ASIA|AIza|hf_|gsk_|pplx-|xai-|nvapi-|ya29\.)[A-Za-z0-9._-]{8,}",
    r"\beyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){0,4}",
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
    r"://[^\s/:@]*:[^\s/@]+@",
    r#"(?i)\b(?:bearer|basic|passw(?:or)?d|secret|api[ _-]?key|token)\b(?:["']?\s*[:=]\s*["']?|\s+)[A-Za-z0-9._~+/=!$&*-]{6,}"#,
];

const EMAIL: [&str; 1] = [r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+"];

/// International numbers, and national ones where their form gives them away.
const PHONE: [&str; 3] = [
    r"(?:\+|\b00)[ ]?[0-9][0-9 ()./-]{5,20}[0-9]",
    r"(?:\b|\()[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b",
    r"\b0[0-9]{2,4}[ /-][0-9][0-9 -]{4,12}[0-9]\b",
];

const CARD: [&str; 1] = [r"\b[0-9](?:[ -]?[0-9]){12,}\b"];

/// One thing to look for.
#[derive(Debug)]
struct Rule {
    pattern: Regex,
    /// The name of its kind.
    kind: &'static str,
    /// Whether what fits the pattern is what it looks like.
    confirms: fn(&str) -> bool,
}

/// Finds things in texts, and takes them out.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    rules: Vec<Rule>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where, in bytes.
    pub(crate) range: std::ops::Range<usize>,
    /// The name of its kind: `credential`, `email`, `phone`, `card`, or `redacted` for what fits a pattern.
    pub(crate) kind: &'static str,
}

impl Redactor {
    /// What can be asked for by name, and what it is.
    pub(crate) const KINDS: [(&'static str, &'static str); 3] =
        [("email", "e-mail addresses"), ("phone", "telephone numbers"), ("card", "numbers of payment cards")];

    /// A redactor of credentials, of the kinds that are named, and of what fits a pattern given as `regex:PATTERN`.
    ///
    /// # Errors
    /// What is wrong with an entry.
    pub(crate) fn new(entries: &[String]) -> Result<Self, String> {
        let mut redactor = Self::default();
        redactor.add(&CREDENTIALS, "credential", |_| true)?;
        redactor.add_all(entries)?;
        Ok(redactor)
    }

    /// One of what is named alone; `credential` is a name too.
    ///
    /// # Errors
    /// What is wrong with an entry.
    pub(crate) fn of(entries: &[String]) -> Result<Self, String> {
        let mut redactor = Self::default();
        redactor.add_all(entries)?;
        Ok(redactor)
    }

    fn add_all(&mut self, entries: &[String]) -> Result<(), String> {
        for entry in entries {
            match (entry.as_str(), entry.strip_prefix("regex:")) {
                ("credential", _) => self.add(&CREDENTIALS, "credential", |_| true)?,
                ("email", _) => self.add(&EMAIL, "email", |_| true)?,
                ("phone", _) => self.add(&PHONE, "phone", |found| (7..=15).contains(&digits(found).count()))?,
                ("card", _) => self.add(&CARD, "card", holds_card)?,
                (_, Some(pattern)) => self.add(&[pattern], "redacted", |_| true)?,
                (unknown, None) => {
                    return Err(format!(
                        "\"{unknown}\" is none of \"email\", \"phone\", \"card\", \"credential\" and \"regex:PATTERN\""
                    ));
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, patterns: &[&str], kind: &'static str, confirms: fn(&str) -> bool) -> Result<(), String> {
        for pattern in patterns {
            let built = RegexBuilder::new(pattern).size_limit(PATTERN_LIMIT).build();
            let pattern = built.map_err(|error| format!("the pattern `{pattern}` cannot be used: {error}"))?;
            self.rules.push(Rule { pattern, kind, confirms });
        }
        Ok(())
    }

    /// What there is in a text, from its beginning to its end; nothing twice.
    pub(crate) fn find(&self, text: &str) -> Vec<Finding> {
        // Each rule looks at the text as it was: one rule's mark must not hide from another what it was part of.
        let mut found: Vec<Finding> = Vec::new();
        for Rule { pattern, kind, confirms } in &self.rules {
            let matches = pattern.find_iter(text).filter(|found| !found.is_empty());
            let confirmed = matches.filter(|found| confirms(found.as_str()));
            found.extend(confirmed.map(|found| Finding { range: found.range(), kind }));
        }
        found.sort_by_key(|finding| (finding.range.start, usize::MAX - finding.range.end));
        // What overlaps is one thing, of the kind that begins first.
        let mut apart: Vec<Finding> = Vec::with_capacity(found.len());
        for finding in found {
            match apart.last_mut() {
                Some(last) if finding.range.start < last.range.end => {
                    last.range.end = last.range.end.max(finding.range.end);
                }
                _ => apart.push(finding),
            }
        }
        apart
    }

    /// The text up to its byte `limit`, with marks in the place of what is not to be kept. What begins before the limit is
    /// looked at whole.
    pub(crate) fn redact(&self, text: &str, limit: usize) -> String {
        let limit = text.floor_char_boundary(limit);
        let mut kept = String::with_capacity(limit);
        let mut at = 0;
        for Finding { range, kind } in self.find(text).into_iter().take_while(|finding| finding.range.start < limit) {
            kept.push_str(&text[at..range.start]);
            kept.push('[');
            kept.push_str(kind);
            kept.push(']');
            at = range.end;
        }
        kept.push_str(text.get(at..limit).unwrap_or_default());
        kept
    }
}

fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> + Clone {
    text.chars().filter_map(|letter| letter.to_digit(10))
}

/// Whether the number of a payment card is among these digits, whatever stands before and after it.
fn holds_card(text: &str) -> bool {
    let digits: Vec<u32> = digits(text).collect();
    // Nobody issues cards that begin otherwise (ISO/IEC 7812-1, major industry identifiers 2 to 6).
    let starts = (0..digits.len()).filter(|start| (2..=6).contains(&digits[*start]));
    let mut candidates = starts.flat_map(|start| CARD_DIGITS.map(move |length| start..start + length));
    candidates.any(|range| digits.get(range).is_some_and(passes_luhn))
}

/// The check of ISO/IEC 7812-1, annex B.
fn passes_luhn(digits: &[u32]) -> bool {
    let doubled = |(place, digit): (usize, &u32)| match (place % 2, digit * 2) {
        (0, _) => *digit,
        (_, double) if double > 9 => double - 9,
        (_, double) => double,
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>().is_multiple_of(10)
}

#[cfg(test)]
mod tests;

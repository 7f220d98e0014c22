//! What was taken out of a question, so that it can be put back into the answer.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::redact::{Finding, Redactor};

/// The longest mark, in bytes: `[CREDENTIAL_` and a number.
const LONGEST_MARK: usize = 24;

/// Marks, and what they stand for. The same thing has the same mark throughout a conversation, and in the order of its
/// first mention, so that it keeps its mark when the conversation goes on.
#[derive(Debug, Default)]
pub(super) struct Book {
    marks: HashMap<String, String>,
    values: HashMap<String, String>,
    counts: HashMap<&'static str, u32>,
}

impl Book {
    /// Puts marks in the place of what is found; says whether anything was. Of what `restores`, the marks are remembered.
    pub(super) fn hide(&mut self, finder: &Redactor, text: &mut String, restores: bool) -> bool {
        let found = finder.find(text);
        if found.is_empty() {
            return false;
        }
        let mut hidden = String::with_capacity(text.len());
        let mut at = 0;
        for Finding { range, kind } in found {
            hidden.push_str(&text[at..range.start]);
            hidden.push_str(&self.mark(&text[range.clone()], kind, restores));
            at = range.end;
        }
        hidden.push_str(&text[at..]);
        *text = hidden;
        true
    }

    fn mark(&mut self, value: &str, kind: &'static str, restores: bool) -> String {
        if let Some(mark) = self.marks.get(value) {
            return mark.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let mark = format!("[{}_{count}]", kind.to_ascii_uppercase());
        self.marks.insert(value.to_owned(), mark.clone());
        if restores {
            self.values.insert(mark.clone(), value.to_owned());
        }
        mark
    }

    /// Whether there is nothing to put back.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The text with everything put back; within JSON, as it is said there.
    pub(super) fn restore<'t>(&self, text: &'t str, in_json: bool) -> Cow<'t, str> {
        if self.is_empty() || !text.contains('[') {
            return Cow::Borrowed(text);
        }
        let mut restored = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('[') {
            restored.push_str(&rest[..start]);
            rest = &rest[start..];
            let known = rest.find(']').and_then(|end| Some((end + 1, self.values.get(&rest[..=end])?)));
            match known {
                Some((end, value)) => {
                    if in_json {
                        let quoted = serde_json::Value::from(value.as_str()).to_string();
                        restored.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
                    } else {
                        restored.push_str(value);
                    }
                    rest = &rest[end..];
                }
                None => {
                    restored.push('[');
                    rest = &rest[1..];
                }
            }
        }
        restored.push_str(rest);
        Cow::Owned(restored)
    }

    /// How much of the beginning of a text cannot be a part of a mark that goes on beyond its end.
    pub(super) fn settled(&self, text: &str) -> usize {
        if self.is_empty() {
            return text.len();
        }
        let Some(start) = text.rfind('[') else { return text.len() };
        let tail = &text[start + 1..];
        let may_go_on = tail.len() < LONGEST_MARK
            && tail.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if may_go_on { start } else { text.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_has_one_mark_and_comes_back() {
        let finder = Redactor::of(&["email".to_owned(), "regex:\"x\"".to_owned()]).unwrap();
        let mut book = Book::default();
        let mut text = "a@x.org to b@x.org, cc a@x.org: \"x\"".to_owned();
        assert!(book.hide(&finder, &mut text, true));
        assert_eq!(text, "[EMAIL_1] to [EMAIL_2], cc [EMAIL_1]: [REDACTED_1]");
        assert_eq!(book.restore("Dear [EMAIL_2] [EMAIL_3] [[EMAIL_1]] [", false), "Dear b@x.org [EMAIL_3] [a@x.org] [");
        assert_eq!(book.restore(r#"{"q":"[REDACTED_1]"}"#, true), r#"{"q":"\"x\""}"#);
        for (text, settled) in [("Dear", 4), ("Dear [", 5), ("Dear [EMAIL_", 5), ("Dear [EMAIL_2]", 14), ("a [b", 4)] {
            assert_eq!(book.settled(text), settled, "{text}");
        }
        let mut nothing = "nothing".to_owned();
        assert!(!book.hide(&finder, &mut nothing, true));
    }

    #[test]
    fn what_is_not_to_come_back_does_not() {
        let finder = Redactor::of(&["email".to_owned()]).unwrap();
        let mut book = Book::default();
        let mut text = "a@x.org".to_owned();
        assert!(book.hide(&finder, &mut text, false));
        assert_eq!(book.restore(&text, false), "[EMAIL_1]");
    }
}

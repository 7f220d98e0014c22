//! Which answers are equal.

use std::collections::HashMap;

use serde_json::Value;

/// Counts equal answers.
#[derive(Default)]
pub(super) struct Votes(HashMap<String, (u32, String)>);

impl Votes {
    /// Counts an answer; says how many are equal to it by now.
    pub(super) fn cast(&mut self, id: &str, text: &str) -> u32 {
        let (count, _) = self.0.entry(normal(text)).or_insert_with(|| (0, id.to_owned()));
        *count += 1;
        *count
    }

    /// The first to give the most frequent answer, and how many gave it.
    pub(super) fn leader(&self) -> Option<(&str, u32)> {
        let leader = self.0.values().max_by_key(|(count, _)| *count);
        leader.map(|(count, id)| (id.as_str(), *count))
    }
}

/// An answer without what makes no difference: capitals, spaces, a full stop at its end; of a JSON document, the order of
/// its members and its layout.
fn normal(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(document) => sorted(document).to_string(),
        Err(_) => {
            let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
            words.join(" ").trim_end_matches(['.', '!']).to_owned()
        }
    }
}

/// The document with its members in order, whatever order the parser keeps.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_say_the_same_are_equal() {
        let mut votes = Votes::default();
        assert_eq!(votes.cast("a", "Paris."), 1);
        assert_eq!(votes.cast("b", " paris"), 2);
        assert_eq!(votes.cast("c", "Lyon"), 1);
        assert_eq!(votes.leader(), Some(("a", 2)));

        let mut votes = Votes::default();
        assert_eq!(votes.cast("a", r#"{"a": 1, "b": [{"d": 2, "c": 3}]}"#), 1);
        assert_eq!(votes.cast("b", r#"{"b":[{"c":3,"d":2}],"a":1}"#), 2);
        assert_eq!(votes.cast("c", r#"{"b":[{"c":3,"d":2}],"a":"1"}"#), 1);
        assert_eq!(Votes::default().leader(), None);
    }
}

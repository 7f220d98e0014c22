//! Puts the form of a document right that a model wrote: prose and code fences around it, trailing commas, Python's words
//! and quotes, raw line breaks in strings, an end that is missing.
//!
//! It is deterministic and linear, and changes no value: what is cut off in the middle is completed where only form is
//! missing, and left out where a value is.

/// The document in a text, in the right form. `None` if there is none.
pub(crate) fn repair(text: &str) -> Option<String> {
    let start = text.find(['{', '['])?;
    let mut writer = Writer::default();
    let mut letters = text[start..].chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' | '\'' => writer.string(letter, &mut letters),
            '{' | '[' => writer.open(letter),
            '}' | ']' => {
                if writer.close(letter) {
                    return Some(writer.out);
                }
            }
            ',' => writer.comma(),
            ':' => writer.colon(),
            ' ' | '\t' | '\n' | '\r' => writer.out.push(letter),
            _ => {
                let mut word = String::from(letter);
                while let Some(next) = letters.next_if(|next| !" \t\r\n,:{}[]\"'".contains(*next)) {
                    word.push(next);
                }
                writer.word(&word, letters.peek().is_none());
            }
        }
    }
    writer.end()
}

/// What is written, and what is open.
#[derive(Default)]
struct Writer {
    out: String,
    open: Vec<Level>,
}

/// An object or a list that is open.
struct Level {
    closing: char,
    /// Where in the output its last member or element begins.
    member: usize,
    state: State,
}

/// How much of a member or an element there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing.
    Nothing,
    /// A name.
    Name,
    /// A name and a colon.
    Colon,
    /// All of it.
    Value,
}

impl Writer {
    /// A value is written; in an object it is a name where one is due.
    fn wrote(&mut self) {
        if let Some(level) = self.open.last_mut() {
            level.state = match level.state {
                State::Nothing if level.closing == '}' => State::Name,
                _ => State::Value,
            };
        }
    }

    fn open(&mut self, opening: char) {
        self.out.push(opening);
        let closing = if opening == '{' { '}' } else { ']' };
        self.open.push(Level { closing, member: self.out.len(), state: State::Nothing });
    }

    /// Closes what is open up to this bracket; says whether the document is complete.
    fn close(&mut self, closing: char) -> bool {
        // One that closes nothing is passed over.
        if !self.open.iter().any(|level| level.closing == closing) {
            return self.open.is_empty();
        }
        while let Some(level) = self.open.pop() {
            self.finish(&level);
            self.out.push(level.closing);
            self.wrote();
            if level.closing == closing {
                break;
            }
        }
        self.open.is_empty()
    }

    /// Drops what of a member has no value, and the comma in front of it.
    fn finish(&mut self, level: &Level) {
        if level.state != State::Value {
            self.out.truncate(level.member);
        }
        let kept = self.out.trim_end().len();
        if self.out[..kept].ends_with(',') {
            self.out.truncate(kept - 1);
        }
    }

    fn comma(&mut self) {
        if let Some(level) = self.open.last_mut() {
            if level.state != State::Value {
                self.out.truncate(level.member);
                return;
            }
            self.out.push(',');
            level.member = self.out.len();
            level.state = State::Nothing;
        }
    }

    fn colon(&mut self) {
        if let Some(level) = self.open.last_mut()
            && level.state == State::Name
        {
            self.out.push(':');
            level.state = State::Colon;
        }
    }

    /// A string in either kind of quotes. One without an end is given one.
    fn string(&mut self, quote: char, letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        self.out.push('"');
        while let Some(letter) = letters.next() {
            match letter {
                _ if letter == quote => break,
                '\\' => match letters.next() {
                    // JSON knows no escape for it.
                    Some('\'') => self.out.push('\''),
                    Some(escaped) => self.out.extend(['\\', escaped]),
                    None => {}
                },
                '"' => self.out.push_str("\\\""),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                control if u32::from(control) < 0x20 => {}
                other => self.out.push(other),
            }
        }
        self.out.push('"');
        self.wrote();
    }

    /// A number, a word of JSON's or one of Python's. Anything else is a name without quotes, or a text.
    fn word(&mut self, word: &str, is_last: bool) {
        let whole = match word {
            "True" => "true",
            "False" => "false",
            "None" | "undefined" | "NaN" => "null",
            word => word,
        };
        let is_name = self.open.last().is_some_and(|level| level.closing == '}' && level.state == State::Nothing);
        // The end of the text may have cut it.
        let completed = ["true", "false", "null"].into_iter().find(|known| is_last && known.starts_with(whole));
        if is_name {
            self.out.push_str(&serde_json::Value::from(word).to_string());
        } else if let Some(completed) = completed {
            self.out.push_str(completed);
        } else if serde_json::from_str::<serde::de::IgnoredAny>(whole).is_ok() {
            self.out.push_str(whole);
        } else if let Some(number) = number(whole) {
            self.out.push_str(number);
        } else {
            self.out.push_str(&serde_json::Value::from(word).to_string());
        }
        self.wrote();
    }

    /// The text ended before the document did.
    fn end(mut self) -> Option<String> {
        while let Some(level) = self.open.pop() {
            self.finish(&level);
            let kept = self.out.trim_end().len();
            self.out.truncate(kept);
            self.out.push(level.closing);
            self.wrote();
        }
        (!self.out.is_empty()).then_some(self.out)
    }
}

/// The number that a word begins with, where its end was cut off.
fn number(word: &str) -> Option<&str> {
    let number = word.trim_end_matches(['.', 'e', 'E', '+', '-']);
    serde_json::from_str::<f64>(number).is_ok().then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_a_matter_of_form_is_put_right() {
        for (given, expected) in [
            (r#"{"a":1}"#, r#"{"a":1}"#),
            ("```json\n{\"a\": [1, 2]}\n```", r#"{"a":[1,2]}"#),
            ("Sure! Here it is: {\"a\": 1} I hope that helps {.", r#"{"a":1}"#),
            (r#"{"a":1,}"#, r#"{"a":1}"#),
            (r#"{"a":[1,2,],}"#, r#"{"a":[1,2]}"#),
            (r#"[1,,2]"#, r#"[1,2]"#),
            ("{'a': 'it', 'b': 'say \"x\"'}", r#"{"a":"it","b":"say \"x\""}"#),
            ("{'it\\'s': True, \"b\": None, c: False}", r#"{"it's":true,"b":null,"c":false}"#),
            ("{\"a\": \"line\nbreak\ttab\"}", r#"{"a":"line\nbreak\ttab"}"#),
            (r#"{"a": "cut of"#, r#"{"a":"cut of"}"#),
            (r#"{"a": "cut \"#, r#"{"a":"cut "}"#),
            (r#"{"a": 1, "b": [true, fal"#, r#"{"a":1,"b":[true,false]}"#),
            (r#"{"a": 1, "b": "#, r#"{"a":1}"#),
            (r#"{"a": 1, "b"#, r#"{"a":1}"#),
            (r#"{"a": 12."#, r#"{"a":12}"#),
            (r#"{"a": {"b": [1, {"c": 2"#, r#"{"a":{"b":[1,{"c":2}]}}"#),
            (r#"{"a": [1, 2}"#, r#"{"a":[1,2]}"#),
            ("[", "[]"),
        ] {
            let repaired = repair(given).unwrap_or_else(|| panic!("{given}"));
            let parsed: Value = serde_json::from_str(&repaired).unwrap_or_else(|error| panic!("{repaired}: {error}"));
            assert_eq!(parsed, serde_json::from_str::<Value>(expected).unwrap(), "{given} became {repaired}");
        }
        assert_eq!(repair("I cannot do that."), None);
        assert_eq!(repair(""), None);
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z \"'\\\\\n{}\\[\\],:é]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_right_document_stays_what_it_is(document in document()) {
            let text = Value::from(vec![document.clone()]).to_string();
            let repaired = repair(&text).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&repaired).unwrap(), Value::from(vec![document]));
        }

        #[test]
        fn a_document_cut_anywhere_is_a_document(document in document(), cut in 0.0..1.0f64) {
            let text = Value::from(vec![document]).to_string();
            let end = text.floor_char_boundary(1 + ((text.len() - 1) as f64 * cut) as usize);
            let repaired = repair(&text[..end]).unwrap();
            // Half of an escaped character is beyond repair.
            if !text[..end].contains("\\u") {
                prop_assert!(serde_json::from_str::<Value>(&repaired).is_ok(), "{} became {}", &text[..end], repaired);
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,64}") {
            let _ = repair(&text);
        }
    }
}

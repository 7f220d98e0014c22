//! Where one JSON value ends and the next begins, in bytes that arrive in pieces of any size.
//!
//! Cuts a body into the texts of its messages without reading them: it knows strings, escapes and depth, and leaves
//! everything else to the converter. Holds no more than one unfinished value. Knows nothing of HTTP or protobuf.

use bytes::{Buf as _, Bytes};

/// How the values of a body are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One after the other, with or without white space between them: NDJSON, and JSON texts put end to end.
    Sequence,
    /// The elements of one array.
    Array,
}

/// The body cannot be cut into values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SplitError {
    #[error("malformed JSON: expected {expected}, not `{}`", char::from(*.found).escape_default())]
    Unexpected { expected: &'static str, found: u8 },
    #[error("a message is larger than the limit of {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the body ends within a message")]
    CutValue,
    #[error("the body ends before its array does")]
    CutArray,
}

/// Cuts a body into values.
#[derive(Debug)]
pub(crate) struct Splitter {
    layout: Option<Layout>,
    /// The most bytes a value may have.
    limit: usize,
    place: Place,
    /// What has arrived and was not looked at yet.
    chunk: Bytes,
    /// The beginning of a value that goes on in `chunk`.
    begun: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Before anything but white space.
    Start,
    /// Before a value. `end` tells whether the array may end here instead.
    Before {
        end: bool,
    },
    Within(Value),
    /// After an element of the array.
    After,
    /// After the array.
    Closed,
}

/// A value that has begun.
#[derive(Debug, Clone, Copy)]
struct Value {
    /// How much of the chunk the search for its end has passed already: its first byte.
    looked_at: usize,
    /// Open brackets and braces. Zero for a number, a literal, or a string that stands alone.
    depth: usize,
    string: bool,
    escaped: bool,
}

impl Splitter {
    /// The layout is told by the first byte where it is not given: `[` begins an array of the values.
    pub(crate) fn new(layout: Option<Layout>, limit: usize) -> Self {
        Self { layout, limit, place: Place::Start, chunk: Bytes::new(), begun: Vec::new() }
    }

    /// Adds bytes; those before must have been used up: [`Splitter::next`] has answered `None`.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// The next whole value; `None` where more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, SplitError> {
        loop {
            if let Place::Within(mut value) = self.place {
                let Some(end) = value.end(&self.chunk) else {
                    self.place = Place::Within(Value { looked_at: 0, ..value });
                    self.begun.extend_from_slice(&std::mem::take(&mut self.chunk));
                    return if self.begun.len() > self.limit { Err(self.too_large()) } else { Ok(None) };
                };
                self.place = self.after_value();
                let rest = self.chunk.split_to(end);
                let text = if self.begun.is_empty() {
                    rest
                } else {
                    self.begun.extend_from_slice(&rest);
                    std::mem::take(&mut self.begun).into()
                };
                return if text.len() > self.limit { Err(self.too_large()) } else { Ok(Some(text)) };
            }
            let Some(at) = self.chunk.iter().position(|byte| !is_space(*byte)) else {
                self.chunk.clear();
                return Ok(None);
            };
            self.chunk.advance(at);
            let byte = self.chunk[0];
            self.place = match (self.place, byte) {
                (Place::Start, _) => {
                    let layout = self.layout.unwrap_or(if byte == b'[' { Layout::Array } else { Layout::Sequence });
                    self.layout = Some(layout);
                    match (layout, byte) {
                        (Layout::Sequence, _) => Place::Before { end: false },
                        (Layout::Array, b'[') => self.skip(Place::Before { end: true }),
                        (Layout::Array, _) => return Err(unexpected("an array", byte)),
                    }
                }
                (Place::Before { end: true }, b']') | (Place::After, b']') => self.skip(Place::Closed),
                (Place::Before { .. }, b',' | b':' | b']' | b'}') => return Err(unexpected("a value", byte)),
                (Place::Before { .. }, _) => Place::Within(Value::beginning_with(byte)),
                (Place::After, b',') => self.skip(Place::Before { end: false }),
                (Place::After, _) => return Err(unexpected("a comma or the end of the array", byte)),
                (Place::Closed, _) => return Err(unexpected("nothing after the array", byte)),
                (place @ Place::Within(_), _) => place,
            };
        }
    }

    /// The body has ended: the value that only the end could tell was complete, such as a number.
    pub(crate) fn finish(&mut self) -> Result<Option<Bytes>, SplitError> {
        match (self.place, self.layout) {
            (Place::Within(Value { depth: 0, string: false, .. }), Some(Layout::Sequence)) => {
                self.place = self.after_value();
                Ok(Some(std::mem::take(&mut self.begun).into()))
            }
            (Place::Within(_), _) => Err(SplitError::CutValue),
            (Place::Start | Place::Closed, _) | (_, Some(Layout::Sequence) | None) => Ok(None),
            (_, Some(Layout::Array)) => Err(SplitError::CutArray),
        }
    }

    fn skip(&mut self, place: Place) -> Place {
        self.chunk.advance(1);
        place
    }

    fn after_value(&self) -> Place {
        if self.layout == Some(Layout::Array) { Place::After } else { Place::Before { end: false } }
    }

    fn too_large(&self) -> SplitError {
        SplitError::TooLarge { limit: self.limit }
    }
}

impl Value {
    fn beginning_with(byte: u8) -> Self {
        let depth = usize::from(matches!(byte, b'{' | b'['));
        Self { looked_at: 1, depth, string: byte == b'"', escaped: false }
    }

    /// How many of `bytes` still belong to the value, where it ends within them.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = self.looked_at;
        while let Some(&byte) = bytes.get(at) {
            if self.escaped {
                self.escaped = false;
                at += 1;
            } else if self.string {
                at += memchr::memchr2(b'"', b'\\', &bytes[at..])? + 1;
                if bytes[at - 1] == b'\\' {
                    self.escaped = true;
                    continue;
                }
                self.string = false;
                if self.depth == 0 {
                    return Some(at);
                }
            } else if self.depth == 0 {
                if is_space(byte) || matches!(byte, b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"') {
                    return Some(at);
                }
                at += 1;
            } else {
                at += 1;
                match byte {
                    b'"' => self.string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth -= 1,
                    _ => continue,
                }
                if self.depth == 0 {
                    return Some(at);
                }
            }
        }
        None
    }
}

/// The white space of RFC 8259, section 2.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn unexpected(expected: &'static str, found: u8) -> SplitError {
    SplitError::Unexpected { expected, found }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
            r#"["\\\[\]{},: ]{0,10}"#.prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..5)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The values of `body`, which arrives in pieces of `size` bytes.
    fn split(body: &[u8], size: usize, layout: Option<Layout>) -> Result<Vec<String>, SplitError> {
        let mut splitter = Splitter::new(layout, 100);
        let mut values = Vec::new();
        for chunk in body.chunks(size) {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(value) = splitter.next()? {
                values.push(value);
            }
        }
        values.extend(splitter.finish()?);
        Ok(values.iter().map(|value| String::from_utf8(value.to_vec()).unwrap()).collect())
    }

    #[test]
    fn values_come_out_whole_wherever_the_body_is_cut() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \r\n\t", &[]),
            ("{}", &["{}"]),
            ("{\"a\":1}\n{\"b\":[2,{}]}\r\n\n", &["{\"a\":1}", "{\"b\":[2,{}]}"]),
            ("{}{}\"x\"1 true", &["{}", "{}", "\"x\"", "1", "true"]),
            (r#"{"a":"}\"{\\"} "\\" "#, &[r#"{"a":"}\"{\\"}"#, r#""\\""#]),
            ("-1.5e+3", &["-1.5e+3"]),
            ("[]", &[]),
            (" [ ] ", &[]),
            ("[{\"a\":[1,2]} , [3,[4]],\"]\",null ]\n", &["{\"a\":[1,2]}", "[3,[4]]", "\"]\"", "null"]),
            ("{\"é\":\"日本\"}\n{}", &["{\"é\":\"日本\"}", "{}"]),
        ];
        for (body, expected) in cases {
            for size in 1..=body.len().max(1) {
                assert_eq!(split(body.as_bytes(), size, None).unwrap(), *expected, "{body} in pieces of {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_the_values_and_the_cuts_each_comes_out_as_it_went_in(
            values in prop::collection::vec(json(), 0..8),
            spaces in prop::collection::vec("[ \t\r\n]{1,3}", 9),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            array in any::<bool>(),
        ) {
            let texts: Vec<String> = values.iter().map(serde_json::Value::to_string).collect();
            let mut body = spaces[8].clone();
            if array {
                body.push('[');
            }
            for (number, (text, space)) in texts.iter().zip(&spaces).enumerate() {
                if array && number > 0 {
                    body.push(',');
                }
                body.push_str(&format!("{space}{text}{space}"));
            }
            if array {
                body.push(']');
            }
            // A sequence that begins with an array is told from an array of values by the content type alone.
            let layout = if array { Layout::Array } else { Layout::Sequence };
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([0, body.len()]).collect();
            cuts.sort_unstable();
            let mut splitter = Splitter::new(Some(layout), usize::MAX);
            let mut split = Vec::new();
            for pair in cuts.windows(2) {
                splitter.push(Bytes::copy_from_slice(&body.as_bytes()[pair[0]..pair[1]]));
                while let Some(value) = splitter.next().unwrap() {
                    split.push(value);
                }
            }
            split.extend(splitter.finish().unwrap());
            prop_assert_eq!(split, texts, "{}", body);
        }

        #[test]
        fn no_body_makes_more_of_itself_than_there_is(body in prop::collection::vec(any::<u8>(), 0..300), size in 1..50usize) {
            let mut splitter = Splitter::new(None, 100);
            let mut length = 0;
            for chunk in body.chunks(size) {
                splitter.push(Bytes::copy_from_slice(chunk));
                let outcome = loop {
                    match splitter.next() {
                        Ok(Some(value)) => {
                            prop_assert!(!value.is_empty() && value.len() <= 100);
                            length += value.len();
                        }
                        other => break other,
                    }
                };
                if outcome.is_err() {
                    break;
                }
                prop_assert!(splitter.begun.len() <= 100 + size);
            }
            prop_assert!(length <= body.len());
        }
    }

    #[test]
    fn a_body_cut_short_is_never_a_normal_end() {
        for whole in [r#"[{"a":"x\""},{"b":[1]}]"#, r#"{"a":"x\"","b":[{}]}"#, r#""text""#] {
            for length in 1..whole.len() {
                let cut = split(&whole.as_bytes()[..length], 3, None);
                assert!(matches!(cut, Err(SplitError::CutValue | SplitError::CutArray)), "{length}: {cut:?}");
            }
        }
    }

    #[test]
    fn what_stands_between_values_must_be_what_belongs_there() {
        for body in ["[1 2]", "[,1]", "[1,]", "[1]x", "[1][2]", ",", "{},{}", "]", "}", ":", "[1}"] {
            for size in 1..=body.len() {
                let error = split(body.as_bytes(), size, None);
                assert!(matches!(error, Err(SplitError::Unexpected { .. })), "{body}: {error:?}");
            }
        }
        let error = SplitError::Unexpected { expected: "a value", found: b'\n' };
        assert_eq!(error.to_string(), r"malformed JSON: expected a value, not `\n`");
    }

    #[test]
    fn a_layout_that_is_given_is_kept_to() {
        let lines = split(b"[1]\n[2]\n", 1, Some(Layout::Sequence));
        assert_eq!(lines.unwrap(), ["[1]", "[2]"]);
        assert!(matches!(split(b"{}", 1, Some(Layout::Array)), Err(SplitError::Unexpected { .. })));
    }

    #[test]
    fn a_value_is_held_to_the_limit_and_the_body_is_not() {
        let fits = format!("\"{}\"", "x".repeat(98));
        for size in [1, 7, 1000] {
            let body = format!("{fits}\n").repeat(20) + &" ".repeat(500);
            assert_eq!(split(body.as_bytes(), size, None).unwrap().len(), 20);
            for (open, close) in [("\"", "\""), ("{\"a\":\"", "\"}"), ("[[", "]]"), ("1", "")] {
                let huge = format!("{open}{}{close}", "1".repeat(101));
                assert_eq!(split(huge.as_bytes(), size, None), Err(SplitError::TooLarge { limit: 100 }), "{open}");
            }
        }
    }
}

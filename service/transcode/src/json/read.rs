//! JSON text to wire bytes, in one pass.
//!
//! serde_json's tokenizer drives visitors that append wire bytes as they go: no tree is built, and a string is copied
//! once, from the text into the message. Knows nothing of HTTP.

mod list;
mod object;
mod scalar;
mod text;
mod union;

use serde::de::DeserializeSeed;

pub(super) use self::list::{read_elements, read_entries};
pub(super) use self::scalar::SingleSeed;

use super::compile::Compiled;
use super::error::ReadError;
use super::plan::{Message, MessageId};
use super::wire::{WireType, put_varint};

/// How strictly a document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What a caller says: an unknown enum string is an error.
    Strict,
    /// What another server says: a value the schema cannot hold is kept among the additional members, where the message
    /// has them.
    Lenient,
}

/// How deep raw JSON may nest; serde_json holds typed members to 128.
pub(super) const RAW_DEPTH: usize = 100;

/// Reads `json` as a message and appends its wire bytes.
pub(super) fn read(
    plans: &Compiled,
    message: MessageId,
    json: &[u8],
    mode: Mode,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let text = std::str::from_utf8(json).map_err(|error| {
        ReadError::new(String::new(), format!("the body is not UTF-8 (byte {})", error.valid_up_to()))
    })?;
    let start = out.len();
    let mut context = Context { plans, mode, out, path: Vec::with_capacity(8) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = object::MessageSeed { context: &mut context, message, nested: false }
        .deserialize(&mut deserializer)
        .and_then(|outcome| match outcome {
            Outcome::Null => Err(serde::de::Error::custom("expected an object, not null")),
            _ => deserializer.end(),
        });
    result.map_err(|error| {
        let path = if error.is_data() { context.path() } else { String::new() };
        context.out.truncate(start);
        ReadError::new(path, explain(&error))
    })
}

/// Reads `json` as the value of one field and appends the field.
pub(super) fn read_field(
    plans: &Compiled,
    message: MessageId,
    field: u16,
    json: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let field = &plans.messages[message.0 as usize].fields[usize::from(field)];
    let text =
        std::str::from_utf8(json).map_err(|_| ReadError::new(field.name.to_string(), "the body is not UTF-8"))?;
    let before = out.len();
    let mut context = Context { plans, mode: Mode::Strict, out, path: vec![Segment::Name(&field.name)] };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = object::FieldSeed { context: &mut context, field }
        .deserialize(&mut deserializer)
        .and_then(|outcome| deserializer.end().map(|()| outcome));
    match result {
        Ok(Outcome::Written | Outcome::Scalar | Outcome::Empty(_)) => Ok(()),
        Ok(Outcome::Null | Outcome::Unknown(_)) => {
            out.truncate(before);
            Ok(())
        }
        Err(error) => {
            let path = if error.is_data() { context.path() } else { String::new() };
            context.out.truncate(before);
            Err(ReadError::new(path, explain(&error)))
        }
    }
}

/// Reads the text of a path variable or a query parameter as one value of a field and appends it.
pub(super) fn read_text(
    plans: &Compiled,
    message: MessageId,
    field: u16,
    text: &str,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let field = &plans.messages[message.0 as usize].fields[usize::from(field)];
    let before = out.len();
    let mut context = Context { plans, mode: Mode::Strict, out, path: Vec::new() };
    // An element of a packed list stands on the wire with its own tag, which every reader accepts.
    let seed = SingleSeed { context: &mut context, field, tagged: true };
    seed.deserialize(text::Text::new(text, field.kind)).map(drop).map_err(|error: serde_json::Error| {
        out.truncate(before);
        ReadError::new(field.name.to_string(), explain(&error))
    })
}

/// serde_json's message, without the position where a field path says it better.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if !error.is_data() {
        return format!("malformed JSON: {text}");
    }
    let text = text.rfind(" at line ").map_or(text.as_str(), |at| &text[..at]);
    match text.char_indices().nth(300) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text.to_owned(),
    }
}

/// What every visitor works with.
pub(super) struct Context<'a> {
    pub(super) plans: &'a Compiled,
    pub(super) mode: Mode,
    pub(super) out: &'a mut Vec<u8>,
    /// Where the reader stands; left as it is when an error unwinds.
    path: Vec<Segment<'a>>,
}

/// One step of a field path.
enum Segment<'a> {
    Name(&'a str),
    Index(usize),
    Key(String),
}

impl<'a> Context<'a> {
    fn plan(&self, message: MessageId) -> &'a Message {
        &self.plans.messages[message.0 as usize]
    }

    #[inline]
    fn tag(&mut self, number: u32, wire_type: WireType) {
        put_varint(self.out, u64::from(number) << 3 | wire_type.number());
    }

    /// The field path as AIP-193 writes it: `messages[0].content[1].text`.
    fn path(&self) -> String {
        let mut path = String::new();
        for segment in &self.path {
            match segment {
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
                Segment::Key(key) => path.push_str(&format!("[{key:?}]")),
                Segment::Name(name) if path.is_empty() => path.push_str(name),
                Segment::Name(name) => {
                    path.push('.');
                    path.push_str(name);
                }
            }
        }
        path
    }
}

/// What became of a member's value.
pub(super) enum Outcome {
    /// It stands in the message.
    Written,
    /// It was `null`: the field is unset.
    Null,
    /// An empty list or map, which the wire cannot tell from an unset one.
    Empty(&'static str),
    /// A list of one, given as a scalar.
    Scalar,
    /// An enum string that the schema does not know, in [`Mode::Lenient`].
    Unknown(String),
}

/// How deep `json` nests. The text is known to be well-formed.
pub(super) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let mut in_string = false;
    let mut escaped = false;
    for byte in json.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

//! JSON text to wire bytes, in one pass.
//!
//! serde_json's tokenizer drives visitors that append wire bytes as they go: no tree is built, and a string is copied
//! once, from the text into the message. Knows nothing of HTTP.

mod list;
mod object;
mod scalar;
mod text;
mod union;

use serde::de::{DeserializeSeed, Error as _};

pub(super) use self::list::{read_elements, read_entries};
pub(super) use self::object::{MessageSeed, read_object};
pub(super) use self::scalar::SingleSeed;
pub(super) use self::union::UnionSeed;

use super::compile::Compiled;
use super::error::{ReadError, ReadErrorKind};
use super::plan::{Field, Kind, Message, MessageId};
use super::reading::{Limits, Mode, Reading};
use super::wire::{WireType, close, open, put_varint};

/// How deep raw JSON may nest in a message that did not come as JSON.
pub(super) const RAW_DEPTH: usize = 100;

/// Reads `json` as a message and appends its wire bytes.
pub(super) fn read(
    plans: &Compiled,
    message: MessageId,
    json: &[u8],
    how: Reading,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let text = utf8(json, "")?;
    let mut context = Context::new(plans, how, out);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = object::MessageSeed { context: &mut context, message, nested: false }
        .deserialize(&mut deserializer)
        .and_then(|outcome| match outcome {
            Outcome::Null => Err(serde_json::Error::custom("expected an object, not null")),
            _ => deserializer.end(),
        });
    result.map_err(|error| context.fail(&error))
}

/// Reads `json` as the value of one field and appends the field.
pub(super) fn read_field(
    plans: &Compiled,
    message: MessageId,
    field: u16,
    json: &[u8],
    how: Reading,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let field = &plans.messages[message.0 as usize].fields[usize::from(field)];
    let text = utf8(json, &field.name)?;
    let mut context = Context::new(plans, how, out);
    context.path.push(Segment::Name(&field.name));
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let result = object::FieldSeed { context: &mut context, field }
        .deserialize(&mut deserializer)
        .and_then(|outcome| deserializer.end().map(|()| outcome));
    match result {
        Ok(Outcome::Written | Outcome::Scalar | Outcome::Empty(_)) => Ok(()),
        Ok(Outcome::Null | Outcome::Unknown(_)) => {
            context.undo();
            Ok(())
        }
        Err(error) => Err(context.fail(&error)),
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
    let mut context = Context::new(plans, Mode::Strict.into(), out);
    context.path.push(Segment::Name(&field.name));
    match text_value(&mut context, field, text) {
        Ok(Outcome::Null) => {
            context.undo();
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(context.fail(&error)),
    }
}

/// Reads the key and the value of one entry of a map from text and appends it.
pub(super) fn read_entry(
    plans: &Compiled,
    message: MessageId,
    field: u16,
    key: &str,
    value: &str,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    let field = &plans.messages[message.0 as usize].fields[usize::from(field)];
    let mut context = Context::new(plans, Mode::Strict.into(), out);
    context.path.push(Segment::Name(&field.name));
    text_entry(&mut context, field, key, value).map_err(|error| context.fail(&error))
}

fn text_entry(context: &mut Context<'_>, field: &Field, key: &str, value: &str) -> Result<(), serde_json::Error> {
    let Kind::Message(entry) = field.kind else {
        return Err(serde_json::Error::custom("not a map"));
    };
    let [key_field, value_field] = &context.plan(entry).fields[..] else {
        return Err(serde_json::Error::custom("not a map"));
    };
    context.path.push(Segment::Key(key.to_owned()));
    context.tag(field.number, WireType::Bytes);
    let start = open(context.out);
    list::put_key::<serde_json::Error>(context, key_field, key)?;
    if let Outcome::Null = text_value(context, value_field, value)? {
        return Err(serde_json::Error::custom("null is not a value of this map"));
    }
    close(context.out, start);
    Ok(())
}

/// Reads one value of a field from text: what holds JSON is read as JSON, anything else as [`text::Text`].
fn text_value(context: &mut Context<'_>, field: &Field, text: &str) -> Result<Outcome, serde_json::Error> {
    let inner = match field.kind {
        Kind::Message(child) => Some(context.plan(child)),
        _ => None,
    };
    let holds_json = field.raw || inner.is_some_and(|plan| plan.well_known.is_some_and(|kind| kind.is_json()));
    // The value of a wrapper is read as the scalar that it wraps.
    let kind = inner.and_then(|plan| plan.fields.first()).map_or(field.kind, |wrapped| wrapped.kind);
    // An element of a packed list stands on the wire with its own tag, which every reader accepts.
    let seed = SingleSeed { context, field, tagged: true };
    if !holds_json {
        return seed.deserialize(text::Text::new(text, kind));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outcome = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(outcome)
}

fn utf8<'j>(json: &'j [u8], field: &str) -> Result<&'j str, ReadError> {
    std::str::from_utf8(json).map_err(|error| {
        let problem = format!("the body is not UTF-8 (byte {})", error.valid_up_to());
        ReadError::of(ReadErrorKind::Malformed, field.to_owned(), problem)
    })
}

/// What every visitor works with.
pub(super) struct Context<'a> {
    pub(super) plans: &'a Compiled,
    pub(super) mode: Mode,
    pub(super) out: &'a mut Vec<u8>,
    /// Where the reader stands; left as it is when an error unwinds.
    path: Vec<Segment<'a>>,
    /// Where the document's bytes begin in `out`.
    start: usize,
    limits: Limits,
    depth: usize,
    items: usize,
    /// The limit that was met.
    met: Option<ReadErrorKind>,
}

/// One step of a field path.
enum Segment<'a> {
    Name(&'a str),
    Index(usize),
    Key(String),
}

impl<'a> Context<'a> {
    fn new(plans: &'a Compiled, how: Reading, out: &'a mut Vec<u8>) -> Self {
        let (start, path) = (out.len(), Vec::with_capacity(8));
        Self { plans, mode: how.mode, out, path, start, limits: how.limits, depth: 0, items: 0, met: None }
    }

    /// Goes down `levels`.
    #[inline]
    pub(super) fn enter<E: serde::de::Error>(&mut self, levels: usize) -> Result<(), E> {
        self.depth += levels;
        if self.depth <= self.limits.max_depth {
            return Ok(());
        }
        self.met = Some(ReadErrorKind::TooDeep);
        Err(E::custom(format_args!("nested deeper than {} levels", self.limits.max_depth)))
    }

    #[inline]
    pub(super) fn leave(&mut self, levels: usize) {
        self.depth -= levels;
    }

    /// Counts an element of a list or an entry of a map.
    #[inline]
    pub(super) fn count_item<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.items += 1;
        if self.items <= self.limits.max_items {
            return Ok(());
        }
        self.met = Some(ReadErrorKind::TooManyItems);
        Err(E::custom(format_args!("more than {} elements in the whole document", self.limits.max_items)))
    }

    /// Takes back what was written.
    fn undo(&mut self) {
        self.out.truncate(self.start);
    }

    /// Takes back what was written, and says why.
    fn fail(&mut self, error: &serde_json::Error) -> ReadError {
        self.undo();
        let problem = error.to_string();
        let kind = match self.met {
            Some(kind) => kind,
            None if error.is_data() => ReadErrorKind::Invalid,
            // serde_json keeps its own count of 128 levels, so that the stack is safe whatever the limits are.
            None if problem.starts_with("recursion limit") => ReadErrorKind::TooDeep,
            None => ReadErrorKind::Malformed,
        };
        if kind == ReadErrorKind::Malformed {
            return ReadError::of(kind, String::new(), format!("malformed JSON: {problem}"));
        }
        // The position says less than the field path.
        let problem = problem.rfind(" at line ").map_or(problem.as_str(), |at| &problem[..at]);
        let problem = match problem.char_indices().nth(300) {
            Some((cut, _)) => format!("{}...", &problem[..cut]),
            None => problem.to_owned(),
        };
        ReadError::of(kind, self.path(), problem)
    }

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

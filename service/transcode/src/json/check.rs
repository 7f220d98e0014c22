//! Checks wire bytes that come from a stranger, before anything trusts them.
//!
//! Well-formed, of the declared wire types, UTF-8 in strings, JSON in raw fields and additional members, and nested no
//! deeper than a reader survives. This is the one gate under every protocol: bytes made from JSON are right by
//! construction, bytes that came as gRPC pass through here. Errors name the field path.

use serde_json::value::RawValue;

use super::compile::Compiled;
use super::error::ReadError;
use super::plan::{Field, Kind, Label, Message, MessageId};
use super::read::RAW_DEPTH;
use super::wire::{Reader, Value, WireType};

/// prost decodes to this depth.
const MAX_DEPTH: usize = 100;

/// Checks a whole message.
pub(super) fn check(plans: &Compiled, message: MessageId, wire: &[u8]) -> Result<(), ReadError> {
    Checker { plans }.message(&plans.messages[message.0 as usize], wire, 1).map_err(|fault| {
        let mut path = String::new();
        for step in fault.path.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        ReadError::new(path, fault.problem)
    })
}

struct Fault {
    /// Innermost first.
    path: Vec<String>,
    problem: String,
}

impl Fault {
    fn new(problem: impl Into<String>) -> Self {
        Self { path: Vec::new(), problem: problem.into() }
    }
}

struct Checker<'a> {
    plans: &'a Compiled,
}

impl Checker<'_> {
    fn message(&self, plan: &Message, wire: &[u8], depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::new(format!("messages nest deeper than {MAX_DEPTH} levels")));
        }
        let mut reader = Reader::new(wire);
        loop {
            let at = reader.position();
            let field = match reader.next() {
                Ok(Some(field)) => field,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Fault::new(error.to_string())),
            };
            let Some(index) = plan.field_index(field.number) else {
                continue;
            };
            let known = &plan.fields[index];
            let additional = plan.additional.map(usize::from) == Some(index);
            if let Err(mut fault) = self.value(known, field.value, additional, depth) {
                if matches!(known.label, Label::Repeated { .. }) {
                    fault.path.push(format!("[{}]", earlier(&wire[..at], field.number)));
                }
                fault.path.push(known.name.to_string());
                return Err(fault);
            }
        }
    }

    fn value(&self, field: &Field, value: Value<'_>, additional: bool, depth: usize) -> Result<(), Fault> {
        match (field.kind.wire_type(), value) {
            (WireType::Varint, Value::Varint(_))
            | (WireType::Fixed32, Value::Fixed32(_))
            | (WireType::Fixed64, Value::Fixed64(_)) => Ok(()),
            (WireType::Bytes, Value::Bytes(bytes)) => match field.kind {
                Kind::Message(id) => {
                    let plan = &self.plans.messages[id.0 as usize];
                    self.message(plan, bytes, depth + 1)?;
                    if additional { additional_entry(bytes) } else { Ok(()) }
                }
                Kind::String => {
                    let text = std::str::from_utf8(bytes).map_err(|_| Fault::new("the string is not UTF-8"))?;
                    if field.raw { json(text) } else { Ok(()) }
                }
                _ => Ok(()),
            },
            (scalar, Value::Bytes(bytes)) if matches!(field.label, Label::Repeated { .. }) => packed(scalar, bytes),
            _ => Err(Fault::new(format!("the wire type is wrong, expected {}", field.kind.expected()))),
        }
    }
}

/// How many times a field stands in bytes that are known to be well-formed.
fn earlier(wire: &[u8], number: u32) -> usize {
    let mut reader = Reader::new(wire);
    let mut count = 0;
    while let Ok(Some(field)) = reader.next() {
        count += usize::from(field.number == number);
    }
    count
}

fn packed(wire_type: WireType, bytes: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::new(bytes);
    while !reader.is_empty() {
        let read = match wire_type {
            WireType::Varint => reader.varint().map(drop),
            WireType::Fixed32 => reader.fixed32().map(drop),
            _ => reader.fixed64().map(drop),
        };
        read.map_err(|error| Fault::new(error.to_string()))?;
    }
    Ok(())
}

/// The text of an additional member must be JSON, or empty: a note on a form.
fn additional_entry(entry: &[u8]) -> Result<(), Fault> {
    let mut reader = Reader::new(entry);
    while let Ok(Some(field)) = reader.next() {
        if let (2, Value::Bytes(bytes)) = (field.number, field.value)
            && !bytes.is_empty()
        {
            json(std::str::from_utf8(bytes).map_err(|_| Fault::new("the string is not UTF-8"))?)?;
        }
    }
    Ok(())
}

fn json(text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Ok(());
    }
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| Fault::new(format!("the text is not JSON: {error}")))?;
    if super::read::depth(raw.get()) > RAW_DEPTH {
        return Err(Fault::new(format!("nested deeper than {RAW_DEPTH} levels")));
    }
    Ok(())
}

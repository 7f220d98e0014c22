//! Checks wire bytes that come from a stranger, before anything trusts them.
//!
//! Well-formed, of the declared wire types, UTF-8 in strings, JSON in raw fields and additional members, and within the
//! limits of a document: what may come as JSON may come as bytes too. This is the one gate under every protocol: bytes
//! made from JSON are right by construction, bytes that came as gRPC pass through here. Errors name the field path.

use std::cell::Cell;

use serde_json::value::RawValue;

use super::compile::Compiled;
use super::error::{ReadError, ReadErrorKind};
use super::plan::{Field, Kind, Label, Message, MessageId, WellKnown};
use super::read::RAW_DEPTH;
use super::reading::Limits;
use super::wire::{Item, Reader, Value, WireType};

/// prost decodes to this depth.
const MAX_DEPTH: usize = 100;

/// Checks a whole message.
pub(super) fn check(plans: &Compiled, message: MessageId, wire: &[u8], limits: Limits) -> Result<(), ReadError> {
    let depth = limits.max_depth.min(MAX_DEPTH);
    let checker = Checker { plans, depth, limit: limits.max_items, items: Cell::new(limits.max_items) };
    checker.message(&plans.messages[message.0 as usize], wire, 1).map_err(|fault| {
        let mut path = String::new();
        for step in fault.path.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        ReadError::of(fault.kind, path, fault.problem)
    })
}

struct Fault {
    /// Innermost first.
    path: Vec<String>,
    kind: ReadErrorKind,
    problem: String,
}

impl Fault {
    fn new(problem: impl Into<String>) -> Self {
        Self::of(ReadErrorKind::Invalid, problem)
    }

    fn of(kind: ReadErrorKind, problem: impl Into<String>) -> Self {
        Self { path: Vec::new(), kind, problem: problem.into() }
    }
}

struct Checker<'a> {
    plans: &'a Compiled,
    /// How deep messages may nest.
    depth: usize,
    /// How many elements and entries there may be, and how many more there may be yet.
    limit: usize,
    items: Cell<usize>,
}

impl Checker<'_> {
    fn message(&self, plan: &Message, wire: &[u8], depth: usize) -> Result<(), Fault> {
        if depth > self.depth {
            let problem = format!("nested deeper than {} levels", self.depth);
            return Err(Fault::of(ReadErrorKind::TooDeep, problem));
        }
        let mut reader = Reader::new(wire);
        loop {
            let at = reader.position();
            let field = match reader.item() {
                Ok(Some(Item::Field(field))) => field,
                Ok(Some(Item::Group(number))) => match plan.field_index(number).map(|index| &plan.fields[index]) {
                    Some(known) if !known.group => {
                        let mut fault =
                            Fault::new(format!("the wire type is wrong, expected {}", known.kind.expected()));
                        fault.path.push(known.name.to_string());
                        return Err(fault);
                    }
                    _ => continue,
                },
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

    /// Counts elements of lists and entries of maps.
    fn count(&self, items: usize) -> Result<(), Fault> {
        let left = self.items.get().checked_sub(items);
        self.items.set(left.ok_or_else(|| {
            let problem = format!("more than {} elements in the whole message", self.limit);
            Fault::of(ReadErrorKind::TooManyItems, problem)
        })?);
        Ok(())
    }

    fn value(&self, field: &Field, value: Value<'_>, additional: bool, depth: usize) -> Result<(), Fault> {
        let packs = matches!(field.label, Label::Repeated { .. }) && field.kind.wire_type() != WireType::Bytes;
        let several = !matches!(field.label, Label::Singular { .. }) && !additional;
        if several && !(packs && matches!(value, Value::Bytes(_))) {
            self.count(1)?;
        }
        match (field.kind.wire_type(), value) {
            (WireType::Varint, Value::Varint(_))
            | (WireType::Fixed32, Value::Fixed32(_))
            | (WireType::Fixed64, Value::Fixed64(_)) => Ok(()),
            (WireType::Bytes, Value::Bytes(bytes)) => match field.kind {
                Kind::Message(id) => {
                    let plan = &self.plans.messages[id.0 as usize];
                    // What is a scalar or a member in a document is no level of it.
                    let flat = additional || plan.well_known.is_some_and(WellKnown::is_text);
                    self.message(plan, bytes, depth + usize::from(!flat))?;
                    if additional { additional_entry(bytes) } else { Ok(()) }
                }
                // Raw JSON in bytes is written as it stands too.
                Kind::Bytes if !field.raw => Ok(()),
                Kind::String | Kind::Bytes => {
                    let text = std::str::from_utf8(bytes).map_err(|_| Fault::new("the string is not UTF-8"))?;
                    if field.raw { json(text) } else { Ok(()) }
                }
                _ => Ok(()),
            },
            (scalar, Value::Bytes(bytes)) if packs => self.count(packed(scalar, bytes)?),
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

/// How many scalars are packed here.
fn packed(wire_type: WireType, bytes: &[u8]) -> Result<usize, Fault> {
    let mut reader = Reader::new(bytes);
    let mut count = 0;
    while !reader.is_empty() {
        let read = match wire_type {
            WireType::Varint => reader.varint().map(drop),
            WireType::Fixed32 => reader.fixed32().map(drop),
            _ => reader.fixed64().map(drop),
        };
        read.map_err(|error| Fault::new(error.to_string()))?;
        count += 1;
    }
    Ok(count)
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

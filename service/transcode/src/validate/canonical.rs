//! Makes the bytes of a message canonical: each field that may stand once stands once.
//!
//! The wire format lets a later value of a field replace an earlier one, merges the parts of a message that comes in
//! several, and lets a later member of a oneof or entry of a map push out an earlier one
//! (<https://protobuf.dev/programming-guides/encoding/#last-one-wins>). No encoder writes such bytes, but a stranger may,
//! and rules hold for what a decoder makes of them.

use std::collections::HashMap;

use super::walk::Stop;
use crate::json::plan::{Kind, Label};
use crate::json::wire::{Reader, Value, WireType, put_bytes, put_varint};
use crate::json::{MessageId, Plans};

/// Deeper than any message that a decoder takes.
const MAX_DEPTH: usize = 128;

/// What has been met of a field that may stand once.
#[derive(Clone)]
enum Slot<'w> {
    Empty,
    Scalar(Value<'w>),
    /// The parts of a message in a row, which is how they are merged.
    Message(Vec<u8>),
}

/// The canonical bytes of a message. Fields that the schema does not name are left out.
pub(super) fn canonical(plans: &Plans, id: MessageId, wire: &[u8], depth: usize) -> Result<Vec<u8>, Stop> {
    if depth > MAX_DEPTH {
        return Err(Stop::Malformed);
    }
    let plan = plans.plan(id);
    let mut slots = vec![Slot::Empty; plan.fields.len()];
    // Entries of maps in order, and where the one of each key is.
    let mut entries: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut at: HashMap<(u32, Vec<u8>), usize> = HashMap::new();
    let mut out = Vec::with_capacity(wire.len());
    let mut reader = Reader::new(wire);
    while let Some(occurrence) = reader.next()? {
        let Some(index) = plan.field_index(occurrence.number) else {
            continue;
        };
        let field = &plan.fields[index];
        match (field.label, field.kind, occurrence.value) {
            (Label::Map, Kind::Message(entry), Value::Bytes(bytes)) => {
                let entry = canonical(plans, entry, bytes, depth + 1)?;
                let place = *at.entry((field.number, key(&entry)?)).or_insert(entries.len());
                if place == entries.len() {
                    entries.push((field.number, entry));
                } else {
                    entries[place].1 = entry;
                }
            }
            (Label::Repeated { .. }, Kind::Message(item), Value::Bytes(bytes)) => {
                put(&mut out, field.number, Value::Bytes(&canonical(plans, item, bytes, depth + 1)?));
            }
            (Label::Repeated { .. }, _, value) => put(&mut out, field.number, value),
            (_, kind, value) => {
                if let Some(oneof) = field.oneof {
                    let others = plan.oneofs[usize::from(oneof)].fields.iter().map(|other| usize::from(*other));
                    others.filter(|other| *other != index).for_each(|other| slots[other] = Slot::Empty);
                }
                match (&mut slots[index], kind, value) {
                    (Slot::Message(parts), _, Value::Bytes(bytes)) => parts.extend_from_slice(bytes),
                    (slot, Kind::Message(_), Value::Bytes(bytes)) => *slot = Slot::Message(bytes.to_vec()),
                    (slot, _, value) => *slot = Slot::Scalar(value),
                }
            }
        }
    }
    for (number, entry) in entries {
        put(&mut out, number, Value::Bytes(&entry));
    }
    for (field, slot) in plan.fields.iter().zip(slots) {
        match (slot, field.kind) {
            (Slot::Scalar(value), _) => put(&mut out, field.number, value),
            (Slot::Message(parts), Kind::Message(child)) => {
                put(&mut out, field.number, Value::Bytes(&canonical(plans, child, &parts, depth + 1)?));
            }
            _ => {}
        }
    }
    Ok(out)
}

/// The key of a canonical entry, as it stands on the wire; nothing where it is the default.
fn key(entry: &[u8]) -> Result<Vec<u8>, Stop> {
    let mut reader = Reader::new(entry);
    let mut key = Vec::new();
    while let Some(field) = reader.next()? {
        if field.number == 1 && !matches!(field.value, Value::Varint(0) | Value::Fixed32(0) | Value::Fixed64(0)) {
            key.clear();
            put(&mut key, 1, field.value);
        }
    }
    // A text that is empty and one that is absent are the same key.
    if key == [1 << 3 | 2, 0] {
        key.clear();
    }
    Ok(key)
}

fn put(out: &mut Vec<u8>, number: u32, value: Value<'_>) {
    let wire_type = match value {
        Value::Varint(_) => WireType::Varint,
        Value::Fixed32(_) => WireType::Fixed32,
        Value::Fixed64(_) => WireType::Fixed64,
        Value::Bytes(_) => WireType::Bytes,
    };
    put_varint(out, u64::from(number) << 3 | wire_type.number());
    match value {
        Value::Varint(value) => put_varint(out, value),
        Value::Fixed32(bits) => out.extend_from_slice(&bits.to_le_bytes()),
        Value::Fixed64(bits) => out.extend_from_slice(&bits.to_le_bytes()),
        Value::Bytes(bytes) => put_bytes(out, bytes),
    }
}

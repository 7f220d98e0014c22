//! Where fields stand in the bytes of a message, and what follows from several occurrences of one.

use std::borrow::Cow;

use super::wrong_type;
use crate::json::error::WriteError;
use crate::json::plan::{Field, Message};
use crate::json::wire::{Reader, Value};

/// Where a field stands in its message.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    /// Where its first occurrence begins.
    pub(super) first: u32,
    /// Where its last occurrence begins.
    pub(super) last: u32,
    /// How many occurrences there are.
    pub(super) count: u32,
}

impl Slot {
    /// Notes an occurrence that begins at byte `at`.
    #[inline]
    pub(super) fn note(&mut self, at: usize) {
        let at = at as u32;
        if self.count == 0 {
            self.first = at;
        }
        self.last = at;
        self.count += 1;
    }
}

/// Calls `act` with each occurrence of a field, from the first noted one on.
pub(super) fn each<'w>(
    wire: &'w [u8],
    slot: Slot,
    number: u32,
    mut act: impl FnMut(Value<'w>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let mut reader = Reader::starting_at(wire, slot.first as usize);
    let mut left = slot.count;
    while left > 0
        && let Some(field) = reader.next()?
    {
        if field.number == number {
            left -= 1;
            act(field.value)?;
        }
    }
    Ok(())
}

#[inline]
pub(super) fn value_at(wire: &[u8], at: u32) -> Result<Value<'_>, WriteError> {
    Ok(Reader::starting_at(wire, at as usize).next()?.ok_or_else(wrong_type)?.value)
}

/// The bytes of a message field.
#[inline]
pub(super) fn merged<'w>(
    plan: &Message,
    field: &Field,
    wire: &'w [u8],
    slot: Slot,
) -> Result<Cow<'w, [u8]>, WriteError> {
    if slot.count > 1 {
        return parts(plan, field, wire, slot).map(Cow::Owned);
    }
    match value_at(wire, slot.last)? {
        Value::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
        _ => Err(wrong_type()),
    }
}

/// Several occurrences are merged, which on the wire is putting them end to end; another member of the oneof in between
/// undoes those before.
#[cold]
fn parts(plan: &Message, field: &Field, wire: &[u8], slot: Slot) -> Result<Vec<u8>, WriteError> {
    let mut all = Vec::new();
    let mut reader = Reader::starting_at(wire, slot.first as usize);
    while let Some(found) = reader.next()? {
        if found.number == field.number {
            let Value::Bytes(bytes) = found.value else {
                return Err(wrong_type());
            };
            all.extend_from_slice(bytes);
        } else if let Some(other) = plan.field_index(found.number)
            && field.oneof.is_some()
            && plan.fields[other].oneof == field.oneof
        {
            all.clear();
        }
    }
    Ok(all)
}

#[inline]
pub(super) fn is_default(field: &Field, wire: &[u8], slot: Slot) -> Result<bool, WriteError> {
    Ok(match value_at(wire, slot.last)? {
        // Of a varint that is too long for 32 bits, the low ones count.
        Value::Varint(value) if field.kind.is_narrow() => value as u32 == 0,
        Value::Varint(value) | Value::Fixed64(value) => value == 0,
        Value::Fixed32(value) => value == 0,
        Value::Bytes(bytes) => bytes.is_empty(),
    })
}

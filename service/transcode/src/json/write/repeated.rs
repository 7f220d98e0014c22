//! Repeated fields as JSON arrays, and maps as JSON objects.

use std::collections::HashMap;

use super::scalar::{put_scalar, scalar_default};
use super::slot::{Slot, each};
use super::{Writer, wrong_type};
use crate::json::error::WriteError;
use crate::json::plan::{Field, Kind};
use crate::json::wire::{Reader, Value, WireType};

impl Writer<'_> {
    /// A list of one element, without its brackets; any other list with them.
    pub(super) fn lone_element(&mut self, field: &Field, wire: &[u8], slot: Slot) -> Result<(), WriteError> {
        let start = self.out.len();
        if self.list(field, wire, slot)? == 1 {
            self.out.pop();
            self.out.remove(start);
        }
        Ok(())
    }

    /// Writes a list and says how many elements there are.
    pub(super) fn list(&mut self, field: &Field, wire: &[u8], slot: Slot) -> Result<usize, WriteError> {
        self.out.push(b'[');
        let (mut first, mut count) = (true, 0);
        each(wire, slot, field.number, |value| {
            let wire_type = field.kind.wire_type();
            match value {
                // Packed and unpacked elements may be mixed.
                Value::Bytes(packed) if wire_type != WireType::Bytes => {
                    let mut reader = Reader::new(packed);
                    while !reader.is_empty() {
                        let value = match wire_type {
                            WireType::Varint => Value::Varint(reader.varint()?),
                            WireType::Fixed32 => Value::Fixed32(reader.fixed32()?),
                            _ => Value::Fixed64(reader.fixed64()?),
                        };
                        self.comma(&mut first);
                        self.single(field, value)?;
                        count += 1;
                    }
                    Ok(())
                }
                value => {
                    self.comma(&mut first);
                    count += 1;
                    self.single(field, value)
                }
            }
        })?;
        self.out.push(b']');
        Ok(count)
    }

    pub(super) fn map(&mut self, field: &Field, wire: &[u8], slot: Slot) -> Result<(), WriteError> {
        let Kind::Message(entry) = field.kind else {
            return Err(wrong_type());
        };
        let entry = &self.plans.messages[entry.0 as usize];
        let [key_field, value_field] = &entry.fields[..] else {
            return Err(wrong_type());
        };
        let mut entries = Vec::with_capacity(slot.count as usize);
        each(wire, slot, field.number, |value| {
            let Value::Bytes(bytes) = value else {
                return Err(wrong_type());
            };
            let (mut key, mut value) = (None, Slot::default());
            let mut reader = Reader::new(bytes);
            loop {
                let at = reader.position();
                match reader.next()? {
                    None => break,
                    Some(field) if field.number == 1 => key = Some(field.value),
                    Some(field) if field.number == 2 => value.note(at),
                    Some(_) => {}
                }
            }
            let mut text = Vec::new();
            match key {
                Some(key) => put_scalar(&mut text, key_field, key)?,
                None => text.extend_from_slice(scalar_default(key_field.kind, key_field).as_bytes()),
            }
            if text.first() != Some(&b'"') {
                text.insert(0, b'"');
                text.push(b'"');
            }
            entries.push((text, bytes, value));
            Ok(())
        })?;
        // Of several entries of one key the last counts.
        let last: HashMap<&[u8], usize> = entries.iter().enumerate().map(|(at, (key, ..))| (&key[..], at)).collect();
        self.out.push(b'{');
        let mut first = true;
        for (at, (key, bytes, value)) in entries.iter().enumerate() {
            if last.get(&key[..]) != Some(&at) {
                continue;
            }
            self.key(key, &mut first);
            self.out.push(b':');
            match value_field.kind {
                _ if value.count > 0 => self.field_value(entry, value_field, bytes, *value)?,
                Kind::Message(id) => self.message(id, &[])?,
                _ => self.default_value(value_field),
            }
        }
        self.out.push(b'}');
        Ok(())
    }
}

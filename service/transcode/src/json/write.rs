//! Wire bytes to JSON text.
//!
//! Each message is walked twice: once over its own field headers, to note where each field stands, and once to write
//! the members in the order of the plan. Nothing is decoded into a tree. Knows nothing of HTTP.

mod repeated;
mod scalar;
mod slot;

pub(super) use self::scalar::put_json_string;
use self::scalar::{put_enum, put_scalar, scalar_default};
use self::slot::{Slot, each, is_default, merged, value_at};
use super::compile::Compiled;
use super::error::WriteError;
use super::plan::{Field, Form, Kind, Label, Member, Message, MessageId, Union, WellKnown};
use super::well_known;
use super::wire::{Reader, Value};
use crate::options::Unset;

/// Room for the fields of a few nested messages, so that most documents allocate once.
const SLOTS: usize = 96;

/// How deep messages may nest.
const MAX_DEPTH: usize = 100;

/// Appends the JSON of the message in `wire` to `out`; on an error `out` is as it was.
pub(super) fn write(plans: &Compiled, message: MessageId, wire: &[u8], out: &mut Vec<u8>) -> Result<(), WriteError> {
    let start = out.len();
    let mut writer = Writer { plans, out, slots: Vec::with_capacity(SLOTS), depth: 0 };
    let result = writer.message(message, wire);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Appends the JSON of one field of the message in `wire`: the value, without its name.
pub(super) fn write_field(
    plans: &Compiled,
    message: MessageId,
    field: u16,
    wire: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), WriteError> {
    let mut writer = Writer { plans, out, slots: Vec::with_capacity(SLOTS), depth: 0 };
    let plan = &plans.messages[message.0 as usize];
    let base = writer.index(plan, wire)?;
    let slot = writer.slots[base + usize::from(field)];
    let field = &plan.fields[usize::from(field)];
    if slot.count == 0 {
        writer.default_value(field);
        return Ok(());
    }
    writer.field_value(plan, field, wire, slot)
}

/// A message whose members are being written.
struct Open<'p, 'w> {
    plan: &'p Message,
    wire: &'w [u8],
    /// Where its slots begin.
    base: usize,
    /// The members that the schema could not hold: name and JSON text.
    additional: Vec<(&'w str, &'w str)>,
}

pub(super) struct Writer<'a> {
    pub(super) plans: &'a Compiled,
    pub(super) out: &'a mut Vec<u8>,
    /// The slots of every message that is open, innermost last: one allocation for a whole document.
    slots: Vec<Slot>,
    depth: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn message(&mut self, id: MessageId, wire: &[u8]) -> Result<(), WriteError> {
        let plan = &self.plans.messages[id.0 as usize];
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(WriteError::new(format!("messages nest deeper than {MAX_DEPTH} levels")));
        }
        match plan.well_known {
            None => {
                self.out.push(b'{');
                let mut first = true;
                self.members(plan, wire, &mut first)?;
                self.out.push(b'}');
            }
            Some(kind) => well_known::write(self, kind, plan, wire)?,
        }
        self.depth -= 1;
        Ok(())
    }

    /// Writes the members of a message without its braces; `first` tells whether a comma is due.
    pub(super) fn members(&mut self, plan: &'a Message, wire: &[u8], first: &mut bool) -> Result<(), WriteError> {
        let base = self.index(plan, wire)?;
        let additional = self.additional(plan, wire, base)?;
        let open = Open { plan, wire, base, additional };
        for &member in &plan.output {
            match member {
                Member::Field(index) => self.field(&open, index, first)?,
                Member::Union(index) => {
                    if let Form::ByJsonType(union) = &plan.oneofs[usize::from(index)].form {
                        self.union(&open, index, union, first)?;
                    }
                }
                Member::Tag(index) => {
                    let oneof = &plan.oneofs[usize::from(index)];
                    let Form::Tag { json_key, name } = &oneof.form else {
                        continue;
                    };
                    if let Some(set) = self.set_field(plan, index, base)
                        && !is_noted(&open.additional, name)
                    {
                        self.key(json_key, first);
                        put_json_string(self.out, &plan.fields[usize::from(set)].name)?;
                    }
                }
            }
        }
        for (index, (name, text)) in open.additional.iter().enumerate() {
            let replaced = open.additional[index + 1..].iter().any(|(later, _)| later == name);
            if text.is_empty() || replaced || self.is_set(plan, name, base) {
                continue;
            }
            self.comma(first);
            put_json_string(self.out, name)?;
            self.out.push(b':');
            self.out.extend_from_slice(text.as_bytes());
        }
        self.slots.truncate(base);
        Ok(())
    }

    /// Writes the value of the one field of a wrapper, a `Struct` or a `ListValue`.
    pub(super) fn first_field(&mut self, plan: &'a Message, wire: &[u8]) -> Result<(), WriteError> {
        let Some(field) = plan.fields.first() else {
            return Err(wrong_type());
        };
        let base = self.index(plan, wire)?;
        let slot = self.slots[base];
        if slot.count == 0 {
            self.default_value(field)
        } else {
            self.field_value(plan, field, wire, slot)?
        }
        self.slots.truncate(base);
        Ok(())
    }

    /// Writes a `google.protobuf.Value`: the member of its oneof that is set, or `null`.
    pub(super) fn value(&mut self, plan: &'a Message, wire: &[u8]) -> Result<(), WriteError> {
        let base = self.index(plan, wire)?;
        match self.set_field(plan, 0, base) {
            None => self.out.extend_from_slice(b"null"),
            Some(index) => {
                let (field, slot) = (&plan.fields[usize::from(index)], self.slots[base + usize::from(index)]);
                if let Value::Fixed64(bits) = value_at(wire, slot.last)?
                    && !f64::from_bits(bits).is_finite()
                {
                    return Err(WriteError::new("a google.protobuf.Value cannot hold a number that is not finite"));
                }
                self.field_value(plan, field, wire, slot)?;
            }
        }
        self.slots.truncate(base);
        Ok(())
    }

    /// Notes where each field stands, and gives where its slots begin.
    fn index(&mut self, plan: &Message, wire: &[u8]) -> Result<usize, WriteError> {
        let base = self.slots.len();
        self.slots.resize(base + plan.fields.len(), Slot::default());
        let mut reader = Reader::new(wire);
        loop {
            let at = reader.position();
            let Some(field) = reader.next()? else {
                return Ok(base);
            };
            let Some(index) = plan.field_index(field.number) else {
                continue;
            };
            self.slots[base + index].note(at);
        }
    }

    /// The members that the schema could not hold.
    fn additional<'w>(
        &self,
        plan: &Message,
        wire: &'w [u8],
        base: usize,
    ) -> Result<Vec<(&'w str, &'w str)>, WriteError> {
        let Some(index) = plan.additional else {
            return Ok(Vec::new());
        };
        let slot = self.slots[base + usize::from(index)];
        let mut entries = Vec::new();
        if slot.count > 0 {
            each(wire, slot, plan.fields[usize::from(index)].number, |value| {
                let Value::Bytes(entry) = value else {
                    return Err(wrong_type());
                };
                let (mut key, mut text) = ("", "");
                let mut reader = Reader::new(entry);
                while let Some(field) = reader.next()? {
                    match (field.number, field.value) {
                        (1, Value::Bytes(bytes)) => key = utf8(bytes)?,
                        (2, Value::Bytes(bytes)) => text = utf8(bytes)?,
                        _ => {}
                    }
                }
                entries.push((key, text));
                Ok(())
            })?;
        }
        Ok(entries)
    }

    /// Whether the member of this name is set in the message itself, so that an additional one must not repeat it.
    fn is_set(&self, plan: &Message, name: &str, base: usize) -> bool {
        match plan.members.get(name) {
            None => false,
            Some(Member::Field(index)) => self.slots[base + usize::from(index)].count > 0,
            Some(Member::Union(index)) => self.set_field(plan, index, base).is_some(),
            Some(Member::Tag(index)) => self.set_field(plan, index, base).is_some(),
        }
    }

    #[inline]
    fn key(&mut self, json_key: &[u8], first: &mut bool) {
        self.comma(first);
        self.out.extend_from_slice(json_key);
    }

    /// Parts a member or an element from the one before it.
    #[inline]
    fn comma(&mut self, first: &mut bool) {
        if !std::mem::replace(first, false) {
            self.out.push(b',');
        }
    }

    #[inline]
    fn field(&mut self, open: &Open<'_, '_>, index: u16, first: &mut bool) -> Result<(), WriteError> {
        let field = &open.plan.fields[usize::from(index)];
        let slot = self.slots[open.base + usize::from(index)];
        if slot.count == 0 {
            self.unset(open, field, first);
            return Ok(());
        }
        if let Some(oneof) = field.oneof {
            // Of several members of a oneof, the last on the wire counts.
            if self.set_field(open.plan, oneof, open.base) != Some(index) {
                return Ok(());
            }
            if let (Form::Tag { .. }, Kind::Message(id)) = (&open.plan.oneofs[usize::from(oneof)].form, field.kind)
                && self.plans.messages[id.0 as usize].output.is_empty()
            {
                return Ok(());
            }
        }
        if matches!(field.label, Label::Singular { implicit: true })
            && field.unset != Unset::Default
            && (self.is_null(field) || is_default(field, open.wire, slot)?)
        {
            return Ok(());
        }
        let (before, was_first) = (self.out.len(), *first);
        self.key(&field.json_key, first);
        let value = self.out.len();
        if field.accept_scalar && slot.count == 1 && is_noted(&open.additional, &field.name) {
            self.lone_element(field, open.wire, slot)?;
        } else {
            self.field_value(open.plan, field, open.wire, slot)?;
        }
        if matches!(field.label, Label::Repeated { .. }) && self.out.get(value..) == Some(b"[]") {
            // A packed list of no elements stood on the wire: it is as good as unset.
            self.out.truncate(before);
            *first = was_first;
            self.unset(open, field, first);
        }
        Ok(())
    }

    /// Whether the field is a `google.protobuf.NullValue`, of which every number is `null`.
    #[inline]
    fn is_null(&self, field: &Field) -> bool {
        matches!(field.kind, Kind::Enum(id) if self.plans.enums[id.0 as usize].null)
    }

    /// Writes what stands for a field that is unset, if anything does.
    fn unset(&mut self, open: &Open<'_, '_>, field: &Field, first: &mut bool) {
        if field.unset == Unset::Omit || holds(&open.additional, &field.name) {
            return;
        }
        self.key(&field.json_key, first);
        match field.unset {
            Unset::Default => self.default_value(field),
            _ => self.out.extend_from_slice(b"null"),
        }
    }

    fn union(&mut self, open: &Open<'_, '_>, oneof: u16, union: &Union, first: &mut bool) -> Result<(), WriteError> {
        let Some(index) = self.set_field(open.plan, oneof, open.base) else {
            if union.unset == Unset::Null && !holds(&open.additional, &open.plan.oneofs[usize::from(oneof)].name) {
                self.key(&union.json_key, first);
                self.out.extend_from_slice(b"null");
            }
            return Ok(());
        };
        self.key(&union.json_key, first);
        self.union_value(open.plan, open.wire, open.base, index, union)
    }

    /// Writes a message of one bare oneof: the value of the field that is set, or `null`.
    pub(super) fn bare(&mut self, plan: &'a Message, wire: &[u8]) -> Result<(), WriteError> {
        let base = self.index(plan, wire)?;
        match (self.set_field(plan, 0, base), plan.oneofs.first().map(|oneof| &oneof.form)) {
            (Some(index), Some(Form::ByJsonType(union))) => self.union_value(plan, wire, base, index, union)?,
            _ => self.out.extend_from_slice(b"null"),
        }
        self.slots.truncate(base);
        Ok(())
    }

    /// Writes the value of the field of a union that is set.
    fn union_value(
        &mut self,
        plan: &Message,
        wire: &[u8],
        base: usize,
        index: u16,
        union: &Union,
    ) -> Result<(), WriteError> {
        let field = &plan.fields[usize::from(index)];
        let slot = self.slots[base + usize::from(index)];
        if union.array != Some(index) {
            return self.field_value(plan, field, wire, slot);
        }
        // The array is the one repeated field of the message.
        let Kind::Message(list) = field.kind else {
            return Err(wrong_type());
        };
        let list = &self.plans.messages[list.0 as usize];
        let merged = merged(plan, field, wire, slot)?;
        let inner = self.index(list, &merged)?;
        let elements = self.slots[inner];
        match list.fields.first() {
            Some(field) if elements.count > 0 => self.field_value(list, field, &merged, elements)?,
            _ => self.out.extend_from_slice(b"[]"),
        }
        self.slots.truncate(inner);
        Ok(())
    }

    /// The member of a oneof that stands last on the wire.
    fn set_field(&self, plan: &Message, oneof: u16, base: usize) -> Option<u16> {
        let members = plan.oneofs[usize::from(oneof)].fields.iter().copied();
        let set = members.filter(|&index| self.slots[base + usize::from(index)].count > 0);
        set.max_by_key(|&index| self.slots[base + usize::from(index)].last)
    }

    /// The value of a field that occurs at least once.
    fn field_value(&mut self, plan: &Message, field: &Field, wire: &[u8], slot: Slot) -> Result<(), WriteError> {
        match field.label {
            Label::Singular { .. } => match field.kind {
                Kind::Message(id) => self.message(id, &merged(plan, field, wire, slot)?),
                _ => self.single(field, value_at(wire, slot.last)?),
            },
            Label::Repeated { .. } => self.list(field, wire, slot).map(drop),
            Label::Map => self.map(field, wire, slot),
        }
    }

    fn default_value(&mut self, field: &Field) {
        let text = match field.label {
            Label::Repeated { .. } => "[]",
            Label::Map => "{}",
            Label::Singular { .. } => match field.kind {
                Kind::Message(id) => match self.plans.messages[id.0 as usize].well_known {
                    None | Some(WellKnown::Struct | WellKnown::Any) => "{}",
                    Some(WellKnown::ListValue) => "[]",
                    // Not an object in JSON, and without a value that stands for absence.
                    Some(_) => "null",
                },
                Kind::Enum(id) => {
                    let plans = self.plans;
                    put_enum(self.out, &plans.enums[id.0 as usize], 0);
                    return;
                }
                kind => scalar_default(kind, field),
            },
        };
        self.out.extend_from_slice(text.as_bytes());
    }

    /// One value, not a list.
    pub(super) fn single(&mut self, field: &Field, value: Value<'_>) -> Result<(), WriteError> {
        match (field.kind, value) {
            (Kind::Message(id), Value::Bytes(bytes)) => self.message(id, bytes),
            (Kind::Enum(id), Value::Varint(number)) => {
                let plans = self.plans;
                put_enum(self.out, &plans.enums[id.0 as usize], number as i32);
                Ok(())
            }
            (_, Value::Bytes(bytes)) if field.raw => {
                self.out.extend_from_slice(if bytes.is_empty() { b"null" } else { utf8(bytes)?.as_bytes() });
                Ok(())
            }
            _ => put_scalar(self.out, field, value),
        }
    }
}

/// Whether the additional members speak of `name` at all.
fn holds(additional: &[(&str, &str)], name: &str) -> bool {
    additional.iter().any(|(key, _)| *key == name)
}

/// Whether the additional members hold a note on the form of `name`.
fn is_noted(additional: &[(&str, &str)], name: &str) -> bool {
    additional.iter().any(|(key, text)| *key == name && text.is_empty())
}

pub(super) fn utf8(bytes: &[u8]) -> Result<&str, WriteError> {
    std::str::from_utf8(bytes).map_err(|_| WriteError::new("a string field is not UTF-8"))
}

pub(super) fn wrong_type() -> WriteError {
    WriteError::new("a field has the wrong wire type")
}

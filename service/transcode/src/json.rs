//! JSON to protobuf wire bytes and back, from descriptors alone.
//!
//! At start-up each message type is compiled into a plan. Reading walks JSON tokens and appends wire bytes, writing walks
//! wire bytes and appends JSON; no message tree is built on the way. Canonical ProtoJSON
//! (<https://protobuf.dev/programming-guides/json/>) is the form where no `transcode.v1` option says otherwise.
//! Knows nothing of HTTP or gRPC.

mod check;
mod compile;
mod error;
mod lookup;
mod names;
mod paths;
mod plain;
pub(crate) mod plan;
mod read;
mod reading;
mod well_known;
pub(crate) mod wire;
mod write;

#[cfg(test)]
mod tests;

use prost_reflect::DescriptorPool;

pub use self::error::{PlanError, ReadError, ReadErrorKind, WriteError};
pub use self::plan::MessageId;
pub use self::reading::{Limits, Mode, Reading};
pub(crate) use self::well_known::{duration_text, timestamp_text};

/// The plans of every message in a descriptor set.
#[derive(Debug)]
pub struct Plans {
    compiled: compile::Compiled,
}

impl Plans {
    /// Compiles an encoded `google.protobuf.FileDescriptorSet`, imports included.
    ///
    /// # Errors
    /// When the set is not readable, or options contradict each other; the error names the element.
    pub fn compile(descriptor_set: &[u8]) -> Result<Self, PlanError> {
        let pool = DescriptorPool::decode(descriptor_set)
            .map_err(|error| PlanError::new("descriptor set", &error.to_string()))?;
        Self::from_pool(&pool, false)
    }

    /// The same from a pool that is already decoded; `fold_enums` has enum names read whatever their case.
    pub(crate) fn from_pool(pool: &DescriptorPool, fold_enums: bool) -> Result<Self, PlanError> {
        Ok(Self { compiled: compile::compile(pool, fold_enums)? })
    }

    /// The message of this full name, such as `google.protobuf.Timestamp`.
    pub fn message(&self, full_name: &str) -> Option<MessageId> {
        self.compiled.ids.get(full_name).copied()
    }

    /// The full name of a message.
    pub fn name(&self, message: MessageId) -> &str {
        &self.compiled.messages[message.0 as usize].full_name
    }

    /// Reads a JSON document and appends the wire bytes of the message to `out`.
    ///
    /// `how` is a [`Mode`], [`Limits`] or both as a [`Reading`].
    ///
    /// # Errors
    /// When the text is not JSON, does not fit the message or holds more than the limits allow: the error names the field
    /// path. `out` is then as it was.
    pub fn read(
        &self,
        message: MessageId,
        json: &[u8],
        how: impl Into<Reading>,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        read::read(&self.compiled, message, json, how.into(), out)
    }

    /// Appends the JSON of the message in `wire` to `out`.
    ///
    /// Raw fields and additional members are written as they stand: bytes that come from a stranger must have passed
    /// the gate first.
    ///
    /// # Errors
    /// When the bytes are not such a message. `out` is then as it was.
    pub fn write(&self, message: MessageId, wire: &[u8], out: &mut Vec<u8>) -> Result<(), WriteError> {
        write::write(&self.compiled, message, wire, out)
    }

    /// Appends the JSON of one field of the message in `wire`: the value without its name; `null`, zero or empty where
    /// it is unset.
    pub(crate) fn write_field(
        &self,
        message: MessageId,
        field: u16,
        wire: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), WriteError> {
        write::write_field(&self.compiled, message, field, wire, out)
    }

    /// Reads a JSON document as the value of one field of a message.
    pub(crate) fn read_field(
        &self,
        message: MessageId,
        field: u16,
        json: &[u8],
        how: impl Into<Reading>,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        read::read_field(&self.compiled, message, field, json, how.into(), out)
    }

    /// Reads the text of a path variable or query parameter as the value of a field, or as one more element of a list.
    /// `Struct`, `Value` and `ListValue`, and fields that hold raw JSON, take JSON text.
    pub(crate) fn read_text(
        &self,
        message: MessageId,
        field: u16,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        read::read_text(&self.compiled, message, field, text, out)
    }

    /// Appends one entry of a map, its key and its value given as text; the value as in [`Plans::read_text`].
    pub(crate) fn read_entry(
        &self,
        message: MessageId,
        field: u16,
        key: &str,
        value: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        read::read_entry(&self.compiled, message, field, key, value, out)
    }

    /// Checks bytes that come from a stranger: well-formed, UTF-8 where it must be, JSON where raw JSON is held, and
    /// within the default limits that hold for a document.
    ///
    /// # Errors
    /// Names the field path, and what is wrong there.
    pub fn check(&self, message: MessageId, wire: &[u8]) -> Result<(), ReadError> {
        self.check_within(message, wire, Limits::default())
    }

    /// The same with other limits than the default ones.
    pub(crate) fn check_within(&self, message: MessageId, wire: &[u8], limits: Limits) -> Result<(), ReadError> {
        check::check(&self.compiled, message, wire, limits)
    }

    pub(crate) fn plan(&self, message: MessageId) -> &plan::Message {
        &self.compiled.messages[message.0 as usize]
    }

    /// The index of a field by proto or JSON name.
    pub(crate) fn field(&self, message: MessageId, name: &str) -> Option<u16> {
        let fields = &self.plan(message).fields;
        let at = fields.iter().position(|field| *field.proto_name == *name || *field.name == *name)?;
        u16::try_from(at).ok()
    }

    /// The number of a field.
    pub(crate) fn field_number(&self, message: MessageId, field: u16) -> u32 {
        self.plan(message).fields[usize::from(field)].number
    }

    /// The message a field holds, if it is a message with fields of its own.
    pub(crate) fn child(&self, message: MessageId, field: u16) -> Option<MessageId> {
        match self.plan(message).fields[usize::from(field)].kind {
            plan::Kind::Message(child) if self.plan(child).well_known.is_none() => Some(child),
            _ => None,
        }
    }

    /// Whether a field is a list or a map.
    pub(crate) fn is_repeated(&self, message: MessageId, field: u16) -> bool {
        !matches!(self.plan(message).fields[usize::from(field)].label, plan::Label::Singular { .. })
    }

    /// Whether a value of the field can be said in one text: a scalar, or a well-known type that JSON has as a scalar.
    pub(crate) fn is_text(&self, message: MessageId, field: u16) -> bool {
        let field = &self.plan(message).fields[usize::from(field)];
        match (field.label, field.kind) {
            (plan::Label::Map, _) => false,
            (_, plan::Kind::Message(child)) => self.plan(child).well_known.is_some_and(plan::WellKnown::is_text),
            _ => true,
        }
    }

    /// Whether a field is a map.
    pub(crate) fn is_map(&self, message: MessageId, field: u16) -> bool {
        self.plan(message).fields[usize::from(field)].label == plan::Label::Map
    }

    /// Whether a value of the field, an element of it or a value of its entries can be said in one query parameter: what
    /// [`Plans::is_text`] allows, and the types that hold any JSON, as JSON text.
    pub(crate) fn is_query_text(&self, message: MessageId, field: u16) -> bool {
        let field = &self.plan(message).fields[usize::from(field)];
        let value = match (field.label, field.kind) {
            (plan::Label::Map, plan::Kind::Message(entry)) => {
                self.plan(entry).fields.last().map_or(field, |value| value)
            }
            _ => field,
        };
        match value.kind {
            plan::Kind::Message(child) => {
                self.plan(child).well_known.is_some_and(|kind| kind.is_text() || kind.is_json())
            }
            _ => true,
        }
    }

    /// Appends the field that `steps` lead to as bare text, without quotes: a string, an integer, a boolean or the name
    /// of an enum value. Appends nothing, and says so, where it is unset or something else.
    pub(crate) fn write_plain(&self, steps: &[(MessageId, u16)], wire: &[u8], out: &mut Vec<u8>) -> bool {
        plain::write(self, steps, wire, out)
    }

    /// Whether [`Plans::write_plain`] can write this field at all.
    pub(crate) fn is_plain(&self, message: MessageId, field: u16) -> bool {
        plain::is_plain(&self.plan(message).fields[usize::from(field)])
    }

    /// Whether a boolean at the top of the message is true.
    pub(crate) fn is_true(&self, message: MessageId, field: u16, wire: &[u8]) -> bool {
        let number = self.field_number(message, field);
        let mut reader = wire::Reader::new(wire);
        let mut value = false;
        while let Ok(Some(field)) = reader.next() {
            if let (true, wire::Value::Varint(bit)) = (field.number == number, field.value) {
                value = bit != 0;
            }
        }
        value
    }

    /// The bytes of a message field that holds `value`.
    pub(crate) fn nested(&self, message: MessageId, field: u16, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(value.len() + 4);
        let key = u64::from(self.field_number(message, field)) << 3 | wire::WireType::Bytes.number();
        wire::put_varint(&mut out, key);
        wire::put_bytes(&mut out, value);
        out
    }

    /// The last value of the field that `steps` lead to, as it stands on the wire.
    pub(crate) fn value_at<'w>(&self, steps: &[(MessageId, u16)], wire: &'w [u8]) -> Option<wire::Value<'w>> {
        let (&(message, field), rest) = steps.split_first()?;
        let number = self.field_number(message, field);
        let mut reader = wire::Reader::new(wire);
        let mut found = None;
        while let Ok(Some(field)) = reader.next() {
            if field.number != number {
                continue;
            }
            found = match field.value {
                value if rest.is_empty() => Some(value),
                wire::Value::Bytes(inner) => self.value_at(rest, inner).or(found),
                _ => found,
            };
        }
        found
    }
}

//! Message types of `google.protobuf` whose JSON form is not an object of their fields.
//!
//! Source: <https://protobuf.dev/programming-guides/json/>.

mod any;
mod time;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

pub(crate) use self::time::{duration_text, timestamp_text};
use self::time::{parse_duration, parse_timestamp};
use super::error::WriteError;
use super::plan::{Form, Kind, Message, WellKnown};
use super::read::{Context, Outcome, SingleSeed, UnionSeed, read_elements, read_entries};
use super::wire::{Reader, Value, WireType, close, open, put_bytes, put_varint};
use super::write::{Writer, put_json_string, utf8};

/// Reads a value as the well-known message of `plan`, without a length.
pub(super) fn read<'de, 'a, D: Deserializer<'de>>(
    context: &mut Context<'a>,
    kind: WellKnown,
    plan: &'a Message,
    deserializer: D,
) -> Result<Outcome, D::Error> {
    match kind {
        WellKnown::Timestamp | WellKnown::Duration => {
            let Some(text) = Option::<String>::deserialize(deserializer)? else {
                return Ok(Outcome::Null);
            };
            let (parsed, expected) = match kind {
                WellKnown::Timestamp => (parse_timestamp(&text), "an RFC 3339 time such as 2026-01-31T12:00:00Z"),
                _ => (parse_duration(&text), "seconds with an s, such as 1.5s"),
            };
            let (seconds, nanos) =
                parsed.ok_or_else(|| D::Error::custom(format_args!("expected {expected}, not {text:?}")))?;
            put_seconds(context.out, seconds, nanos);
            Ok(Outcome::Written)
        }
        WellKnown::FieldMask => {
            let Some(text) = Option::<String>::deserialize(deserializer)? else {
                return Ok(Outcome::Null);
            };
            for path in text.split(',').filter(|path| !path.is_empty()) {
                let path = snake_case(path)
                    .ok_or_else(|| D::Error::custom(format_args!("{path:?} is not a lowerCamelCase field path")))?;
                put_varint(context.out, 1 << 3 | WireType::Bytes.number());
                put_bytes(context.out, path.as_bytes());
            }
            Ok(Outcome::Written)
        }
        WellKnown::Wrapper => {
            let Some(field) = plan.fields.first() else {
                return Err(D::Error::custom("not a wrapper"));
            };
            SingleSeed { context, field, tagged: true }.deserialize(deserializer)
        }
        WellKnown::Struct | WellKnown::ListValue | WellKnown::Value => {
            deserializer.deserialize_any(ValueVisitor { context, kind, plan })
        }
        WellKnown::Any => any::read(context, deserializer),
        WellKnown::Bare => match plan.oneofs.first().map(|oneof| &oneof.form) {
            Some(Form::ByJsonType(union)) => UnionSeed { context, plan, union }.deserialize(deserializer),
            _ => Err(D::Error::custom("not a union")),
        },
    }
}

fn put_seconds(out: &mut Vec<u8>, seconds: i64, nanos: i32) {
    if seconds != 0 {
        put_varint(out, 1 << 3);
        put_varint(out, seconds as u64);
    }
    if nanos != 0 {
        put_varint(out, 2 << 3);
        put_varint(out, i64::from(nanos) as u64);
    }
}

/// A field path in lowerCamelCase back to proto names; `None` where it cannot have come from one.
fn snake_case(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len() + 4);
    for character in path.chars() {
        match character {
            '_' => return None,
            'A'..='Z' => {
                out.push('_');
                out.push(character.to_ascii_lowercase());
            }
            _ => out.push(character),
        }
    }
    Some(out)
}

fn camel_case(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            // A comma would part it in two.
            'A'..='Z' | ',' => return None,
            '_' => match characters.next() {
                Some(next @ 'a'..='z') => out.push(next.to_ascii_uppercase()),
                _ => return None,
            },
            _ => out.push(character),
        }
    }
    Some(out)
}

/// Reads any JSON into a `Struct`, a `ListValue` or a `Value`, whose field numbers are fixed by struct.proto.
struct ValueVisitor<'s, 'a> {
    context: &'s mut Context<'a>,
    kind: WellKnown,
    plan: &'a Message,
}

impl ValueVisitor<'_, '_> {
    fn value<E: Error>(&self, given: &str) -> Result<(), E> {
        match self.kind {
            WellKnown::Value => Ok(()),
            WellKnown::Struct => Err(E::custom(format_args!("expected an object, not {given}"))),
            _ => Err(E::custom(format_args!("expected an array, not {given}"))),
        }
    }
}

impl<'de> Visitor<'de> for ValueVisitor<'_, '_> {
    type Value = Outcome;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self.kind {
            WellKnown::Struct => "an object",
            WellKnown::ListValue => "an array",
            _ => "any JSON value",
        })
    }

    fn visit_unit<E: Error>(self) -> Result<Outcome, E> {
        if self.kind != WellKnown::Value {
            return Ok(Outcome::Null);
        }
        self.context.out.extend_from_slice(&[1 << 3, 0]);
        Ok(Outcome::Written)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Outcome, E> {
        self.value("a number")?;
        put_varint(self.context.out, 2 << 3 | WireType::Fixed64.number());
        self.context.out.extend_from_slice(&number.to_bits().to_le_bytes());
        Ok(Outcome::Written)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Outcome, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Outcome, E> {
        self.visit_f64(number as f64)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Outcome, E> {
        self.value("a string")?;
        put_varint(self.context.out, 3 << 3 | WireType::Bytes.number());
        put_bytes(self.context.out, text.as_bytes());
        Ok(Outcome::Written)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Outcome, E> {
        self.value("a boolean")?;
        self.context.out.extend_from_slice(&[4 << 3, u8::from(value)]);
        Ok(Outcome::Written)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Outcome, A::Error> {
        let number = match self.kind {
            WellKnown::ListValue => {
                return Err(A::Error::custom("expected an array, not an object"));
            }
            kind => (kind == WellKnown::Value).then_some(5),
        };
        self.nested(number, |context, plan| match plan.fields.first() {
            Some(fields) => {
                // On the wire the Struct is a level of its own within the Value.
                let levels = usize::from(number.is_some());
                context.enter(levels)?;
                read_entries(context, fields, map)?;
                context.leave(levels);
                Ok(())
            }
            None => Err(A::Error::custom("not a Struct")),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Outcome, A::Error> {
        let number = match self.kind {
            WellKnown::Struct => return Err(A::Error::custom("expected an object, not an array")),
            kind => (kind == WellKnown::Value).then_some(6),
        };
        self.nested(number, |context, plan| match plan.fields.first() {
            Some(values) => read_elements(context, values, sequence).map(drop),
            None => Err(A::Error::custom("not a ListValue")),
        })
    }
}

impl<'a> ValueVisitor<'_, 'a> {
    /// Fills the message itself, or the message in its field `number`.
    fn nested<E: Error>(
        self,
        number: Option<u32>,
        fill: impl FnOnce(&mut Context<'a>, &'a Message) -> Result<(), E>,
    ) -> Result<Outcome, E> {
        let Some(number) = number else {
            fill(self.context, self.plan)?;
            return Ok(Outcome::Written);
        };
        let field = self.plan.field_index(number).map(|index| &self.plan.fields[index]);
        let Some(Kind::Message(inner)) = field.map(|field| field.kind) else {
            return Err(E::custom("not a google.protobuf.Value"));
        };
        let inner = &self.context.plans.messages[inner.0 as usize];
        put_varint(self.context.out, u64::from(number) << 3 | WireType::Bytes.number());
        let start = open(self.context.out);
        fill(self.context, inner)?;
        close(self.context.out, start);
        Ok(Outcome::Written)
    }
}

/// Writes the well-known message of `plan` in `wire`.
pub(super) fn write<'a>(
    writer: &mut Writer<'a>,
    kind: WellKnown,
    plan: &'a Message,
    wire: &[u8],
) -> Result<(), WriteError> {
    match kind {
        WellKnown::Timestamp | WellKnown::Duration => {
            let (mut seconds, mut nanos) = (0, 0);
            each(wire, |number, value| {
                match (number, value) {
                    (1, Value::Varint(value)) => seconds = value as i64,
                    (2, Value::Varint(value)) => nanos = value as i32,
                    _ => {}
                }
                Ok(())
            })?;
            let text = match kind {
                WellKnown::Timestamp => timestamp_text(seconds, nanos),
                _ => duration_text(seconds, nanos),
            };
            put_json_string(writer.out, &text.ok_or_else(|| WriteError::new("a time is out of range"))?)
        }
        WellKnown::FieldMask => {
            let mut paths = Vec::new();
            each(wire, |number, value| {
                // An empty path names nothing, and between commas it would not be seen.
                if let (1, Value::Bytes(path)) = (number, value)
                    && !path.is_empty()
                {
                    let path = camel_case(utf8(path)?);
                    paths.push(path.ok_or_else(|| WriteError::new("a field path has no JSON form"))?);
                }
                Ok(())
            })?;
            put_json_string(writer.out, &paths.join(","))
        }
        WellKnown::Wrapper => writer.first_field(plan, wire),
        WellKnown::Struct | WellKnown::ListValue => writer.first_field(plan, wire),
        WellKnown::Value => writer.value(plan, wire),
        WellKnown::Any => any::write(writer, wire),
        WellKnown::Bare => writer.bare(plan, wire),
    }
}

fn each<'w>(wire: &'w [u8], mut act: impl FnMut(u32, Value<'w>) -> Result<(), WriteError>) -> Result<(), WriteError> {
    let mut reader = Reader::new(wire);
    while let Some(field) = reader.next()? {
        act(field.number, field.value)?;
    }
    Ok(())
}

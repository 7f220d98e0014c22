//! `google.protobuf.Any`: `{"@type": "type.googleapis.com/the.Type", ...}`, its members those of the type, or one member
//! `value` where the type has a JSON form of its own.

use serde::de::value::MapDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::each;
use crate::json::error::WriteError;
use crate::json::plan::{Message, MessageId};
use crate::json::read::{Context, MessageSeed, Outcome, read_object};
use crate::json::wire::{Value, WireType, close, open, put_bytes, put_varint};
use crate::json::write::{Writer, put_json_string, utf8};

const TYPE: &str = "@type";
const VALUE: &str = "value";
/// Some write this one with a `value` of `{}`, some without: both are read.
const EMPTY: &str = "google.protobuf.Empty";

/// What an `Any` counts for whose type does not stand first: its members are passed over to find the type, then read, so
/// that each level of nesting reads the text once more.
const REREAD_LEVELS: usize = 10;

pub(super) fn read<'de, D: Deserializer<'de>>(context: &mut Context<'_>, deserializer: D) -> Result<Outcome, D::Error> {
    deserializer.deserialize_any(AnyVisitor { context })
}

struct AnyVisitor<'s, 'a> {
    context: &'s mut Context<'a>,
}

impl<'de> Visitor<'de> for AnyVisitor<'_, '_> {
    type Value = Outcome;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object with an @type")
    }

    fn visit_unit<E: Error>(self) -> Result<Outcome, E> {
        Ok(Outcome::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outcome, A::Error> {
        let Some(first) = map.next_key::<String>()? else {
            return Ok(Outcome::Written);
        };
        if first == TYPE {
            let type_url: String = map.next_value()?;
            return embed(self.context, &type_url, map);
        }
        self.context.enter(REREAD_LEVELS)?;
        let mut members: Vec<(String, &'de RawValue)> = vec![(first, map.next_value()?)];
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        let at = members.iter().position(|(name, _)| name == TYPE);
        let (_, type_url) =
            members.remove(at.ok_or_else(|| A::Error::custom(format_args!("the member `{TYPE}` is missing")))?);
        let type_url: String = serde_json::from_str(type_url.get()).map_err(A::Error::custom)?;
        let members = MapDeserializer::<_, serde_json::Error>::new(members.into_iter());
        let outcome = embed(self.context, &type_url, members).map_err(A::Error::custom)?;
        self.context.leave(REREAD_LEVELS);
        Ok(outcome)
    }
}

/// Reads the members of `map` as the message that `type_url` names.
fn embed<'de, A: MapAccess<'de>>(context: &mut Context<'_>, type_url: &str, mut map: A) -> Result<Outcome, A::Error> {
    let Some((message, plan)) = resolve(context.plans, type_url) else {
        return Err(A::Error::custom(format_args!("the type {type_url:?} is not known here")));
    };
    put_varint(context.out, 1 << 3 | WireType::Bytes.number());
    put_bytes(context.out, type_url.as_bytes());
    put_varint(context.out, 2 << 3 | WireType::Bytes.number());
    let start = open(context.out);
    let empty = *plan.full_name == *EMPTY;
    if plan.well_known.is_none() && !empty {
        read_object(context, plan, map)?;
    } else {
        let name = map.next_key::<String>()?;
        match name.as_deref() {
            Some(VALUE) => {}
            None if empty => {
                close(context.out, start);
                return Ok(Outcome::Written);
            }
            _ => return Err(A::Error::custom(format_args!("expected a member `{VALUE}` beside `{TYPE}`"))),
        }
        if let Outcome::Null = map.next_value_seed(MessageSeed { context, message, nested: false })? {
            return Err(A::Error::custom(format_args!("`{VALUE}` is null")));
        }
        if let Some(further) = map.next_key::<String>()? {
            return Err(A::Error::custom(format_args!("unknown member `{further}`")));
        }
    }
    close(context.out, start);
    Ok(Outcome::Written)
}

/// Writes the `Any` in `wire`.
pub(super) fn write(writer: &mut Writer<'_>, wire: &[u8]) -> Result<(), WriteError> {
    let (mut type_url, mut value): (&str, &[u8]) = ("", &[]);
    each(wire, |number, field| {
        match (number, field) {
            (1, Value::Bytes(bytes)) => type_url = utf8(bytes)?,
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
        Ok(())
    })?;
    if type_url.is_empty() && value.is_empty() {
        writer.out.extend_from_slice(b"{}");
        return Ok(());
    }
    let Some((message, plan)) = resolve(writer.plans, type_url) else {
        return Err(WriteError::new(format!("the type {type_url:?} of a google.protobuf.Any is not known")));
    };
    writer.out.extend_from_slice(b"{\"@type\":");
    put_json_string(writer.out, type_url)?;
    if plan.well_known.is_some() {
        writer.out.extend_from_slice(b",\"value\":");
        writer.message(message, value)?;
    } else {
        writer.members(plan, value, &mut false)?;
    }
    writer.out.push(b'}');
    Ok(())
}

/// The message that a type URL names: what stands after its last slash.
fn resolve<'a>(plans: &'a crate::json::compile::Compiled, type_url: &str) -> Option<(MessageId, &'a Message)> {
    let (_, name) = type_url.rsplit_once('/')?;
    let message = *plans.ids.get(name)?;
    Some((message, &plans.messages[message.0 as usize]))
}

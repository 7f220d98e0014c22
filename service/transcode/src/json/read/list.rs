//! JSON arrays into repeated fields, and JSON objects into maps.

use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::scalar::{ScalarVisitor, SingleSeed};
use super::{Context, Outcome, Segment};
use crate::json::plan::{Field, Kind, Label};
use crate::json::wire::{WireType, close, open, put_varint};

/// Reads an array as the elements of a repeated field.
pub(super) struct ListSeed<'s, 'a, 'p> {
    pub(super) context: &'s mut Context<'a>,
    pub(super) field: &'p Field,
}

impl<'de> DeserializeSeed<'de> for ListSeed<'_, '_, '_> {
    type Value = Outcome;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outcome, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, 'p> ListSeed<'_, 'a, 'p> {
    /// A scalar where a list is expected.
    fn scalar<'de, E: Error>(
        self,
        value: impl IntoDeserializer<'de, E>,
        given: serde::de::Unexpected<'_>,
    ) -> Result<Outcome, E> {
        if !self.field.accept_scalar {
            return Err(E::invalid_type(given, &"an array"));
        }
        let Self { context, field } = self;
        let packed = matches!(field.label, Label::Repeated { packed: true });
        let start = packed.then(|| {
            context.tag(field.number, WireType::Bytes);
            open(context.out)
        });
        let value = value.into_deserializer();
        let outcome = match field.kind {
            // One that is bare.
            Kind::Message(_) => SingleSeed { context, field, tagged: true }.deserialize(value)?,
            _ => value.deserialize_any(ScalarVisitor { context, field, tagged: !packed, implicit: false })?,
        };
        if let Some(start) = start {
            close(context.out, start);
        }
        Ok(match outcome {
            Outcome::Written => Outcome::Scalar,
            other => other,
        })
    }
}

impl<'de> Visitor<'de> for ListSeed<'_, '_, '_> {
    type Value = Outcome;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Outcome, A::Error> {
        Ok(if read_elements(self.context, self.field, sequence)? == 0 {
            Outcome::Empty("[]")
        } else {
            Outcome::Written
        })
    }

    fn visit_unit<E: Error>(self) -> Result<Outcome, E> {
        Ok(Outcome::Null)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Outcome, E> {
        self.scalar(text, serde::de::Unexpected::Str(text))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Outcome, E> {
        self.scalar(value, serde::de::Unexpected::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Outcome, E> {
        self.scalar(value, serde::de::Unexpected::Signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Outcome, E> {
        self.scalar(value, serde::de::Unexpected::Unsigned(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Outcome, E> {
        self.scalar(value, serde::de::Unexpected::Float(value))
    }
}

/// Reads the elements of a repeated field and says how many there were.
pub(in crate::json) fn read_elements<'de, A: SeqAccess<'de>>(
    context: &mut Context<'_>,
    field: &Field,
    mut sequence: A,
) -> Result<usize, A::Error> {
    let packed = matches!(field.label, Label::Repeated { packed: true });
    let mut start = None;
    let mut count = 0;
    context.enter(1)?;
    for index in 0.. {
        context.path.push(Segment::Index(index));
        if packed && start.is_none() {
            start = Some((context.out.len(), {
                context.tag(field.number, WireType::Bytes);
                open(context.out)
            }));
        }
        let element = sequence.next_element_seed(SingleSeed { context, field, tagged: !packed })?;
        match element {
            None => {
                context.path.pop();
                break;
            }
            Some(Outcome::Null) => {
                return Err(A::Error::custom("null is not an element of this list"));
            }
            // In lenient mode, an enum string that is not known: nothing was written.
            Some(Outcome::Unknown(_)) => {
                context.path.pop();
                continue;
            }
            Some(_) => {}
        }
        context.count_item()?;
        context.path.pop();
        count += 1;
    }
    context.leave(1);
    if let Some((before, start)) = start {
        if count == 0 {
            context.out.truncate(before);
        } else {
            close(context.out, start);
        }
    }
    Ok(count)
}

/// Reads an object as the entries of a map.
pub(super) struct MapSeed<'s, 'a, 'p> {
    pub(super) context: &'s mut Context<'a>,
    pub(super) field: &'p Field,
}

impl<'de> DeserializeSeed<'de> for MapSeed<'_, '_, '_> {
    type Value = Outcome;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outcome, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MapSeed<'_, '_, '_> {
    type Value = Outcome;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Outcome, A::Error> {
        Ok(if read_entries(self.context, self.field, map)? == 0 { Outcome::Empty("{}") } else { Outcome::Written })
    }

    fn visit_unit<E: Error>(self) -> Result<Outcome, E> {
        Ok(Outcome::Null)
    }
}

/// Reads the entries of a map field and says how many there were.
pub(in crate::json) fn read_entries<'de, A: MapAccess<'de>>(
    context: &mut Context<'_>,
    field: &Field,
    mut map: A,
) -> Result<usize, A::Error> {
    let Kind::Message(entry) = field.kind else {
        return Err(A::Error::custom("not a map"));
    };
    let entry = context.plan(entry);
    let [key_field, value_field] = &entry.fields[..] else {
        return Err(A::Error::custom("not a map"));
    };
    let mut count = 0;
    context.enter(1)?;
    while let Some(key) = map.next_key::<String>()? {
        let before = context.out.len();
        context.tag(field.number, WireType::Bytes);
        let start = open(context.out);
        context.path.push(Segment::Key(key.clone()));
        context.count_item()?;
        put_key(context, key_field, &key)?;
        let value = SingleSeed { context, field: value_field, tagged: true };
        match map.next_value_seed(value)? {
            Outcome::Null => return Err(A::Error::custom("null is not a value of this map")),
            // In lenient mode, an enum string that is not known.
            Outcome::Unknown(_) => context.out.truncate(before),
            _ => {
                close(context.out, start);
                count += 1;
            }
        }
        context.path.pop();
    }
    context.leave(1);
    Ok(count)
}

/// Map keys are always strings in JSON.
pub(super) fn put_key<E: Error>(context: &mut Context<'_>, field: &Field, key: &str) -> Result<(), E> {
    if field.kind == Kind::Bool {
        let value = match key {
            "true" => 1,
            "false" => 0,
            _ => return Err(E::custom("expected a key of true or false")),
        };
        context.tag(field.number, WireType::Varint);
        put_varint(context.out, value);
        return Ok(());
    }
    ScalarVisitor { context, field, tagged: true, implicit: false }.visit_str(key).map(drop)
}

//! A JSON object into the fields of a message.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::list::{ListSeed, MapSeed};
use super::scalar::SingleSeed;
use super::union::UnionSeed;
use super::{Context, Outcome, Segment, depth};
use crate::json::plan::{Field, Form, Kind, Label, Member, Message, MessageId};
use crate::json::reading::Mode;
use crate::json::well_known;
use crate::json::wire::{WireType, close, open, put_bytes};
use crate::options::Unset;

/// Reads a value as a message.
pub(in crate::json) struct MessageSeed<'s, 'a> {
    pub(in crate::json) context: &'s mut Context<'a>,
    pub(in crate::json) message: MessageId,
    /// Whether the bytes are preceded by their length.
    pub(in crate::json) nested: bool,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_, '_> {
    type Value = Outcome;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outcome, D::Error> {
        self.context.enter(1)?;
        let start = self.nested.then(|| open(self.context.out));
        let plan = self.context.plan(self.message);
        let outcome = match plan.well_known {
            None => deserializer.deserialize_any(MessageVisitor { context: self.context, plan })?,
            Some(kind) => well_known::read(self.context, kind, plan, deserializer)?,
        };
        if let Some(start) = start {
            close(self.context.out, start);
        }
        self.context.leave(1);
        Ok(outcome)
    }
}

struct MessageVisitor<'s, 'a> {
    context: &'s mut Context<'a>,
    plan: &'a Message,
}

impl<'de> Visitor<'de> for MessageVisitor<'_, '_> {
    type Value = Outcome;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Outcome, A::Error> {
        read_object(self.context, self.plan, map)?;
        Ok(Outcome::Written)
    }

    fn visit_unit<E: Error>(self) -> Result<Outcome, E> {
        Ok(Outcome::Null)
    }
}

/// Reads the members of `map` as the fields of `plan`, without a length.
pub(in crate::json) fn read_object<'de, 'a, A: MapAccess<'de>>(
    context: &mut Context<'a>,
    plan: &'a Message,
    mut map: A,
) -> Result<(), A::Error> {
    ObjectReader { seen: Seen::default(), tag: None, chosen: None, plan }.read(context, &mut map)
}

struct ObjectReader<'a> {
    plan: &'a Message,
    seen: Seen,
    /// What the tag names: a field, or something the schema does not know.
    tag: Option<Option<u16>>,
    /// The field of the tagged oneof that is set.
    chosen: Option<u16>,
}

impl<'a> ObjectReader<'a> {
    fn read<'de, A: MapAccess<'de>>(mut self, context: &mut Context<'a>, map: &mut A) -> Result<(), A::Error> {
        let plan = self.plan;
        while let Some(key) = map.next_key_seed(KeySeed { plan })? {
            match key {
                Key::Member(Member::Field(index)) => {
                    let field = &plan.fields[usize::from(index)];
                    self.first::<A::Error>(usize::from(index), &field.name)?;
                    context.path.push(Segment::Name(&field.name));
                    let before = context.out.len();
                    let outcome = map.next_value_seed(FieldSeed { context, field })?;
                    if !matches!(outcome, Outcome::Null | Outcome::Unknown(_)) {
                        self.claim::<A::Error>(index, field)?;
                    }
                    context.path.pop();
                    self.note(context, &field.name, field.unset, outcome, before)?;
                }
                Key::Member(Member::Union(index)) => {
                    let oneof = &plan.oneofs[usize::from(index)];
                    let Form::ByJsonType(union) = &oneof.form else {
                        continue;
                    };
                    self.first::<A::Error>(plan.fields.len() + usize::from(index), &oneof.name)?;
                    context.path.push(Segment::Name(&oneof.name));
                    let before = context.out.len();
                    let outcome = map.next_value_seed(UnionSeed { context, plan, union })?;
                    context.path.pop();
                    self.note(context, &oneof.name, union.unset, outcome, before)?;
                }
                Key::Member(Member::Tag(index)) => self.read_tag(context, index, map)?,
                Key::Unknown(name) => self.read_unknown(context, &name, map)?,
            }
        }
        self.finish(context)
    }

    /// A member may stand in an object once.
    fn first<E: Error>(&mut self, bit: usize, name: &str) -> Result<(), E> {
        if self.seen.insert(bit) {
            return Ok(());
        }
        Err(E::custom(format_args!("the member `{name}` stands in the object twice")))
    }

    /// One field of a oneof may be set.
    fn claim<E: Error>(&mut self, index: u16, field: &Field) -> Result<(), E> {
        let Some(oneof) = field.oneof else {
            return Ok(());
        };
        let plan = self.plan;
        if !self.seen.insert(plan.fields.len() + plan.oneofs.len() + usize::from(oneof)) {
            let names: Vec<&str> = plan.oneofs[usize::from(oneof)]
                .fields
                .iter()
                .map(|&index| &*plan.fields[usize::from(index)].name)
                .collect();
            return Err(E::custom(format_args!("only one of {} may be set", names.join(", "))));
        }
        if matches!(plan.oneofs[usize::from(oneof)].form, Form::Tag { .. }) {
            self.chosen = Some(index);
        }
        Ok(())
    }

    /// Keeps what the typed field cannot say.
    fn note<E: Error>(
        &self,
        context: &mut Context<'_>,
        name: &str,
        unset: Unset,
        outcome: Outcome,
        before: usize,
    ) -> Result<(), E> {
        match outcome {
            Outcome::Written => {}
            Outcome::Null => {
                context.out.truncate(before);
                if unset != Unset::Null {
                    self.keep(context, name, "null");
                }
            }
            Outcome::Empty(text) => {
                if unset != Unset::Default {
                    self.keep(context, name, text);
                }
            }
            Outcome::Scalar => self.keep(context, name, ""),
            Outcome::Unknown(text) => {
                context.out.truncate(before);
                self.keep(context, name, &serde_json::to_string(&text).map_err(E::custom)?);
            }
        }
        Ok(())
    }

    /// Adds an entry to the additional members, if the message has them.
    fn keep(&self, context: &mut Context<'_>, name: &str, json: &str) {
        let Some(index) = self.plan.additional else {
            return;
        };
        context.tag(self.plan.fields[usize::from(index)].number, WireType::Bytes);
        let start = open(context.out);
        context.tag(1, WireType::Bytes);
        put_bytes(context.out, name.as_bytes());
        context.tag(2, WireType::Bytes);
        put_bytes(context.out, json.as_bytes());
        close(context.out, start);
    }

    fn read_tag<'de, A: MapAccess<'de>>(
        &mut self,
        context: &mut Context<'a>,
        oneof: u16,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let plan = self.plan;
        let Form::Tag { name, .. } = &plan.oneofs[usize::from(oneof)].form else {
            return Ok(());
        };
        self.first::<A::Error>(plan.fields.len() + usize::from(oneof), name)?;
        context.path.push(Segment::Name(name));
        let Some(tag) = map.next_value::<Option<Cow<'de, str>>>()? else {
            context.path.pop();
            self.keep(context, name, "null");
            return Ok(());
        };
        let field = match plan.members.get(&tag) {
            Some(Member::Field(index)) if plan.fields[usize::from(index)].oneof == Some(oneof) => Some(index),
            _ => None,
        };
        if field.is_none() {
            if plan.additional.is_none() {
                let known: Vec<&str> = plan.oneofs[usize::from(oneof)]
                    .fields
                    .iter()
                    .map(|&index| &*plan.fields[usize::from(index)].name)
                    .collect();
                let message = format!("unknown value {tag:?}, expected one of {}", known.join(", "));
                return Err(A::Error::custom(message));
            }
            self.keep(context, name, &serde_json::to_string(&*tag).map_err(A::Error::custom)?);
        }
        context.path.pop();
        self.tag = Some(field);
        Ok(())
    }

    fn read_unknown<'de, A: MapAccess<'de>>(
        &self,
        context: &mut Context<'a>,
        name: &str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        context.path.push(Segment::Key(name.to_owned()));
        if self.plan.additional.is_none() {
            if context.mode == Mode::Strict {
                context.path.pop();
                return Err(A::Error::custom(format_args!("unknown member `{name}`")));
            }
            map.next_value::<serde::de::IgnoredAny>()?;
        } else {
            let raw: &RawValue = map.next_value()?;
            check_depth(context, raw)?;
            self.keep(context, name, raw.get());
        }
        context.path.pop();
        Ok(())
    }

    /// Holds the tag against what is set, and notes the absence of members that would be written although unset.
    fn finish<E: Error>(mut self, context: &mut Context<'_>) -> Result<(), E> {
        let plan = self.plan;
        if plan.tagged {
            self.settle_tag(context)?;
        }
        if !plan.notes_absence {
            return Ok(());
        }
        for &member in &plan.output {
            let (bit, name, unset) = match member {
                Member::Field(index) => {
                    let field = &plan.fields[usize::from(index)];
                    (usize::from(index), &field.name, field.unset)
                }
                Member::Union(index) => {
                    let oneof = &plan.oneofs[usize::from(index)];
                    let Form::ByJsonType(union) = &oneof.form else {
                        continue;
                    };
                    (plan.fields.len() + usize::from(index), &oneof.name, union.unset)
                }
                Member::Tag(index) => {
                    let Form::Tag { name, .. } = &plan.oneofs[usize::from(index)].form else {
                        continue;
                    };
                    if self.chosen.is_none() {
                        continue;
                    }
                    (plan.fields.len() + usize::from(index), name, Unset::Default)
                }
            };
            if unset != Unset::Omit && !self.seen.contains(bit) {
                self.keep(context, name, "");
            }
        }
        Ok(())
    }

    fn settle_tag<E: Error>(&mut self, context: &mut Context<'_>) -> Result<(), E> {
        let plan = self.plan;
        let Some(Some(named)) = self.tag else {
            return Ok(());
        };
        let field = &plan.fields[usize::from(named)];
        let Some(oneof) = field.oneof else {
            return Ok(());
        };
        let Form::Tag { name, .. } = &plan.oneofs[usize::from(oneof)].form else {
            return Ok(());
        };
        match (self.chosen, field.kind) {
            (Some(chosen), _) if chosen == named => Ok(()),
            (Some(chosen), _) => {
                let given = &plan.fields[usize::from(chosen)].name;
                Err(E::custom(format_args!("`{name}` is {:?}, but `{given}` is given", field.name)))
            }
            (None, Kind::Message(id)) if context.plan(id).output.is_empty() => {
                context.tag(field.number, WireType::Bytes);
                context.out.push(0);
                self.chosen = Some(named);
                Ok(())
            }
            (None, _) if context.mode == Mode::Lenient && plan.additional.is_some() => {
                self.keep(context, name, &serde_json::to_string(&*field.name).map_err(E::custom)?);
                Ok(())
            }
            (None, _) => {
                Err(E::custom(format_args!("`{name}` is {:?}, but the member `{}` is missing", field.name, field.name)))
            }
        }
    }
}

/// Reads the value of a field.
pub(super) struct FieldSeed<'s, 'a, 'p> {
    pub(super) context: &'s mut Context<'a>,
    pub(super) field: &'p Field,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_, '_, '_> {
    type Value = Outcome;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outcome, D::Error> {
        let Self { context, field } = self;
        match field.label {
            Label::Singular { .. } => SingleSeed { context, field, tagged: true }.deserialize(deserializer),
            Label::Repeated { .. } => ListSeed { context, field }.deserialize(deserializer),
            Label::Map => MapSeed { context, field }.deserialize(deserializer),
        }
    }
}

/// Refuses raw JSON that nests so deep that another reader of it might not survive.
pub(super) fn check_depth<E: Error>(context: &mut Context<'_>, raw: &RawValue) -> Result<(), E> {
    let levels = depth(raw.get());
    context.enter(levels)?;
    context.leave(levels);
    Ok(())
}

/// A member's name, looked up.
enum Key {
    Member(Member),
    Unknown(String),
}

struct KeySeed<'p> {
    plan: &'p Message,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a member name")
    }

    #[inline]
    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        Ok(match self.plan.members.get(name) {
            Some(member) => Key::Member(member),
            None => Key::Unknown(name.to_owned()),
        })
    }
}

/// Which members have been seen: one bit each, without allocation for the first 128.
#[derive(Default)]
struct Seen {
    low: u128,
    high: Vec<u64>,
}

impl Seen {
    /// Whether `bit` was not set before.
    #[inline]
    fn insert(&mut self, bit: usize) -> bool {
        if bit < 128 {
            let mask = 1u128 << bit;
            let new = self.low & mask == 0;
            self.low |= mask;
            return new;
        }
        let (word, mask) = ((bit - 128) / 64, 1u64 << (bit % 64));
        if self.high.len() <= word {
            self.high.resize(word + 1, 0);
        }
        let new = self.high[word] & mask == 0;
        self.high[word] |= mask;
        new
    }

    #[inline]
    fn contains(&self, bit: usize) -> bool {
        if bit < 128 {
            return self.low & (1u128 << bit) != 0;
        }
        self.high.get((bit - 128) / 64).is_some_and(|word| word & (1u64 << (bit % 64)) != 0)
    }
}

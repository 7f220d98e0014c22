//! A JSON value into the field of a oneof that takes its JSON type.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};

use super::list::read_elements;
use super::object::read_object;
use super::scalar::{ScalarVisitor, unknown_enum};
use super::{Context, Outcome};
use crate::json::plan::{Kind, Message, Union};
use crate::json::reading::Mode;
use crate::json::wire::{WireType, close, open};

/// Reads a value by its JSON type.
pub(in crate::json) struct UnionSeed<'s, 'a> {
    pub(in crate::json) context: &'s mut Context<'a>,
    pub(in crate::json) plan: &'a Message,
    pub(in crate::json) union: &'a Union,
}

impl<'de> DeserializeSeed<'de> for UnionSeed<'_, '_> {
    type Value = Outcome;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outcome, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'s, 'a> UnionSeed<'s, 'a> {
    fn scalar<E: Error>(self, index: Option<u16>, given: Unexpected<'_>) -> Result<ScalarVisitor<'s, 'a, 'a>, E> {
        let Some(index) = index else {
            return Err(E::invalid_type(given, &self));
        };
        let field = &self.plan.fields[usize::from(index)];
        Ok(ScalarVisitor { context: self.context, field, tagged: true, implicit: false })
    }

    /// Opens the message of field `index` and has `read` fill it.
    fn message<E: Error>(
        self,
        index: u16,
        read: impl FnOnce(&mut Context<'a>, &'a Message) -> Result<(), E>,
    ) -> Result<Outcome, E> {
        let field = &self.plan.fields[usize::from(index)];
        let Kind::Message(id) = field.kind else {
            return Err(E::custom("not a message"));
        };
        let plan = self.context.plan(id);
        self.context.tag(field.number, WireType::Bytes);
        let start = open(self.context.out);
        read(self.context, plan)?;
        close(self.context.out, start);
        Ok(Outcome::Written)
    }
}

impl<'de> Visitor<'de> for UnionSeed<'_, '_> {
    type Value = Outcome;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.union.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Outcome, E> {
        let Some(enumeration) = self.union.enumeration else {
            // What is not finite is a string in JSON: a number, unless strings are taken by another field.
            let not_finite = matches!(text, "NaN" | "Infinity" | "-Infinity");
            let string = self.union.string.or(self.union.number.filter(|_| not_finite));
            return self.scalar(string, Unexpected::Str(text))?.visit_str(text);
        };
        let Kind::Enum(id) = self.plan.fields[usize::from(enumeration)].kind else {
            return Err(E::custom("not an enum"));
        };
        let plan = &self.context.plans.enums[id.0 as usize];
        match (plan.number(text), self.union.string) {
            (Some(_), _) => self.scalar(Some(enumeration), Unexpected::Str(text))?.visit_str(text),
            (None, Some(string)) => self.scalar(Some(string), Unexpected::Str(text))?.visit_str(text),
            (None, None) if self.context.mode == Mode::Lenient => Ok(Outcome::Unknown(text.to_owned())),
            (None, None) => Err(E::custom(unknown_enum(plan, text))),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Outcome, E> {
        let boolean = self.union.boolean;
        self.scalar(boolean, Unexpected::Bool(value))?.visit_bool(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Outcome, E> {
        // An enum value without a name is written as its number.
        let number = self.union.number.or(self.union.enumeration);
        self.scalar(number, Unexpected::Signed(value))?.visit_i64(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Outcome, E> {
        let number = self.union.number.or(self.union.enumeration);
        self.scalar(number, Unexpected::Unsigned(value))?.visit_u64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Outcome, E> {
        let number = self.union.number;
        self.scalar(number, Unexpected::Float(value))?.visit_f64(value)
    }

    fn visit_unit<E: Error>(self) -> Result<Outcome, E> {
        Ok(Outcome::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Outcome, A::Error> {
        let Some(index) = self.union.array else {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        };
        self.message(index, |context, list| {
            let Some(elements) = list.fields.first() else {
                return Err(A::Error::custom("not a list"));
            };
            read_elements(context, elements, sequence).map(drop)
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Outcome, A::Error> {
        let Some(index) = self.union.object else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        };
        self.message(index, |context, plan| read_object(context, plan, map))
    }
}

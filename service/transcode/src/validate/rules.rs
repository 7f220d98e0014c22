//! The compiled rules of every message type: what the walk looks at.

use super::number::Number;
use super::octets::Octets;
use super::text::Text;
use super::well_known::{AnyRules, MaskRules, TimestampRules};
use crate::json::plan::Kind;
use crate::json::{MessageId, wire};

/// Takes note of broken rules.
pub(crate) trait Report {
    /// The rule of this id does not hold; `problem` says why, without naming the field.
    fn broken(&mut self, id: &str, problem: &str);
}

impl<F: FnMut(&str, &str)> Report for F {
    fn broken(&mut self, id: &str, problem: &str) {
        self(id, problem);
    }
}

/// The rules of a descriptor set, by [`MessageId`]; nothing for a message below which no rule lies.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) messages: Box<[Option<Box<Message>>]>,
}

impl Rules {
    #[inline]
    pub(crate) fn of(&self, message: MessageId) -> Option<&Message> {
        self.messages.get(message.0 as usize)?.as_deref()
    }
}

/// The rules of a message type.
#[derive(Debug)]
pub(crate) struct Message {
    /// The whole message is left to the engine: a rule here needs it.
    pub(crate) engine: bool,
    /// By the field's index in the plan.
    pub(crate) fields: Box<[Field]>,
    /// Fields that are looked at again once the message has been read.
    pub(crate) watched: Box<[u16]>,
    /// The oneofs of which a field has to be set.
    pub(crate) required_oneofs: Box<[u16]>,
    /// Sets of fields of which at most one may be set.
    pub(crate) exclusive: Box<[Exclusive]>,
}

#[derive(Debug)]
pub(crate) struct Exclusive {
    pub(crate) fields: Box<[u16]>,
    pub(crate) required: bool,
    /// The fields' names in a row.
    pub(crate) names: Box<str>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    /// Whether the default value is not told from absence.
    pub(crate) implicit: bool,
    /// Whether an absent value breaks no rule but `required`.
    pub(crate) ignore_empty: bool,
    /// The real oneof it belongs to.
    pub(crate) oneof: Option<u16>,
}

#[derive(Debug)]
pub(crate) enum Shape {
    One(Item),
    List(List),
    Map(Map),
}

/// The rules of a value.
#[derive(Debug, Default)]
pub(crate) struct Item {
    pub(crate) rule: Option<Rule>,
    /// The message it is, if there are rules below.
    pub(crate) child: Option<MessageId>,
    /// Whether the default value breaks no rule. Only for what a list or a map holds.
    pub(crate) ignore_zero: bool,
}

impl Item {
    pub(crate) fn is_free(&self) -> bool {
        self.rule.is_none() && self.child.is_none()
    }
}

#[derive(Debug)]
pub(crate) struct List {
    pub(crate) least: u64,
    pub(crate) most: u64,
    pub(crate) unique: bool,
    pub(crate) items: Item,
}

#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) least: u64,
    pub(crate) most: u64,
    pub(crate) keys: Item,
    pub(crate) key_kind: Kind,
    pub(crate) values: Item,
    pub(crate) value_kind: Kind,
}

impl List {
    pub(crate) fn has_own_rules(&self) -> bool {
        self.least > 0 || self.most < u64::MAX || self.unique
    }

    pub(crate) fn is_free(&self) -> bool {
        !self.has_own_rules() && self.items.is_free()
    }
}

impl Map {
    pub(crate) fn has_own_rules(&self) -> bool {
        self.least > 0 || self.most < u64::MAX
    }

    pub(crate) fn is_free(&self) -> bool {
        !self.has_own_rules() && self.keys.is_free() && self.values.is_free()
    }
}

/// The rules of a type.
#[derive(Debug)]
pub(crate) enum Rule {
    /// Every integer that is signed, `float` and `double`, and enums.
    Signed(Number<i64>),
    Unsigned(Number<u64>),
    Real(Number<f64>),
    Bool(Number<bool>),
    Enum {
        number: Number<i64>,
        defined: Option<Box<[i32]>>,
    },
    Text(Box<Text>),
    Octets(Box<Octets>),
    Duration(Number<(i64, i32)>),
    Timestamp(Box<TimestampRules>),
    Mask(Box<MaskRules>),
    Any(Box<AnyRules>),
    /// The rules of the value in a wrapper message.
    Wrapped {
        rule: Box<Rule>,
        kind: Kind,
    },
}

impl Rule {
    /// Checks a value as it stands on the wire; bytes that are no such value break nothing, the gate has seen to them.
    #[inline]
    pub(crate) fn check(&self, kind: Kind, value: wire::Value<'_>, report: &mut impl Report) {
        match (self, value) {
            (Rule::Text(text), wire::Value::Bytes(bytes)) => {
                if let Ok(value) = std::str::from_utf8(bytes) {
                    text.check(value, report);
                }
            }
            (Rule::Real(number), wire::Value::Fixed64(bits)) => number.check(f64::from_bits(bits), report),
            (Rule::Real(number), wire::Value::Fixed32(bits)) => number.check(f32::from_bits(bits).into(), report),
            (Rule::Signed(number), value) => number.check(signed(kind, value), report),
            (Rule::Unsigned(number), value) => number.check(unsigned(kind, value), report),
            (Rule::Bool(rule), value) => rule.check(unsigned(kind, value) != 0, report),
            (Rule::Enum { number, defined }, value) => {
                let value = signed(kind, value);
                number.check(value, report);
                if let Some(defined) = defined
                    && !i32::try_from(value).is_ok_and(|value| defined.binary_search(&value).is_ok())
                {
                    report.broken("enum.defined_only", "must be one of the declared values");
                }
            }
            (Rule::Octets(octets), wire::Value::Bytes(bytes)) => octets.check(bytes, report),
            (Rule::Duration(number), wire::Value::Bytes(bytes)) => number.check(super::well_known::time(bytes), report),
            (Rule::Timestamp(rules), wire::Value::Bytes(bytes)) => rules.check(bytes, report),
            (Rule::Mask(rules), wire::Value::Bytes(bytes)) => rules.check(bytes, report),
            (Rule::Any(rules), wire::Value::Bytes(bytes)) => rules.check(bytes, report),
            (Rule::Wrapped { rule, kind }, wire::Value::Bytes(bytes)) => {
                let mut value = zero(*kind);
                let mut reader = wire::Reader::new(bytes);
                while let Ok(Some(field)) = reader.next() {
                    if field.number == 1 {
                        value = field.value;
                    }
                }
                rule.check(*kind, value, report);
            }
            _ => {}
        }
    }
}

/// The default value of a type.
pub(crate) fn zero(kind: Kind) -> wire::Value<'static> {
    match kind.wire_type() {
        wire::WireType::Varint => wire::Value::Varint(0),
        wire::WireType::Fixed32 => wire::Value::Fixed32(0),
        wire::WireType::Fixed64 => wire::Value::Fixed64(0),
        wire::WireType::Bytes => wire::Value::Bytes(&[]),
    }
}

/// Whether a value is the default of its type. A negative zero is not: it has a bit set.
pub(crate) fn is_zero(kind: Kind, value: wire::Value<'_>) -> bool {
    match value {
        wire::Value::Bytes(bytes) => bytes.is_empty(),
        wire::Value::Varint(_) => unsigned(kind, value) == 0,
        wire::Value::Fixed32(bits) => bits == 0,
        wire::Value::Fixed64(bits) => bits == 0,
    }
}

/// A value of a signed type. Types of 32 bits take the lower half of what is on the wire.
pub(crate) fn signed(kind: Kind, value: wire::Value<'_>) -> i64 {
    match (kind, value) {
        (Kind::Sint32, wire::Value::Varint(value)) => wire::unzigzag(u64::from(value as u32)),
        (Kind::Sint64, wire::Value::Varint(value)) => wire::unzigzag(value),
        (Kind::Int32 | Kind::Enum(_), wire::Value::Varint(value)) => i64::from(value as i32),
        (_, wire::Value::Varint(value) | wire::Value::Fixed64(value)) => value as i64,
        (_, wire::Value::Fixed32(value)) => i64::from(value as i32),
        (_, wire::Value::Bytes(_)) => 0,
    }
}

/// A value of an unsigned type.
pub(crate) fn unsigned(kind: Kind, value: wire::Value<'_>) -> u64 {
    match (kind, value) {
        (Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_), wire::Value::Varint(value)) => {
            u64::from(value as u32)
        }
        (_, wire::Value::Varint(value) | wire::Value::Fixed64(value)) => value,
        (_, wire::Value::Fixed32(value)) => u64::from(value),
        (_, wire::Value::Bytes(_)) => 0,
    }
}

//! What is known of each message type before a request comes: names, numbers, shapes.
//!
//! A plan is compiled once from descriptors and then only read. It knows no request and no transport.

use super::names::Names;
use super::wire::WireType;
use crate::options::Unset;

/// A message type of a [`Plans`](super::Plans).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId(pub(crate) u32);

/// An enum type of a [`Plans`](super::Plans).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnumId(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) full_name: Box<str>,
    /// A type whose JSON form is not an object of its fields.
    pub(crate) well_known: Option<WellKnown>,
    pub(crate) fields: Box<[Field]>,
    pub(crate) oneofs: Box<[Oneof]>,
    /// JSON member name to what it means; canonical and proto names both.
    pub(crate) members: Names<Member>,
    /// Field number to index in `fields`, for numbers up to its length.
    pub(crate) dense: Box<[u16]>,
    /// The same for larger numbers, sorted.
    pub(crate) sparse: Box<[(u32, u16)]>,
    /// What is written, in this order.
    pub(crate) output: Box<[Member]>,
    /// The field that catches what the schema cannot hold.
    pub(crate) additional: Option<u16>,
    /// Whether any member is written although unset, so that its absence must be noted.
    pub(crate) notes_absence: bool,
    /// Whether a oneof is told apart by a tag.
    pub(crate) tagged: bool,
}

/// Marks an unused number in [`Message::dense`].
pub(crate) const NO_FIELD: u16 = u16::MAX;

impl Message {
    #[inline]
    pub(crate) fn field_index(&self, number: u32) -> Option<usize> {
        if let Some(&index) = self.dense.get(number as usize) {
            return (index != NO_FIELD).then_some(usize::from(index));
        }
        let at = self.sparse.binary_search_by_key(&number, |&(number, _)| number).ok()?;
        Some(usize::from(self.sparse[at].1))
    }
}

/// What a JSON member stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// The field of this index.
    Field(u16),
    /// The oneof of this index, told apart by JSON type.
    Union(u16),
    /// The tag of the oneof of this index.
    Tag(u16),
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// The name as written.
    pub(crate) name: Box<str>,
    /// `"name":`, escaped.
    pub(crate) json_key: Box<[u8]>,
    pub(crate) proto_name: Box<str>,
    pub(crate) kind: Kind,
    pub(crate) label: Label,
    /// A group of proto2, which is passed over.
    pub(crate) group: bool,
    pub(crate) unset: Unset,
    /// The text is JSON, verbatim.
    pub(crate) raw: bool,
    pub(crate) accept_scalar: bool,
    pub(crate) int64_number: bool,
    /// The real oneof it belongs to.
    pub(crate) oneof: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// A single value; `implicit` when the default value is not told from absence.
    Singular {
        implicit: bool,
    },
    Repeated {
        packed: bool,
    },
    /// A map; the field's kind is the entry message.
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(EnumId),
    Message(MessageId),
}

impl Kind {
    pub(crate) const fn wire_type(self) -> WireType {
        match self {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::Fixed64,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::Fixed32,
            Kind::String | Kind::Bytes | Kind::Message(_) => WireType::Bytes,
            _ => WireType::Varint,
        }
    }

    /// Whether its varints hold 32 bits.
    pub(crate) const fn is_narrow(self) -> bool {
        matches!(self, Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Enum(_))
    }

    /// What is expected, for an error text.
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Kind::Double | Kind::Float => "a number",
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a 32-bit integer",
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a 64-bit integer",
            Kind::Uint32 | Kind::Fixed32 => "a non-negative 32-bit integer",
            Kind::Uint64 | Kind::Fixed64 => "a non-negative 64-bit integer",
            Kind::Bool => "true or false",
            Kind::String => "a string",
            Kind::Bytes => "a base64 string",
            Kind::Enum(_) => "an enum value",
            Kind::Message(_) => "an object",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Oneof {
    pub(crate) name: Box<str>,
    pub(crate) fields: Box<[u16]>,
    pub(crate) form: Form,
}

#[derive(Debug)]
pub(crate) enum Form {
    /// Members side by side.
    Plain,
    ByJsonType(Union),
    Tag {
        /// `"type":`, escaped.
        json_key: Box<[u8]>,
        /// The member's name.
        name: Box<str>,
    },
}

/// Which field takes which JSON type.
#[derive(Debug, Default)]
pub(crate) struct Union {
    /// `"name":`, escaped.
    pub(crate) json_key: Box<[u8]>,
    pub(crate) unset: Unset,
    pub(crate) string: Option<u16>,
    pub(crate) enumeration: Option<u16>,
    pub(crate) number: Option<u16>,
    pub(crate) boolean: Option<u16>,
    /// A message with one repeated field, which is the array.
    pub(crate) array: Option<u16>,
    pub(crate) object: Option<u16>,
    /// What is accepted, for an error text: `a string or an array`.
    pub(crate) expected: Box<str>,
}

#[derive(Debug)]
pub(crate) struct Enum {
    /// Every accepted string to its number.
    pub(crate) numbers: Names<i32>,
    /// Number to the escaped, quoted string that is written; sorted.
    pub(crate) texts: Box<[(i32, Box<str>)]>,
    /// `google.protobuf.NullValue`, which is `null` in JSON.
    pub(crate) null: bool,
    /// The accepted strings in lower case, where case does not matter.
    pub(crate) folded: Option<Names<i32>>,
}

impl Enum {
    /// The number of a string.
    #[inline]
    pub(crate) fn number(&self, text: &str) -> Option<i32> {
        self.numbers.get(text).or_else(|| self.folded.as_ref()?.get(&text.to_lowercase()))
    }

    #[inline]
    pub(crate) fn text(&self, number: i32) -> Option<&str> {
        let at = self.texts.binary_search_by_key(&number, |&(number, _)| number).ok()?;
        Some(&self.texts[at].1)
    }
}

/// Message types with a JSON form of their own.
/// Source: <https://protobuf.dev/programming-guides/json/>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WellKnown {
    Timestamp,
    Duration,
    FieldMask,
    /// `google.protobuf.StringValue` and its like: the bare value of field 1.
    Wrapper,
    Struct,
    Value,
    ListValue,
    Any,
    /// A message of one `bare` oneof: the value of the field that is set.
    Bare,
}

impl WellKnown {
    /// Whether its JSON form is a scalar.
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Timestamp | Self::Duration | Self::FieldMask | Self::Wrapper)
    }

    /// Whether it holds JSON of any kind.
    pub(crate) const fn is_json(self) -> bool {
        matches!(self, Self::Struct | Self::Value | Self::ListValue)
    }

    pub(crate) fn of(full_name: &str) -> Option<Self> {
        Some(match full_name.strip_prefix("google.protobuf.")? {
            "Timestamp" => Self::Timestamp,
            "Duration" => Self::Duration,
            "FieldMask" => Self::FieldMask,
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value"
            | "BoolValue" | "StringValue" | "BytesValue" => Self::Wrapper,
            "Struct" => Self::Struct,
            "Value" => Self::Value,
            "ListValue" => Self::ListValue,
            "Any" => Self::Any,
            _ => return None,
        })
    }
}

//! A JSON value into a single field: scalars, enums, raw text; messages are handed on.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, Error, Unexpected, Visitor};
use serde_json::value::RawValue;

use super::object::{MessageSeed, check_depth};
use super::{Context, Outcome};
use crate::json::plan::{Enum, Field, Kind, Label};
use crate::json::reading::Mode;
use crate::json::wire::{WireType, put_bytes, put_varint, zigzag};

/// Reads one value of a field: the field itself, or an element of its list.
pub(in crate::json) struct SingleSeed<'s, 'a, 'p> {
    pub(in crate::json) context: &'s mut Context<'a>,
    pub(in crate::json) field: &'p Field,
    /// Whether the field's tag is written before the value; not within a packed list.
    pub(in crate::json) tagged: bool,
}

impl<'de> DeserializeSeed<'de> for SingleSeed<'_, '_, '_> {
    type Value = Outcome;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outcome, D::Error> {
        let Self { context, field, tagged } = self;
        if field.raw {
            let raw = <&RawValue>::deserialize(deserializer)?;
            check_depth(context, raw)?;
            context.tag(field.number, WireType::Bytes);
            put_bytes(context.out, raw.get().as_bytes());
            return Ok(Outcome::Written);
        }
        if let Kind::Message(message) = field.kind {
            context.tag(field.number, WireType::Bytes);
            return MessageSeed { context, message, nested: true }.deserialize(deserializer);
        }
        let implicit = matches!(field.label, Label::Singular { implicit: true });
        deserializer.deserialize_any(ScalarVisitor { context, field, tagged, implicit })
    }
}

/// Writes a scalar as it is met. Numbers are accepted as strings too, as canonical ProtoJSON has it.
pub(super) struct ScalarVisitor<'s, 'a, 'p> {
    pub(super) context: &'s mut Context<'a>,
    pub(super) field: &'p Field,
    pub(super) tagged: bool,
    /// Whether the default value is not written.
    pub(super) implicit: bool,
}

impl ScalarVisitor<'_, '_, '_> {
    #[inline]
    fn tag(&mut self) {
        if self.tagged {
            self.context.tag(self.field.number, self.field.kind.wire_type());
        }
    }

    fn varint(mut self, value: u64) -> Outcome {
        if !(self.implicit && value == 0) {
            self.tag();
            put_varint(self.context.out, value);
        }
        Outcome::Written
    }

    fn fixed32(mut self, value: u32) -> Outcome {
        if !(self.implicit && value == 0) {
            self.tag();
            self.context.out.extend_from_slice(&value.to_le_bytes());
        }
        Outcome::Written
    }

    fn fixed64(mut self, value: u64) -> Outcome {
        if !(self.implicit && value == 0) {
            self.tag();
            self.context.out.extend_from_slice(&value.to_le_bytes());
        }
        Outcome::Written
    }

    fn bytes(mut self, value: &[u8]) -> Outcome {
        if !(self.implicit && value.is_empty()) {
            self.tag();
            put_bytes(self.context.out, value);
        }
        Outcome::Written
    }

    fn integer<E: Error>(self, value: i128) -> Result<Outcome, E> {
        let expected = self.field.kind.expected();
        let range = |_| E::custom(format_args!("{value} is out of range, expected {expected}"));
        Ok(match self.field.kind {
            Kind::Int32 => self.varint(i64::from(i32::try_from(value).map_err(range)?) as u64),
            Kind::Int64 => self.varint(i64::try_from(value).map_err(range)? as u64),
            Kind::Uint32 => self.varint(u64::from(u32::try_from(value).map_err(range)?)),
            Kind::Uint64 => self.varint(u64::try_from(value).map_err(range)?),
            Kind::Sint32 => self.varint(zigzag(i64::from(i32::try_from(value).map_err(range)?))),
            Kind::Sint64 => self.varint(zigzag(i64::try_from(value).map_err(range)?)),
            Kind::Fixed32 => self.fixed32(u32::try_from(value).map_err(range)?),
            Kind::Sfixed32 => self.fixed32(i32::try_from(value).map_err(range)? as u32),
            Kind::Fixed64 => self.fixed64(u64::try_from(value).map_err(range)?),
            Kind::Sfixed64 => self.fixed64(i64::try_from(value).map_err(range)? as u64),
            Kind::Enum(_) => self.varint(i64::from(i32::try_from(value).map_err(range)?) as u64),
            Kind::Double => self.fixed64((value as f64).to_bits()),
            Kind::Float => self.fixed32((value as f32).to_bits()),
            Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_) => {
                return Err(E::invalid_type(Unexpected::Other("a number"), &expected));
            }
        })
    }

    fn float<E: Error>(self, value: f64) -> Result<Outcome, E> {
        match self.field.kind {
            Kind::Double => Ok(self.fixed64(value.to_bits())),
            Kind::Float => {
                let narrow = value as f32;
                if narrow.is_infinite() && value.is_finite() {
                    return Err(E::custom(format_args!("{value} is out of range, expected a 32-bit float")));
                }
                Ok(self.fixed32(narrow.to_bits()))
            }
            Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_) => {
                Err(E::invalid_type(Unexpected::Float(value), &self.field.kind.expected()))
            }
            _ if value.fract() == 0.0 && value.abs() < 2f64.powi(64) => self.integer(value as i128),
            _ => Err(E::invalid_type(Unexpected::Float(value), &self.field.kind.expected())),
        }
    }

    fn text<E: Error>(self, text: &str) -> Result<Outcome, E> {
        match self.field.kind {
            Kind::String => Ok(self.bytes(text.as_bytes())),
            Kind::Bytes => {
                let bytes = decode_base64(text).ok_or_else(|| E::custom("expected a base64 string"))?;
                Ok(self.bytes(&bytes))
            }
            Kind::Enum(id) => {
                let plan = &self.context.plans.enums[id.0 as usize];
                match plan.number(text) {
                    Some(number) => Ok(self.varint(i64::from(number) as u64)),
                    None if self.context.mode == Mode::Lenient => Ok(Outcome::Unknown(text.to_owned())),
                    None => Err(E::custom(unknown_enum(plan, text))),
                }
            }
            Kind::Double | Kind::Float => {
                let value = match text {
                    "NaN" => f64::NAN,
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    _ => return self.number_text(text),
                };
                match self.field.kind {
                    Kind::Float => Ok(self.fixed32((value as f32).to_bits())),
                    _ => Ok(self.fixed64(value.to_bits())),
                }
            }
            Kind::Bool | Kind::Message(_) => Err(E::invalid_type(Unexpected::Str(text), &self.field.kind.expected())),
            _ => self.number_text(text),
        }
    }

    /// A number in quotes, which must be spelt as JSON spells numbers.
    fn number_text<E: Error>(self, text: &str) -> Result<Outcome, E> {
        if let Ok(value) = text.parse::<i128>()
            && !text.starts_with('+')
        {
            return self.integer(value);
        }
        match serde_json::from_str::<f64>(text) {
            Ok(value) if !text.starts_with(char::is_whitespace) && !text.ends_with(char::is_whitespace) => {
                self.float(value)
            }
            _ => Err(E::invalid_type(Unexpected::Str(text), &self.field.kind.expected())),
        }
    }
}

/// An error text that lists what is known.
pub(super) fn unknown_enum(plan: &Enum, text: &str) -> String {
    // The zero value of an enum stands for nothing being said: it is accepted, but not offered.
    let offered = plan.texts.iter().filter(|(number, text)| *number != 0 || !text.ends_with("_UNSPECIFIED\""));
    let known: Vec<&str> = offered.map(|(_, text)| &**text).collect();
    let text: String = text.chars().take(100).collect();
    format!("unknown value {text:?}, expected one of {}", known.join(", "))
}

impl<'de> Visitor<'de> for ScalarVisitor<'_, '_, '_> {
    type Value = Outcome;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.field.kind.expected())
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<Outcome, E> {
        self.text(text)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Outcome, E> {
        if self.field.kind != Kind::Bool {
            return Err(E::invalid_type(Unexpected::Bool(value), &self.field.kind.expected()));
        }
        Ok(self.varint(u64::from(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Outcome, E> {
        self.integer(i128::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Outcome, E> {
        self.integer(i128::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Outcome, E> {
        self.float(value)
    }

    fn visit_unit<E: Error>(self) -> Result<Outcome, E> {
        if let Kind::Enum(id) = self.field.kind
            && self.context.plans.enums[id.0 as usize].null
        {
            return Ok(self.varint(0));
        }
        Ok(Outcome::Null)
    }
}

/// Standard and URL-safe alphabets, padded or not, as canonical ProtoJSON accepts.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const LAX: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LAX);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LAX);
    if text.contains(['-', '_']) { URL_SAFE.decode(text).ok() } else { STANDARD.decode(text).ok() }
}

//! Scalars from the wire as JSON text.

use base64::Engine as _;

use crate::json::error::WriteError;
use crate::json::plan::{Enum, Field, Kind};
use crate::json::wire::{Value, unzigzag};
use crate::json::write::{utf8, wrong_type};

/// A string in quotes, escaped.
#[inline]
pub(in crate::json) fn put_json_string(out: &mut Vec<u8>, text: &str) -> Result<(), WriteError> {
    if needs_escaping(text.as_bytes()) {
        return serde_json::to_writer(out, text).map_err(|error| WriteError::new(error.to_string()));
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

/// Whether a quote, a backslash or a control character is in `bytes`. Looks at eight bytes at a time: most texts have
/// none, and are then copied as they are.
#[inline]
fn needs_escaping(bytes: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte of `word` that is zero (and perhaps of a byte above one that is: never a false no).
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let (words, rest) = bytes.as_chunks::<8>();
    let special = |word: u64| {
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        below_space | zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')))
    };
    words.iter().any(|word| special(u64::from_ne_bytes(*word)) != 0)
        || rest.iter().any(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')
}

/// The string of an enum value; its number where the schema has no name for it.
#[inline]
pub(super) fn put_enum(out: &mut Vec<u8>, plan: &Enum, number: i32) {
    if plan.null {
        out.extend_from_slice(b"null");
        return;
    }
    match plan.text(number) {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        None => put_integer(out, i64::from(number)),
    }
}

/// A scalar that is neither enum nor raw.
pub(super) fn put_scalar(out: &mut Vec<u8>, field: &Field, value: Value<'_>) -> Result<(), WriteError> {
    match (field.kind, value) {
        (Kind::String, Value::Bytes(bytes)) => put_json_string(out, utf8(bytes)?)?,
        (Kind::Bytes, Value::Bytes(bytes)) => {
            out.push(b'"');
            out.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
        (Kind::Bool, Value::Varint(value)) => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
        (Kind::Int32, Value::Varint(value)) => put_integer(out, i64::from(value as i32)),
        (Kind::Uint32, Value::Varint(value)) => put_integer(out, i64::from(value as u32)),
        // Of a varint that is too long for 32 bits, the low ones count.
        (Kind::Sint32, Value::Varint(value)) => put_integer(out, unzigzag(u64::from(value as u32))),
        (Kind::Fixed32, Value::Fixed32(value)) => put_integer(out, i64::from(value)),
        (Kind::Sfixed32, Value::Fixed32(value)) => put_integer(out, i64::from(value as i32)),
        (Kind::Int64, Value::Varint(value)) => put_wide(out, field, value as i64),
        (Kind::Uint64, Value::Varint(value)) => put_wide(out, field, value),
        (Kind::Sint64, Value::Varint(value)) => put_wide(out, field, unzigzag(value)),
        (Kind::Fixed64, Value::Fixed64(value)) => put_wide(out, field, value),
        (Kind::Sfixed64, Value::Fixed64(value)) => put_wide(out, field, value as i64),
        (Kind::Double, Value::Fixed64(bits)) => put_double(out, f64::from_bits(bits)),
        (Kind::Float, Value::Fixed32(bits)) => put_float(out, f32::from_bits(bits)),
        _ => return Err(wrong_type()),
    }
    Ok(())
}

/// What a scalar field is when unset.
pub(super) fn scalar_default(kind: Kind, field: &Field) -> &'static str {
    match kind {
        Kind::String | Kind::Bytes if field.raw => "null",
        Kind::String | Kind::Bytes => "\"\"",
        Kind::Bool => "false",
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 if !field.int64_number => "\"0\"",
        _ => "0",
    }
}

fn put_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A 64-bit integer in the form its field asks for.
fn put_wide(out: &mut Vec<u8>, field: &Field, value: impl itoa::Integer) {
    if !field.int64_number {
        out.push(b'"');
    }
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    if !field.int64_number {
        out.push(b'"');
    }
}

/// The shortest text that reads back as the same number; a whole number without `.0`, so that servers which declare an
/// integer accept it.
pub(in crate::json) fn put_double(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() < 1e15 && !(value == 0.0 && value.is_sign_negative()) {
        put_integer(out, value as i64);
    } else if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        put_not_finite(out, value);
    }
}

fn put_float(out: &mut Vec<u8>, value: f32) {
    if value.fract() == 0.0 && value.abs() < 1e7 && !(value == 0.0 && value.is_sign_negative()) {
        put_integer(out, value as i64);
    } else if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        put_not_finite(out, f64::from(value));
    }
}

fn put_not_finite(out: &mut Vec<u8>, value: f64) {
    let text: &[u8] = if value.is_nan() {
        b"\"NaN\""
    } else if value > 0.0 {
        b"\"Infinity\""
    } else {
        b"\"-Infinity\""
    };
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_that_needs_escaping_is_seen_wherever_it_stands() {
        for byte in 0..=255u8 {
            for at in 0..20 {
                let mut bytes = [b'a'; 20];
                bytes[at] = byte;
                let expected = byte < 0x20 || byte == b'"' || byte == b'\\';
                assert_eq!(needs_escaping(&bytes), expected, "{byte} at {at}");
            }
        }
    }
}

//! One scalar of a message as bare text: what stands in a header or in the `id:` of an event, where JSON has no place.

use super::Plans;
use super::plan::{Field, Kind, Label, MessageId};
use super::wire::{Value, unzigzag};

/// Whether the field is one string, integer, boolean or enum.
pub(super) fn is_plain(field: &Field) -> bool {
    matches!(field.label, Label::Singular { .. })
        && !matches!(field.kind, Kind::Double | Kind::Float | Kind::Bytes | Kind::Message(_))
}

/// Appends the value that `steps` lead to; false, and nothing appended, where there is none.
pub(super) fn write(plans: &Plans, steps: &[(MessageId, u16)], wire: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(&(message, field)) = steps.last() else { return false };
    let Some(value) = plans.value_at(steps, wire) else { return false };
    let mut put = |number: i128| out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    match (plans.plan(message).fields[usize::from(field)].kind, value) {
        (Kind::String, Value::Bytes(bytes)) => {
            if std::str::from_utf8(bytes).is_err() {
                return false;
            }
            out.extend_from_slice(bytes);
        }
        (Kind::Bool, Value::Varint(value)) => out.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
        (Kind::Enum(id), Value::Varint(number)) => {
            let number = number as i32;
            match plans.compiled.enums[id.0 as usize].text(number) {
                // As it is written in JSON, without its quotes.
                Some(text) => out.extend_from_slice(text.trim_matches('"').as_bytes()),
                None => put(number.into()),
            }
        }
        (Kind::Int32, Value::Varint(value)) => put((value as i32).into()),
        (Kind::Int64, Value::Varint(value)) => put((value as i64).into()),
        (Kind::Uint32, Value::Varint(value)) => put((value as u32).into()),
        (Kind::Uint64, Value::Varint(value)) => put(value.into()),
        (Kind::Sint32 | Kind::Sint64, Value::Varint(value)) => put(unzigzag(value).into()),
        (Kind::Fixed32, Value::Fixed32(value)) => put(value.into()),
        (Kind::Sfixed32, Value::Fixed32(value)) => put((value as i32).into()),
        (Kind::Fixed64, Value::Fixed64(value)) => put(value.into()),
        (Kind::Sfixed64, Value::Fixed64(value)) => put((value as i64).into()),
        _ => return false,
    }
    true
}

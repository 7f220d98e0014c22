//! The rival's enums: numbers on the wire, strings in JSON.

use serde::{Deserialize, Deserializer, Serializer, de, ser};

const ROLES: [&str; 7] = ["", "developer", "system", "user", "assistant", "tool", "function"];
const FINISH_REASONS: [&str; 6] = ["", "stop", "length", "tool_calls", "content_filter", "function_call"];

pub(crate) fn read_role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    number_of(&ROLES, <&str>::deserialize(deserializer)?)
}

pub(crate) fn write_role<S: Serializer>(role: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name_of(&ROLES, *role)?)
}

pub(crate) fn read_finish_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    Option::<&str>::deserialize(deserializer)?.map_or(Ok(0), |text| number_of(&FINISH_REASONS, text))
}

pub(crate) fn write_finish_reason<S: Serializer>(reason: &i32, serializer: S) -> Result<S::Ok, S::Error> {
    match *reason {
        0 => serializer.serialize_none(),
        number => serializer.serialize_str(name_of(&FINISH_REASONS, number)?),
    }
}

fn number_of<E: de::Error>(names: &[&str], text: &str) -> Result<i32, E> {
    let number = (0..).zip(names).find(|(_, name)| **name == text);
    number.map(|(number, _)| number).ok_or_else(|| E::custom(format_args!("unknown value {text:?}")))
}

fn name_of<E: ser::Error>(names: &[&'static str], number: i32) -> Result<&'static str, E> {
    let index = usize::try_from(number).map_err(E::custom)?;
    names.get(index).copied().ok_or_else(|| E::custom("unknown number"))
}

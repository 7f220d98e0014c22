//! The text of a path variable or query parameter, as something a value can be read from.

use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::json::plan::Kind;

/// A text that reads as the JSON value its field expects: a boolean for a boolean field, otherwise a string, from which
/// numbers, times and bytes are read as in canonical ProtoJSON.
pub(super) struct Text<'t> {
    text: &'t str,
    kind: Kind,
}

impl<'t> Text<'t> {
    pub(super) fn new(text: &'t str, kind: Kind) -> Self {
        Self { text, kind }
    }
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match (self.kind, self.text) {
            (Kind::Bool, "true") => visitor.visit_bool(true),
            (Kind::Bool, "false") => visitor.visit_bool(false),
            (Kind::Enum(_), text) if text.parse::<i32>().is_ok() => {
                visitor.visit_i64(i64::from(text.parse::<i32>().unwrap_or_default()))
            }
            (_, text) => visitor.visit_str(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

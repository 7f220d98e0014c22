//! Which fields a JSON document names: what a field mask says of a partial update.
//!
//! Source: <https://google.aip.dev/134>, and the comment on field masks in google/protobuf/field_mask.proto.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::compile::Compiled;
use super::error::ReadError;
use super::plan::{Kind, Label, Member, Message, MessageId};
use super::{Plans, plan};

/// How many paths are listed; who changes more at once names them.
const MAX_PATHS: usize = 1000;

impl Plans {
    /// The paths, in proto names, of the fields that `json` gives a value or `null`.
    ///
    /// A path leads through messages, but not into lists, maps and types with a JSON form of their own: these are
    /// replaced whole. An empty object stands for its field.
    ///
    /// # Errors
    /// When the document names more than a thousand fields, or is not one that [`Plans::read`] accepts.
    pub(crate) fn paths(&self, message: MessageId, json: &[u8]) -> Result<Vec<String>, ReadError> {
        let mut paths = Vec::new();
        let mut prefix = String::new();
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        PathsSeed { plans: &self.compiled, message, prefix: &mut prefix, paths: &mut paths }
            .deserialize(&mut deserializer)
            .map_err(|error| ReadError::new(prefix, error.to_string()))?;
        Ok(paths)
    }
}

struct PathsSeed<'a, 's> {
    plans: &'a Compiled,
    message: MessageId,
    prefix: &'s mut String,
    paths: &'s mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for PathsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PathsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let plan: &Message = &self.plans.messages[self.message.0 as usize];
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match plan.members.get(&name) {
                Some(Member::Field(index)) => self.field(&plan.fields[usize::from(index)], &mut map)?,
                Some(Member::Union(index)) => {
                    // Whichever member the value is, the others are cleared by it.
                    map.next_value::<IgnoredAny>()?;
                    for &index in &plan.oneofs[usize::from(index)].fields {
                        let before = self.enter(&plan.fields[usize::from(index)]);
                        self.list()?;
                        self.prefix.truncate(before);
                    }
                }
                Some(Member::Tag(_)) | None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl PathsSeed<'_, '_> {
    fn field<'de, A: MapAccess<'de>>(&mut self, field: &plan::Field, map: &mut A) -> Result<(), A::Error> {
        let before = self.enter(field);
        let listed = self.paths.len();
        match (field.label, field.kind) {
            (Label::Singular { .. }, Kind::Message(message))
                if self.plans.messages[message.0 as usize].well_known.is_none() =>
            {
                map.next_value_seed(PathsSeed { plans: self.plans, message, prefix: self.prefix, paths: self.paths })?;
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        if self.paths.len() == listed {
            self.list()?;
        }
        self.prefix.truncate(before);
        Ok(())
    }

    /// Goes into a field; the result is where it was.
    fn enter(&mut self, field: &plan::Field) -> usize {
        let before = self.prefix.len();
        if before > 0 {
            self.prefix.push('.');
        }
        self.prefix.push_str(&field.proto_name);
        before
    }

    fn list<E: Error>(&mut self) -> Result<(), E> {
        if self.paths.len() == MAX_PATHS {
            return Err(E::custom(format_args!("names more than {MAX_PATHS} fields: say which in a field mask")));
        }
        self.paths.push(self.prefix.clone());
        Ok(())
    }
}

//! Members of JSON objects that are passed on as they stand, between the ones that a protocol's own translation writes.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::foreign_members;

/// Members of an object, in their order: names and JSON text.
#[derive(Debug, Default)]
pub(crate) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// The members of an object of the request that our schema does not name. `path` is the object's, and empty for the
    /// request itself.
    ///
    /// # Errors
    /// A member that is not JSON, which JSON cannot bring but gRPC can.
    pub(crate) fn foreign(members: BTreeMap<String, String>, path: &str) -> Result<Self, UpstreamError> {
        let member = |(name, text): (String, String)| {
            let value = raw(text, || if path.is_empty() { name.clone() } else { format!("{path}.{name}") })?;
            Ok((name, value))
        };
        Ok(Self(foreign_members(members).map(member).collect::<Result<_, UpstreamError>>()?))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is one of that name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// Takes a member out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let place = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.remove(place).1)
    }

    /// Keeps the members of these names only.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// Adds a member.
    pub(crate) fn push(&mut self, name: impl Into<String>, value: Box<RawValue>) {
        self.0.push((name.into(), value));
    }

    /// Adds a member with this value, if there is a value.
    pub(crate) fn say(&mut self, name: &str, value: &Option<impl Serialize>) {
        // Numbers and texts always have a JSON form.
        if let Some(value) = value.as_ref().and_then(|value| to_raw_value(value).ok()) {
            self.push(name, value);
        }
    }

    /// Writes the members among others of an object.
    ///
    /// # Errors
    /// As the serializer.
    pub(crate) fn write<M: SerializeMap>(&self, object: &mut M) -> Result<(), M::Error> {
        self.0.iter().try_for_each(|(name, value)| object.serialize_entry(name, value))
    }
}

impl IntoIterator for Members {
    type Item = (String, Box<RawValue>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        self.write(&mut object)?;
        object.end()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// JSON text of the request, to be written as it stands. `path` says where it lies.
///
/// # Errors
/// A text that is not JSON.
pub(crate) fn raw(text: String, path: impl FnOnce() -> String) -> Result<Box<RawValue>, UpstreamError> {
    RawValue::from_string(text).map_err(|error| {
        let path = path();
        let message = format!("{path} is not JSON: {error}");
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(path)
    })
}

/// The arguments of an earlier call as the object that a protocol wants; none are an empty one. `path` is the call's.
///
/// # Errors
/// Arguments that are no object.
pub(crate) fn arguments(text: String, path: &str) -> Result<Box<RawValue>, UpstreamError> {
    let text = if text.trim().is_empty() { "{}".to_owned() } else { text };
    match RawValue::from_string(text) {
        Ok(value) if value.get().starts_with('{') => Ok(value),
        _ => {
            let message = "the arguments of an earlier call are not a JSON object, which the model's server wants";
            let error = UpstreamError::new(UpstreamErrorKind::InvalidRequest, message);
            Err(error.with_param(format!("{path}.function.arguments")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_their_text() {
        let text = r#"{"b":1.50,"a":{"z": [1, 2]},"c":null}"#;
        let mut members: Members = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&members).unwrap(), text);
        assert!(members.contains("a") && !members.contains("d"));
        assert_eq!(members.take("b").unwrap().get(), "1.50");
        members.say("d", &Some("x"));
        members.say("e", &None::<i32>);
        assert_eq!(serde_json::to_string(&members).unwrap(), r#"{"a":{"z": [1, 2]},"c":null,"d":"x"}"#);
        assert!(serde_json::from_str::<Members>("[1]").is_err());
    }

    #[test]
    fn what_is_not_json_is_refused_by_its_path() {
        let members = || BTreeMap::from([("top_k".to_owned(), "{".to_owned())]);
        let param = |path| Members::foreign(members(), path).unwrap_err().param;
        assert_eq!(param("").as_deref(), Some("top_k"));
        assert_eq!(param("messages[0]").as_deref(), Some("messages[0].top_k"));
    }

    #[test]
    fn arguments_are_an_object() {
        for (text, expected) in [("", "{}"), (" \n", "{}"), (r#" {"a": 1} "#, r#"{"a": 1}"#)] {
            assert_eq!(arguments(text.to_owned(), "").unwrap().get(), expected, "{text}");
        }
        for text in ["[1]", "{", "\"{}\"", "null"] {
            let error = arguments(text.to_owned(), "messages[0].tool_calls[1]").unwrap_err();
            assert_eq!(error.param.as_deref(), Some("messages[0].tool_calls[1].function.arguments"), "{text}");
        }
    }
}

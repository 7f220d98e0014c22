//! JSON Schema, as far as descriptors need it.
//!
//! Source: <https://json-schema.org/draft/2020-12>, which OpenAPI 3.1 and 3.2 both build on.

use serde::{Serialize, Serializer};
use serde_json::Number;

use super::document::is_false;
use super::ordered::{Json, Ordered};

/// A schema; without any keyword it allows everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schema {
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Types::is_empty")]
    pub(super) types: Types,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_media_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_schema: Option<Box<Schema>>,
    #[serde(rename = "const", skip_serializing_if = "Option::is_none")]
    pub(super) constant: Option<Json>,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub(super) values: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) minimum: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exclusive_minimum: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) maximum: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exclusive_maximum: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) items: Option<Box<Schema>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min_items: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_items: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) unique_items: bool,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub(super) properties: Ordered<Schema>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) required: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) additional_properties: Option<Additional>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) property_names: Option<Box<Schema>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min_properties: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_properties: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) all_of: Vec<Schema>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) any_of: Vec<Schema>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) one_of: Vec<Schema>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not: Option<Box<Schema>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) discriminator: Option<Discriminator>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) read_only: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) write_only: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) deprecated: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) examples: Vec<Json>,
    /// Rules that JSON Schema cannot say: CEL.
    #[serde(rename = "x-cel", skip_serializing_if = "Vec::is_empty")]
    pub(super) cel: Vec<String>,
}

/// Which member tells the alternatives of `oneOf` apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Discriminator {
    pub(super) property_name: String,
    pub(super) mapping: Ordered<String>,
}

/// What members besides the named ones may be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Additional {
    Allowed(bool),
    Each(Box<Schema>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Type {
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
    Null,
}

/// One type is written as such, several as a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Types(pub(super) Vec<Type>);

impl Types {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Types {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl Schema {
    pub(super) fn of(kind: Type) -> Self {
        Self { types: Types(vec![kind]), ..Self::default() }
    }

    pub(super) fn formatted(kind: Type, format: &'static str) -> Self {
        Self { format: Some(format), ..Self::of(kind) }
    }

    /// The component of this name.
    pub(super) fn reference(name: &str) -> Self {
        Self { reference: Some(format!("#/components/schemas/{name}")), ..Self::default() }
    }

    pub(super) fn constant(text: &str) -> Self {
        Self { constant: Some(Json::string(text)), ..Self::of(Type::String) }
    }

    /// What nothing satisfies: a member of this schema must not be there.
    pub(super) fn never() -> Self {
        Self { not: Some(Box::default()), ..Self::default() }
    }

    pub(super) fn array(items: Schema) -> Self {
        Self { items: Some(Box::new(items)), ..Self::of(Type::Array) }
    }

    pub(super) fn any_of(schemas: Vec<Schema>) -> Self {
        match <[Schema; 1]>::try_from(schemas) {
            Ok([only]) => only,
            Err(any_of) => Self { any_of, ..Self::default() },
        }
    }

    pub(super) fn described(self, description: Option<String>) -> Self {
        Self { description: description.or(self.description), ..self }
    }

    /// The same, or `null`.
    pub(super) fn or_null(mut self) -> Self {
        if self == Self::never() {
            return self;
        }
        let plain = self.reference.is_none() && self.constant.is_none() && self.one_of.is_empty();
        if plain && self.types.is_empty() && self.any_of.is_empty() && self.values.is_empty() {
            return self;
        }
        if plain && !self.types.is_empty() && self.any_of.is_empty() {
            self.types.0.push(Type::Null);
            if !self.values.is_empty() {
                self.values.push(Json::of(&()));
            }
            return self;
        }
        if !self.one_of.is_empty() && self.discriminator.is_none() && self.types.is_empty() {
            self.one_of.push(Self::of(Type::Null));
            return self;
        }
        if plain && !self.any_of.is_empty() {
            self.any_of.push(Self::of(Type::Null));
            return self;
        }
        let (description, deprecated) = (self.description.take(), std::mem::take(&mut self.deprecated));
        let examples = std::mem::take(&mut self.examples);
        Self { description, deprecated, examples, any_of: vec![self, Self::of(Type::Null)], ..Self::default() }
    }
}

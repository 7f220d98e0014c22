//! Schemas of values that are not objects of named members: scalars, enums, and the well-known types.
//!
//! Source of the forms: <https://protobuf.dev/programming-guides/json/>.

use prost_reflect::{EnumDescriptor, EnumValueDescriptor};

use super::comments::Comments;
use super::ordered::{Json, Ordered};
use super::schema::{Additional, Schema, Type};
use crate::json::plan::{Kind, WellKnown};
use crate::options;

/// A scalar; `None` for enums and messages, which have schemas of their own.
pub(super) fn scalar(kind: Kind, int64_number: bool) -> Option<Schema> {
    let integer = |format: &'static str, unsigned: bool| Schema {
        minimum: unsigned.then(|| 0.into()),
        ..Schema::formatted(Type::Integer, format)
    };
    let text = |format: &'static str, pattern: &str| Schema {
        pattern: Some(pattern.to_owned()),
        ..Schema::formatted(Type::String, format)
    };
    Some(match kind {
        Kind::Double => Schema::formatted(Type::Number, "double"),
        Kind::Float => Schema::formatted(Type::Number, "float"),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer("int32", false),
        Kind::Uint32 | Kind::Fixed32 => Schema { maximum: Some(u32::MAX.into()), ..integer("uint32", true) },
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 if int64_number => integer("int64", false),
        Kind::Uint64 | Kind::Fixed64 if int64_number => integer("uint64", true),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => text("int64", "^-?[0-9]{1,19}$"),
        Kind::Uint64 | Kind::Fixed64 => text("uint64", "^[0-9]{1,20}$"),
        Kind::Bool => Schema::of(Type::Boolean),
        Kind::String => Schema::of(Type::String),
        Kind::Bytes => Schema { content_encoding: Some("base64"), ..Schema::formatted(Type::String, "byte") },
        Kind::Enum(_) | Kind::Message(_) => return None,
    })
}

/// A well-known type other than a wrapper.
pub(super) fn well_known(kind: WellKnown) -> Schema {
    match kind {
        WellKnown::Timestamp => Schema::formatted(Type::String, "date-time"),
        WellKnown::Duration => {
            Schema { pattern: Some(r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$".to_owned()), ..Schema::of(Type::String) }
        }
        WellKnown::FieldMask => Schema::of(Type::String),
        WellKnown::Struct => {
            Schema { additional_properties: Some(Additional::Allowed(true)), ..Schema::of(Type::Object) }
        }
        WellKnown::ListValue => Schema::array(Schema::default()),
        WellKnown::Any => Schema {
            properties: Ordered::from(vec![(
                "@type".to_owned(),
                Schema::of(Type::String)
                    .described(Some("The message's type: `type.googleapis.com/package.Message`.".into())),
            )]),
            required: vec!["@type".to_owned()],
            additional_properties: Some(Additional::Allowed(true)),
            ..Schema::of(Type::Object)
        },
        WellKnown::Value | WellKnown::Wrapper | WellKnown::Bare => Schema::default(),
    }
}

/// What a well-known type is, for its description where the field has none; and in any case what is not plain from the
/// schema.
pub(super) const fn remark(kind: WellKnown) -> Option<&'static str> {
    match kind {
        WellKnown::Duration => Some("Seconds with an `s`, such as `1.5s`."),
        WellKnown::FieldMask => {
            Some("Names of fields in lowerCamelCase, parted by commas, such as `title,author.name`.")
        }
        _ => None,
    }
}

/// A value it could have, for those whose form nobody guesses.
pub(super) fn example(kind: WellKnown) -> Option<Json> {
    match kind {
        WellKnown::Timestamp => Some(Json::string("2026-01-31T12:00:00Z")),
        WellKnown::Duration => Some(Json::string("1.5s")),
        _ => None,
    }
}

/// The strings of an enum, each explained.
pub(super) fn enumeration(item: &EnumDescriptor, comments: &Comments) -> Schema {
    let file = item.parent_file();
    let mut description = comments.text(&file, item.path()).unwrap_or_default();
    let mut values = Vec::new();
    for value in item.values().filter(|value| !is_unspecified(value)) {
        let text = text(&value);
        if values.contains(&Json::string(&text)) {
            continue;
        }
        let separator = if values.is_empty() && !description.is_empty() { "\n\n" } else { "\n" };
        if !description.is_empty() {
            description.push_str(separator);
        }
        description.push_str(&format!("- `{text}`"));
        if let Some(comment) = comments.text(&file, value.path()) {
            description.push_str(&format!(": {}", comment.replace('\n', " ")));
        }
        values.push(Json::string(&text));
    }
    let deprecated = item.enum_descriptor_proto().options.as_ref().is_some_and(|options| options.deprecated());
    Schema { description: Some(description), values, deprecated, ..Schema::of(Type::String) }
}

/// The string that stands for a value.
pub(super) fn text(value: &EnumValueDescriptor) -> String {
    options::enum_value(value).unwrap_or_else(|| value.name().to_owned())
}

/// Whether a value only says that nothing was said. It is read, but there is no reason to write it.
pub(super) fn is_unspecified(value: &EnumValueDescriptor) -> bool {
    value.number() == 0
        && value.name().ends_with("_UNSPECIFIED")
        && options::enum_value(value).is_none()
        && value.parent_enum().values().len() > 1
}

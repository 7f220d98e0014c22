//! The form of the answer's text.

use sabir_proto::v1::response_format::{Format, JsonSchema};
use sabir_proto::v1::{ResponseFormat, ResponseText, ResponseTextFormat};

use crate::error::UpstreamError;
use crate::unsupported::{Unsupported, foreign_members};

/// Words it; `None` if nothing is said of it.
pub(super) fn word(
    format: Option<ResponseFormat>,
    verbosity: Option<String>,
    unsupported: &mut Unsupported,
) -> Result<Option<ResponseText>, UpstreamError> {
    let typed = |kind: &str| ResponseTextFormat { r#type: kind.to_owned(), ..ResponseTextFormat::default() };
    let format = match format {
        None => None,
        Some(ResponseFormat { format, additional_members }) => {
            for (name, _) in foreign_members(additional_members) {
                unsupported.unless(false, format!("response_format.{name}"))?;
            }
            match format {
                None | Some(Format::Text(_)) => None,
                Some(Format::JsonObject(_)) => Some(typed("json_object")),
                Some(Format::JsonSchema(JsonSchema { name, description, schema, strict, additional_members })) => {
                    Some(ResponseTextFormat {
                        name: Some(name),
                        description,
                        schema,
                        strict,
                        additional_members: foreign_members(additional_members).collect(),
                        ..typed("json_schema")
                    })
                }
            }
        }
    };
    let says_something = format.is_some() || verbosity.is_some();
    Ok(says_something.then(|| ResponseText { format, verbosity, ..ResponseText::default() }))
}

//! A function that a model may call, in the form in which OpenAI's protocol words it and others copied it.

use sabir_proto::v1::FunctionDefinition;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use crate::error::UpstreamError;
use crate::verbatim::{Members, raw};

/// The schema of a function without arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// A function that the model may call: `{"type": "function", "function": {"name", "description", "parameters"}}`, without
/// `strict`, for which others have other words.
#[derive(Debug)]
pub(crate) struct FunctionTool {
    function: Function,
    members: Members,
}

#[derive(Debug)]
struct Function {
    name: String,
    description: Option<String>,
    parameters: Box<RawValue>,
    members: Members,
}

impl FunctionTool {
    /// Words a function, and says whether its arguments must match its schema exactly. `members` are the tool's own that
    /// our schema does not name; `path` is the tool's.
    ///
    /// # Errors
    /// A schema that is not JSON.
    pub(crate) fn word(
        definition: FunctionDefinition,
        members: Members,
        path: &str,
    ) -> Result<(Self, bool), UpstreamError> {
        let FunctionDefinition { name, description, parameters, strict, additional_members } = definition;
        let path = format!("{path}.function");
        let schema = if parameters.is_empty() { NO_ARGUMENTS.to_owned() } else { parameters };
        let function = Function {
            name,
            description,
            parameters: raw(schema, || format!("{path}.parameters"))?,
            members: Members::foreign(additional_members, &path)?,
        };
        Ok((Self { function, members }, strict.unwrap_or(false)))
    }

    /// The function's name.
    pub(crate) fn name(&self) -> &str {
        &self.function.name
    }
}

impl Serialize for FunctionTool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("type", "function")?;
        object.serialize_entry("function", &self.function)?;
        self.members.write(&mut object)?;
        object.end()
    }
}

impl Serialize for Function {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("name", &self.name)?;
        if let Some(description) = &self.description {
            object.serialize_entry("description", description)?;
        }
        object.serialize_entry("parameters", &self.parameters)?;
        self.members.write(&mut object)?;
        object.end()
    }
}

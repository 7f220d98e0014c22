//! What a model may call. Source: <https://docs.ollama.com/capabilities/tool-calling>.

use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::{FunctionDefinition, Tool as Offered, tool};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use crate::error::UpstreamError;
use crate::tool_choice::{Chosen, Mode};
use crate::unsupported::Unsupported;
use crate::verbatim::{Members, raw};

/// The schema of a function without arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// A function that the model may call.
pub(super) struct Tool {
    function: Function,
    members: Members,
}

struct Function {
    name: String,
    description: Option<String>,
    parameters: Box<RawValue>,
    members: Members,
}

impl Serialize for Tool {
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

/// The tools that may be called. The protocol cannot make a model call one; it can keep it from it, by not telling of any.
pub(super) fn word(
    tools: Vec<Offered>,
    choice: Option<ToolChoice>,
    unsupported: &mut Unsupported,
) -> Result<Vec<Tool>, UpstreamError> {
    let chosen = Chosen::read(choice, unsupported)?;
    unsupported.unless(!matches!(chosen.mode, Mode::Required | Mode::Named), "tool_choice")?;
    let mut worded = Vec::with_capacity(tools.len());
    for (index, Offered { tool, additional_members }) in tools.into_iter().enumerate() {
        let path = format!("tools[{index}]");
        match tool {
            Some(tool::Tool::Function(definition)) => {
                let tool = Tool {
                    function: function(definition, &path, unsupported)?,
                    members: Members::foreign(additional_members, &path)?,
                };
                if chosen.mode != Mode::None && chosen.allows(&tool.function.name) {
                    worded.push(tool);
                }
            }
            Some(tool::Tool::Custom(_)) => unsupported.unless(false, format!("{path}.custom"))?,
            None => unsupported.unless(false, path)?,
        }
    }
    Ok(worded)
}

fn function(
    definition: FunctionDefinition,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<Function, UpstreamError> {
    let FunctionDefinition { name, description, parameters, strict, additional_members } = definition;
    let path = format!("{path}.function");
    unsupported.unless(!strict.unwrap_or(false), format!("{path}.strict"))?;
    let schema = if parameters.is_empty() { NO_ARGUMENTS.to_owned() } else { parameters };
    Ok(Function {
        name,
        description,
        parameters: raw(schema, || format!("{path}.parameters"))?,
        members: Members::foreign(additional_members, &path)?,
    })
}

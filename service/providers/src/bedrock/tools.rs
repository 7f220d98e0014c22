//! What a model may call. Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html>.

use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::{FunctionDefinition, Tool, tool};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use super::cache::Marks;
use super::wire::CachePoint;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::tool_choice::{Chosen, Mode};
use crate::unsupported::Unsupported;
use crate::verbatim::{Members, raw};

/// The schema of a function without arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// What may be called, and whether it must.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig {
    tools: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Entry {
    ToolSpec(Function),
    CachePoint(CachePoint),
    /// What only the vendor knows, such as a tool of its own.
    #[serde(untagged)]
    Own(Members),
}

/// As the model sees fit is what is meant if nothing is said.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Choice {
    Any {},
    Tool { name: String },
}

#[derive(Debug)]
struct Function {
    name: String,
    description: Option<String>,
    schema: Schema,
    strict: bool,
    members: Members,
}

#[derive(Debug, Serialize)]
struct Schema {
    json: Box<RawValue>,
}

impl Serialize for Function {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("name", &self.name)?;
        if let Some(description) = &self.description {
            object.serialize_entry("description", description)?;
        }
        object.serialize_entry("inputSchema", &self.schema)?;
        if self.strict {
            object.serialize_entry("strict", &true)?;
        }
        self.members.write(&mut object)?;
        object.end()
    }
}

/// The tools, without those that may not be called. The API cannot say that none may be; then they are not offered, unless
/// the conversation `calls` some: it is refused without them.
pub(super) fn word(
    offered: Vec<Tool>,
    choice: Option<ToolChoice>,
    calls: bool,
    marks: Marks,
    unsupported: &mut Unsupported,
) -> Result<Option<ToolConfig>, UpstreamError> {
    let chosen = Chosen::read(choice, unsupported)?;
    let choice = match (chosen.mode, &chosen.allowed) {
        (Mode::None, _) if offered.is_empty() || !calls => return Ok(None),
        (Mode::None, _) => {
            unsupported.unless(false, "tool_choice")?;
            None
        }
        (Mode::Auto, _) => None,
        (Mode::Named, Some(names)) => names.first().map(|name| Choice::Tool { name: name.clone() }),
        (Mode::Named | Mode::Required, _) => Some(Choice::Any {}),
    };
    let mut tools = Vec::with_capacity(offered.len());
    for (index, Tool { tool, mut additional_members }) in offered.into_iter().enumerate() {
        let path = format!("tools[{index}]");
        let mark = marks.take(&mut additional_members, &path)?;
        let mut members = Members::foreign(additional_members, &path)?;
        match tool {
            Some(tool::Tool::Function(definition)) => {
                if chosen.mode == Mode::Named || chosen.allows(&definition.name) {
                    tools.push(Entry::ToolSpec(function(definition, members, &path)?));
                }
            }
            Some(tool::Tool::Custom(_)) => unsupported.unless(false, format!("{path}.custom"))?,
            None => {
                members.retain(|name| name != "type");
                tools.push(Entry::Own(members));
            }
        }
        tools.extend(mark.map(Entry::CachePoint));
    }
    if tools.is_empty() && choice.is_some() {
        let message = "tool_choice wants a call of a tool that the request does not offer";
        return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param("tool_choice"));
    }
    Ok((!tools.is_empty()).then_some(ToolConfig { tools, tool_choice: choice }))
}

fn function(definition: FunctionDefinition, mut members: Members, path: &str) -> Result<Function, UpstreamError> {
    let FunctionDefinition { name, description, parameters, strict, additional_members } = definition;
    let path = format!("{path}.function");
    Members::foreign(additional_members, &path)?.into_iter().for_each(|(name, value)| members.push(name, value));
    let schema = if parameters.is_empty() { NO_ARGUMENTS.to_owned() } else { parameters };
    Ok(Function {
        name,
        description: description.filter(|text| !text.is_empty()),
        schema: Schema { json: raw(schema, || format!("{path}.parameters"))? },
        strict: strict.unwrap_or(false),
        members,
    })
}

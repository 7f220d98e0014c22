//! Tools and the choice among them.

use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::create_response_request::ToolChoice as Choice;
use sabir_proto::v1::custom_tool_format::{Format, Syntax};
use sabir_proto::v1::{
    AllowedTools, CustomTool, CustomToolFormat, FunctionDefinition, NamedTool, NamedToolChoice, ResponseTool,
    ResponseToolChoice, ResponseToolFormat, Tool, ToolChoiceMode, allowed_tools, named_tool_choice, tool,
};
use serde::Deserialize;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};

/// What stands for a function that takes nothing.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// Words what the model may call. A tool that is the vendor's own stands as it is.
pub(super) fn word(tools: Vec<Tool>, unsupported: &mut Unsupported) -> Result<Vec<ResponseTool>, UpstreamError> {
    let mut worded = Vec::with_capacity(tools.len());
    for (index, Tool { tool, additional_members }) in tools.into_iter().enumerate() {
        let mut members: std::collections::BTreeMap<_, _> = foreign_members(additional_members).collect();
        worded.push(match tool {
            Some(tool::Tool::Function(definition)) => {
                let FunctionDefinition { name, description, parameters, strict, additional_members } = definition;
                members.extend(foreign_members(additional_members));
                ResponseTool {
                    r#type: "function".to_owned(),
                    name: Some(name),
                    description,
                    parameters: if parameters.is_empty() { NO_ARGUMENTS.to_owned() } else { parameters },
                    // There the default is to be strict, in chat completions it is not.
                    strict: Some(strict.unwrap_or(false)),
                    additional_members: members,
                    ..ResponseTool::default()
                }
            }
            Some(tool::Tool::Custom(CustomTool { name, description, format, additional_members })) => {
                members.extend(foreign_members(additional_members));
                ResponseTool {
                    r#type: "custom".to_owned(),
                    name: Some(name),
                    description,
                    format: format.map(custom_format),
                    additional_members: members,
                    ..ResponseTool::default()
                }
            }
            None => match members.remove("type").and_then(|json| serde_json::from_str(&json).ok()) {
                Some(r#type) => ResponseTool { r#type, additional_members: members, ..ResponseTool::default() },
                None => {
                    unsupported.unless(false, format!("tools[{index}]"))?;
                    continue;
                }
            },
        });
    }
    Ok(worded)
}

fn custom_format(format: CustomToolFormat) -> ResponseToolFormat {
    let CustomToolFormat { format, additional_members } = format;
    let additional_members = foreign_members(additional_members).collect();
    match format {
        Some(Format::Grammar(grammar)) => ResponseToolFormat {
            r#type: "grammar".to_owned(),
            syntax: Some(if grammar.syntax() == Syntax::Regex { "regex" } else { "lark" }.to_owned()),
            definition: Some(grammar.definition),
            additional_members,
        },
        Some(Format::Text(_)) | None => {
            ResponseToolFormat { r#type: "text".to_owned(), additional_members, ..ResponseToolFormat::default() }
        }
    }
}

/// Words which tool is to be called.
pub(super) fn choice(
    choice: Option<ToolChoice>,
    unsupported: &mut Unsupported,
) -> Result<Option<Choice>, UpstreamError> {
    let NamedToolChoice { choice, additional_members } = match choice {
        None => return Ok(None),
        Some(ToolChoice::ToolChoiceMode(mode)) => {
            let mode = match ToolChoiceMode::try_from(mode) {
                Ok(ToolChoiceMode::None) => "none",
                Ok(ToolChoiceMode::Required) => "required",
                Ok(ToolChoiceMode::Auto | ToolChoiceMode::Unspecified) | Err(_) => "auto",
            };
            return Ok(Some(Choice::ToolChoiceMode(mode.to_owned())));
        }
        Some(ToolChoice::NamedToolChoice(named)) => named,
    };
    let named = |kind: &str, tool: NamedTool| ResponseToolChoice {
        r#type: kind.to_owned(),
        name: Some(tool.name),
        ..ResponseToolChoice::default()
    };
    let mut object = match choice {
        Some(named_tool_choice::Choice::Function(tool)) => named("function", tool),
        Some(named_tool_choice::Choice::Custom(tool)) => named("custom", tool),
        Some(named_tool_choice::Choice::AllowedTools(allowed)) => allowed_choice(&allowed)?,
        None => {
            unsupported.unless(false, "tool_choice")?;
            return Ok(None);
        }
    };
    object.additional_members.extend(foreign_members(additional_members));
    Ok(Some(Choice::ToolChoiceObject(object)))
}

fn allowed_choice(allowed: &AllowedTools) -> Result<ResponseToolChoice, UpstreamError> {
    #[derive(Deserialize)]
    struct Allowed {
        r#type: String,
        function: Option<Named>,
        custom: Option<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    let tool = |(index, json): (usize, &String)| {
        let allowed = serde_json::from_str::<Allowed>(json).ok();
        let name = |allowed: Allowed| Some((allowed.r#type, allowed.function.or(allowed.custom)?.name));
        let Some((r#type, name)) = allowed.and_then(name) else {
            let message = "the allowed tool has no type and name";
            let param = format!("tool_choice.allowed_tools.tools[{index}]");
            return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(param));
        };
        Ok(ResponseToolChoice { r#type, name: Some(name), ..ResponseToolChoice::default() })
    };
    let mode = if allowed.mode() == allowed_tools::Mode::Required { "required" } else { "auto" };
    Ok(ResponseToolChoice {
        r#type: "allowed_tools".to_owned(),
        mode: Some(mode.to_owned()),
        tools: allowed.tools.iter().enumerate().map(tool).collect::<Result<_, _>>()?,
        ..ResponseToolChoice::default()
    })
}

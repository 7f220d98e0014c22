//! What a model may call, and whether it must.

use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::named_tool_choice::Choice;
use sabir_proto::v1::{
    AllowedTools, NamedToolChoice, Tool, ToolChoiceMode, ToolChoiceParam, ToolParam, allowed_tools, tool,
};
use serde::Deserialize;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};

/// The schema of a function without arguments.
const NO_ARGUMENTS: &str = r#"{"type":"object","properties":{}}"#;

/// Whether tools are called, and which may be.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) param: Option<ToolChoiceParam>,
    /// The only tools that are offered; `None` for all.
    allowed: Option<Vec<String>>,
}

/// The tools, without those that may not be called.
pub(super) fn params(
    tools: Vec<Tool>,
    chosen: &Chosen,
    unsupported: &mut Unsupported,
) -> Result<Vec<ToolParam>, UpstreamError> {
    let mut params = Vec::with_capacity(tools.len());
    for (index, Tool { tool, additional_members }) in tools.into_iter().enumerate() {
        let mut members = foreign_members(additional_members).collect();
        let param = match tool {
            Some(tool::Tool::Function(function)) => {
                let own = foreign_members(function.additional_members);
                own.for_each(|(name, text)| {
                    std::collections::BTreeMap::insert(&mut members, name, text);
                });
                let schema = Some(function.parameters).filter(|schema| !schema.is_empty());
                ToolParam {
                    name: function.name,
                    description: function.description,
                    input_schema: schema.unwrap_or_else(|| NO_ARGUMENTS.to_owned()),
                    strict: function.strict.filter(|strict| *strict),
                    additional_members: members,
                    ..ToolParam::default()
                }
            }
            Some(tool::Tool::Custom(_)) => {
                unsupported.unless(false, format!("tools[{index}].custom"))?;
                continue;
            }
            // A tool of the vendor's own, which is all in its members.
            None => {
                ToolParam { name: text_of(&mut members, "name"), additional_members: members, ..Default::default() }
            }
        };
        if chosen.allowed.as_ref().is_none_or(|allowed| allowed.contains(&param.name)) {
            params.push(param);
        }
    }
    Ok(params)
}

/// A member's text, taken out.
fn text_of(members: &mut std::collections::BTreeMap<String, String>, name: &str) -> String {
    let json = members.remove(name).unwrap_or_default();
    serde_json::from_str(&json).unwrap_or_default()
}

/// Whether and which tools are called.
pub(super) fn choice(
    choice: Option<ToolChoice>,
    parallel: Option<bool>,
    tools: &[Tool],
    unsupported: &mut Unsupported,
) -> Result<Chosen, UpstreamError> {
    let kind = |kind: &str| ToolChoiceParam { r#type: kind.to_owned(), ..ToolChoiceParam::default() };
    let mut chosen = Chosen::default();
    match choice {
        None => {}
        Some(ToolChoice::ToolChoiceMode(mode)) => {
            chosen.param = match ToolChoiceMode::try_from(mode) {
                Ok(ToolChoiceMode::None) => Some(kind("none")),
                Ok(ToolChoiceMode::Auto) => Some(kind("auto")),
                Ok(ToolChoiceMode::Required) => Some(kind("any")),
                Ok(ToolChoiceMode::Unspecified) | Err(_) => None,
            };
        }
        Some(ToolChoice::NamedToolChoice(NamedToolChoice { choice, additional_members })) => {
            for (name, _) in foreign_members(additional_members) {
                unsupported.unless(false, format!("tool_choice.{name}"))?;
            }
            match choice {
                None => {}
                Some(Choice::Function(named)) => {
                    chosen.param = Some(ToolChoiceParam { name: Some(named.name), ..kind("tool") });
                }
                Some(Choice::Custom(_)) => unsupported.unless(false, "tool_choice.custom")?,
                Some(Choice::AllowedTools(allowed)) => {
                    let must = allowed.mode() == allowed_tools::Mode::Required;
                    chosen.param = Some(kind(if must { "any" } else { "auto" }));
                    chosen.allowed = Some(names(&allowed)?);
                }
            }
        }
    }
    // The protocol refuses a choice where there is nothing to choose from.
    if tools.is_empty() {
        return Ok(Chosen::default());
    }
    if parallel == Some(false) {
        let param = chosen.param.get_or_insert_with(|| kind("auto"));
        if param.r#type != "none" {
            param.disable_parallel_tool_use = Some(true);
        }
    }
    Ok(chosen)
}

/// The names of the tools that are allowed.
fn names(allowed: &AllowedTools) -> Result<Vec<String>, UpstreamError> {
    #[derive(Deserialize)]
    struct Named {
        function: Function,
    }
    #[derive(Deserialize)]
    struct Function {
        name: String,
    }
    let name = |(index, text): (usize, &String)| match serde_json::from_str::<Named>(text) {
        Ok(named) => Ok(named.function.name),
        Err(error) => {
            let message = format!("the allowed tool is not a function with a name: {error}");
            let param = format!("tool_choice.allowed_tools.tools[{index}]");
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(param))
        }
    };
    allowed.tools.iter().enumerate().map(name).collect()
}

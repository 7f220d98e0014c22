//! What a model may call. Source: <https://docs.cohere.com/v2/docs/tool-use-overview>.

use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::{Tool, tool};

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::function_tool::FunctionTool;
use crate::tool_choice::{Chosen, Mode};
use crate::unsupported::Unsupported;
use crate::verbatim::Members;

/// What may be called, and how.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub(super) tools: Vec<FunctionTool>,
    /// Whether one must be called, or none may be.
    pub(super) choice: Option<&'static str>,
    /// Whether arguments must match the schemas exactly, which is one switch for all tools.
    pub(super) strict: Option<bool>,
}

/// The tools that may be called. A certain one is called by offering no other.
pub(super) fn word(
    offered: Vec<Tool>,
    choice: Option<ToolChoice>,
    unsupported: &mut Unsupported,
) -> Result<Tools, UpstreamError> {
    let chosen = Chosen::read(choice, unsupported)?;
    let mut tools = Vec::with_capacity(offered.len());
    let mut strict = Vec::new();
    for (index, Tool { tool, additional_members }) in offered.into_iter().enumerate() {
        let path = format!("tools[{index}]");
        match tool {
            Some(tool::Tool::Function(definition)) => {
                let members = Members::foreign(additional_members, &path)?;
                let (tool, is_strict) = FunctionTool::word(definition, members, &path)?;
                if chosen.allows(tool.name()) {
                    tools.push(tool);
                    strict.extend(is_strict.then_some(index));
                }
            }
            Some(tool::Tool::Custom(_)) => unsupported.unless(false, format!("{path}.custom"))?,
            None => unsupported.unless(false, path)?,
        }
    }
    let all_strict = !tools.is_empty() && strict.len() == tools.len();
    if !all_strict {
        strict.iter().try_for_each(|index| unsupported.unless(false, format!("tools[{index}].function.strict")))?;
    }
    let choice = match chosen.mode {
        Mode::Auto => None,
        Mode::None => (!tools.is_empty()).then_some("NONE"),
        Mode::Required | Mode::Named if tools.is_empty() => {
            let message = "tool_choice wants a call of a tool that the request does not offer";
            return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param("tool_choice"));
        }
        Mode::Required | Mode::Named => Some("REQUIRED"),
    };
    Ok(Tools { tools, choice, strict: all_strict.then_some(true) })
}

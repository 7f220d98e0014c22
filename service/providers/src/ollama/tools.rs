//! What a model may call. Source: <https://docs.ollama.com/capabilities/tool-calling>.

use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::{Tool, tool};

use crate::error::UpstreamError;
use crate::function_tool::FunctionTool;
use crate::tool_choice::{Chosen, Mode};
use crate::unsupported::Unsupported;
use crate::verbatim::Members;

/// The tools that may be called. The protocol cannot make a model call one; it can keep it from it, by not telling of any.
pub(super) fn word(
    tools: Vec<Tool>,
    choice: Option<ToolChoice>,
    unsupported: &mut Unsupported,
) -> Result<Vec<FunctionTool>, UpstreamError> {
    let chosen = Chosen::read(choice, unsupported)?;
    unsupported.unless(!matches!(chosen.mode, Mode::Required | Mode::Named), "tool_choice")?;
    let mut worded = Vec::with_capacity(tools.len());
    for (index, Tool { tool, additional_members }) in tools.into_iter().enumerate() {
        let path = format!("tools[{index}]");
        match tool {
            Some(tool::Tool::Function(definition)) => {
                let members = Members::foreign(additional_members, &path)?;
                let (tool, strict) = FunctionTool::word(definition, members, &path)?;
                unsupported.unless(!strict, format!("{path}.function.strict"))?;
                if chosen.mode != Mode::None && chosen.allows(tool.name()) {
                    worded.push(tool);
                }
            }
            Some(tool::Tool::Custom(_)) => unsupported.unless(false, format!("{path}.custom"))?,
            None => unsupported.unless(false, path)?,
        }
    }
    Ok(worded)
}

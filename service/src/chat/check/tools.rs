//! The rules on tools, the choice among them, and the form of the answer, beyond those in the proto.

use sabir_proto::v1::create_chat_completion_request::{FunctionCall, ToolChoice};
use sabir_proto::v1::named_tool_choice::Choice;
use sabir_proto::v1::response_format::Format;
use sabir_proto::v1::tool::Tool;
use sabir_proto::v1::{CreateChatCompletionRequest, NamedToolChoice};

use super::Findings;

/// What a raw text that holds an object must look like.
const OBJECT: &str = "must be a JSON object";

pub(super) fn check(found: &mut Findings, request: &CreateChatCompletionRequest) {
    for (index, tool) in request.tools.iter().enumerate() {
        let at = |field: &str| format!("tools[{index}]{field}");
        if let Some(Tool::Function(function)) = &tool.tool {
            found.require_at(is_object_or_unset(&function.parameters), || at(".function.parameters"), OBJECT);
        }
    }
    for (index, function) in request.functions.iter().enumerate() {
        let at = |field: &str| format!("functions[{index}]{field}");
        found.require_at(is_object_or_unset(&function.parameters), || at(".parameters"), OBJECT);
    }
    if let Some(ToolChoice::NamedToolChoice(named)) = &request.tool_choice {
        check_named(found, named, request);
    }
    if let Some(FunctionCall::NamedFunction(named)) = &request.function_call {
        let defined = request.functions.iter().any(|function| function.name == named.name);
        found.require(defined, "function_call.name", "must name one of the functions");
    }
    if let Some(Format::JsonSchema(schema)) = request.response_format.as_ref().and_then(|format| format.format.as_ref())
    {
        found.require(is_object_or_unset(&schema.schema), "response_format.json_schema.schema", OBJECT);
    }
}

/// A tool that has to be called must be there.
fn check_named(found: &mut Findings, named: &NamedToolChoice, request: &CreateChatCompletionRequest) {
    let mut tools = request.tools.iter().filter_map(|tool| tool.tool.as_ref());
    match &named.choice {
        Some(Choice::Function(function)) => {
            let defined = tools.any(|tool| matches!(tool, Tool::Function(one) if one.name == function.name));
            found.require(defined, "tool_choice.function.name", "must name one of the tools");
        }
        Some(Choice::Custom(custom)) => {
            let defined = tools.any(|tool| matches!(tool, Tool::Custom(one) if one.name == custom.name));
            found.require(defined, "tool_choice.custom.name", "must name one of the tools");
        }
        Some(Choice::AllowedTools(_)) | None => {}
    }
}

/// Whether a raw JSON text is an object. That it is JSON at all, the transcoder's gate has made sure of.
fn is_object_or_unset(text: &str) -> bool {
    text.is_empty() || text.trim_ascii_start().starts_with('{')
}

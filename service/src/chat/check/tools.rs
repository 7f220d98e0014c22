//! The rules on tools, the choice among them, and the form of the answer.

use sabir_proto::v1::allowed_tools::Mode;
use sabir_proto::v1::create_chat_completion_request::{FunctionCall, ToolChoice};
use sabir_proto::v1::custom_tool_format::{Format as TextFormat, Syntax};
use sabir_proto::v1::named_tool_choice::Choice;
use sabir_proto::v1::response_format::Format;
use sabir_proto::v1::tool::Tool;
use sabir_proto::v1::{CreateChatCompletionRequest, CustomTool, FunctionCallMode, NamedToolChoice, ToolChoiceMode};

use super::Findings;

/// What a name must look like.
const NAME: &str = "must be 1 to 64 letters, digits, underscores or hyphens";

/// What a raw text that holds an object must look like.
const OBJECT: &str = "must be a JSON object";

pub(super) fn check(found: &mut Findings, request: &CreateChatCompletionRequest) {
    for (index, tool) in request.tools.iter().enumerate() {
        let at = |field: &str| format!("tools[{index}]{field}");
        match &tool.tool {
            None => found.require_at(false, || at(""), "names no function and no custom tool"),
            Some(Tool::Function(function)) => {
                found.require_at(is_name(&function.name), || at(".function.name"), NAME);
                found.require_at(is_object_or_unset(&function.parameters), || at(".function.parameters"), OBJECT);
            }
            Some(Tool::Custom(custom)) => {
                found.require_at(is_name(&custom.name), || at(".custom.name"), NAME);
                check_text_format(found, custom, || at(".custom.format"));
            }
        }
    }
    for (index, function) in request.functions.iter().enumerate() {
        let at = |field: &str| format!("functions[{index}]{field}");
        found.require_at(is_name(&function.name), || at(".name"), NAME);
        found.require_at(is_object_or_unset(&function.parameters), || at(".parameters"), OBJECT);
    }
    match &request.tool_choice {
        Some(ToolChoice::ToolChoiceMode(mode)) => {
            let known = ToolChoiceMode::try_from(*mode).is_ok_and(|mode| mode != ToolChoiceMode::Unspecified);
            found.require(known, "tool_choice", "must be none, auto, required or an object");
        }
        Some(ToolChoice::NamedToolChoice(named)) => {
            check_named(found, named, request);
        }
        None => {}
    }
    match &request.function_call {
        Some(FunctionCall::FunctionCallMode(mode)) => {
            let known = FunctionCallMode::try_from(*mode).is_ok_and(|mode| mode != FunctionCallMode::Unspecified);
            found.require(known, "function_call", "must be none, auto or an object");
        }
        Some(FunctionCall::NamedFunction(named)) => {
            let defined = request.functions.iter().any(|function| function.name == named.name);
            found.require(defined, "function_call.name", "must name one of the functions");
        }
        None => {}
    }
    if let Some(format) = &request.response_format {
        match &format.format {
            None => found.require(false, "response_format", "names no format"),
            Some(Format::JsonSchema(schema)) => {
                found.require(is_name(&schema.name), "response_format.json_schema.name", NAME);
                found.require(is_object_or_unset(&schema.schema), "response_format.json_schema.schema", OBJECT);
            }
            Some(Format::Text(_) | Format::JsonObject(_)) => {}
        }
    }
}

/// A tool that has to be called must be there.
fn check_named(found: &mut Findings, named: &NamedToolChoice, request: &CreateChatCompletionRequest) {
    let mut tools = request.tools.iter().filter_map(|tool| tool.tool.as_ref());
    match &named.choice {
        None => found.require(false, "tool_choice", "must be a function, a custom tool or a list of allowed tools"),
        Some(Choice::Function(function)) => {
            let defined = tools.any(|tool| matches!(tool, Tool::Function(one) if one.name == function.name));
            found.require(defined, "tool_choice.function.name", "must name one of the tools");
        }
        Some(Choice::Custom(custom)) => {
            let defined = tools.any(|tool| matches!(tool, Tool::Custom(one) if one.name == custom.name));
            found.require(defined, "tool_choice.custom.name", "must name one of the tools");
        }
        Some(Choice::AllowedTools(allowed)) => {
            let known = Mode::try_from(allowed.mode).is_ok_and(|mode| mode != Mode::Unspecified);
            found.require(known, "tool_choice.allowed_tools.mode", "must be auto or required");
            found.require(!allowed.tools.is_empty(), "tool_choice.allowed_tools.tools", "must hold at least one tool");
        }
    }
}

/// What text a custom tool takes, if it says so, must be known.
fn check_text_format(found: &mut Findings, custom: &CustomTool, path: impl Fn() -> String) {
    match custom.format.as_ref().map(|format| &format.format) {
        None | Some(Some(TextFormat::Text(_))) => {}
        Some(None) => found.require_at(false, path, "must be text or a grammar"),
        Some(Some(TextFormat::Grammar(grammar))) => {
            let known = Syntax::try_from(grammar.syntax).is_ok_and(|syntax| syntax != Syntax::Unspecified);
            found.require_at(known, || path() + ".grammar.syntax", "must be lark or regex");
            found.require_at(!grammar.definition.is_empty(), || path() + ".grammar.definition", "is required");
        }
    }
}

/// Source: <https://platform.openai.com/docs/api-reference/chat/create#chat-create-tools>.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Whether a raw JSON text is an object. That it is JSON at all, the transcoder's gate has made sure of.
fn is_object_or_unset(text: &str) -> bool {
    text.is_empty() || text.trim_ascii_start().starts_with('{')
}

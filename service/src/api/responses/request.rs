//! A request in the form of the Responses API as a chat completion.
//!
//! Every message is taken apart without a rest, so that a member of the contract that nobody thought of does not compile.

use prost::Message as _;
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::create_response_request::{Input, ToolChoice as Choice};
use sabir_proto::v1::custom_tool_format::{AnyText, Format as ToolFormat, Grammar, Syntax};
use sabir_proto::v1::named_tool_choice;
use sabir_proto::v1::response_format::{AnyJsonObject, Format, FreeText, JsonSchema};
use sabir_proto::v1::{
    AllowedTools, CreateChatCompletionRequest, CreateResponseRequest, CustomTool, CustomToolFormat, FunctionDefinition,
    NamedTool, NamedToolChoice, ResponseFormat, ResponseReasoning, ResponseStreamOptions, ResponseText,
    ResponseTextFormat, ResponseTool, ResponseToolChoice, ResponseToolFormat, Role, StreamOptions, Tool,
    ToolChoiceMode, allowed_tools, tool,
};
use tonic::Status;

use super::{Schema, input};
use crate::api::foreign::{invalid, json_text, members, message};

/// The request in the words of chat completions.
///
/// # Errors
/// Items that lack what their kind needs, and what nobody behind chat completions can give.
pub(super) fn translate(
    schema: &Schema,
    request: CreateResponseRequest,
) -> Result<CreateChatCompletionRequest, Status> {
    let CreateResponseRequest {
        model,
        input,
        instructions,
        stream: _,
        stream_options,
        max_output_tokens,
        temperature,
        top_p,
        top_logprobs,
        tools,
        tool_choice,
        parallel_tool_calls,
        reasoning,
        text,
        include,
        metadata,
        service_tier,
        prompt_cache_key,
        prompt_cache_retention,
        safety_identifier,
        user,
        store,
        previous_response_id,
        // Refused by their rules, but for what asks nothing.
        background: _,
        truncation: _,
        additional_members,
    } = request;
    if previous_response_id.is_some_and(|id| !id.is_empty()) {
        let message = "cannot be gone on from: answers are not kept here; send the items of the conversation in input";
        return Err(invalid("previous_response_id", message));
    }
    if let Some(name) = ["conversation", "prompt"].into_iter().find(|name| asks(&additional_members, name)) {
        return Err(invalid(name, "names what OpenAI keeps; send the items in input"));
    }
    let mut messages = Vec::new();
    messages.extend(instructions.map(|text| message(Role::System, Some(Content::Text(text)))));
    match input {
        None => {}
        Some(Input::InputText(text)) => messages.push(message(Role::User, Some(Content::Text(text)))),
        Some(Input::InputItems(items)) => input::translate(items.items, &mut messages)?,
    }
    let (response_format, verbosity) = form(text);
    Ok(CreateChatCompletionRequest {
        model,
        messages,
        stream_options: stream_options.map(|options| {
            let ResponseStreamOptions { include_obfuscation, additional_members } = options;
            StreamOptions { include_obfuscation, additional_members, ..StreamOptions::default() }
        }),
        max_completion_tokens: max_output_tokens,
        temperature,
        top_p,
        logprobs: (top_logprobs.is_some() || wants_logprobs(&include)?).then_some(true),
        top_logprobs,
        tools: tools
            .into_iter()
            .enumerate()
            .map(|(index, tool)| translate_tool(schema, tool, index))
            .collect::<Result<_, _>>()?,
        tool_choice: tool_choice.map(choice).transpose()?,
        parallel_tool_calls,
        response_format,
        verbosity,
        // What a model tells of its reasoning is told; how much, only OpenAI's own models can be asked.
        reasoning_effort: reasoning.and_then(|ResponseReasoning { effort, .. }| effort),
        metadata,
        service_tier,
        prompt_cache_key,
        prompt_cache_retention,
        safety_identifier,
        user,
        store,
        additional_members,
        ..CreateChatCompletionRequest::default()
    })
}

/// Whether a member is there and not `null`.
fn asks(members: &std::collections::BTreeMap<String, String>, name: &str) -> bool {
    members.get(name).is_some_and(|json| !matches!(json.as_str(), "null" | ""))
}

/// Whether `include` asks for the probabilities of tokens.
///
/// Source: <https://platform.openai.com/docs/api-reference/responses/create#responses-create-include>.
///
/// # Errors
/// What nobody knows.
fn wants_logprobs(include: &[String]) -> Result<bool, Status> {
    let mut wanted = false;
    for (index, name) in include.iter().enumerate() {
        match name.as_str() {
            "message.output_text.logprobs" => wanted = true,
            // There whenever the model's server seals its reasoning.
            "reasoning.encrypted_content" => {}
            // What tools of OpenAI's own found: without the tool there is nothing to include.
            "web_search_call.results"
            | "web_search_call.action.sources"
            | "file_search_call.results"
            | "code_interpreter_call.outputs"
            | "computer_call_output.output.image_url"
            | "message.input_image.image_url" => {}
            _ => return Err(invalid(format!("include[{index}]"), "is nothing that an answer can hold")),
        }
    }
    Ok(wanted)
}

fn form(text: Option<ResponseText>) -> (Option<ResponseFormat>, Option<String>) {
    let Some(ResponseText { format, verbosity, additional_members: _ }) = text else { return (None, None) };
    let format = format.map(|format| {
        let ResponseTextFormat { r#type, name, description, schema, strict, additional_members } = format;
        let format = match r#type.as_str() {
            "json_schema" => Format::JsonSchema(JsonSchema {
                name: name.unwrap_or_else(|| "answer".to_owned()),
                description,
                schema,
                strict,
                additional_members,
            }),
            "json_object" => Format::JsonObject(AnyJsonObject::default()),
            _ => Format::Text(FreeText::default()),
        };
        ResponseFormat { format: Some(format), ..ResponseFormat::default() }
    });
    (format, verbosity)
}

/// # Errors
/// A tool of the caller's without a name.
fn translate_tool(schema: &Schema, tool: ResponseTool, index: usize) -> Result<Tool, Status> {
    if !matches!(tool.r#type.as_str(), "function" | "custom") {
        // A tool that the vendor's server runs itself.
        let additional_members = members(&schema.plans, schema.tool, &tool.encode_to_vec());
        return Ok(Tool { tool: None, additional_members });
    }
    let ResponseTool { r#type, name, description, parameters, strict, format, additional_members } = tool;
    let name = name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid(format!("tools[{index}].name"), "is required"))?;
    let tool = if r#type == "custom" {
        let format = format.map(tool_format);
        tool::Tool::Custom(CustomTool { name, description, format, ..CustomTool::default() })
    } else {
        tool::Tool::Function(FunctionDefinition {
            name,
            description,
            parameters,
            strict,
            ..FunctionDefinition::default()
        })
    };
    Ok(Tool { tool: Some(tool), additional_members })
}

fn tool_format(format: ResponseToolFormat) -> CustomToolFormat {
    let ResponseToolFormat { r#type, syntax, definition, additional_members } = format;
    let format = if r#type == "grammar" {
        let mut grammar = Grammar { definition: definition.unwrap_or_default(), ..Grammar::default() };
        grammar.set_syntax(match syntax.as_deref() {
            Some("regex") => Syntax::Regex,
            _ => Syntax::Lark,
        });
        ToolFormat::Grammar(grammar)
    } else {
        ToolFormat::Text(AnyText::default())
    };
    CustomToolFormat { format: Some(format), additional_members }
}

fn choice(choice: Choice) -> Result<ToolChoice, Status> {
    let object = match choice {
        Choice::ToolChoiceMode(mode) => {
            let mode = match mode.as_str() {
                "required" => ToolChoiceMode::Required,
                "none" => ToolChoiceMode::None,
                _ => ToolChoiceMode::Auto,
            };
            return Ok(ToolChoice::ToolChoiceMode(mode.into()));
        }
        Choice::ToolChoiceObject(object) => object,
    };
    let ResponseToolChoice { r#type, name, mode, tools, additional_members } = object;
    let named = |name: Option<String>| {
        let name = name.ok_or_else(|| invalid("tool_choice.name", "is required"))?;
        Ok::<_, Status>(NamedTool { name, ..NamedTool::default() })
    };
    let choice = match r#type.as_str() {
        "custom" => named_tool_choice::Choice::Custom(named(name)?),
        "allowed_tools" => {
            let mut allowed = AllowedTools { tools: Vec::with_capacity(tools.len()), ..AllowedTools::default() };
            for (index, tool) in tools.into_iter().enumerate() {
                let path = format!("tool_choice.tools[{index}].name");
                let name = tool.name.ok_or_else(|| invalid(path, "is required"))?;
                let (kind, name) = (json_text(&tool.r#type), json_text(&name));
                allowed.tools.push(format!("{{\"type\":{kind},{kind}:{{\"name\":{name}}}}}"));
            }
            allowed.set_mode(match mode.as_deref() {
                Some("required") => allowed_tools::Mode::Required,
                _ => allowed_tools::Mode::Auto,
            });
            named_tool_choice::Choice::AllowedTools(allowed)
        }
        _ => named_tool_choice::Choice::Function(named(name)?),
    };
    Ok(ToolChoice::NamedToolChoice(NamedToolChoice { choice: Some(choice), additional_members }))
}

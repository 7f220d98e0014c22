//! A request in Anthropic's form as a chat completion.
//!
//! Every message is taken apart without a rest, so that a member of the contract that nobody thought of does not compile.

use prost::Message as _;
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_block;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::create_chat_completion_request::ToolChoice;
use sabir_proto::v1::create_message_request::System;
use sabir_proto::v1::named_tool_choice::Choice;
use sabir_proto::v1::response_format::{Format, JsonSchema};
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    BlockSource, CacheControl, ChatMessage, ContentBlock, ContentPart, ContentParts, CreateChatCompletionRequest,
    CreateMessageRequest, FunctionCall, FunctionDefinition, ImageUrl, InputFile, MessageParam, NamedTool,
    NamedToolChoice, OutputConfig, Reasoning, ReasoningDetail, ResponseFormat, Role, ThinkingParam, Tool, ToolCall,
    ToolChoiceMode, ToolChoiceParam, ToolParam, message_param, tool,
};
use tonic::Status;

use super::Schema;
use crate::api::foreign::{content_of, invalid, json_text, members, message};

/// Who can read the thoughts of Anthropic's models.
pub(super) const FORMAT: &str = "anthropic-claude-v1";

/// The request in the words of chat completions.
///
/// # Errors
/// Blocks that lack what their kind needs.
pub(super) fn translate(schema: &Schema, request: CreateMessageRequest) -> Result<CreateChatCompletionRequest, Status> {
    let CreateMessageRequest {
        model,
        messages: said,
        max_tokens,
        system,
        stream: _,
        temperature,
        top_p,
        top_k,
        stop_sequences,
        tools,
        tool_choice,
        thinking,
        output_config,
        metadata,
        service_tier,
        mut additional_members,
    } = request;
    let mut messages: Vec<ChatMessage> = match system {
        None => Vec::new(),
        Some(System::SystemText(text)) => vec![message(Role::System, Some(Content::Text(text)))],
        Some(System::SystemBlocks(blocks)) => {
            let parts = parts(schema, blocks.blocks, "system")?;
            vec![message(Role::System, Some(Content::Parts(ContentParts { parts })))]
        }
    };
    for (index, message) in said.into_iter().enumerate() {
        turn(schema, message, &format!("messages[{index}]"), &mut messages)?;
    }
    additional_members.extend(top_k.map(|top_k| ("top_k".to_owned(), top_k.to_string())));
    let (reasoning_effort, response_format) = output(output_config);
    let (tool_choice, parallel_tool_calls) = choice(tool_choice);
    Ok(CreateChatCompletionRequest {
        model,
        messages,
        max_completion_tokens: max_tokens,
        temperature,
        top_p,
        stop: stop_sequences,
        tools: tools.into_iter().map(|tool| function(schema, tool)).collect(),
        tool_choice,
        parallel_tool_calls,
        response_format,
        reasoning_effort,
        reasoning: thinking.map(reasoning),
        user: metadata.and_then(|metadata| metadata.user_id),
        service_tier: service_tier.map(|tier| if tier == "standard_only" { "default".to_owned() } else { tier }),
        additional_members,
        ..CreateChatCompletionRequest::default()
    })
}

/// One turn: the results of calls are messages of their own and come first.
fn turn(schema: &Schema, turn: MessageParam, path: &str, messages: &mut Vec<ChatMessage>) -> Result<(), Status> {
    let MessageParam { role, content, additional_members } = turn;
    let role = match role.as_str() {
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => Role::User,
    };
    let blocks = match content {
        None => return Ok(()),
        Some(message_param::Content::Text(text)) => {
            messages.push(ChatMessage { additional_members, ..message(role, Some(Content::Text(text))) });
            return Ok(());
        }
        Some(message_param::Content::Blocks(blocks)) => blocks.blocks,
    };
    let mut turn = ChatMessage { additional_members, ..message(role, None) };
    let mut said = Vec::new();
    for (index, block) in blocks.into_iter().enumerate() {
        let path = format!("{path}.content[{index}]");
        match block.r#type.as_str() {
            "tool_result" => messages.push(result(schema, block, &path)?),
            "tool_use" if role == Role::Assistant => turn.tool_calls.push(call(block)),
            "thinking" | "redacted_thinking" if role == Role::Assistant => thought(block, &mut turn),
            _ => said.extend(part(schema, block, &path)?),
        }
    }
    turn.content = content_of(said);
    let says_something = turn.content.is_some() || !turn.tool_calls.is_empty() || !turn.reasoning_details.is_empty();
    if says_something {
        messages.push(turn);
    }
    Ok(())
}

/// What came of a call.
fn result(schema: &Schema, block: ContentBlock, path: &str) -> Result<ChatMessage, Status> {
    let content = match block.content {
        None => Content::Text(String::new()),
        Some(content_block::Content::ContentText(text)) => Content::Text(text),
        Some(content_block::Content::ContentBlocks(blocks)) => {
            let parts = parts(schema, blocks.blocks, &format!("{path}.content"))?;
            content_of(parts).unwrap_or_else(|| Content::Text(String::new()))
        }
        Some(content_block::Content::ContentObject(_)) => {
            return Err(invalid(format!("{path}.content"), "must be a text or an array of blocks"));
        }
    };
    let tool_call_id = block.tool_use_id.filter(|id| !id.is_empty());
    let tool_call_id = tool_call_id.ok_or_else(|| invalid(format!("{path}.tool_use_id"), "is required"))?;
    let mut additional_members = block.additional_members;
    // Only Anthropic's own models are told of failure; to others the text has to say it.
    additional_members
        .extend(block.is_error.filter(|failed| *failed).map(|_| ("is_error".to_owned(), "true".to_owned())));
    additional_members.extend(block.cache_control.map(cache_control));
    let content = Some(content);
    Ok(ChatMessage { tool_call_id: Some(tool_call_id), additional_members, ..message(Role::Tool, content) })
}

fn call(block: ContentBlock) -> ToolCall {
    let arguments = if block.input.is_empty() { "{}".to_owned() } else { block.input };
    let mut additional_members = block.additional_members;
    additional_members.extend(block.cache_control.map(cache_control));
    let name = block.name.unwrap_or_default();
    let function = FunctionCall { name, arguments, ..FunctionCall::default() };
    ToolCall { id: block.id.unwrap_or_default(), call: Some(Call::Function(function)), additional_members }
}

fn thought(block: ContentBlock, turn: &mut ChatMessage) {
    if let Some(text) = &block.thinking {
        turn.reasoning_content.get_or_insert_default().push_str(text);
    }
    let kind = if block.data.is_some() { "reasoning.encrypted" } else { "reasoning.text" };
    let said = |name: &str| block.additional_members.get(name).and_then(|json| serde_json::from_str(json).ok());
    let (format, id) = (said("format"), said("id"));
    turn.reasoning_details.push(ReasoningDetail {
        r#type: kind.to_owned(),
        text: block.thinking,
        data: block.data,
        signature: block.signature,
        id,
        format: Some(format.unwrap_or_else(|| FORMAT.to_owned())),
        index: u32::try_from(turn.reasoning_details.len()).ok(),
        ..ReasoningDetail::default()
    });
}

fn parts(schema: &Schema, blocks: Vec<ContentBlock>, path: &str) -> Result<Vec<ContentPart>, Status> {
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.into_iter().enumerate() {
        parts.extend(part(schema, block, &format!("{path}[{index}]"))?);
    }
    Ok(parts)
}

fn part(schema: &Schema, block: ContentBlock, path: &str) -> Result<Option<ContentPart>, Status> {
    let part = match block.r#type.as_str() {
        "text" => Part::Text(block.text.clone().ok_or_else(|| invalid(format!("{path}.text"), "is required"))?),
        "image" | "document" => {
            let source = block.source.as_ref().ok_or_else(|| invalid(format!("{path}.source"), "is required"))?;
            match (block.r#type.as_str(), address(source)) {
                ("image", Some(url)) => Part::ImageUrl(ImageUrl { url, ..ImageUrl::default() }),
                (_, Some(data)) => Part::File(InputFile {
                    file_data: Some(data),
                    filename: block.title.clone(),
                    ..InputFile::default()
                }),
                (_, None) if source.file_id.is_some() && block.r#type == "document" => Part::File(InputFile {
                    file_id: source.file_id.clone(),
                    filename: block.title.clone(),
                    ..InputFile::default()
                }),
                (_, None) => return Ok(Some(verbatim(schema, &block))),
            }
        }
        _ => return Ok(Some(verbatim(schema, &block))),
    };
    let mut additional_members = block.additional_members;
    additional_members.extend(block.cache_control.map(cache_control));
    additional_members.extend(block.context.map(|context| ("context".to_owned(), json_text(&context))));
    Ok(Some(ContentPart { part: Some(part), additional_members, ..ContentPart::default() }))
}

/// Where the bytes are, as a URL; `None` if that cannot be said in one.
fn address(source: &BlockSource) -> Option<String> {
    let media_type = source.media_type.as_deref();
    match source.r#type.as_str() {
        "base64" => Some(format!("data:{};base64,{}", media_type?, source.data.as_deref()?)),
        "url" => source.url.clone(),
        _ => None,
    }
}

/// A block that our words have none for, as it stands: only servers of its vendor take it.
fn verbatim(schema: &Schema, block: &ContentBlock) -> ContentPart {
    let additional_members = members(&schema.plans, schema.block, &block.encode_to_vec());
    ContentPart { additional_members, ..ContentPart::default() }
}

fn function(schema: &Schema, param: ToolParam) -> Tool {
    if param.r#type.as_deref().is_some_and(|kind| kind != "custom") {
        // A tool that the vendor's server runs itself.
        let additional_members = members(&schema.plans, schema.tool, &param.encode_to_vec());
        return Tool { tool: None, additional_members };
    }
    let ToolParam { r#type: _, name, description, input_schema, strict, cache_control: mark, mut additional_members } =
        param;
    additional_members.extend(mark.map(cache_control));
    let parameters = input_schema;
    let function = FunctionDefinition { name, description, parameters, strict, ..FunctionDefinition::default() };
    Tool { tool: Some(tool::Tool::Function(function)), additional_members }
}

fn choice(choice: Option<ToolChoiceParam>) -> (Option<ToolChoice>, Option<bool>) {
    let Some(ToolChoiceParam { r#type, name, disable_parallel_tool_use, additional_members: _ }) = choice else {
        return (None, None);
    };
    let mode = |mode: ToolChoiceMode| Some(ToolChoice::ToolChoiceMode(mode.into()));
    let choice = match (r#type.as_str(), name) {
        ("any", _) => mode(ToolChoiceMode::Required),
        ("none", _) => mode(ToolChoiceMode::None),
        ("tool", Some(name)) => Some(ToolChoice::NamedToolChoice(NamedToolChoice {
            choice: Some(Choice::Function(NamedTool { name, ..NamedTool::default() })),
            ..NamedToolChoice::default()
        })),
        _ => mode(ToolChoiceMode::Auto),
    };
    (choice, disable_parallel_tool_use.filter(|disabled| *disabled).map(|_| false))
}

fn output(config: Option<OutputConfig>) -> (Option<String>, Option<ResponseFormat>) {
    let Some(OutputConfig { effort, format, additional_members: _ }) = config else { return (None, None) };
    let format = format.map(|format| ResponseFormat {
        format: Some(Format::JsonSchema(JsonSchema {
            name: "answer".to_owned(),
            schema: format.schema,
            strict: Some(true),
            ..JsonSchema::default()
        })),
        ..ResponseFormat::default()
    });
    (effort, format)
}

fn reasoning(thinking: ThinkingParam) -> Reasoning {
    let ThinkingParam { r#type, budget_tokens, additional_members: _ } = thinking;
    let enabled = Some(r#type != "disabled");
    Reasoning { enabled, max_tokens: budget_tokens.filter(|_| r#type == "enabled"), ..Reasoning::default() }
}

fn cache_control(mark: CacheControl) -> (String, String) {
    let ttl = mark.ttl.map(|ttl| format!(",\"ttl\":{}", json_text(&ttl))).unwrap_or_default();
    ("cache_control".to_owned(), format!("{{\"type\":{}{ttl}}}", json_text(&mark.r#type)))
}

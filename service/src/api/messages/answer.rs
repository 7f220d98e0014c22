//! A chat completion as an answer in Anthropic's form.

use prost::Message as _;
use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatCompletion, CompletionUsage, ContentBlock, FinishReason, MessageResponse, MessageUsage, OutputTokensDetails,
    ReasoningDetail, ResponseMessage, ToolCall,
};
use transcode::json::Mode;

use super::Schema;
use super::request::FORMAT;
use crate::api::foreign::json_text;

/// The member that holds an answer's blocks verbatim, where our words say less.
const BLOCKS: &str = "content_blocks";

/// The answer, of whose choices there is one.
pub(super) fn translate(schema: &Schema, completion: ChatCompletion) -> MessageResponse {
    let choice = completion.choices.into_iter().next().unwrap_or_default();
    let (stop_reason, stop_sequence) = stop(&choice);
    let mut usage = usage(completion.usage.unwrap_or_default());
    usage.service_tier = completion.service_tier;
    MessageResponse {
        id: completion.id,
        r#type: "message".to_owned(),
        role: "assistant".to_owned(),
        content: blocks(schema, choice.message.unwrap_or_default()),
        model: completion.model,
        stop_reason: Some(stop_reason),
        stop_sequence,
        usage: Some(usage),
        ..MessageResponse::default()
    }
}

/// Why the model stopped, and the text at which it did.
fn stop(choice: &Choice) -> (String, Option<String>) {
    let said = |name: &str| choice.additional_members.get(name).map(String::as_str);
    stop_reason(choice.finish_reason(), said("finish_reason"), said("stop_sequence"))
}

/// The same from our word, the vendor's own word as JSON, and the stop text as JSON.
pub(super) fn stop_reason(
    reason: FinishReason,
    word: Option<&str>,
    stop_sequence: Option<&str>,
) -> (String, Option<String>) {
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    let stop_sequence = stop_sequence.and_then(text);
    let reason = match reason {
        FinishReason::Stop if stop_sequence.is_some() => "stop_sequence".to_owned(),
        FinishReason::Stop => "end_turn".to_owned(),
        FinishReason::Length => "max_tokens".to_owned(),
        FinishReason::ToolCalls | FinishReason::FunctionCall => "tool_use".to_owned(),
        FinishReason::ContentFilter => "refusal".to_owned(),
        FinishReason::Unspecified => word.and_then(text).unwrap_or_else(|| "end_turn".to_owned()),
    };
    (reason, stop_sequence)
}

/// What was said, in blocks: thoughts, texts, calls.
fn blocks(schema: &Schema, message: ResponseMessage) -> Vec<ContentBlock> {
    if let Some(blocks) = message.additional_members.get(BLOCKS).and_then(|json| verbatim(schema, json)) {
        return blocks;
    }
    let mut blocks: Vec<ContentBlock> = message.reasoning_details.into_iter().filter_map(thought).collect();
    if blocks.is_empty() {
        blocks.extend(message.reasoning_content.filter(|text| !text.is_empty()).map(unsealed));
    }
    let texts = [message.content, message.refusal].into_iter().flatten().filter(|text| !text.is_empty());
    blocks.extend(texts.map(|text| ContentBlock { text: Some(text), ..block("text") }));
    blocks.extend(message.tool_calls.into_iter().map(tool_use));
    blocks
}

/// The blocks as the vendor wrote them.
fn verbatim(schema: &Schema, json: &str) -> Option<Vec<ContentBlock>> {
    let document = format!("{{\"content\":{json}}}");
    let mut wire = Vec::new();
    schema.plans.read(schema.response, document.as_bytes(), Mode::Lenient, &mut wire).ok()?;
    Some(MessageResponse::decode(&wire[..]).ok()?.content)
}

pub(super) fn block(kind: &str) -> ContentBlock {
    ContentBlock { r#type: kind.to_owned(), ..ContentBlock::default() }
}

/// A thought. Whose it is, if not Anthropic's, is noted in members that clients send back with it.
pub(super) fn thought(detail: ReasoningDetail) -> Option<ContentBlock> {
    let ReasoningDetail { r#type: _, text, summary, data, signature, id, format, index: _, additional_members } =
        detail;
    let mut block = match (text.or(summary), data) {
        (_, Some(data)) => ContentBlock { data: Some(data), ..block("redacted_thinking") },
        (text, None) if text.is_some() || signature.is_some() => ContentBlock {
            thinking: Some(text.unwrap_or_default()),
            signature: Some(signature.unwrap_or_default()),
            ..block("thinking")
        },
        _ => return None,
    };
    block.additional_members = additional_members;
    let foreign = format.filter(|format| format != FORMAT);
    block.additional_members.extend(foreign.map(|format| ("format".to_owned(), json_text(&format))));
    block.additional_members.extend(id.map(|id| ("id".to_owned(), json_text(&id))));
    Some(block)
}

/// A thought of a model whose server does not seal them.
fn unsealed(text: String) -> ContentBlock {
    ContentBlock { thinking: Some(text), signature: Some(String::new()), ..block("thinking") }
}

fn tool_use(call: ToolCall) -> ContentBlock {
    let (name, input) = match call.call {
        Some(Call::Function(function)) => (function.name, input(function.arguments)),
        Some(Call::Custom(custom)) => (custom.name, format!("{{\"input\":{}}}", json_text(&custom.input))),
        None => (String::new(), "{}".to_owned()),
    };
    let additional_members = call.additional_members;
    ContentBlock { id: Some(call.id), name: Some(name), input, additional_members, ..block("tool_use") }
}

/// Arguments as an object, which this form wants. What a model wrote that is none, stands in one.
fn input(arguments: String) -> String {
    if arguments.trim().is_empty() {
        return "{}".to_owned();
    }
    match serde_json::from_str::<&serde_json::value::RawValue>(&arguments) {
        Ok(value) if value.get().starts_with('{') => arguments,
        _ => format!("{{\"invalid_json\":{}}}", json_text(&arguments)),
    }
}

/// Token counts: here what came from a cache or went into it stands beside the input.
pub(super) fn usage(usage: CompletionUsage) -> MessageUsage {
    let thought = usage.completion_tokens_details.and_then(|details| details.reasoning_tokens);
    let details = usage.prompt_tokens_details.unwrap_or_default();
    let beside = details.cached_tokens.unwrap_or(0).saturating_add(details.cache_write_tokens.unwrap_or(0));
    MessageUsage {
        input_tokens: Some(usage.prompt_tokens.saturating_sub(beside)),
        cache_creation_input_tokens: details.cache_write_tokens,
        cache_read_input_tokens: details.cached_tokens,
        output_tokens: Some(usage.completion_tokens),
        output_tokens_details: thought
            .map(|thought| OutputTokensDetails { thinking_tokens: Some(thought), ..OutputTokensDetails::default() }),
        ..MessageUsage::default()
    }
}

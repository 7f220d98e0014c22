//! Reads a whole answer.

use prost::Message as _;
use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatCompletion, ContentBlock, FinishReason, FunctionCall, MessageResponse, ReasoningDetail, ResponseMessage, Role,
    ToolCall,
};
use transcode::json::Mode;

use super::{Schema, error, usage};
use crate::error::{UpstreamError, UpstreamErrorKind};

/// Who can read the thoughts of these models.
pub(crate) const FORMAT: &str = "anthropic-claude-v1";

/// The member that holds the blocks of an answer, verbatim, which our words cannot say in full.
const BLOCKS: &str = "content_blocks";

pub(super) fn read(schema: &Schema, body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
    let mut wire = Vec::with_capacity(body.len());
    let read = schema.plans.read(schema.response, body, Mode::Lenient, &mut wire);
    read.map_err(|error| not_one("a message", &error))?;
    let response = MessageResponse::decode(&wire[..]).map_err(|error| not_one("a message", &error))?;
    if response.r#type == "error" {
        return Err(error::read(None, body));
    }
    if response.r#type != "message" {
        return Err(not_one("a message", &"its type is another"));
    }
    Ok(translate(schema, response))
}

fn translate(schema: &Schema, response: MessageResponse) -> ChatCompletion {
    let MessageResponse {
        id,
        r#type: _,
        role: _,
        content,
        model,
        stop_reason,
        stop_sequence,
        usage,
        additional_members,
    } = response;
    let service_tier = usage.as_ref().and_then(|usage| usage.service_tier.clone());
    let mut choice = Choice { message: Some(message(schema, content)), ..Choice::default() };
    let (reason, word) = finish_reason(stop_reason.as_deref());
    choice.set_finish_reason(reason);
    choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
    choice.additional_members.extend(stop_sequence.map(|text| ("stop_sequence".to_owned(), json_text(&text))));
    ChatCompletion {
        id,
        object: "chat.completion".to_owned(),
        model,
        choices: vec![choice],
        usage: usage.as_ref().map(usage::translate),
        service_tier,
        additional_members,
        ..ChatCompletion::default()
    }
}

/// The blocks as one message: its texts one after the other, its thoughts, its calls.
fn message(schema: &Schema, blocks: Vec<ContentBlock>) -> ResponseMessage {
    let mut message = ResponseMessage { role: Role::Assistant.into(), ..ResponseMessage::default() };
    if blocks.iter().any(is_beyond_words) {
        let written: Option<Vec<String>> = blocks.iter().map(|block| verbatim(schema, block)).collect();
        let written = written.map(|blocks| format!("[{}]", blocks.join(",")));
        message.additional_members.extend(written.map(|blocks| (BLOCKS.to_owned(), blocks)));
    }
    for block in blocks {
        match block.r#type.as_str() {
            "text" => message.content.get_or_insert_default().push_str(block.text()),
            "thinking" | "redacted_thinking" => {
                if let Some(thought) = &block.thinking {
                    message.reasoning_content.get_or_insert_default().push_str(thought);
                }
                let index = u32::try_from(message.reasoning_details.len()).ok();
                message.reasoning_details.push(detail(block, index));
            }
            "tool_use" => message.tool_calls.push(ToolCall {
                id: block.id.unwrap_or_default(),
                call: Some(Call::Function(FunctionCall {
                    name: block.name.unwrap_or_default(),
                    arguments: if block.input.is_empty() { "{}".to_owned() } else { block.input },
                    ..FunctionCall::default()
                })),
                ..ToolCall::default()
            }),
            _ => {}
        }
    }
    message
}

/// A thought, in the form in which it is accepted again.
pub(super) fn detail(block: ContentBlock, index: Option<u32>) -> ReasoningDetail {
    let kind = if block.data.is_some() { "reasoning.encrypted" } else { "reasoning.text" };
    ReasoningDetail {
        r#type: kind.to_owned(),
        text: block.thinking,
        data: block.data,
        signature: block.signature,
        format: Some(FORMAT.to_owned()),
        index,
        ..ReasoningDetail::default()
    }
}

/// Whether a block says more than our words can: a kind that is the vendor's own, or citations.
fn is_beyond_words(block: &ContentBlock) -> bool {
    let known = ["text", "thinking", "redacted_thinking", "tool_use"].contains(&block.r#type.as_str());
    let says_more = |(_, text): (&String, &String)| !matches!(text.as_str(), "" | "null");
    // Who called a tool (`caller`) matters to the vendor's own tools alone.
    !known || block.additional_members.iter().filter(|(name, _)| *name != "caller").any(says_more)
}

/// A block as the vendor wrote it.
pub(super) fn verbatim(schema: &Schema, block: &ContentBlock) -> Option<String> {
    let mut json = Vec::new();
    schema.plans.write(schema.block, &block.encode_to_vec(), &mut json).ok()?;
    String::from_utf8(json).ok()
}

/// Why the model stopped; and the vendor's own word, as JSON, where ours say less.
pub(super) fn finish_reason(word: Option<&str>) -> (FinishReason, Option<String>) {
    match word {
        None => (FinishReason::Unspecified, None),
        Some("end_turn" | "stop_sequence") => (FinishReason::Stop, None),
        Some("max_tokens" | "model_context_window_exceeded") => (FinishReason::Length, None),
        Some("tool_use") => (FinishReason::ToolCalls, None),
        Some("refusal") => (FinishReason::ContentFilter, None),
        Some(other) => (FinishReason::Unspecified, Some(json_text(other))),
    }
}

/// A text as JSON.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The error of an answer that is not what it should be.
pub(super) fn not_one(what: &str, error: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Protocol, format!("the upstream's answer is not {what}: {error}"))
}

//! Reads a whole answer. Source:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax>.

use std::collections::BTreeMap;

use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{ChatCompletion, FinishReason, FunctionCall, ReasoningDetail, ResponseMessage, Role, ToolCall};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::{self, Usage};
use super::{Family, error};
use crate::error::{UpstreamError, UpstreamErrorKind};

/// The member that holds the blocks of an answer, verbatim, which our words cannot say in full.
const BLOCKS: &str = "content_blocks";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    output: Option<Output<'a>>,
    stop_reason: Option<String>,
    usage: Option<Usage>,
    service_tier: Option<Tier>,
    /// What guardrails found.
    #[serde(borrow)]
    trace: Option<&'a RawValue>,
    /// What the model's maker answers, if it was asked for.
    #[serde(borrow)]
    additional_model_response_fields: Option<&'a RawValue>,
}

/// The class of speed and price.
#[derive(Deserialize)]
pub(super) struct Tier {
    pub(super) r#type: Option<String>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Option<Said<'a>>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    content: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    text: Option<String>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    reasoning_content: Option<Thought>,
    citations_content: Option<Cited>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    /// There if the tool is the vendor's own, which runs it.
    r#type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thought {
    reasoning_text: Option<ReasoningText>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    text: Option<String>,
    signature: Option<String>,
}

#[derive(Deserialize)]
struct Cited {
    content: Option<Vec<CitedText>>,
}

#[derive(Deserialize)]
struct CitedText {
    text: Option<String>,
}

/// What is told besides, as members under the vendor's names: what guardrails found, and what the model's maker answers.
pub(super) fn beside(trace: Option<&RawValue>, fields: Option<&RawValue>) -> BTreeMap<String, String> {
    let member = |(name, value): (&str, Option<&RawValue>)| {
        let text = value.map(RawValue::get).filter(|text| *text != "null")?;
        Some((name.to_owned(), text.to_owned()))
    };
    [("trace", trace), ("additionalModelResponseFields", fields)].into_iter().filter_map(member).collect()
}

pub(super) fn read(model: String, body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| not_one("an answer of a chat", &error))?;
    let said = answer.output.and_then(|output| output.message).ok_or_else(|| error::read(None, body))?;
    let (reason, word) = finish_reason(answer.stop_reason.as_deref());
    let mut choice = Choice { message: Some(message(&model, said)?), ..Choice::default() };
    choice.set_finish_reason(reason);
    choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
    Ok(ChatCompletion {
        object: "chat.completion".to_owned(),
        model,
        choices: vec![choice],
        usage: answer.usage.map(usage::translate),
        service_tier: answer.service_tier.and_then(|tier| tier.r#type),
        additional_members: beside(answer.trace, answer.additional_model_response_fields),
        ..ChatCompletion::default()
    })
}

/// The blocks as one message: its texts one after the other, its thoughts, its calls.
fn message(model: &str, said: Said<'_>) -> Result<ResponseMessage, UpstreamError> {
    let mut message = ResponseMessage { role: Role::Assistant.into(), ..ResponseMessage::default() };
    let blocks = said.content.unwrap_or_default();
    let mut beyond_words = false;
    for raw in &blocks {
        let block: Block<'_> = serde_json::from_str(raw.get()).map_err(|error| not_one("a block of a chat", &error))?;
        match block {
            Block { text: Some(text), .. } => message.content.get_or_insert_default().push_str(&text),
            Block { tool_use: Some(ToolUse { tool_use_id, name, input, r#type: None }), .. } => {
                let arguments = input.map_or("{}", RawValue::get).to_owned();
                let function = FunctionCall { name: name.unwrap_or_default(), arguments, ..FunctionCall::default() };
                let id = tool_use_id.unwrap_or_default();
                message.tool_calls.push(ToolCall { id, call: Some(Call::Function(function)), ..ToolCall::default() });
            }
            Block { reasoning_content: Some(thought), .. } => {
                let place = u32::try_from(message.reasoning_details.len()).unwrap_or(u32::MAX);
                let detail = detail(model, thought, place);
                if let Some(text) = &detail.text {
                    message.reasoning_content.get_or_insert_default().push_str(text);
                }
                message.reasoning_details.push(detail);
            }
            Block { citations_content: Some(cited), .. } => {
                beyond_words = true;
                for text in cited.content.unwrap_or_default().into_iter().filter_map(|cited| cited.text) {
                    message.content.get_or_insert_default().push_str(&text);
                }
            }
            _ => beyond_words = true,
        }
    }
    if beyond_words {
        let written: Vec<&str> = blocks.iter().map(|block| block.get()).collect();
        message.additional_members.insert(BLOCKS.to_owned(), format!("[{}]", written.join(",")));
    }
    Ok(message)
}

/// A thought, in the form in which it is accepted again.
fn detail(model: &str, thought: Thought, index: u32) -> ReasoningDetail {
    let text = thought.reasoning_text;
    let (text, signature) = text.map_or((None, None), |said| (said.text, said.signature));
    let detail = piece(model, index);
    match thought.redacted_content {
        Some(data) => ReasoningDetail { r#type: "reasoning.encrypted".to_owned(), data: Some(data), ..detail },
        None => ReasoningDetail { text, signature, ..detail },
    }
}

/// A thought of which nothing is said yet.
pub(super) fn piece(model: &str, index: u32) -> ReasoningDetail {
    ReasoningDetail {
        r#type: "reasoning.text".to_owned(),
        format: Some(Family::of(model).format().to_owned()),
        index: Some(index),
        ..ReasoningDetail::default()
    }
}

/// Why the model stopped; and the vendor's own word, as JSON, where ours have none.
pub(super) fn finish_reason(word: Option<&str>) -> (FinishReason, Option<String>) {
    match word {
        None => (FinishReason::Unspecified, None),
        Some("end_turn" | "stop_sequence") => (FinishReason::Stop, None),
        Some("max_tokens" | "model_context_window_exceeded") => (FinishReason::Length, None),
        Some("tool_use") => (FinishReason::ToolCalls, None),
        Some("guardrail_intervened" | "content_filtered" | "refusal") => (FinishReason::ContentFilter, None),
        Some(other) => (FinishReason::Unspecified, Some(serde_json::Value::from(other).to_string())),
    }
}

/// The error of an answer that is not what it should be.
pub(super) fn not_one(what: &str, error: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Protocol, format!("the upstream's answer is not {what}: {error}"))
}

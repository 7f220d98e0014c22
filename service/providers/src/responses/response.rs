//! Reads a whole answer.

use std::collections::BTreeMap;

use prost::Message as _;
use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::response_item::{Content, Summary};
use sabir_proto::v1::response_part::Annotations;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    Annotation, ChatCompletion, CompletionTokensDetails, CompletionUsage, CustomToolCall, FinishReason, FunctionCall,
    ModelResponse, PromptTokensDetails, ReasoningDetail, ResponseAnnotation, ResponseItem, ResponseMessage,
    ResponsePart, ResponseUsage, Role, ToolCall, UrlCitation,
};
use transcode::json::Mode;

use super::essence::{self, Essence};
use super::{FORMAT, ITEMS, Schema, error};
use crate::error::{UpstreamError, UpstreamErrorKind};

pub(super) fn read(schema: &Schema, body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
    let (response, others) = match parse(schema, body) {
        Ok(response) => (response, BTreeMap::new()),
        Err(error) => {
            let Essence { json, others } = essence::of_answer(body).ok_or(error)?;
            (parse(schema, &json)?, others)
        }
    };
    if response.object != "response" {
        return Err(not_one("a response", &"its object is another"));
    }
    if let Some(error) = failed(&response) {
        return Err(error);
    }
    if matches!(response.status.as_str(), "queued" | "in_progress") {
        return Err(not_one("a whole response", &format!("its status is {}", response.status)));
    }
    Ok(translate(schema, response, others))
}

fn parse(schema: &Schema, json: &[u8]) -> Result<ModelResponse, UpstreamError> {
    let mut wire = Vec::with_capacity(json.len());
    let read = schema.plans.read(schema.response, json, Mode::Lenient, &mut wire);
    read.map_err(|error| not_one("a response", &error))?;
    ModelResponse::decode(&wire[..]).map_err(|error| not_one("a response", &error))
}

/// The error of a response that has failed.
pub(super) fn failed(response: &ModelResponse) -> Option<UpstreamError> {
    match &response.error {
        Some(said) => Some(error::of(Some(said.code.clone()), Some(said.message.clone()), None)),
        None if matches!(response.status.as_str(), "failed" | "cancelled") => Some(error::of(None, None, None)),
        None => None,
    }
}

/// The answer. `unread` are items whose form is not as our schema has it, by their places.
fn translate(schema: &Schema, response: ModelResponse, mut unread: BTreeMap<usize, String>) -> ChatCompletion {
    let (reason, word) = finish_reason(&response);
    let ModelResponse { id, created_at, model, output, usage, service_tier, .. } = response;
    let mut message = ResponseMessage { role: Role::Assistant.into(), ..ResponseMessage::default() };
    let mut choice = Choice::default();
    let mut others = Vec::new();
    for (index, item) in output.into_iter().enumerate() {
        match item.r#type.as_deref() {
            Some("message") => said(item, &mut message, &mut choice),
            Some("reasoning") => {
                let details = details(item, u32::try_from(index).ok());
                if let Some(text) = thought(&details) {
                    let thoughts = message.reasoning_content.get_or_insert_default();
                    let between = if thoughts.is_empty() { "" } else { "\n\n" };
                    thoughts.push_str(between);
                    thoughts.push_str(&text);
                }
                message.reasoning_details.extend(details);
            }
            Some("function_call" | "custom_tool_call") => message.tool_calls.push(call(item)),
            _ => others.extend(unread.remove(&index).or_else(|| verbatim(schema, &item))),
        }
    }
    if !others.is_empty() {
        message.additional_members.insert(ITEMS.to_owned(), format!("[{}]", others.join(",")));
    }
    choice.set_finish_reason(reason.unwrap_or_else(|| done(!message.tool_calls.is_empty())));
    choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
    choice.message = Some(message);
    ChatCompletion {
        id,
        object: "chat.completion".to_owned(),
        created: created_at,
        model,
        choices: vec![choice],
        usage: usage.map(self::usage),
        service_tier,
        ..ChatCompletion::default()
    }
}

fn said(item: ResponseItem, message: &mut ResponseMessage, choice: &mut Choice) {
    let parts = match item.content {
        Some(Content::ContentParts(parts)) => parts.parts,
        Some(Content::ContentText(text)) => {
            message.content.get_or_insert_default().push_str(&text);
            return;
        }
        None => return,
    };
    for ResponsePart { text, refusal, annotations, logprobs, .. } in parts {
        if let Some(text) = text {
            message.content.get_or_insert_default().push_str(&text);
        }
        if let Some(refusal) = refusal {
            message.refusal.get_or_insert_default().push_str(&refusal);
        }
        message.annotations.extend(annotations.into_iter().flat_map(self::annotations));
        if !logprobs.is_empty() {
            choice.logprobs.get_or_insert_default().content.extend(logprobs);
        }
    }
}

/// The sources of a text, in the nested form of chat completions.
pub(super) fn annotations(annotations: Annotations) -> impl Iterator<Item = Annotation> {
    let Annotations::AnnotationList(list) = annotations;
    list.annotations.into_iter().map(|annotation| {
        let ResponseAnnotation { r#type, url, title, start_index, end_index, additional_members } = annotation;
        let url_citation = url.map(|url| UrlCitation {
            url,
            title: title.unwrap_or_default(),
            start_index: start_index.unwrap_or(0),
            end_index: end_index.unwrap_or(0),
            ..UrlCitation::default()
        });
        Annotation { r#type, url_citation, additional_members }
    })
}

/// A thought, in the form in which it is accepted again: its texts, and its seal at the end.
pub(super) fn details(item: ResponseItem, index: Option<u32>) -> Vec<ReasoningDetail> {
    let ResponseItem { id, content, summary, encrypted_content, .. } = item;
    let detail = |kind: &str| ReasoningDetail {
        r#type: kind.to_owned(),
        id: id.clone(),
        format: Some(FORMAT.to_owned()),
        index,
        ..ReasoningDetail::default()
    };
    let mut details = Vec::new();
    if let Some(Summary::SummaryParts(parts)) = summary {
        let texts = parts.parts.into_iter().filter_map(|part| part.text);
        details.extend(texts.map(|text| ReasoningDetail { summary: Some(text), ..detail("reasoning.summary") }));
    }
    if let Some(Content::ContentParts(parts)) = content {
        let texts = parts.parts.into_iter().filter_map(|part| part.text);
        details.extend(texts.map(|text| ReasoningDetail { text: Some(text), ..detail("reasoning.text") }));
    }
    details.extend(encrypted_content.map(|data| ReasoningDetail { data: Some(data), ..detail("reasoning.encrypted") }));
    details
}

/// The texts of a thought.
pub(super) fn thought(details: &[ReasoningDetail]) -> Option<String> {
    let texts = details.iter().filter_map(|detail| detail.text.as_deref().or(detail.summary.as_deref()));
    let texts: Vec<&str> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

fn call(item: ResponseItem) -> ToolCall {
    let ResponseItem { r#type, id, call_id, name, arguments, input, .. } = item;
    let name = name.unwrap_or_default();
    let call = if r#type.as_deref() == Some("custom_tool_call") {
        Call::Custom(CustomToolCall { name, input: input.unwrap_or_default(), ..CustomToolCall::default() })
    } else {
        let arguments = arguments.filter(|json| !json.is_empty()).unwrap_or_else(|| "{}".to_owned());
        Call::Function(FunctionCall { name, arguments, ..FunctionCall::default() })
    };
    ToolCall { id: call_id.or(id).unwrap_or_default(), call: Some(call), ..ToolCall::default() }
}

/// An item as the vendor wrote it.
pub(super) fn verbatim(schema: &Schema, item: &ResponseItem) -> Option<String> {
    let mut json = Vec::new();
    schema.plans.write(schema.item, &item.encode_to_vec(), &mut json).ok()?;
    String::from_utf8(json).ok()
}

/// Why the model stopped before it was done, if it did; a word of the vendor's own that ours cannot say is JSON.
pub(super) fn finish_reason(response: &ModelResponse) -> (Option<FinishReason>, Option<String>) {
    match response.incomplete_details.as_ref().map(|details| details.reason.as_str()) {
        Some("content_filter") => (Some(FinishReason::ContentFilter), None),
        Some("max_output_tokens" | "") => (Some(FinishReason::Length), None),
        Some(word) => (Some(FinishReason::Unspecified), Some(serde_json::Value::from(word).to_string())),
        None if response.status == "incomplete" => (Some(FinishReason::Length), None),
        None => (None, None),
    }
}

/// Why a model stopped that was done.
pub(super) fn done(any_calls: bool) -> FinishReason {
    if any_calls { FinishReason::ToolCalls } else { FinishReason::Stop }
}

/// What it cost.
pub(super) fn usage(usage: ResponseUsage) -> CompletionUsage {
    let prompt = usage.input_tokens_details.map(|details| PromptTokensDetails {
        cached_tokens: Some(details.cached_tokens),
        cache_write_tokens: details.cache_write_tokens,
        ..PromptTokensDetails::default()
    });
    let completion = usage.output_tokens_details.map(|details| CompletionTokensDetails {
        reasoning_tokens: Some(details.reasoning_tokens),
        ..CompletionTokensDetails::default()
    });
    CompletionUsage {
        prompt_tokens: usage.input_tokens,
        completion_tokens: usage.output_tokens,
        total_tokens: usage.total_tokens,
        prompt_tokens_details: prompt,
        completion_tokens_details: completion,
        ..CompletionUsage::default()
    }
}

/// The error of an answer that is not what it should be.
pub(super) fn not_one(what: &str, error: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Protocol, format!("the upstream's answer is not {what}: {error}"))
}

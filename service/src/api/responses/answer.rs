//! A chat completion as an answer in the form of the Responses API.

use sabir_proto::v1::response_item::Content;
use sabir_proto::v1::response_part;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    Annotation, ChatCompletion, CompletionUsage, FinishReason, IncompleteDetails, ModelResponse, ReasoningDetail,
    ResponseAnnotation, ResponseAnnotations, ResponseInputTokensDetails, ResponseItem, ResponseMessage,
    ResponseOutputTokensDetails, ResponsePart, ResponseParts, ResponseUsage, TokenLogprob, ToolCall,
};

use super::thought;

/// The answer, of whose choices there is one. `echo` is what it repeats of the request.
pub(super) fn translate(echo: ModelResponse, completion: ChatCompletion) -> ModelResponse {
    let ChatCompletion { id, created, model, choices, usage: spent, service_tier, .. } = completion;
    let choice = choices.into_iter().next().unwrap_or_default();
    let (status, incomplete_details) = status(choice.finish_reason());
    let logprobs = choice.logprobs.map(|logprobs| logprobs.content).unwrap_or_default();
    ModelResponse {
        output: items(&id, choice.message.unwrap_or_default(), logprobs, status),
        id: response_id(&id),
        created_at: created,
        status: status.to_owned(),
        incomplete_details,
        model,
        usage: spent.map(usage),
        service_tier,
        ..echo
    }
}

/// The name of the answer whose completion has this name.
pub(super) fn response_id(completion: &str) -> String {
    if completion.starts_with("resp_") { completion.to_owned() } else { format!("resp_{}", bare(completion)) }
}

/// The name of an item of the answer.
pub(super) fn item_id(prefix: &str, completion: &str, index: usize) -> String {
    format!("{prefix}_{}_{index}", bare(completion))
}

/// A completion's name without what says that it is one.
fn bare(completion: &str) -> &str {
    ["chatcmpl-", "resp_", "msg_"].iter().find_map(|prefix| completion.strip_prefix(prefix)).unwrap_or(completion)
}

/// How far an answer is that ended for this reason, and why it is no farther.
pub(super) fn status(reason: FinishReason) -> (&'static str, Option<IncompleteDetails>) {
    let reason = match reason {
        FinishReason::Length => "max_output_tokens",
        FinishReason::ContentFilter => "content_filter",
        _ => return ("completed", None),
    };
    ("incomplete", Some(IncompleteDetails { reason: reason.to_owned(), ..IncompleteDetails::default() }))
}

/// What was thought, said and called.
fn items(id: &str, message: ResponseMessage, logprobs: Vec<TokenLogprob>, status: &str) -> Vec<ResponseItem> {
    let mut items = Vec::new();
    let mut thoughts: Vec<Vec<ReasoningDetail>> = Vec::new();
    for detail in message.reasoning_details {
        match thoughts.last_mut() {
            Some(thought) if thought.first().is_some_and(|first| thought::belong_together(first, &detail)) => {
                thought.push(detail);
            }
            _ => thoughts.push(vec![detail]),
        }
    }
    if thoughts.is_empty() {
        let text = message.reasoning_content.filter(|text| !text.is_empty());
        thoughts.extend(text.map(|text| vec![ReasoningDetail { text: Some(text), ..ReasoningDetail::default() }]));
    }
    for details in thoughts {
        items.push(thought::item(&details, &item_id("rs", id, items.len())));
    }
    let said = message.content.filter(|text| !text.is_empty());
    let refused = message.refusal.filter(|text| !text.is_empty());
    if said.is_some() || refused.is_some() {
        let annotations = message.annotations.into_iter().map(annotation).collect();
        let mut parts: Vec<ResponsePart> =
            said.map(|text| output_text(text, annotations, logprobs)).into_iter().collect();
        parts.extend(refused.map(|text| ResponsePart { refusal: Some(text), ..thought::part("refusal") }));
        items.push(said_item(item_id("msg", id, items.len()), parts, status));
    }
    for call in message.tool_calls {
        let name = item_id(if matches!(call.call, Some(Call::Custom(_))) { "ctc" } else { "fc" }, id, items.len());
        items.push(call_item(name, call, status));
    }
    items
}

/// A message of the model's.
pub(super) fn said_item(id: String, parts: Vec<ResponsePart>, status: &str) -> ResponseItem {
    ResponseItem {
        r#type: Some("message".to_owned()),
        id: Some(id),
        status: Some(status.to_owned()),
        role: Some("assistant".to_owned()),
        content: Some(Content::ContentParts(ResponseParts { parts })),
        ..ResponseItem::default()
    }
}

/// Text of the model's.
pub(super) fn output_text(
    text: String,
    annotations: Vec<ResponseAnnotation>,
    logprobs: Vec<TokenLogprob>,
) -> ResponsePart {
    let annotations = response_part::Annotations::AnnotationList(ResponseAnnotations { annotations });
    ResponsePart { text: Some(text), annotations: Some(annotations), logprobs, ..thought::part("output_text") }
}

/// A source, in the flat form of this API.
pub(super) fn annotation(annotation: Annotation) -> ResponseAnnotation {
    let Annotation { r#type, url_citation, additional_members } = annotation;
    let cited = url_citation.unwrap_or_default();
    ResponseAnnotation {
        r#type,
        url: Some(cited.url),
        title: Some(cited.title),
        start_index: Some(cited.start_index),
        end_index: Some(cited.end_index),
        additional_members,
    }
}

/// A call of the model's.
pub(super) fn call_item(id: String, call: ToolCall, status: &str) -> ResponseItem {
    let item = ResponseItem {
        id: Some(id),
        status: Some(status.to_owned()),
        call_id: Some(call.id),
        ..ResponseItem::default()
    };
    match call.call {
        Some(Call::Custom(custom)) => ResponseItem {
            r#type: Some("custom_tool_call".to_owned()),
            name: Some(custom.name),
            input: Some(custom.input),
            ..item
        },
        Some(Call::Function(function)) => ResponseItem {
            r#type: Some("function_call".to_owned()),
            name: Some(function.name),
            arguments: Some(function.arguments),
            ..item
        },
        None => ResponseItem { r#type: Some("function_call".to_owned()), ..item },
    }
}

/// What it cost.
pub(super) fn usage(usage: CompletionUsage) -> ResponseUsage {
    let prompt = usage.prompt_tokens_details.unwrap_or_default();
    let produced = usage.completion_tokens_details.unwrap_or_default();
    ResponseUsage {
        input_tokens: usage.prompt_tokens,
        input_tokens_details: Some(ResponseInputTokensDetails {
            cached_tokens: prompt.cached_tokens.unwrap_or(0),
            cache_write_tokens: prompt.cache_write_tokens,
            ..ResponseInputTokensDetails::default()
        }),
        output_tokens: usage.completion_tokens,
        output_tokens_details: Some(ResponseOutputTokensDetails {
            reasoning_tokens: produced.reasoning_tokens.unwrap_or(0),
            ..ResponseOutputTokensDetails::default()
        }),
        total_tokens: usage.total_tokens,
        ..ResponseUsage::default()
    }
}

//! Answers and chunks as claims look at them, read from protobuf messages and from JSON by hand.

use sabir_proto::v1::{ChatCompletion, ChatCompletionChunk, CompletionUsage, FinishReason, tool_call};
use serde_json::Value;

/// An answer in one piece; of its choices the first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) text: Option<String>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) tool_calls: Vec<ToolCall>,
    pub(crate) usage: Option<Usage>,
    pub(crate) choices: usize,
}

/// A piece of an answer; of its choices the first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Chunk {
    pub(crate) id: String,
    pub(crate) model: String,
    pub(crate) text: Option<String>,
    pub(crate) finish_reason: Option<String>,
    pub(crate) tool_calls: Vec<ToolCall>,
    pub(crate) usage: Option<Usage>,
    pub(crate) choices: usize,
}

/// A call of a tool, or a piece of one, in which what is absent is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ToolCall {
    pub(crate) index: Option<u64>,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// Token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) total: u64,
    pub(crate) cached: Option<u64>,
    pub(crate) reasoning: Option<u64>,
}

impl Answer {
    pub(super) fn from_message(completion: &ChatCompletion) -> Self {
        let choice = completion.choices.first();
        let message = choice.and_then(|choice| choice.message.as_ref());
        let tool_calls = message.iter().flat_map(|message| &message.tool_calls).map(|call| {
            let Some(tool_call::Call::Function(function)) = &call.call else { panic!("not a function: {call:?}") };
            let (name, arguments) = (function.name.clone(), function.arguments.clone());
            ToolCall { index: None, id: call.id.clone(), name, arguments }
        });
        Self {
            id: completion.id.clone(),
            model: completion.model.clone(),
            text: message.and_then(|message| message.content.clone()),
            finish_reason: choice.and_then(|choice| finish_reason(choice.finish_reason)),
            tool_calls: tool_calls.collect(),
            usage: completion.usage.as_ref().map(Usage::from_message),
            choices: completion.choices.len(),
        }
    }

    pub(super) fn from_json(document: &Value) -> Self {
        assert_eq!(document["object"], "chat.completion", "{document}");
        let choice = &document["choices"][0];
        Self {
            id: text(&document["id"]).unwrap(),
            model: text(&document["model"]).unwrap(),
            text: text(&choice["message"]["content"]),
            finish_reason: text(&choice["finish_reason"]),
            tool_calls: tool_calls(&choice["message"]),
            usage: Usage::from_json(&document["usage"]),
            choices: document["choices"].as_array().unwrap().len(),
        }
    }
}

impl Chunk {
    pub(super) fn from_message(chunk: &ChatCompletionChunk) -> Self {
        let choice = chunk.choices.first();
        let delta = choice.and_then(|choice| choice.delta.as_ref());
        let tool_calls = delta.iter().flat_map(|delta| &delta.tool_calls).map(|call| {
            let function = call.function.clone().unwrap_or_default();
            ToolCall {
                index: call.index.map(Into::into),
                id: call.id.clone().unwrap_or_default(),
                name: function.name.unwrap_or_default(),
                arguments: function.arguments.unwrap_or_default(),
            }
        });
        Self {
            id: chunk.id.clone(),
            model: chunk.model.clone(),
            text: delta.and_then(|delta| delta.content.clone()),
            finish_reason: choice.and_then(|choice| finish_reason(choice.finish_reason)),
            tool_calls: tool_calls.collect(),
            usage: chunk.usage.as_ref().map(Usage::from_message),
            choices: chunk.choices.len(),
        }
    }

    pub(super) fn from_json(document: &Value) -> Self {
        assert_eq!(document["object"], "chat.completion.chunk", "{document}");
        let choice = &document["choices"][0];
        Self {
            id: text(&document["id"]).unwrap(),
            model: text(&document["model"]).unwrap(),
            text: text(&choice["delta"]["content"]),
            finish_reason: text(&choice["finish_reason"]),
            tool_calls: tool_calls(&choice["delta"]),
            usage: Usage::from_json(&document["usage"]),
            choices: document["choices"].as_array().unwrap().len(),
        }
    }
}

impl Usage {
    fn from_message(usage: &CompletionUsage) -> Self {
        Self {
            prompt: usage.prompt_tokens.into(),
            completion: usage.completion_tokens.into(),
            total: usage.total_tokens.into(),
            cached: usage.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens).map(Into::into),
            reasoning: usage
                .completion_tokens_details
                .as_ref()
                .and_then(|details| details.reasoning_tokens)
                .map(Into::into),
        }
    }

    fn from_json(usage: &Value) -> Option<Self> {
        usage.as_object()?;
        Some(Self {
            prompt: usage["prompt_tokens"].as_u64().unwrap(),
            completion: usage["completion_tokens"].as_u64().unwrap(),
            total: usage["total_tokens"].as_u64().unwrap(),
            cached: usage["prompt_tokens_details"]["cached_tokens"].as_u64(),
            reasoning: usage["completion_tokens_details"]["reasoning_tokens"].as_u64(),
        })
    }
}

/// As OpenAI writes it, from the name in the contract.
fn finish_reason(number: i32) -> Option<String> {
    match FinishReason::try_from(number).unwrap() {
        FinishReason::Unspecified => None,
        reason => Some(reason.as_str_name().strip_prefix("FINISH_REASON_").unwrap().to_lowercase()),
    }
}

fn tool_calls(message: &Value) -> Vec<ToolCall> {
    let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    let read = |call: &Value| ToolCall {
        index: call["index"].as_u64(),
        id: text(&call["id"]).unwrap_or_default(),
        name: text(&call["function"]["name"]).unwrap_or_default(),
        arguments: text(&call["function"]["arguments"]).unwrap_or_default(),
    };
    calls.iter().map(read).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

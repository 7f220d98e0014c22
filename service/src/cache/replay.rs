//! A kept answer as a stream.

use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::chat_completion_chunk::{self, CustomToolCallDelta, Delta, FunctionCallDelta, ToolCallDelta};
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{ChatCompletion, ChatCompletionChunk, ResponseMessage, ToolCall};

/// The chunks that say the same: for each choice what was said and then how it ended, and at the end what it cost.
pub(crate) fn replay(answer: &ChatCompletion) -> Vec<ChatCompletionChunk> {
    let chunk = |choices| ChatCompletionChunk {
        id: answer.id.clone(),
        object: "chat.completion.chunk".to_owned(),
        created: answer.created,
        model: answer.model.clone(),
        choices,
        service_tier: answer.service_tier.clone(),
        system_fingerprint: answer.system_fingerprint.clone(),
        ..ChatCompletionChunk::default()
    };
    let mut chunks = Vec::with_capacity(answer.choices.len() * 2 + 1);
    for choice in &answer.choices {
        let Choice { index, message, logprobs, finish_reason, additional_members } = choice;
        let delta = Some(message.as_ref().map(delta).unwrap_or_default());
        let said =
            chat_completion_chunk::Choice { index: *index, delta, logprobs: logprobs.clone(), ..Default::default() };
        chunks.push(chunk(vec![said]));
        let ended = chat_completion_chunk::Choice {
            index: *index,
            delta: Some(Delta::default()),
            finish_reason: *finish_reason,
            additional_members: additional_members.clone(),
            ..Default::default()
        };
        chunks.push(chunk(vec![ended]));
    }
    if answer.usage.is_some() {
        chunks.push(ChatCompletionChunk { usage: answer.usage.clone(), ..chunk(Vec::new()) });
    }
    chunks
}

fn delta(message: &ResponseMessage) -> Delta {
    let ResponseMessage {
        role,
        content,
        refusal,
        reasoning_content,
        tool_calls,
        function_call,
        annotations,
        // An answer with sound is not kept.
        audio: _,
        reasoning_details,
        additional_members,
    } = message;
    Delta {
        role: *role,
        content: content.clone(),
        refusal: refusal.clone(),
        reasoning_content: reasoning_content.clone(),
        tool_calls: tool_calls.iter().zip(0..).map(|(call, index)| call_delta(call, index)).collect(),
        function_call: function_call.as_ref().map(|call| FunctionCallDelta {
            name: Some(call.name.clone()),
            arguments: Some(call.arguments.clone()),
            ..Default::default()
        }),
        annotations: annotations.clone(),
        audio: None,
        reasoning_details: reasoning_details.clone(),
        additional_members: additional_members.clone(),
    }
}

fn call_delta(call: &ToolCall, index: u32) -> ToolCallDelta {
    let ToolCall { id, call, additional_members } = call;
    let piece = ToolCallDelta {
        index: Some(index),
        id: Some(id.clone()),
        additional_members: additional_members.clone(),
        ..ToolCallDelta::default()
    };
    match call {
        Some(Call::Function(function)) => ToolCallDelta {
            r#type: Some("function".to_owned()),
            function: Some(FunctionCallDelta {
                name: Some(function.name.clone()),
                arguments: Some(function.arguments.clone()),
                additional_members: function.additional_members.clone(),
            }),
            ..piece
        },
        Some(Call::Custom(custom)) => ToolCallDelta {
            r#type: Some("custom".to_owned()),
            custom: Some(CustomToolCallDelta {
                name: Some(custom.name.clone()),
                input: Some(custom.input.clone()),
                additional_members: custom.additional_members.clone(),
            }),
            ..piece
        },
        None => piece,
    }
}

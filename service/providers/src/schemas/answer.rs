//! An answer that came as the call of a tool.

use std::collections::BTreeMap;

use sabir_proto::v1::chat_completion_chunk::{Choice, Delta, ToolCallDelta};
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{ChatCompletion, ChatCompletionChunk, FinishReason};

/// Makes the calls of `tool` the texts that were asked for. A model that calls nothing has said what it has to say.
pub(super) fn complete(answer: &mut ChatCompletion, tool: &str) {
    for choice in &mut answer.choices {
        let Some(message) = &mut choice.message else { continue };
        let is_answer = |call: &Option<Call>| matches!(call, Some(Call::Function(function)) if function.name == tool);
        let Some(place) = message.tool_calls.iter().position(|call| is_answer(&call.call)) else { continue };
        if let Some(Call::Function(function)) = message.tool_calls.swap_remove(place).call {
            message.content = Some(function.arguments);
        }
        // A second call of the same tool is a second answer, for which nobody asked.
        message.tool_calls.retain(|call| !is_answer(&call.call));
        if message.tool_calls.is_empty() && choice.finish_reason == i32::from(FinishReason::ToolCalls) {
            choice.finish_reason = FinishReason::Stop.into();
        }
    }
}

/// The same, as the answer comes.
#[derive(Debug)]
pub(super) struct Called {
    tool: String,
    choices: BTreeMap<u32, State>,
}

/// What is known of a choice.
#[derive(Debug, Default)]
struct State {
    /// The index of the call that is the answer.
    call: Option<u32>,
    /// What was said beside it; the answer if nothing is called.
    said: String,
}

impl Called {
    /// An answer that is to come as a call of this tool.
    pub(super) fn new(tool: String) -> Self {
        Self { tool, choices: BTreeMap::new() }
    }

    /// The chunk as the caller gets it.
    pub(super) fn chunk(&mut self, mut chunk: ChatCompletionChunk) -> ChatCompletionChunk {
        for choice in &mut chunk.choices {
            let state = self.choices.entry(choice.index).or_default();
            state.choice(choice, &self.tool);
        }
        chunk
    }
}

impl State {
    fn choice(&mut self, choice: &mut Choice, tool: &str) {
        let delta = choice.delta.get_or_insert_default();
        if let Some(said) = delta.content.take() {
            self.said.push_str(&said);
        }
        let mut answer = String::new();
        delta.tool_calls.retain_mut(|piece| !self.takes(piece, tool, &mut answer));
        if choice.finish_reason != i32::from(FinishReason::Unspecified) {
            self.finish(delta, &mut choice.finish_reason);
        }
        if !answer.is_empty() {
            delta.content = Some(answer);
        }
    }

    /// Whether a piece belongs to the answer, which it is added to then.
    fn takes(&mut self, piece: &mut ToolCallDelta, tool: &str, answer: &mut String) -> bool {
        let index = piece.index.unwrap_or(0);
        let Some(function) = &mut piece.function else { return self.call == Some(index) };
        if self.call.is_none() && function.name.as_deref() == Some(tool) {
            self.call = Some(index);
        }
        let is_answer = self.call == Some(index);
        // A second call of the same tool is a second answer, for which nobody asked.
        let is_another = !is_answer && function.name.as_deref() == Some(tool);
        if is_answer {
            answer.push_str(function.arguments.as_deref().unwrap_or_default());
        }
        is_answer || is_another
    }

    fn finish(&mut self, delta: &mut Delta, reason: &mut i32) {
        if self.call.is_none() {
            delta.content = Some(std::mem::take(&mut self.said)).filter(|said| !said.is_empty());
        } else if *reason == i32::from(FinishReason::ToolCalls) {
            *reason = FinishReason::Stop.into();
        }
    }
}

//! A streamed answer, put together as it passes, so that it can be kept.

use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::chat_completion_chunk::{self, Delta, FunctionCallDelta, ToolCallDelta};
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatCompletion, ChatCompletionChunk, CustomToolCall, FinishReason, FunctionCall, ReasoningDetail, ResponseMessage,
    ToolCall,
};

use super::Lead;

/// The most choices and calls that are put together; an answer with more is not kept.
const MOST: u32 = 256;

/// Puts an answer together.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// Gone when the answer turns out to be one that is not kept.
    lead: Option<Lead>,
    answer: ChatCompletion,
    size: usize,
}

impl Recorder {
    /// Of an answer that may be kept.
    pub(crate) fn new(lead: Lead) -> Self {
        let answer = ChatCompletion { object: "chat.completion".to_owned(), ..ChatCompletion::default() };
        Self { lead: Some(lead), answer, size: 0 }
    }

    /// Notes a chunk.
    pub(crate) fn chunk(&mut self, chunk: &ChatCompletionChunk) {
        let Some(lead) = &self.lead else { return };
        // Longer than its texts by little; what is kept is weighed exactly.
        self.size += prost::Message::encoded_len(chunk) / 2;
        if self.size > lead.longest() || !self.note(chunk) {
            self.lead = None;
            self.answer = ChatCompletion::default();
        }
    }

    /// Keeps the answer, which has come to its normal end.
    pub(crate) fn finish(self) {
        if let Some(lead) = self.lead {
            lead.keep(&self.answer);
        }
    }

    /// Whether there was room for everything.
    fn note(&mut self, chunk: &ChatCompletionChunk) -> bool {
        let answer = &mut self.answer;
        if answer.id.is_empty() {
            answer.id.clone_from(&chunk.id);
        }
        if answer.created == 0 {
            answer.created = chunk.created;
        }
        if answer.model.is_empty() {
            answer.model.clone_from(&chunk.model);
        }
        let set = |to: &mut Option<String>, more: &Option<String>| {
            if more.is_some() {
                to.clone_from(more);
            }
        };
        set(&mut answer.service_tier, &chunk.service_tier);
        set(&mut answer.system_fingerprint, &chunk.system_fingerprint);
        if chunk.usage.is_some() {
            answer.usage.clone_from(&chunk.usage);
        }
        chunk.choices.iter().all(|choice| self.choice(choice))
    }

    fn choice(&mut self, piece: &chat_completion_chunk::Choice) -> bool {
        if piece.index >= MOST {
            return false;
        }
        let choices = &mut self.answer.choices;
        let place = match choices.iter().position(|choice| choice.index == piece.index) {
            Some(place) => place,
            None => {
                choices.push(Choice {
                    index: piece.index,
                    message: Some(ResponseMessage::default()),
                    ..Choice::default()
                });
                choices.len() - 1
            }
        };
        let choice = &mut choices[place];
        if piece.finish_reason() != FinishReason::Unspecified {
            choice.finish_reason = piece.finish_reason;
        }
        choice.additional_members.extend(piece.additional_members.clone());
        if let Some(logprobs) = &piece.logprobs {
            let all = choice.logprobs.get_or_insert_default();
            all.content.extend_from_slice(&logprobs.content);
            all.refusal.extend_from_slice(&logprobs.refusal);
        }
        match &piece.delta {
            Some(delta) => append(choice.message.get_or_insert_default(), delta),
            None => true,
        }
    }
}

fn append(message: &mut ResponseMessage, delta: &Delta) -> bool {
    let Delta {
        role,
        content,
        refusal,
        reasoning_content,
        tool_calls,
        function_call,
        annotations,
        audio,
        reasoning_details,
        additional_members,
    } = delta;
    if *role != 0 {
        message.role = *role;
    }
    add(&mut message.content, content);
    add(&mut message.refusal, refusal);
    add(&mut message.reasoning_content, reasoning_content);
    if let Some(FunctionCallDelta { name, arguments, .. }) = function_call {
        let call = message.function_call.get_or_insert_default();
        call.name.push_str(name.as_deref().unwrap_or_default());
        call.arguments.push_str(arguments.as_deref().unwrap_or_default());
    }
    message.annotations.extend_from_slice(annotations);
    reasoning_details.iter().for_each(|detail| think(&mut message.reasoning_details, detail));
    message.additional_members.extend(additional_members.clone());
    audio.is_none() && tool_calls.iter().all(|piece| call(&mut message.tool_calls, piece))
}

fn add(to: &mut Option<String>, more: &Option<String>) {
    if let Some(more) = more {
        to.get_or_insert_default().push_str(more);
    }
}

fn call(calls: &mut Vec<ToolCall>, piece: &ToolCallDelta) -> bool {
    let ToolCallDelta { index, id, r#type: _, function, custom, additional_members } = piece;
    let index = index.unwrap_or(0);
    if index >= MOST {
        return false;
    }
    let place = usize::try_from(index).unwrap_or(usize::MAX);
    if calls.len() <= place {
        calls.resize(place + 1, ToolCall::default());
    }
    let Some(call) = calls.get_mut(place) else { return false };
    if let Some(id) = id.as_ref().filter(|_| call.id.is_empty()) {
        call.id.clone_from(id);
    }
    call.additional_members.extend(additional_members.clone());
    if let Some(custom) = custom {
        let made = call.call.get_or_insert_with(|| Call::Custom(CustomToolCall::default()));
        if let Call::Custom(made) = made {
            made.name.push_str(custom.name.as_deref().unwrap_or_default());
            made.input.push_str(custom.input.as_deref().unwrap_or_default());
        }
    }
    if let Some(function) = function {
        let made = call.call.get_or_insert_with(|| Call::Function(FunctionCall::default()));
        if let Call::Function(made) = made {
            made.name.push_str(function.name.as_deref().unwrap_or_default());
            made.arguments.push_str(function.arguments.as_deref().unwrap_or_default());
        }
    }
    true
}

/// Adds a piece of a thought to the one that it belongs to.
fn think(thoughts: &mut Vec<ReasoningDetail>, piece: &ReasoningDetail) {
    let same = |thought: &ReasoningDetail| thought.index == piece.index && thought.r#type == piece.r#type;
    match thoughts.last_mut().filter(|thought| same(thought)) {
        None => thoughts.push(piece.clone()),
        Some(thought) => {
            add(&mut thought.text, &piece.text);
            add(&mut thought.summary, &piece.summary);
            add(&mut thought.data, &piece.data);
            for (to, from) in [
                (&mut thought.signature, &piece.signature),
                (&mut thought.id, &piece.id),
                (&mut thought.format, &piece.format),
            ] {
                if from.is_some() {
                    to.clone_from(from);
                }
            }
        }
    }
}

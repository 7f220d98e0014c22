//! Reads a streamed answer. Source: <https://docs.cohere.com/v2/docs/streaming>.

mod event;

use std::collections::BTreeMap;

use bytes::Bytes;
use sabir_proto::v1::chat_completion_chunk::{Choice, Delta, FunctionCallDelta, ToolCallDelta};
use sabir_proto::v1::{ChatCompletionChunk, Role};

use self::event::{Event, Piece};
use super::error;
use super::response::{call_id, finish_reason, json_text, likelihoods, not_one, thought};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::protocol::StreamDecoder;
use crate::sse::SseDecoder;

/// Reads server-sent events up to `message-end`.
pub(crate) struct EventDecoder {
    events: SseDecoder,
    answer: Begun,
    /// What has been read and not been handed out: the last event makes two chunks.
    usage: Option<ChatCompletionChunk>,
    ended: bool,
}

/// What is known of the answer.
#[derive(Default)]
struct Begun {
    model: String,
    id: String,
    /// Whether a chunk has said who speaks.
    announced: bool,
    thoughts: u32,
    tool_calls: u32,
    /// The calls that are being written, by the places of their blocks.
    open: BTreeMap<u32, Call>,
}

/// A call that is being written.
#[derive(Clone, Copy)]
struct Call {
    /// Its place among the calls.
    index: u32,
    has_arguments: bool,
}

impl EventDecoder {
    pub(super) fn new(model: String) -> Self {
        let answer = Begun { model, ..Begun::default() };
        Self { events: SseDecoder::default(), answer, usage: None, ended: false }
    }
}

impl Begun {
    /// What an event before the last says, as a chunk, if callers are told of it.
    fn translate(&mut self, kind: &str, event: Event<'_>) -> Option<ChatCompletionChunk> {
        let index = event.index.unwrap_or(0);
        let piece = event.delta.and_then(|delta| delta.message).unwrap_or_default();
        let logprobs = event.logprobs.map(|stretch| likelihoods([stretch]));
        let delta = match kind {
            "message-start" => {
                self.id = event.id.unwrap_or_default();
                Some(Delta::default()).filter(|_| !self.announced)
            }
            "content-start" | "content-delta" => self.content(kind == "content-start", piece),
            "tool-plan-delta" => {
                let plan = piece.tool_plan.filter(|plan| !plan.is_empty());
                plan.map(|plan| member("tool_plan", json_text(&plan)))
            }
            "tool-call-start" => Some(self.begin_call(index, piece)),
            "tool-call-delta" => self.go_on_calling(index, piece),
            "tool-call-end" => match self.open.remove(&index)? {
                // A call without arguments: clients expect an object.
                Call { index, has_arguments: false } => Some(arguments(index, "{}".to_owned())),
                _ => None,
            },
            "citation-start" => piece.citations.map(|citations| member("citations", citations.as_list())),
            // Ends of blocks, and events that are yet to be invented.
            _ => None,
        };
        if delta.is_none() && logprobs.is_none() {
            return None;
        }
        let choice = Choice { delta: Some(delta.unwrap_or_default()), logprobs, ..Choice::default() };
        Some(self.chunk(choice))
    }

    fn content(&mut self, starts: bool, piece: Piece<'_>) -> Option<Delta> {
        let content = piece.content.and_then(|content| content.0)?;
        if starts && content.r#type.as_deref() == Some("thinking") {
            self.thoughts += 1;
        }
        if let Some(text) = content.thinking.filter(|text| !text.is_empty()) {
            let detail = thought(text.clone(), self.thoughts.saturating_sub(1));
            return Some(Delta { reasoning_content: Some(text), reasoning_details: vec![detail], ..Delta::default() });
        }
        let text = content.text.filter(|text| !text.is_empty())?;
        Some(Delta { content: Some(text), ..Delta::default() })
    }

    fn begin_call(&mut self, block: u32, piece: Piece<'_>) -> Delta {
        let called = piece.tool_calls.and_then(|calls| calls.0).unwrap_or_default();
        let function = called.function.unwrap_or_default();
        let index = self.tool_calls;
        self.tool_calls += 1;
        let arguments = function.arguments.unwrap_or_default();
        self.open.insert(block, Call { index, has_arguments: !arguments.is_empty() });
        let call = ToolCallDelta {
            index: Some(index),
            id: Some(call_id(called.id, index, &self.id)),
            r#type: Some("function".to_owned()),
            function: Some(FunctionCallDelta {
                name: Some(function.name.unwrap_or_default()),
                arguments: Some(arguments),
                ..FunctionCallDelta::default()
            }),
            ..ToolCallDelta::default()
        };
        Delta { tool_calls: vec![call], ..Delta::default() }
    }

    fn go_on_calling(&mut self, block: u32, piece: Piece<'_>) -> Option<Delta> {
        let function = piece.tool_calls.and_then(|calls| calls.0)?.function?;
        let text = function.arguments.filter(|text| !text.is_empty())?;
        let call = self.open.get_mut(&block)?;
        call.has_arguments = true;
        Some(arguments(call.index, text))
    }

    /// A chunk of the answer. The first says who speaks.
    fn chunk(&mut self, mut choice: Choice) -> ChatCompletionChunk {
        if !self.announced {
            self.announced = true;
            choice.delta.get_or_insert_default().set_role(Role::Assistant);
        }
        ChatCompletionChunk { choices: vec![choice], ..self.bare() }
    }

    fn bare(&self) -> ChatCompletionChunk {
        ChatCompletionChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            model: self.model.clone(),
            ..ChatCompletionChunk::default()
        }
    }

    /// What the last event says: why the model stopped, and the token counts.
    fn end(&mut self, event: Event<'_>) -> Result<(ChatCompletionChunk, Option<ChatCompletionChunk>), UpstreamError> {
        let delta = event.delta.unwrap_or_default();
        let (reason, word) = finish_reason(delta.finish_reason.as_deref(), delta.error)?;
        let mut choice = Choice { delta: Some(Delta::default()), ..Choice::default() };
        choice.set_finish_reason(reason);
        choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
        let last = self.chunk(choice);
        let usage = delta.usage.map(|usage| usage.translate());
        Ok((last, usage.map(|usage| ChatCompletionChunk { usage: Some(usage), ..self.bare() })))
    }
}

/// A piece of a call's arguments.
fn arguments(index: u32, json: String) -> Delta {
    let function = FunctionCallDelta { arguments: Some(json), ..FunctionCallDelta::default() };
    let call = ToolCallDelta { index: Some(index), function: Some(function), ..ToolCallDelta::default() };
    Delta { tool_calls: vec![call], ..Delta::default() }
}

/// A member that our words have not.
fn member(name: &str, json: String) -> Delta {
    Delta { additional_members: [(name.to_owned(), json)].into(), ..Delta::default() }
}

impl StreamDecoder for EventDecoder {
    fn push(&mut self, piece: Bytes) {
        self.events.push(piece);
    }

    fn next_chunk(&mut self) -> Result<Option<ChatCompletionChunk>, UpstreamError> {
        if let Some(usage) = self.usage.take() {
            return Ok(Some(usage));
        }
        while !self.ended {
            let Some(sent) = self.events.next_event()? else { return Ok(None) };
            // What some servers end a stream with, as OpenAI's do; it says nothing of how the answer ended.
            if sent.data == "[DONE]" {
                continue;
            }
            let event: Event<'_> =
                serde_json::from_str(sent.data).map_err(|error| not_one("an event of a chat", &error))?;
            let kind = event.r#type.clone();
            match kind.as_deref().unwrap_or(sent.event_type) {
                "message-end" => {
                    let (last, usage) = self.answer.end(event)?;
                    self.usage = usage;
                    self.ended = true;
                    return Ok(Some(last));
                }
                "message" | "error" => return Err(error::read(None, sent.data.as_bytes())),
                kind => {
                    if let Some(chunk) = self.answer.translate(kind, event) {
                        return Ok(Some(chunk));
                    }
                }
            }
        }
        Ok(None)
    }

    fn ended(&self) -> bool {
        self.ended && self.usage.is_none()
    }

    fn finish(&mut self) -> Result<(), UpstreamError> {
        let place =
            if self.events.incomplete().is_empty() { "before message-end" } else { "in the middle of an event" };
        Err(UpstreamError::new(UpstreamErrorKind::Truncated, format!("the upstream's stream ended {place}")))
    }
}

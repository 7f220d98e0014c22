//! Reads a streamed answer.
//!
//! Source: <https://docs.claude.com/en/docs/build-with-claude/streaming>.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use sabir_proto::v1::chat_completion_chunk::{Choice, Delta, FunctionCallDelta, ToolCallDelta};
use sabir_proto::v1::{
    ChatCompletionChunk, ContentBlock, MessageDelta, MessageEvent, MessageUsage, ReasoningDetail, Role,
};
use transcode::json::Mode;

use super::response::{FORMAT, detail, finish_reason, json_text, not_one, verbatim};
use super::{Schema, error, usage};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::protocol::StreamDecoder;
use crate::sse::SseDecoder;

/// Reads server-sent events up to `message_stop`.
pub(crate) struct EventDecoder {
    schema: Schema,
    events: SseDecoder,
    /// The wire form of the event being read; kept for its memory.
    wire: Vec<u8>,
    ended: bool,
    id: String,
    model: String,
    usage: MessageUsage,
    /// The blocks that are being written.
    open: BTreeMap<u32, Block>,
    tool_calls: u32,
    thoughts: u32,
}

/// A block that is being written, and its place among those of its kind.
enum Block {
    Text,
    Tool { index: u32, has_arguments: bool },
    Thought { index: u32 },
    Other,
}

impl EventDecoder {
    pub(super) fn new(schema: Schema) -> Self {
        Self {
            schema,
            events: SseDecoder::default(),
            wire: Vec::new(),
            ended: false,
            id: String::new(),
            model: String::new(),
            usage: MessageUsage::default(),
            open: BTreeMap::new(),
            tool_calls: 0,
            thoughts: 0,
        }
    }

    /// What an event says, as a chunk, if callers are told of it.
    fn translate(&mut self, event: MessageEvent) -> Option<ChatCompletionChunk> {
        let index = event.index.unwrap_or(0);
        match event.r#type.as_str() {
            "message_start" => {
                let message = event.message.unwrap_or_default();
                (self.id, self.model) = (message.id, message.model);
                usage::update(&mut self.usage, message.usage.unwrap_or_default());
                let delta = Delta { role: Role::Assistant.into(), ..Delta::default() };
                Some(self.chunk(Choice { delta: Some(delta), ..Choice::default() }))
            }
            "content_block_start" => {
                let delta = self.begin(index, event.content_block.unwrap_or_default())?;
                Some(self.said(delta))
            }
            "content_block_delta" => {
                let delta = self.go_on(index, event.delta.unwrap_or_default())?;
                Some(self.said(delta))
            }
            "content_block_stop" => match self.open.remove(&index)? {
                // A call without arguments: clients expect an object.
                Block::Tool { index, has_arguments: false } => Some(self.said(arguments(index, "{}".to_owned()))),
                _ => None,
            },
            "message_delta" => {
                usage::update(&mut self.usage, event.usage.unwrap_or_default());
                let delta = event.delta.unwrap_or_default();
                let (reason, word) = finish_reason(delta.stop_reason.as_deref());
                let mut choice = Choice { delta: Some(Delta::default()), ..Choice::default() };
                choice.set_finish_reason(reason);
                choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
                let stop = delta.stop_sequence.map(|text| ("stop_sequence".to_owned(), json_text(&text)));
                choice.additional_members.extend(stop);
                Some(self.chunk(choice))
            }
            "message_stop" => {
                self.ended = true;
                let usage = Some(usage::translate(&self.usage));
                let service_tier = self.usage.service_tier.take();
                Some(ChatCompletionChunk { usage, service_tier, choices: Vec::new(), ..self.chunk(Choice::default()) })
            }
            // Pings, and events that are yet to be invented: clients are asked to pass over them.
            _ => None,
        }
    }

    fn begin(&mut self, index: u32, block: ContentBlock) -> Option<Delta> {
        let (opened, delta) = match block.r#type.as_str() {
            "text" => {
                let said = block.text.filter(|text| !text.is_empty());
                (Block::Text, said.map(|text| Delta { content: Some(text), ..Delta::default() }))
            }
            "tool_use" => {
                let index = self.tool_calls;
                self.tool_calls += 1;
                let function =
                    FunctionCallDelta { name: block.name, arguments: Some(String::new()), ..Default::default() };
                let call = ToolCallDelta {
                    index: Some(index),
                    id: block.id,
                    r#type: Some("function".to_owned()),
                    function: Some(function),
                    ..ToolCallDelta::default()
                };
                let delta = Delta { tool_calls: vec![call], ..Delta::default() };
                (Block::Tool { index, has_arguments: false }, Some(delta))
            }
            "thinking" | "redacted_thinking" => {
                let index = self.thoughts;
                self.thoughts += 1;
                let says = block.data.is_some() || block.thinking.as_ref().is_some_and(|text| !text.is_empty());
                let delta = says.then(|| Delta {
                    reasoning_content: block.thinking.clone(),
                    reasoning_details: vec![detail(block, Some(index))],
                    ..Delta::default()
                });
                (Block::Thought { index }, delta)
            }
            _ => {
                let block = verbatim(&self.schema, &block).map(|block| ("content_block".to_owned(), block));
                let delta = Delta { additional_members: block.into_iter().collect(), ..Delta::default() };
                (Block::Other, Some(delta))
            }
        };
        self.open.insert(index, opened);
        delta
    }

    fn go_on(&mut self, index: u32, delta: MessageDelta) -> Option<Delta> {
        let block = self.open.get_mut(&index);
        if let Some(text) = delta.text {
            return Some(Delta { content: Some(text), ..Delta::default() });
        }
        match (block, delta.partial_json, delta.thinking, delta.signature) {
            (Some(Block::Tool { index, has_arguments }), Some(json), ..) => {
                *has_arguments |= !json.is_empty();
                (!json.is_empty()).then(|| arguments(*index, json))
            }
            (Some(Block::Thought { index }), _, Some(text), _) => {
                let detail = ReasoningDetail { text: Some(text.clone()), ..piece(*index) };
                Some(Delta { reasoning_content: Some(text), reasoning_details: vec![detail], ..Delta::default() })
            }
            (Some(Block::Thought { index }), _, _, Some(signature)) => {
                let detail = ReasoningDetail { signature: Some(signature), ..piece(*index) };
                Some(Delta { reasoning_details: vec![detail], ..Delta::default() })
            }
            _ => {
                let members = delta.additional_members;
                (!members.is_empty()).then(|| Delta { additional_members: members, ..Delta::default() })
            }
        }
    }

    fn said(&self, delta: Delta) -> ChatCompletionChunk {
        self.chunk(Choice { delta: Some(delta), ..Choice::default() })
    }

    fn chunk(&self, choice: Choice) -> ChatCompletionChunk {
        ChatCompletionChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            model: self.model.clone(),
            choices: vec![choice],
            ..ChatCompletionChunk::default()
        }
    }
}

/// A piece of a call's arguments.
fn arguments(index: u32, json: String) -> Delta {
    let function = FunctionCallDelta { arguments: Some(json), ..FunctionCallDelta::default() };
    let call = ToolCallDelta { index: Some(index), function: Some(function), ..ToolCallDelta::default() };
    Delta { tool_calls: vec![call], ..Delta::default() }
}

/// A piece of a thought.
fn piece(index: u32) -> ReasoningDetail {
    ReasoningDetail {
        r#type: "reasoning.text".to_owned(),
        format: Some(FORMAT.to_owned()),
        index: Some(index),
        ..ReasoningDetail::default()
    }
}

impl StreamDecoder for EventDecoder {
    fn push(&mut self, piece: Bytes) {
        self.events.push(piece);
    }

    fn next_chunk(&mut self) -> Result<Option<ChatCompletionChunk>, UpstreamError> {
        while !self.ended {
            let Some(event) = self.events.next_event()? else { return Ok(None) };
            if event.data.trim_ascii().is_empty() {
                continue;
            }
            let data = event.data.as_bytes();
            if event.event_type == "error" {
                return Err(error::read(None, data));
            }
            self.wire.clear();
            let read = self.schema.plans.read(self.schema.event, data, Mode::Lenient, &mut self.wire);
            read.map_err(|error| not_one("an event of a message", &error))?;
            let event =
                MessageEvent::decode(&self.wire[..]).map_err(|error| not_one("an event of a message", &error))?;
            if event.r#type == "error" {
                return Err(error::read(None, data));
            }
            if let Some(chunk) = self.translate(event) {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    fn ended(&self) -> bool {
        self.ended
    }

    fn finish(&mut self) -> Result<(), UpstreamError> {
        let place =
            if self.events.incomplete().is_empty() { "before message_stop" } else { "in the middle of an event" };
        Err(UpstreamError::new(UpstreamErrorKind::Truncated, format!("the upstream's stream ended {place}")))
    }
}

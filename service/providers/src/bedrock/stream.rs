//! Reads a streamed answer. Source:
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html>.
//!
//! Only calls of tools are begun by an event of their own; other blocks begin with their first piece. The last event is
//! `metadata`, after `messageStop`.

use std::collections::BTreeMap;

use bytes::Bytes;
use sabir_proto::v1::chat_completion_chunk::{Choice, Delta, FunctionCallDelta, ToolCallDelta};
use sabir_proto::v1::{ChatCompletionChunk, ReasoningDetail, Role};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error;
use super::frames::{Frame, Frames};
use super::response::{Tier, beside, finish_reason, not_one, piece};
use super::usage::{self, Usage};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::protocol::StreamDecoder;

/// The events that are known.
const EVENTS: [&str; 6] =
    ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"];

/// What is read, for messages.
const BEGINNING: &str = "the beginning of a block";
const PIECE: &str = "a piece of a block";

/// What an event may hold. Which event it is, is said beside.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    content_block_index: Option<u32>,
    #[serde(borrow)]
    start: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    stop_reason: Option<String>,
    usage: Option<Usage>,
    service_tier: Option<Tier>,
    #[serde(borrow)]
    trace: Option<&'a RawValue>,
    #[serde(borrow)]
    additional_model_response_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    tool_use: Option<ToolUse>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse {
    tool_use_id: Option<String>,
    name: Option<String>,
    /// There if the tool is the vendor's own, which runs it.
    r#type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    text: Option<String>,
    tool_use: Option<Arguments>,
    reasoning_content: Option<Thought>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Arguments {
    input: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thought {
    text: Option<String>,
    signature: Option<String>,
    redacted_content: Option<String>,
}

/// Reads messages up to `metadata`.
#[derive(Debug, Default)]
pub(crate) struct EventDecoder {
    frames: Frames,
    model: String,
    /// Whether a chunk has said who speaks.
    announced: bool,
    /// The blocks that are being written, as far as that matters.
    open: BTreeMap<u32, Block>,
    tool_calls: u32,
    thoughts: u32,
    /// Whether the model has stopped.
    stopped: bool,
    ended: bool,
}

/// A block that is being written, and its place among those of its kind.
#[derive(Clone, Copy, Debug)]
enum Block {
    Tool { index: u32, has_arguments: bool },
    Thought { index: u32 },
}

impl EventDecoder {
    pub(super) fn new(model: String) -> Self {
        Self { model, ..Self::default() }
    }

    /// What an event says, as a chunk, if callers are told of it.
    fn translate(&mut self, name: &str, payload: &[u8]) -> Result<Option<ChatCompletionChunk>, UpstreamError> {
        // Events that are yet to be invented may hold anything.
        if !EVENTS.contains(&name) {
            return Ok(None);
        }
        let event: Event<'_> =
            serde_json::from_slice(payload).map_err(|error| not_one("an event of a chat", &error))?;
        let block = event.content_block_index.unwrap_or(0);
        let delta = match name {
            "messageStart" => Some(Delta::default()).filter(|_| !self.announced),
            "contentBlockStart" => event.start.map(|start| self.begin(block, start)).transpose()?.flatten(),
            "contentBlockDelta" => event.delta.map(|said| self.go_on(block, said)).transpose()?.flatten(),
            "contentBlockStop" => match self.open.remove(&block) {
                // A call without arguments: clients expect an object.
                Some(Block::Tool { index, has_arguments: false }) => Some(arguments(index, "{}".to_owned())),
                _ => None,
            },
            "messageStop" => {
                self.stopped = true;
                let (reason, word) = finish_reason(event.stop_reason.as_deref());
                let mut choice = Choice { delta: Some(Delta::default()), ..Choice::default() };
                choice.set_finish_reason(reason);
                choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
                let additional_members = beside(None, event.additional_model_response_fields);
                return Ok(Some(ChatCompletionChunk { additional_members, ..self.chunk(choice) }));
            }
            "metadata" => {
                self.ended = self.stopped;
                return Ok(Some(ChatCompletionChunk {
                    usage: Some(usage::translate(event.usage.unwrap_or_default())),
                    service_tier: event.service_tier.and_then(|tier| tier.r#type),
                    additional_members: beside(event.trace, None),
                    ..self.bare()
                }));
            }
            _ => None,
        };
        Ok(delta.map(|delta| self.chunk(Choice { delta: Some(delta), ..Choice::default() })))
    }

    /// What our words cannot say of a block, such as that a tool of the vendor's own is run, is passed on as it stands.
    fn begin(&mut self, block: u32, start: &RawValue) -> Result<Option<Delta>, UpstreamError> {
        let Start { tool_use } = serde_json::from_str(start.get()).map_err(|error| not_one(BEGINNING, &error))?;
        let Some(tool) = tool_use.filter(|tool| tool.r#type.is_none()) else {
            let is_empty = matches!(start.get(), "{}" | "null");
            return Ok((!is_empty).then(|| member("content_block", start.get().to_owned())));
        };
        let index = self.tool_calls;
        self.tool_calls += 1;
        self.open.insert(block, Block::Tool { index, has_arguments: false });
        let function = FunctionCallDelta { name: tool.name, arguments: Some(String::new()), ..Default::default() };
        let call = ToolCallDelta {
            index: Some(index),
            id: tool.tool_use_id,
            r#type: Some("function".to_owned()),
            function: Some(function),
            ..ToolCallDelta::default()
        };
        Ok(Some(Delta { tool_calls: vec![call], ..Delta::default() }))
    }

    fn go_on(&mut self, block: u32, delta: &RawValue) -> Result<Option<Delta>, UpstreamError> {
        let said: Said<'_> = serde_json::from_str(delta.get()).map_err(|error| not_one(PIECE, &error))?;
        Ok(match said {
            Said { text: Some(text), .. } => {
                (!text.is_empty()).then(|| Delta { content: Some(text), ..Delta::default() })
            }
            Said { reasoning_content: Some(thought), .. } => self.think(block, thought),
            Said { citation: Some(citation), .. } => Some(member("citations", format!("[{}]", citation.get()))),
            Said { tool_use: Some(Arguments { input }), .. } => match self.open.get_mut(&block) {
                Some(Block::Tool { index, has_arguments }) => {
                    let json = input.filter(|json| !json.is_empty());
                    *has_arguments |= json.is_some();
                    json.map(|json| arguments(*index, json))
                }
                // Of a tool of the vendor's own.
                _ => Some(member("content_block_delta", delta.get().to_owned())),
            },
            _ if matches!(delta.get(), "{}" | "null") => None,
            _ => Some(member("content_block_delta", delta.get().to_owned())),
        })
    }

    fn think(&mut self, block: u32, thought: Thought) -> Option<Delta> {
        let index = match self.open.get(&block) {
            Some(Block::Thought { index }) => *index,
            _ => {
                let index = self.thoughts;
                self.thoughts += 1;
                self.open.insert(block, Block::Thought { index });
                index
            }
        };
        let detail = piece(&self.model, index);
        match thought {
            Thought { redacted_content: Some(data), .. } => {
                let r#type = "reasoning.encrypted".to_owned();
                let detail = ReasoningDetail { r#type, data: Some(data), ..detail };
                Some(Delta { reasoning_details: vec![detail], ..Delta::default() })
            }
            Thought { text: Some(text), signature, .. } if !text.is_empty() => {
                let detail = ReasoningDetail { text: Some(text.clone()), signature, ..detail };
                Some(Delta { reasoning_content: Some(text), reasoning_details: vec![detail], ..Delta::default() })
            }
            Thought { signature: Some(signature), .. } => {
                let detail = ReasoningDetail { signature: Some(signature), ..detail };
                Some(Delta { reasoning_details: vec![detail], ..Delta::default() })
            }
            _ => None,
        }
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
            object: "chat.completion.chunk".to_owned(),
            model: self.model.clone(),
            ..ChatCompletionChunk::default()
        }
    }
}

/// A piece in the vendor's own words.
fn member(name: &str, json: String) -> Delta {
    Delta { additional_members: [(name.to_owned(), json)].into(), ..Delta::default() }
}

/// A piece of a call's arguments.
fn arguments(index: u32, json: String) -> Delta {
    let function = FunctionCallDelta { arguments: Some(json), ..FunctionCallDelta::default() };
    let call = ToolCallDelta { index: Some(index), function: Some(function), ..ToolCallDelta::default() };
    Delta { tool_calls: vec![call], ..Delta::default() }
}

impl StreamDecoder for EventDecoder {
    fn push(&mut self, piece: Bytes) {
        self.frames.push(&piece);
    }

    fn next_chunk(&mut self) -> Result<Option<ChatCompletionChunk>, UpstreamError> {
        while !self.ended {
            match self.frames.next_frame()? {
                None => return Ok(None),
                Some(Frame::Exception { name, payload }) => return Err(error::exception(&name, &payload)),
                Some(Frame::Error { code, message }) => return Err(error::unmodelled(&code, message)),
                Some(Frame::Event { name, payload }) => {
                    if let Some(chunk) = self.translate(&name, &payload)? {
                        return Ok(Some(chunk));
                    }
                }
            }
        }
        Ok(None)
    }

    fn ended(&self) -> bool {
        self.ended
    }

    fn finish(&mut self) -> Result<(), UpstreamError> {
        let place = if self.frames.is_within() { "in the middle of a message" } else { "before its last event" };
        Err(UpstreamError::new(UpstreamErrorKind::Truncated, format!("the upstream's stream ended {place}")))
    }
}

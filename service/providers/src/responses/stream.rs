//! Reads a streamed answer.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses-streaming>.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use prost::Message as _;
use sabir_proto::v1::chat_completion_chunk::{Choice, CustomToolCallDelta, Delta, FunctionCallDelta, ToolCallDelta};
use sabir_proto::v1::response_event::Logprobs;
use sabir_proto::v1::response_item::Content;
use sabir_proto::v1::{
    ChatCompletionChunk, ChoiceLogprobs, ModelResponse, ReasoningDetail, ResponseEvent, ResponseItem, ResponsePart,
    Role,
};
use transcode::json::Mode;

use super::essence::{self, Essence};
use super::response::{annotations, details, done, failed, finish_reason, not_one, thought, usage, verbatim};
use super::{FORMAT, ITEMS, Schema, error};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::protocol::StreamDecoder;
use crate::sse::SseDecoder;

/// The events that tell something; of the others not even the form matters.
const EVENTS: [&str; 13] = [
    "response.created",
    "response.output_text.delta",
    "response.refusal.delta",
    "response.reasoning_summary_text.delta",
    "response.reasoning_text.delta",
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
    "response.output_item.done",
    "response.completed",
    "response.incomplete",
    "response.failed",
    "error",
];

/// Reads server-sent events up to `response.completed` or `response.incomplete`.
pub(crate) struct EventDecoder {
    schema: Schema,
    events: SseDecoder,
    /// The wire form of the event being read; kept for its memory.
    wire: Vec<u8>,
    /// What has been read and not been handed out: the last event makes two chunks.
    ready: VecDeque<ChatCompletionChunk>,
    ended: bool,
    answer: Begun,
}

/// What is known of the answer.
#[derive(Default)]
struct Begun {
    id: String,
    model: String,
    created: i64,
    announced: bool,
    /// The calls by their items' places: their numbers, and whether anything of what they are given has come.
    calls: BTreeMap<u32, (u32, bool)>,
    /// Whether an item that has been told said a thought: the next is set apart from it.
    has_thought: bool,
    /// The thought that is being told: its item's and its part's place, and whether it is a summary.
    thought: Option<(u32, u32, bool)>,
    /// Whether pieces of a message, or of a thought, have been told that is not yet done. Items are told one after the
    /// other; their places are not relied on, which some servers give differently in pieces and at the end.
    message_heard: bool,
    thought_heard: bool,
}

impl EventDecoder {
    pub(super) fn new(schema: Schema) -> Self {
        Self {
            schema,
            events: SseDecoder::default(),
            wire: Vec::new(),
            ready: VecDeque::new(),
            ended: false,
            answer: Begun::default(),
        }
    }
}

impl Begun {
    fn begin(&mut self, response: &ModelResponse) {
        self.id.clone_from(&response.id);
        self.model.clone_from(&response.model);
        self.created = response.created_at;
    }

    fn chunk(&self, choices: Vec<Choice>) -> ChatCompletionChunk {
        ChatCompletionChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.created,
            model: self.model.clone(),
            choices,
            ..ChatCompletionChunk::default()
        }
    }

    fn said(&mut self, mut delta: Delta, logprobs: Option<ChoiceLogprobs>) -> ChatCompletionChunk {
        if !std::mem::replace(&mut self.announced, true) {
            delta.set_role(Role::Assistant);
        }
        self.chunk(vec![Choice { delta: Some(delta), logprobs, ..Choice::default() }])
    }

    /// A piece of a thought: a text of the item's summary, or of its content.
    fn think(&mut self, event: &ResponseEvent, text: String, is_summary: bool) -> Delta {
        let (item, part) = (event.output_index.unwrap_or(0), event.summary_index.or(event.content_index).unwrap_or(0));
        let this = Some((item, part, is_summary));
        let is_other = std::mem::replace(&mut self.thought, this) != this;
        self.thought_heard = true;
        let apart = is_other && std::mem::replace(&mut self.has_thought, true);
        let kind = if is_summary { "reasoning.summary" } else { "reasoning.text" };
        let detail = ReasoningDetail {
            r#type: kind.to_owned(),
            text: (!is_summary).then(|| text.clone()),
            summary: is_summary.then(|| text.clone()),
            id: event.item_id.clone(),
            format: Some(FORMAT.to_owned()),
            index: Some(item),
            ..ReasoningDetail::default()
        };
        let reasoning_content = Some(if apart { format!("\n\n{text}") } else { text });
        Delta { reasoning_content, reasoning_details: vec![detail], ..Delta::default() }
    }

    /// An item has begun: calls say who is called.
    fn added(&mut self, place: u32, item: ResponseItem) -> Option<Delta> {
        let number = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
        let ResponseItem { r#type, id, call_id, name, arguments, input, .. } = item;
        let call = ToolCallDelta { index: Some(number), id: call_id.or(id), ..ToolCallDelta::default() };
        let call = match r#type.as_deref() {
            Some("function_call") => {
                let arguments = arguments.unwrap_or_default();
                self.calls.insert(place, (number, !arguments.is_empty()));
                let function = FunctionCallDelta { name, arguments: Some(arguments), ..FunctionCallDelta::default() };
                ToolCallDelta { r#type: Some("function".to_owned()), function: Some(function), ..call }
            }
            Some("custom_tool_call") => {
                let input = input.unwrap_or_default();
                self.calls.insert(place, (number, !input.is_empty()));
                let custom = CustomToolCallDelta { name, input: Some(input), ..CustomToolCallDelta::default() };
                ToolCallDelta { r#type: Some("custom".to_owned()), custom: Some(custom), ..call }
            }
            _ => return None,
        };
        Some(Delta { tool_calls: vec![call], ..Delta::default() })
    }

    /// A piece of what a call is given.
    fn given(&mut self, place: u32, text: String, is_custom: bool) -> Option<Delta> {
        let (number, has_begun) = self.calls.get_mut(&place)?;
        *has_begun = true;
        let call = ToolCallDelta { index: Some(*number), ..ToolCallDelta::default() };
        let call = if is_custom {
            let custom = CustomToolCallDelta { input: Some(text), ..CustomToolCallDelta::default() };
            ToolCallDelta { custom: Some(custom), ..call }
        } else {
            let function = FunctionCallDelta { arguments: Some(text), ..FunctionCallDelta::default() };
            ToolCallDelta { function: Some(function), ..call }
        };
        Some(Delta { tool_calls: vec![call], ..Delta::default() })
    }

    /// An item is done: what of it has not been told is told now.
    fn done(&mut self, schema: &Schema, place: u32, item: ResponseItem, unread: Option<String>) -> Option<Delta> {
        match item.r#type.as_deref() {
            Some("function_call") => match self.calls.get(&place) {
                None => {
                    let mut delta = self.added(place, item)?;
                    complete_arguments(&mut delta);
                    Some(delta)
                }
                Some((_, true)) => None,
                // A call without arguments: clients expect an object.
                Some((_, false)) => {
                    let arguments = item.arguments.filter(|json| !json.is_empty());
                    self.given(place, arguments.unwrap_or_else(|| "{}".to_owned()), false)
                }
            },
            Some("custom_tool_call") => match self.calls.get(&place) {
                None => self.added(place, item),
                Some((_, true)) => None,
                Some((_, false)) => self.given(place, item.input.filter(|text| !text.is_empty())?, true),
            },
            Some("reasoning") => self.thought(place, item),
            Some("message") => self.message(item),
            _ => {
                let json = format!("[{}]", unread.or_else(|| verbatim(schema, &item))?);
                Some(Delta { additional_members: [(ITEMS.to_owned(), json)].into(), ..Delta::default() })
            }
        }
    }

    /// A thought is done: its seal, and its texts unless they have been told piece by piece.
    fn thought(&mut self, place: u32, item: ResponseItem) -> Option<Delta> {
        let mut details = details(item, Some(place));
        if std::mem::take(&mut self.thought_heard) {
            details.retain(|detail| detail.data.is_some());
        }
        let text = thought(&details);
        let apart = text.is_some() && std::mem::replace(&mut self.has_thought, true);
        let reasoning_content = text.map(|text| if apart { format!("\n\n{text}") } else { text });
        (!details.is_empty()).then(|| Delta { reasoning_content, reasoning_details: details, ..Delta::default() })
    }

    /// A message is done: its sources, and its texts unless they have been told piece by piece.
    fn message(&mut self, item: ResponseItem) -> Option<Delta> {
        let heard = std::mem::take(&mut self.message_heard);
        let Some(Content::ContentParts(parts)) = item.content else { return None };
        let mut delta = Delta::default();
        for ResponsePart { text, refusal, annotations: sources, .. } in parts.parts {
            if !heard {
                add(&mut delta.content, &text.unwrap_or_default());
                add(&mut delta.refusal, &refusal.unwrap_or_default());
            }
            delta.annotations.extend(sources.into_iter().flat_map(annotations));
        }
        (delta != Delta::default()).then_some(delta)
    }
}

/// A text, if there is more of it than nothing.
fn add(text: &mut Option<String>, more: &str) {
    if !more.is_empty() {
        text.get_or_insert_default().push_str(more);
    }
}

fn complete_arguments(delta: &mut Delta) {
    for call in &mut delta.tool_calls {
        if let Some(arguments) = call.function.as_mut().and_then(|function| function.arguments.as_mut())
            && arguments.is_empty()
        {
            arguments.push_str("{}");
        }
    }
}

fn parse(schema: &Schema, wire: &mut Vec<u8>, json: &[u8]) -> Result<ResponseEvent, UpstreamError> {
    wire.clear();
    let read = schema.plans.read(schema.event, json, Mode::Lenient, wire);
    read.map_err(|error| not_one("an event of a response", &error))?;
    ResponseEvent::decode(&wire[..]).map_err(|error| not_one("an event of a response", &error))
}

impl StreamDecoder for EventDecoder {
    fn push(&mut self, piece: Bytes) {
        self.events.push(piece);
    }

    fn next_chunk(&mut self) -> Result<Option<ChatCompletionChunk>, UpstreamError> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            if self.ended {
                return Ok(None);
            }
            let Some(event) = self.events.next_event()? else { return Ok(None) };
            if event.data.is_empty() {
                continue;
            }
            let data = event.data.as_bytes();
            let (mut said, unread) = match parse(&self.schema, &mut self.wire, data) {
                Ok(said) => (said, None),
                Err(error) => match essence::kind(data).as_deref() {
                    Some("error") => return Err(error::read_event(data)),
                    Some(kind) if !EVENTS.contains(&kind) => continue,
                    _ => {
                        let Essence { json, mut others } = essence::of_event(data).ok_or(error)?;
                        (parse(&self.schema, &mut self.wire, &json)?, others.remove(&0))
                    }
                },
            };
            let place = said.output_index.unwrap_or(0);
            let mut logprobs = None;
            let delta = match said.r#type.as_str() {
                "response.created" => {
                    self.answer.begin(&said.response.take().unwrap_or_default());
                    Some(Delta::default())
                }
                "response.output_text.delta" => {
                    self.answer.message_heard = true;
                    let tokens = said.logprobs.take().map(|Logprobs::TokenLogprobs(list)| list.tokens);
                    logprobs = tokens
                        .filter(|tokens| !tokens.is_empty())
                        .map(|content| ChoiceLogprobs { content, ..ChoiceLogprobs::default() });
                    said.delta.take().map(|text| Delta { content: Some(text), ..Delta::default() })
                }
                "response.refusal.delta" => {
                    self.answer.message_heard = true;
                    said.delta.take().map(|text| Delta { refusal: Some(text), ..Delta::default() })
                }
                "response.reasoning_summary_text.delta" => {
                    said.delta.take().map(|text| self.answer.think(&said, text, true))
                }
                "response.reasoning_text.delta" => said.delta.take().map(|text| self.answer.think(&said, text, false)),
                "response.output_item.added" => said.item.take().and_then(|item| self.answer.added(place, item)),
                "response.function_call_arguments.delta" => {
                    said.delta.take().and_then(|text| self.answer.given(place, text, false))
                }
                "response.custom_tool_call_input.delta" => {
                    said.delta.take().and_then(|text| self.answer.given(place, text, true))
                }
                "response.output_item.done" => {
                    said.item.take().and_then(|item| self.answer.done(&self.schema, place, item, unread))
                }
                "response.completed" | "response.incomplete" => {
                    let response = said.response.take().unwrap_or_default();
                    if let Some(error) = failed(&response) {
                        return Err(error);
                    }
                    self.ended = true;
                    if self.answer.id.is_empty() {
                        self.answer.begin(&response);
                    }
                    let mut last = self.answer.said(Delta::default(), None);
                    for choice in &mut last.choices {
                        let (reason, word) = finish_reason(&response);
                        choice.set_finish_reason(reason.unwrap_or_else(|| done(!self.answer.calls.is_empty())));
                        choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
                    }
                    self.ready.push_back(last);
                    if let Some(spent) = response.usage {
                        let usage = Some(usage(spent));
                        let service_tier = response.service_tier;
                        self.ready.push_back(ChatCompletionChunk {
                            usage,
                            service_tier,
                            ..self.answer.chunk(Vec::new())
                        });
                    }
                    continue;
                }
                "response.failed" => {
                    let response = said.response.take().unwrap_or_default();
                    return Err(failed(&response).unwrap_or_else(|| error::of(None, None, None)));
                }
                "error" => return Err(error::read_event(data)),
                // Progress that is also told otherwise, and events that are yet to be invented.
                _ => None,
            };
            if let Some(delta) = delta {
                return Ok(Some(self.answer.said(delta, logprobs)));
            }
        }
    }

    fn ended(&self) -> bool {
        self.ended && self.ready.is_empty()
    }

    fn finish(&mut self) -> Result<(), UpstreamError> {
        let place = if self.events.incomplete().is_empty() {
            "before it said that the answer was complete"
        } else {
            "in the middle of an event"
        };
        Err(UpstreamError::new(UpstreamErrorKind::Truncated, format!("the upstream's stream ended {place}")))
    }
}

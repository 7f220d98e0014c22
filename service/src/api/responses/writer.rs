//! Writes the events of an answer, item by item.
//!
//! A thought or a message is done when something else begins; a call is, too, if its arguments are whole by then. One whose
//! arguments are not stays open beside the next, for some servers send the pieces of several calls in turn.

use std::collections::VecDeque;

use sabir_proto::v1::chat_completion_chunk::{Choice, ToolCallDelta};
use sabir_proto::v1::response_event::Logprobs;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatCompletionChunk, CustomToolCall, FinishReason, FunctionCall, ModelResponse, ReasoningDetail,
    ResponseAnnotation, ResponseEvent, ResponseItem, ResponsePart, TokenLogprob, TokenLogprobs, ToolCall,
};

use super::{answer, thought};

/// Writes events into a queue, which holds those of one chunk.
pub(super) struct Writer {
    events: VecDeque<ResponseEvent>,
    /// The answer as far as it is done.
    response: ModelResponse,
    /// The completion's name, of which those of items are made.
    completion: String,
    started: bool,
    /// The items that are being written: one, or several calls.
    open: Vec<Open>,
    /// How many items have begun.
    items: u32,
    /// Those that are done, with their places.
    done: Vec<(u32, ResponseItem)>,
    reason: FinishReason,
    sequence: u32,
}

/// An item that is being written.
struct Open {
    id: String,
    place: u32,
    item: Item,
}

enum Item {
    Thought(Thought),
    Message(Vec<Part>),
    Call { index: u32, call: ToolCall },
}

struct Thought {
    details: Vec<ReasoningDetail>,
    /// The part that is being written: its text so far, whether it is a summary, and its place.
    part: Option<(String, bool, u32)>,
    texts: u32,
    summaries: u32,
}

/// A part of a message; only the last one is being written.
struct Part {
    text: String,
    is_refusal: bool,
    annotations: Vec<ResponseAnnotation>,
    logprobs: Vec<TokenLogprob>,
}

impl Writer {
    pub(super) fn new(echo: ModelResponse) -> Self {
        Self {
            events: VecDeque::new(),
            response: echo,
            completion: String::new(),
            started: false,
            open: Vec::new(),
            items: 0,
            done: Vec::new(),
            reason: FinishReason::Unspecified,
            sequence: 0,
        }
    }

    /// The next event, with its place in the stream.
    pub(super) fn next_event(&mut self) -> Option<ResponseEvent> {
        let mut event = self.events.pop_front()?;
        event.sequence_number = self.sequence;
        self.sequence = self.sequence.saturating_add(1);
        Some(event)
    }

    pub(super) fn chunk(&mut self, chunk: ChatCompletionChunk) {
        if !self.started {
            self.start(&chunk);
        }
        if let Some(usage) = chunk.usage {
            self.response.usage = Some(answer::usage(usage));
        }
        if chunk.service_tier.is_some() {
            self.response.service_tier = chunk.service_tier;
        }
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            self.choice(choice);
        }
    }

    /// The chunks have come to their normal end.
    pub(super) fn end(&mut self) {
        if !self.started {
            self.start(&ChatCompletionChunk::default());
        }
        self.close(|_| true);
        let (status, incomplete_details) = answer::status(self.reason);
        let mut response = std::mem::take(&mut self.response);
        self.done.sort_by_key(|(place, _)| *place);
        response.output = self.done.drain(..).map(|(_, item)| item).collect();
        response.status = status.to_owned();
        response.incomplete_details = incomplete_details;
        self.tell(ResponseEvent { response: Some(response), ..event(&format!("response.{status}")) });
    }

    fn tell(&mut self, event: ResponseEvent) {
        self.events.push_back(event);
    }

    fn start(&mut self, chunk: &ChatCompletionChunk) {
        self.started = true;
        self.completion.clone_from(&chunk.id);
        self.response.id = answer::response_id(&chunk.id);
        self.response.created_at = chunk.created;
        self.response.model.clone_from(&chunk.model);
        for kind in ["response.created", "response.in_progress"] {
            self.tell(ResponseEvent { response: Some(self.response.clone()), ..event(kind) });
        }
    }

    fn choice(&mut self, choice: Choice) {
        if choice.finish_reason() != FinishReason::Unspecified {
            self.reason = choice.finish_reason();
        }
        let logprobs = choice.logprobs.map(|logprobs| logprobs.content).unwrap_or_default();
        let Some(delta) = choice.delta else { return };
        let has_details = !delta.reasoning_details.is_empty();
        for detail in delta.reasoning_details {
            self.think(detail);
        }
        if let Some(text) = delta.reasoning_content.filter(|text| !has_details && !text.is_empty()) {
            self.think(ReasoningDetail { text: Some(text), index: Some(0), ..ReasoningDetail::default() });
        }
        if let Some(text) = delta.content.filter(|text| !text.is_empty()) {
            self.say(text, false, logprobs);
        }
        if let Some(text) = delta.refusal.filter(|text| !text.is_empty()) {
            self.say(text, true, Vec::new());
        }
        if let Some(Open { item: Item::Message(parts), .. }) = self.open.last_mut()
            && let Some(part) = parts.last_mut()
        {
            part.annotations.extend(delta.annotations.into_iter().map(answer::annotation));
        }
        for piece in delta.tool_calls {
            self.call(piece);
        }
    }

    /// Begins an item.
    fn open(&mut self, prefix: &str, item: Item) -> Open {
        let place = self.items;
        self.items += 1;
        let id = answer::item_id(prefix, &self.completion, usize::try_from(place).unwrap_or(usize::MAX));
        let open = Open { id, place, item };
        let added = ResponseItem { status: Some("in_progress".to_owned()), ..open.as_item("in_progress") };
        self.tell(ResponseEvent {
            output_index: Some(place),
            item: Some(added),
            ..event("response.output_item.added")
        });
        open
    }

    /// The last open item, if it is one of these; else all are ended, and there is none.
    fn go_on(&mut self, fits: impl Fn(&Item) -> bool) -> Option<Open> {
        match self.open.pop_if(|open| fits(&open.item)) {
            Some(open) => Some(open),
            None => {
                self.close(|_| true);
                None
            }
        }
    }

    /// Ends the open items that are of this kind.
    fn close(&mut self, ends: impl Fn(&Item) -> bool) {
        let (ending, open) = std::mem::take(&mut self.open).into_iter().partition(|open| ends(&open.item));
        self.open = open;
        let ending: Vec<Open> = ending;
        for mut open in ending {
            match &mut open.item {
                Item::Thought(thought) => {
                    if let Some(part) = thought.part.take() {
                        self.close_thought(&open, part);
                    }
                }
                Item::Message(parts) => {
                    if let Some(part) = parts.pop() {
                        let part = self.close_part(&open, part);
                        if let Item::Message(parts) = &mut open.item {
                            parts.push(part);
                        }
                    }
                }
                Item::Call { .. } => self.close_call(&open),
            }
            let item = open.as_item("completed");
            self.tell(ResponseEvent {
                output_index: Some(open.place),
                item: Some(item.clone()),
                ..event("response.output_item.done")
            });
            self.done.push((open.place, item));
        }
    }

    fn think(&mut self, detail: ReasoningDetail) {
        let of_this = |item: &Item| match item {
            Item::Thought(Thought { details, .. }) => {
                details.first().is_some_and(|first| thought::belong_together(first, &detail))
            }
            _ => false,
        };
        let mut open = match self.go_on(of_this) {
            Some(open) => open,
            None => {
                let details = vec![ReasoningDetail { text: None, summary: None, data: None, ..detail.clone() }];
                self.open("rs", Item::Thought(Thought { details, part: None, texts: 0, summaries: 0 }))
            }
        };
        if let Some((text, is_summary)) = thought::text(&detail) {
            self.write_thought(&mut open, text, is_summary);
        }
        if let Item::Thought(Thought { details, .. }) = &mut open.item {
            gather(details, detail);
        }
        self.open.push(open);
    }

    fn write_thought(&mut self, open: &mut Open, text: &str, is_summary: bool) {
        let Item::Thought(thought) = &mut open.item else { return };
        let other = thought.part.take_if(|(_, of_summary, _)| *of_summary != is_summary);
        if let Some(part) = other {
            self.close_thought(open, part);
        }
        let Item::Thought(thought) = &mut open.item else { return };
        let index = match &mut thought.part {
            Some((whole, _, index)) => {
                whole.push_str(text);
                *index
            }
            None => {
                let count = if is_summary { &mut thought.summaries } else { &mut thought.texts };
                let index = *count;
                *count += 1;
                thought.part = Some((text.to_owned(), is_summary, index));
                let (summary_index, content_index) = place_of(is_summary, index);
                let part = Some(ResponsePart { text: Some(String::new()), ..thought::part(thought_kind(is_summary)) });
                let added = open.event(thought_event(is_summary, "added"));
                self.tell(ResponseEvent { summary_index, content_index, part, ..added });
                index
            }
        };
        let (summary_index, content_index) = place_of(is_summary, index);
        let delta = open.event(thought_event(is_summary, "delta"));
        self.tell(ResponseEvent { summary_index, content_index, delta: Some(text.to_owned()), ..delta });
    }

    fn close_thought(&mut self, open: &Open, (text, is_summary, index): (String, bool, u32)) {
        let (summary_index, content_index) = place_of(is_summary, index);
        let done = open.event(thought_event(is_summary, "done"));
        self.tell(ResponseEvent { summary_index, content_index, text: Some(text.clone()), ..done });
        let part = Some(ResponsePart { text: Some(text), ..thought::part(thought_kind(is_summary)) });
        let done = open.event(thought_event(is_summary, "part.done"));
        self.tell(ResponseEvent { summary_index, content_index, part, ..done });
    }

    fn say(&mut self, text: String, is_refusal: bool, logprobs: Vec<TokenLogprob>) {
        let mut open = match self.go_on(|item| matches!(item, Item::Message(_))) {
            Some(open) => open,
            None => self.open("msg", Item::Message(Vec::new())),
        };
        let other = match &mut open.item {
            Item::Message(parts) => parts.pop_if(|part| part.is_refusal != is_refusal),
            _ => None,
        };
        let closed = other.map(|part| self.close_part(&open, part));
        let Item::Message(parts) = &mut open.item else { return };
        parts.extend(closed);
        let begins = parts.last().is_none_or(|part| part.is_refusal != is_refusal);
        if begins {
            parts.push(Part { text: String::new(), is_refusal, annotations: Vec::new(), logprobs: Vec::new() });
        }
        let content_index = u32::try_from(parts.len() - 1).ok();
        let Some(part) = parts.last_mut() else { return };
        let empty = begins.then(|| part.as_part());
        part.text.push_str(&text);
        part.logprobs.extend_from_slice(&logprobs);
        if empty.is_some() {
            let added = open.event("response.content_part.added");
            self.tell(ResponseEvent { content_index, part: empty, ..added });
        }
        let kind = if is_refusal { "response.refusal.delta" } else { "response.output_text.delta" };
        let logprobs = (!is_refusal).then_some(Logprobs::TokenLogprobs(TokenLogprobs { tokens: logprobs }));
        let delta = open.event(kind);
        self.tell(ResponseEvent { content_index, delta: Some(text), logprobs, ..delta });
        self.open.push(open);
    }

    /// Ends a part that has been taken out of its message, after those that are still in it.
    fn close_part(&mut self, open: &Open, part: Part) -> Part {
        let before = if let Item::Message(parts) = &open.item { parts.len() } else { 0 };
        let content_index = u32::try_from(before).ok();
        let text = Some(part.text.clone());
        let done = if part.is_refusal {
            ResponseEvent { refusal: text, ..open.event("response.refusal.done") }
        } else {
            let logprobs = Logprobs::TokenLogprobs(TokenLogprobs { tokens: part.logprobs.clone() });
            ResponseEvent { text, logprobs: Some(logprobs), ..open.event("response.output_text.done") }
        };
        self.tell(ResponseEvent { content_index, ..done });
        let done = open.event("response.content_part.done");
        self.tell(ResponseEvent { content_index, part: Some(part.as_part()), ..done });
        part
    }

    fn call(&mut self, piece: ToolCallDelta) {
        let ToolCallDelta { index, id, function, custom, .. } = piece;
        let wanted = index.unwrap_or(0);
        let is_this = |open: &Open| matches!(open.item, Item::Call { index, .. } if index == wanted);
        let place = match self.open.iter().position(is_this) {
            Some(place) => place,
            None => {
                self.close(|item| item.is_whole());
                let prefix = if custom.is_some() { "ctc" } else { "fc" };
                let call = match &custom {
                    Some(custom) => {
                        let name = custom.name.clone().unwrap_or_default();
                        Call::Custom(CustomToolCall { name, ..CustomToolCall::default() })
                    }
                    None => {
                        let name = function.as_ref().and_then(|function| function.name.clone()).unwrap_or_default();
                        Call::Function(FunctionCall { name, ..FunctionCall::default() })
                    }
                };
                let call = ToolCall { id: id.unwrap_or_default(), call: Some(call), ..ToolCall::default() };
                let open = self.open(prefix, Item::Call { index: wanted, call });
                self.open.push(open);
                self.open.len() - 1
            }
        };
        let Some(open) = self.open.get_mut(place) else { return };
        let Item::Call { call, .. } = &mut open.item else { return };
        let (kind, text) = match &mut call.call {
            Some(Call::Custom(call)) => {
                let text = custom.and_then(|custom| custom.input).unwrap_or_default();
                call.input.push_str(&text);
                ("response.custom_tool_call_input.delta", text)
            }
            Some(Call::Function(call)) => {
                let text = function.and_then(|function| function.arguments).unwrap_or_default();
                call.arguments.push_str(&text);
                ("response.function_call_arguments.delta", text)
            }
            None => return,
        };
        if !text.is_empty() {
            let delta = open.event(kind);
            self.tell(ResponseEvent { delta: Some(text), ..delta });
        }
    }

    fn close_call(&mut self, open: &Open) {
        let Item::Call { call, .. } = &open.item else { return };
        let done = match &call.call {
            Some(Call::Custom(custom)) => {
                let input = Some(custom.input.clone());
                ResponseEvent { input, ..open.event("response.custom_tool_call_input.done") }
            }
            Some(Call::Function(function)) => ResponseEvent {
                arguments: Some(function.arguments.clone()),
                name: Some(function.name.clone()),
                ..open.event("response.function_call_arguments.done")
            },
            None => return,
        };
        self.tell(done);
    }
}

impl Item {
    /// Whether nothing more can come of it: a call whose arguments are whole, and whatever is no call.
    fn is_whole(&self) -> bool {
        match self {
            Self::Call { call: ToolCall { call: Some(Call::Function(function)), .. }, .. } => {
                serde_json::from_str::<serde::de::IgnoredAny>(&function.arguments).is_ok()
            }
            Self::Call { .. } => false,
            Self::Thought(_) | Self::Message(_) => true,
        }
    }
}

impl Open {
    /// An event of the item.
    fn event(&self, kind: &str) -> ResponseEvent {
        ResponseEvent { output_index: Some(self.place), item_id: Some(self.id.clone()), ..event(kind) }
    }

    fn as_item(&self, status: &str) -> ResponseItem {
        match &self.item {
            Item::Thought(thought) => thought::item(&thought.details, &self.id),
            Item::Message(parts) => {
                answer::said_item(self.id.clone(), parts.iter().map(Part::as_part).collect(), status)
            }
            Item::Call { call, .. } => answer::call_item(self.id.clone(), call.clone(), status),
        }
    }
}

impl Part {
    fn as_part(&self) -> ResponsePart {
        if self.is_refusal {
            return ResponsePart { refusal: Some(self.text.clone()), ..thought::part("refusal") };
        }
        answer::output_text(self.text.clone(), self.annotations.clone(), self.logprobs.clone())
    }
}

/// Adds a piece to those of its thought: texts of one kind become one.
fn gather(details: &mut Vec<ReasoningDetail>, piece: ReasoningDetail) {
    let Some(last) = details.iter_mut().find(|detail| detail.r#type == piece.r#type) else {
        details.push(piece);
        return;
    };
    for (whole, more) in
        [(&mut last.text, piece.text), (&mut last.summary, piece.summary), (&mut last.data, piece.data)]
    {
        if let Some(more) = more {
            whole.get_or_insert_default().push_str(&more);
        }
    }
    last.signature = last.signature.take().or(piece.signature);
    last.format = last.format.take().or(piece.format);
    last.id = last.id.take().or(piece.id);
}

/// What a part of a thought is called.
fn thought_kind(is_summary: bool) -> &'static str {
    if is_summary { "summary_text" } else { "reasoning_text" }
}

/// The events of a part of a thought.
fn thought_event(is_summary: bool, what: &str) -> &'static str {
    match (is_summary, what) {
        (true, "added") => "response.reasoning_summary_part.added",
        (true, "delta") => "response.reasoning_summary_text.delta",
        (true, "done") => "response.reasoning_summary_text.done",
        (true, _) => "response.reasoning_summary_part.done",
        (false, "added") => "response.content_part.added",
        (false, "delta") => "response.reasoning_text.delta",
        (false, "done") => "response.reasoning_text.done",
        (false, _) => "response.content_part.done",
    }
}

/// The place of a part of a thought, in the summary or in the content.
fn place_of(is_summary: bool, index: u32) -> (Option<u32>, Option<u32>) {
    if is_summary { (Some(index), None) } else { (None, Some(index)) }
}

fn event(kind: &str) -> ResponseEvent {
    ResponseEvent { r#type: kind.to_owned(), ..ResponseEvent::default() }
}

#[cfg(test)]
mod tests;

//! Chunks of a chat completion as the events of an answer in Anthropic's form.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use sabir_proto::v1::chat_completion_chunk::{Choice, ToolCallDelta};
use sabir_proto::v1::{
    ChatCompletionChunk, ContentBlock, FinishReason, MessageDelta, MessageEvent, MessageResponse, MessageUsage,
    ReasoningDetail,
};
use tonic::Status;

use super::answer;
use crate::structured::Answering;

/// The events. It ends with `message_stop` only if the chunks came to their normal end.
pub(crate) struct Events {
    chunks: Answering,
    writer: Writer,
    ended: bool,
}

impl Events {
    pub(super) fn new(chunks: Answering) -> Self {
        Self { chunks, writer: Writer::default(), ended: false }
    }
}

impl Stream for Events {
    type Item = Result<MessageEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.writer.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut this.chunks).poll_next(context)) {
                Some(Ok(chunk)) => this.writer.chunk(chunk),
                Some(Err(status)) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
                None => {
                    this.ended = true;
                    this.writer.end();
                }
            }
        }
    }
}

/// Writes events into a queue, which holds those of one chunk.
#[derive(Default)]
struct Writer {
    events: VecDeque<MessageEvent>,
    started: bool,
    /// The block that is being written, and its place.
    open: Option<(Kind, u32)>,
    blocks: u32,
    /// Which call is written in which block.
    calls: Vec<(u32, u32)>,
    stop: Option<(String, Option<String>)>,
    usage: MessageUsage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// A thought of this index; of thoughts that come without one, there is one.
    Thought(Option<u32>),
    Tool(u32),
}

impl Writer {
    fn chunk(&mut self, chunk: ChatCompletionChunk) {
        if !self.started {
            self.start(&chunk);
        }
        if let Some(usage) = chunk.usage {
            self.usage = answer::usage(usage);
        }
        if chunk.service_tier.is_some() {
            self.usage.service_tier = chunk.service_tier;
        }
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            self.choice(choice);
        }
    }

    fn start(&mut self, chunk: &ChatCompletionChunk) {
        self.started = true;
        let nothing = MessageUsage { input_tokens: Some(0), output_tokens: Some(0), ..MessageUsage::default() };
        let message = MessageResponse {
            id: chunk.id.clone(),
            r#type: "message".to_owned(),
            role: "assistant".to_owned(),
            model: chunk.model.clone(),
            usage: Some(nothing),
            ..MessageResponse::default()
        };
        self.events.push_back(MessageEvent { message: Some(message), ..event("message_start") });
    }

    fn choice(&mut self, choice: Choice) {
        let said = |name: &str| choice.additional_members.get(name).map(String::as_str);
        let (word, stop) = (said("finish_reason").filter(|word| *word != "null"), said("stop_sequence"));
        let reason = choice.finish_reason();
        if reason != FinishReason::Unspecified || word.is_some() {
            self.stop = Some(answer::stop_reason(reason, word, stop));
        }
        let Some(delta) = choice.delta else { return };
        let has_details = !delta.reasoning_details.is_empty();
        for detail in delta.reasoning_details {
            self.thought(detail);
        }
        if let Some(text) = delta.reasoning_content.filter(|text| !has_details && !text.is_empty()) {
            self.thought(ReasoningDetail { text: Some(text), ..ReasoningDetail::default() });
        }
        for text in [delta.content, delta.refusal].into_iter().flatten().filter(|text| !text.is_empty()) {
            let index = self.switch(Kind::Text, || ContentBlock { text: Some(String::new()), ..answer::block("text") });
            self.delta(index, MessageDelta { text: Some(text), ..typed("text_delta") });
        }
        for piece in delta.tool_calls {
            self.tool(piece);
        }
    }

    fn thought(&mut self, detail: ReasoningDetail) {
        let kind = Kind::Thought(detail.index);
        if detail.data.is_some() {
            // Sealed thoughts come in one piece.
            let Some(block) = answer::thought(detail) else { return };
            self.close();
            self.switch(kind, || block);
            self.close();
            return;
        }
        let (text, signature) = (detail.text.or(detail.summary), detail.signature);
        let block = || ContentBlock {
            thinking: Some(String::new()),
            signature: Some(String::new()),
            ..answer::block("thinking")
        };
        let index = self.switch(kind, block);
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.delta(index, MessageDelta { thinking: Some(text), ..typed("thinking_delta") });
        }
        if signature.is_some() {
            self.delta(index, MessageDelta { signature, ..typed("signature_delta") });
        }
    }

    fn tool(&mut self, piece: ToolCallDelta) {
        let function = piece.function.unwrap_or_default();
        let custom = piece.custom.unwrap_or_default();
        let (id, additional_members) = (piece.id, piece.additional_members);
        let call = piece.index.unwrap_or(0);
        let begun = self.calls.iter().find(|(begun, _)| *begun == call).map(|(_, block)| *block);
        let index = begun.unwrap_or_else(|| {
            self.switch(Kind::Tool(call), || ContentBlock {
                id: Some(id.unwrap_or_default()),
                name: function.name.or(custom.name),
                input: "{}".to_owned(),
                additional_members,
                ..answer::block("tool_use")
            })
        });
        if begun.is_none() {
            self.calls.push((call, index));
        }
        if let Some(json) = function.arguments.filter(|json| !json.is_empty()) {
            self.delta(index, MessageDelta { partial_json: Some(json), ..typed("input_json_delta") });
        }
    }

    /// Goes on with a block of this kind, beginning it if it is not the one that is being written, and says its place.
    fn switch(&mut self, kind: Kind, block: impl FnOnce() -> ContentBlock) -> u32 {
        if let Some((_, index)) = self.open.filter(|(open, _)| *open == kind) {
            return index;
        }
        self.close();
        let index = self.blocks;
        self.blocks += 1;
        self.open = Some((kind, index));
        let content_block = Some(block());
        self.events.push_back(MessageEvent { index: Some(index), content_block, ..event("content_block_start") });
        index
    }

    fn close(&mut self) {
        if let Some((_, index)) = self.open.take() {
            self.events.push_back(MessageEvent { index: Some(index), ..event("content_block_stop") });
        }
    }

    fn delta(&mut self, index: u32, delta: MessageDelta) {
        self.events.push_back(MessageEvent { index: Some(index), delta: Some(delta), ..event("content_block_delta") });
    }

    fn end(&mut self) {
        if !self.started {
            self.start(&ChatCompletionChunk::default());
        }
        self.close();
        let (reason, stop_sequence) = self.stop.take().unwrap_or_else(|| ("end_turn".to_owned(), None));
        let delta = MessageDelta { stop_reason: Some(reason), stop_sequence, ..MessageDelta::default() };
        let usage = Some(std::mem::take(&mut self.usage));
        self.events.push_back(MessageEvent { delta: Some(delta), usage, ..event("message_delta") });
        self.events.push_back(event("message_stop"));
    }
}

fn event(kind: &str) -> MessageEvent {
    MessageEvent { r#type: kind.to_owned(), ..MessageEvent::default() }
}

fn typed(kind: &str) -> MessageDelta {
    MessageDelta { r#type: Some(kind.to_owned()), ..MessageDelta::default() }
}

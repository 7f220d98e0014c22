//! Reads a streamed answer.
//!
//! Each event is an answer of its own with what is new, and has the counts so far. Nothing marks the end but that every
//! candidate has said why it stopped. Source: <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use sabir_proto::v1::chat_completion_chunk::{AudioDelta, Choice, Delta, FunctionCallDelta, ToolCallDelta};
use sabir_proto::v1::{ChatCompletionChunk, CompletionUsage, Role};

use super::answer::{Answer, Candidate, not_one};
use super::parts::{self, Called, Piece, Reader};
use super::response::mime_type;
use super::{error, usage::Usage};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::protocol::StreamDecoder;
use crate::sse::SseDecoder;

/// Reads server-sent events up to the end of the body.
#[derive(Default)]
pub(crate) struct AnswerDecoder {
    events: SseDecoder,
    id: String,
    model: String,
    usage: Option<CompletionUsage>,
    tier: Option<String>,
    /// The candidates that have been seen.
    candidates: BTreeMap<u32, Progress>,
    ready: VecDeque<ChatCompletionChunk>,
}

/// How far a candidate has come.
#[derive(Default)]
struct Progress {
    reader: Reader,
    /// Whether the spoken answer has its name already.
    spoke: bool,
    finished: bool,
}

impl AnswerDecoder {
    /// Turns an event into chunks.
    fn take(&mut self, data: &str) -> Result<(), UpstreamError> {
        let answer: Answer<'_> =
            serde_json::from_str(data).map_err(|error| not_one("an event of a generated answer", &error))?;
        if answer.error.is_some() {
            return Err(error::read(None, data.as_bytes()));
        }
        answer.unless_blocked()?;
        let additional_members = answer.members();
        self.id = answer.response_id.unwrap_or_else(|| std::mem::take(&mut self.id));
        self.model = answer.model_version.unwrap_or_else(|| std::mem::take(&mut self.model));
        self.tier = answer.usage_metadata.as_ref().and_then(Usage::tier).or(self.tier.take());
        self.usage = answer.usage_metadata.as_ref().and_then(Usage::translate).or(self.usage.take());
        let choices: Vec<Choice> =
            answer.candidates.into_iter().filter_map(|candidate| self.choice(candidate)).collect();
        if !choices.is_empty() || !additional_members.is_empty() {
            self.ready.push_back(ChatCompletionChunk { choices, additional_members, ..self.chunk() });
        }
        if self.is_finished() {
            let usage = self.usage.take();
            let counts = usage.map(|usage| ChatCompletionChunk { usage: Some(usage), ..self.chunk() });
            self.ready.extend(counts);
        }
        Ok(())
    }

    /// What is new in a candidate, if anything is.
    fn choice(&mut self, mut candidate: Candidate<'_>) -> Option<Choice> {
        let index = candidate.index;
        let is_first = !self.candidates.contains_key(&index);
        let Progress { reader, spoke, finished } = self.candidates.entry(index).or_default();
        let mut delta = Delta::default();
        if is_first {
            delta.role = Role::Assistant.into();
        }
        let (mut own, mut images) = (Vec::new(), Vec::new());
        for piece in candidate.parts().into_iter().flat_map(|part| reader.read(part, &self.id, index)) {
            match piece {
                Piece::Text(text) => delta.content.get_or_insert_default().push_str(&text),
                Piece::Thought(text, detail) => {
                    delta.reasoning_content.get_or_insert_default().push_str(&text);
                    delta.reasoning_details.push(detail);
                }
                Piece::Seal(detail) => delta.reasoning_details.push(detail),
                Piece::Call(called) => delta.tool_calls.push(call(called)),
                Piece::Image(image) => images.push(image),
                Piece::Audio(blob) if delta.audio.is_some() => own.push(parts::inline(&blob)),
                Piece::Audio(blob) => {
                    delta.audio = Some(AudioDelta {
                        id: (!std::mem::replace(spoke, true)).then(|| format!("audio_{}", self.id)),
                        data: Some(blob.data),
                        additional_members: [mime_type(&blob.mime_type)].into(),
                        ..AudioDelta::default()
                    });
                }
                Piece::Own(part) => own.push(part),
            }
        }
        delta.additional_members.extend(parts::members(own, images));
        let mut choice = Choice {
            index,
            logprobs: candidate.logprobs(),
            additional_members: candidate.members(),
            ..Choice::default()
        };
        let finish = candidate.finish(reader.calls > 0);
        let says = finish.is_some() || choice.logprobs.is_some() || !choice.additional_members.is_empty();
        if let Some((reason, word)) = finish {
            *finished = true;
            choice.set_finish_reason(reason);
            choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
        }
        if !says && delta == Delta::default() {
            return None;
        }
        Some(Choice { delta: Some(delta), ..choice })
    }

    /// Whether every candidate has said why it stopped.
    fn is_finished(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.values().all(|candidate| candidate.finished)
    }

    fn chunk(&self) -> ChatCompletionChunk {
        ChatCompletionChunk {
            id: self.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            model: self.model.clone(),
            service_tier: self.tier.clone(),
            ..ChatCompletionChunk::default()
        }
    }
}

/// A whole call: they do not come in pieces.
fn call(called: Called) -> ToolCallDelta {
    let Called { index, id, name, arguments, extra } = called;
    let function = FunctionCallDelta { name: Some(name), arguments: Some(arguments), ..FunctionCallDelta::default() };
    ToolCallDelta {
        index: Some(index),
        id: Some(id),
        r#type: Some("function".to_owned()),
        function: Some(function),
        additional_members: extra.into_iter().collect(),
        ..ToolCallDelta::default()
    }
}

impl StreamDecoder for AnswerDecoder {
    fn push(&mut self, piece: Bytes) {
        self.events.push(piece);
    }

    fn next_chunk(&mut self) -> Result<Option<ChatCompletionChunk>, UpstreamError> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            let Some(event) = self.events.next_event()? else { return Ok(None) };
            if event.data.trim_ascii().is_empty() {
                continue;
            }
            // The event is borrowed from the decoder that turns it into chunks.
            let data = event.data.to_owned();
            self.take(&data)?;
        }
    }

    fn ended(&self) -> bool {
        false
    }

    fn finish(&mut self) -> Result<(), UpstreamError> {
        let place = match (self.events.incomplete().is_empty(), self.is_finished()) {
            (true, true) => return Ok(()),
            (true, false) => "before it said why the model stopped",
            (false, _) => "in the middle of an event",
        };
        Err(UpstreamError::new(UpstreamErrorKind::Truncated, format!("the upstream's stream ended {place}")))
    }
}

//! Reads a streamed answer: a line of JSON for each piece. Source: <https://docs.ollama.com/api/streaming>.

use bytes::Bytes;
use sabir_proto::v1::chat_completion_chunk::{Choice, Delta, FunctionCallDelta, ToolCallDelta};
use sabir_proto::v1::{ChatCompletionChunk, Role};

use super::response::{Answer, Called, finish_reason, name, thought};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::ndjson::NdjsonDecoder;
use crate::protocol::StreamDecoder;

/// Reads lines up to the one that is `done`.
#[derive(Default)]
pub(crate) struct LineDecoder {
    lines: NdjsonDecoder,
    answer: Begun,
    /// What has been read and not been handed out: the last line makes two chunks.
    usage: Option<ChatCompletionChunk>,
    ended: bool,
}

/// What is known of the answer.
#[derive(Default)]
struct Begun {
    /// Whether a chunk has said who speaks.
    announced: bool,
    id: String,
    digits: String,
    model: String,
    created: i64,
    tool_calls: usize,
}

impl Begun {
    /// What a line says, as a chunk, if callers are told of it.
    fn translate(&mut self, mut line: Answer<'_>) -> Option<ChatCompletionChunk> {
        let announces = !self.announced;
        if announces {
            self.announced = true;
            self.digits = line.digits();
            self.id = name(&self.digits);
            self.created = line.created();
            self.model = line.model.take().unwrap_or_default();
        }
        let said = line.message.take().unwrap_or_default();
        let thinking = said.thinking.filter(|text| !text.is_empty());
        let mut delta = Delta {
            content: said.content.filter(|text| !text.is_empty()),
            reasoning_details: thinking.clone().map(thought).into_iter().collect(),
            reasoning_content: thinking,
            tool_calls: said.tool_calls.unwrap_or_default().into_iter().map(|called| self.call(called)).collect(),
            ..Delta::default()
        };
        delta.additional_members.extend(said.images.map(|images| ("images".to_owned(), images.get().to_owned())));
        let logprobs = line.take_logprobs();
        if !announces && !line.done && logprobs.is_none() && delta == Delta::default() {
            return None;
        }
        if announces {
            delta.set_role(Role::Assistant);
        }
        let mut choice = Choice { delta: Some(delta), logprobs, ..Choice::default() };
        if line.done {
            let (reason, word) = finish_reason(line.done_reason.as_deref(), self.tool_calls > 0);
            choice.set_finish_reason(reason);
            choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
        }
        Some(self.chunk(vec![choice]))
    }

    /// A call, which comes in one piece.
    fn call(&mut self, called: Called<'_>) -> ToolCallDelta {
        let (id, name, arguments) = called.take(self.tool_calls, &self.digits);
        let index = u32::try_from(self.tool_calls).ok();
        self.tool_calls += 1;
        let function = FunctionCallDelta { name: Some(name), arguments: Some(arguments), ..Default::default() };
        ToolCallDelta {
            index,
            id: Some(id),
            r#type: Some("function".to_owned()),
            function: Some(function),
            ..ToolCallDelta::default()
        }
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
}

impl StreamDecoder for LineDecoder {
    fn push(&mut self, piece: Bytes) {
        self.lines.push(piece);
    }

    fn next_chunk(&mut self) -> Result<Option<ChatCompletionChunk>, UpstreamError> {
        if let Some(usage) = self.usage.take() {
            return Ok(Some(usage));
        }
        while !self.ended {
            let Some(line) = self.lines.next_line()? else { return Ok(None) };
            let line = Answer::read(line, "a line of a chat")?;
            self.ended = line.done;
            let (usage, durations) = if line.done { (line.usage(), line.durations()) } else { Default::default() };
            let chunk = self.answer.translate(line);
            self.usage = usage.map(|usage| ChatCompletionChunk {
                usage: Some(usage),
                additional_members: durations,
                ..self.answer.chunk(Vec::new())
            });
            if chunk.is_some() {
                return Ok(chunk);
            }
        }
        Ok(None)
    }

    fn ended(&self) -> bool {
        self.ended && self.usage.is_none()
    }

    fn finish(&mut self) -> Result<(), UpstreamError> {
        let place =
            if self.lines.incomplete().is_empty() { "before a line that is done" } else { "in the middle of a line" };
        Err(UpstreamError::new(UpstreamErrorKind::Truncated, format!("the upstream's stream ended {place}")))
    }
}

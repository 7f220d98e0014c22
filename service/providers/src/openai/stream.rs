//! Reads a streamed answer.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use sabir_proto::v1::ChatCompletionChunk;
use transcode::json::Mode;

use super::response::not_one;
use super::tool_calls::ToolCallIndexes;
use super::{DoneMarker, Schema, error};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::protocol::StreamDecoder;
use crate::sse::SseDecoder;

/// The text of the event that marks the normal end.
const DONE: &str = "[DONE]";

/// Reads server-sent events, each a chunk as JSON, up to the event `[DONE]`.
pub struct ChunkDecoder {
    schema: Schema,
    events: SseDecoder,
    /// The wire form of the chunk being read; kept for its memory.
    wire: Vec<u8>,
    ended: bool,
    /// Which choices have been seen and whether they have finished, for servers that send no end marker.
    choices: Option<BTreeMap<u32, bool>>,
    tool_calls: ToolCallIndexes,
}

impl ChunkDecoder {
    pub(super) fn new(schema: Schema, done_marker: DoneMarker) -> Self {
        let choices = (done_marker == DoneMarker::FinishReasonSuffices).then(BTreeMap::new);
        let tool_calls = ToolCallIndexes::default();
        Self { schema, events: SseDecoder::default(), wire: Vec::new(), ended: false, choices, tool_calls }
    }
}

impl StreamDecoder for ChunkDecoder {
    fn push(&mut self, piece: Bytes) {
        self.events.push(piece);
    }

    fn next_chunk(&mut self) -> Result<Option<ChatCompletionChunk>, UpstreamError> {
        let event = loop {
            match self.events.next_event()? {
                None => return Ok(None),
                // Some servers keep the connection alive by events without content.
                Some(event) if event.data.trim_ascii().is_empty() => continue,
                Some(event) => break event,
            }
        };
        if event.data.trim_ascii() == DONE {
            self.ended = true;
            return Ok(None);
        }
        let data = event.data.as_bytes();
        if event.event_type == "error" {
            return Err(error::read(None, data));
        }
        self.wire.clear();
        let read = self.schema.plans.read(self.schema.chunk, data, Mode::Lenient, &mut self.wire);
        read.map_err(|error| not_one("a chunk of a chat completion", &error))?;
        let mut chunk = ChatCompletionChunk::decode(&self.wire[..])
            .map_err(|error| not_one("a chunk of a chat completion", &error))?;
        if error::is_error(&chunk.object, &chunk.additional_members) {
            return Err(error::read(None, data));
        }
        if let Some(choices) = &mut self.choices {
            for choice in &chunk.choices {
                *choices.entry(choice.index).or_default() |= has_finished(choice);
            }
        }
        self.tool_calls.fill_in(&mut chunk);
        Ok(Some(chunk))
    }

    fn ended(&self) -> bool {
        self.ended
    }

    fn finish(&mut self) -> Result<(), UpstreamError> {
        let rest = self.events.incomplete();
        // The marker itself is all that counts; a server may forget the empty line after it.
        if is_done_line(rest) {
            return Ok(());
        }
        let all_finished = |choices: &BTreeMap<u32, bool>| !choices.is_empty() && choices.values().all(|done| *done);
        if rest.trim_ascii().is_empty() && self.choices.as_ref().is_some_and(all_finished) {
            return Ok(());
        }
        let place = if rest.is_empty() { "before its end marker" } else { "in the middle of an event" };
        Err(UpstreamError::new(UpstreamErrorKind::Truncated, format!("the upstream's stream ended {place}")))
    }
}

/// Whether a choice says why it has finished, be it by a word that the schema does not know.
fn has_finished(choice: &sabir_proto::v1::chat_completion_chunk::Choice) -> bool {
    let unknown = || choice.additional_members.get("finish_reason").map(String::as_str);
    choice.finish_reason != 0 || !matches!(unknown(), None | Some("" | "null" | "\"\""))
}

fn is_done_line(line: &[u8]) -> bool {
    line.strip_prefix(b"data:").is_some_and(|data| data.trim_ascii() == DONE.as_bytes())
}

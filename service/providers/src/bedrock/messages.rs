//! The conversation.
//!
//! What the application says leaves it. Neighbours of one role become one turn, because the API wants the two sides to take
//! turns, and the results of calls that the model made at once together.

use std::collections::BTreeMap;

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{ChatMessage, ContentPart, FunctionCall, ReasoningDetail, Role, ToolCall};

use super::cache::Marks;
use super::media::{self, Names};
use super::wire::{Block, Thought, ToolResult, ToolUse, Turn};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};
use crate::verbatim::{Members, arguments};

/// Whether a tool failed, as Anthropic's clients say it.
const IS_ERROR: &str = "is_error";

/// A conversation.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) system: Vec<Block>,
    pub(super) turns: Vec<Turn>,
}

impl Conversation {
    /// Whether tools were called. Then the API wants to know what tools there are.
    pub(super) fn calls(&self) -> bool {
        let called = |block: &Block| matches!(block, Block::ToolUse(_) | Block::ToolResult(_));
        self.turns.iter().any(|turn| turn.content.iter().any(called))
    }
}

/// The messages as turns.
pub(super) fn word(
    messages: Vec<ChatMessage>,
    marks: Marks,
    unsupported: &mut Unsupported,
) -> Result<Conversation, UpstreamError> {
    let mut conversation = Conversation::default();
    let mut wording = Wording { marks, unsupported, names: Names::default() };
    for (index, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let (role, blocks) = match message.role() {
            Role::System | Role::Developer => {
                conversation.system.extend(wording.said(message, &path)?);
                continue;
            }
            Role::User => ("user", wording.said(message, &path)?),
            Role::Assistant => ("assistant", wording.answered(message, &path)?),
            Role::Tool => ("user", wording.result(message, &path)?),
            Role::Function | Role::Unspecified => {
                wording.unsupported.unless(false, format!("{path}.role"))?;
                continue;
            }
        };
        match conversation.turns.last_mut() {
            Some(turn) if turn.role == role => turn.content.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => conversation.turns.push(Turn { role, content: blocks }),
        }
    }
    Ok(conversation)
}

/// Words messages, one after the other.
struct Wording<'u> {
    marks: Marks,
    unsupported: &'u mut Unsupported,
    names: Names,
}

impl Wording<'_> {
    /// What a user or the application says.
    fn said(&mut self, message: ChatMessage, path: &str) -> Result<Vec<Block>, UpstreamError> {
        let ChatMessage {
            role: _,
            content,
            name,
            // These are an assistant's or a tool's; the contract ignores them elsewhere.
            tool_calls: _,
            tool_call_id: _,
            refusal: _,
            reasoning_content: _,
            audio: _,
            function_call: _,
            reasoning_details: _,
            mut additional_members,
        } = message;
        self.unsupported.leave_out(format!("{path}.name"), &name)?;
        let mark = self.marks.take(&mut additional_members, path)?;
        self.refuse_foreign(additional_members, path)?;
        let mut blocks = self.parts(content, path)?;
        blocks.extend(mark.map(Block::CachePoint));
        Ok(blocks)
    }

    /// What the model said before: its thoughts first, then its words, then its calls.
    fn answered(&mut self, message: ChatMessage, path: &str) -> Result<Vec<Block>, UpstreamError> {
        let ChatMessage {
            role: _,
            content,
            name,
            tool_calls,
            tool_call_id: _,
            refusal,
            // Thoughts without their seal are not accepted; those with it are among the details.
            reasoning_content: _,
            audio,
            function_call,
            reasoning_details,
            // What else came with an earlier answer is its vendor's, and asks for nothing.
            additional_members: _,
        } = message;
        self.unsupported.leave_out(format!("{path}.name"), &name)?;
        self.unsupported.leave_out(format!("{path}.audio"), &audio)?;
        self.unsupported.leave_out(format!("{path}.function_call"), &function_call)?;
        let format = self.marks.family.format();
        let thoughts = reasoning_details.into_iter().filter(|detail| detail.format.as_deref() == Some(format));
        let mut blocks: Vec<Block> = thoughts.filter_map(thought).map(Block::ReasoningContent).collect();
        blocks.extend(self.parts(content, path)?);
        blocks.extend(refusal.filter(|refusal| !refusal.is_empty()).map(Block::Text));
        for (index, ToolCall { id, call, mut additional_members }) in tool_calls.into_iter().enumerate() {
            let path = format!("{path}.tool_calls[{index}]");
            let mark = self.marks.take(&mut additional_members, &path)?;
            match call {
                Some(Call::Function(FunctionCall { name, arguments: text, additional_members: _ })) => {
                    blocks.push(Block::ToolUse(ToolUse { id, name, input: arguments(text, &path)? }));
                }
                Some(Call::Custom(_)) | None => self.unsupported.unless(false, format!("{path}.custom"))?,
            }
            blocks.extend(mark.map(Block::CachePoint));
        }
        Ok(blocks)
    }

    /// What came of a call.
    fn result(&mut self, message: ChatMessage, path: &str) -> Result<Vec<Block>, UpstreamError> {
        let ChatMessage {
            role: _,
            content,
            // The call's own name says it.
            name: _,
            tool_calls: _,
            tool_call_id,
            refusal: _,
            reasoning_content: _,
            audio: _,
            function_call: _,
            reasoning_details: _,
            mut additional_members,
        } = message;
        let Some(id) = tool_call_id else {
            let message = "the result of a call does not say of which";
            let error = UpstreamError::new(UpstreamErrorKind::InvalidRequest, message);
            return Err(error.with_param(format!("{path}.tool_call_id")));
        };
        let mark = self.marks.take(&mut additional_members, path)?;
        let status = additional_members.remove(IS_ERROR).filter(|text| text == "true").map(|_| "error");
        let members = Members::foreign(additional_members, path)?;
        // Marks stand beside a result, not in it.
        let (points, content): (Vec<Block>, Vec<Block>) =
            self.parts(content, path)?.into_iter().partition(|block| matches!(block, Block::CachePoint(_)));
        let point = points.into_iter().next().or(mark.map(Block::CachePoint));
        let result = Block::ToolResult(ToolResult { id, content, status, members });
        Ok(std::iter::once(result).chain(point).collect())
    }

    /// Content as blocks. Empty texts are left out: the API refuses them, and they say nothing.
    fn parts(&mut self, content: Option<Content>, path: &str) -> Result<Vec<Block>, UpstreamError> {
        let parts = match content {
            None => return Ok(Vec::new()),
            Some(Content::Text(text)) => {
                return Ok(Some(text).filter(|text| !text.is_empty()).map(Block::Text).into_iter().collect());
            }
            Some(Content::Parts(parts)) => parts.parts,
        };
        let mut blocks = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let path = format!("{path}.content[{index}]");
            let ContentPart { part, prompt_cache_breakpoint, mut additional_members } = part;
            let mark = self.marks.take(&mut additional_members, &path)?;
            let mark = self.marks.breakpoint(prompt_cache_breakpoint).or(mark);
            blocks.extend(self.block(part, additional_members, &path)?);
            blocks.extend(mark.map(Block::CachePoint));
        }
        Ok(blocks)
    }

    /// A piece. Members that our schema does not name go into the object that the API has for it; a text is none.
    fn block(
        &mut self,
        part: Option<Part>,
        members: BTreeMap<String, String>,
        path: &str,
    ) -> Result<Option<Block>, UpstreamError> {
        let part = match part {
            Some(Part::Text(text) | Part::Refusal(text)) => {
                self.refuse_foreign(members, path)?;
                return Ok(Some(text).filter(|text| !text.is_empty()).map(Block::Text));
            }
            part => part,
        };
        let mut members = Members::foreign(members, path)?;
        match part {
            Some(Part::ImageUrl(image)) => media::image(image, members, path, self.unsupported),
            Some(Part::InputAudio(audio)) => media::audio(audio, members, path).map(Some),
            Some(Part::File(file)) => media::document(file, members, &mut self.names, path, self.unsupported),
            // A block of the vendor's own, which is all in its members.
            Some(Part::Text(_) | Part::Refusal(_)) | None => {
                members.retain(|name| name != "type");
                Ok(Some(Block::Own(members)))
            }
        }
    }

    fn refuse_foreign(&mut self, members: BTreeMap<String, String>, path: &str) -> Result<(), UpstreamError> {
        foreign_members(members).try_for_each(|(name, _)| self.unsupported.unless(false, format!("{path}.{name}")))
    }
}

/// A thought with its seal, as the model's server gave it.
fn thought(detail: ReasoningDetail) -> Option<Thought> {
    match detail.r#type.as_str() {
        "reasoning.text" => {
            Some(Thought::ReasoningText { text: detail.text.unwrap_or_default(), signature: Some(detail.signature?) })
        }
        "reasoning.encrypted" => Some(Thought::RedactedContent(detail.data?)),
        _ => None,
    }
}

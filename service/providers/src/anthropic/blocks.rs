//! The conversation as blocks of content.
//!
//! System and developer messages leave the conversation, whose place they have at its beginning. Neighbours of one role
//! become one turn, because the results of calls that the model made at once belong together.

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_block;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    BlockSource, CacheControl, ChatMessage, ContentBlock, ContentBlocks, ContentPart, InputFile, ReasoningDetail, Role,
    ToolCall,
};

use super::response::FORMAT;
use crate::data_url::DataUrl;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};

/// A conversation.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) system: Vec<ContentBlock>,
    pub(super) turns: Vec<Turn>,
}

/// What one side says until the other speaks.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) role: &'static str,
    pub(super) blocks: Vec<ContentBlock>,
}

/// A block of text.
pub(super) fn text(text: String) -> ContentBlock {
    ContentBlock { r#type: "text".to_owned(), text: Some(text), ..ContentBlock::default() }
}

/// Whether a block is text and nothing besides.
pub(super) fn is_plain_text(block: &ContentBlock) -> bool {
    block.r#type == "text" && block.cache_control.is_none() && block.additional_members.is_empty()
}

/// The messages as turns.
pub(super) fn conversation(
    messages: Vec<ChatMessage>,
    unsupported: &mut Unsupported,
) -> Result<Conversation, UpstreamError> {
    let mut conversation = Conversation::default();
    for (index, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let role = message.role();
        let (role, blocks) = match role {
            Role::System | Role::Developer => {
                conversation.system.extend(said(message, &path, unsupported)?);
                continue;
            }
            Role::User => ("user", said(message, &path, unsupported)?),
            Role::Assistant => ("assistant", answered(message, &path, unsupported)?),
            Role::Tool => ("user", vec![result(message, &path, unsupported)?]),
            Role::Function | Role::Unspecified => {
                unsupported.unless(false, format!("{path}.role"))?;
                continue;
            }
        };
        match conversation.turns.last_mut() {
            Some(turn) if turn.role == role => turn.blocks.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => conversation.turns.push(Turn { role, blocks }),
        }
    }
    Ok(conversation)
}

/// What a user or the application says.
fn said(message: ChatMessage, path: &str, unsupported: &mut Unsupported) -> Result<Vec<ContentBlock>, UpstreamError> {
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
        additional_members,
    } = message;
    unsupported.leave_out(format!("{path}.name"), &name)?;
    refuse_foreign(additional_members, path, unsupported)?;
    parts(content, path, unsupported)
}

/// What the model said before: its thoughts first, then its words, then its calls.
fn answered(
    message: ChatMessage,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<Vec<ContentBlock>, UpstreamError> {
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
        additional_members: _,
    } = message;
    unsupported.leave_out(format!("{path}.name"), &name)?;
    unsupported.leave_out(format!("{path}.audio"), &audio)?;
    unsupported.leave_out(format!("{path}.function_call"), &function_call)?;
    let mut blocks: Vec<ContentBlock> = reasoning_details.into_iter().filter_map(thought).collect();
    blocks.extend(parts(content, path, unsupported)?);
    blocks.extend(refusal.filter(|refusal| !refusal.is_empty()).map(text));
    for (index, ToolCall { id, call, additional_members }) in tool_calls.into_iter().enumerate() {
        let path = format!("{path}.tool_calls[{index}]");
        match call {
            Some(Call::Function(function)) => blocks.push(ContentBlock {
                r#type: "tool_use".to_owned(),
                id: Some(id),
                name: Some(function.name),
                input: arguments(function.arguments, &path)?,
                additional_members: cache_control_of(additional_members),
                ..ContentBlock::default()
            }),
            _ => unsupported.unless(false, format!("{path}.custom"))?,
        }
    }
    Ok(blocks)
}

/// A thought with its seal, as the model's server gave it.
fn thought(detail: ReasoningDetail) -> Option<ContentBlock> {
    if detail.format.as_deref() != Some(FORMAT) {
        return None;
    }
    match detail.r#type.as_str() {
        "reasoning.text" => Some(ContentBlock {
            r#type: "thinking".to_owned(),
            thinking: Some(detail.text.unwrap_or_default()),
            signature: Some(detail.signature?),
            ..ContentBlock::default()
        }),
        "reasoning.encrypted" => Some(ContentBlock {
            r#type: "redacted_thinking".to_owned(),
            data: Some(detail.data?),
            ..ContentBlock::default()
        }),
        _ => None,
    }
}

/// Arguments as the object that the protocol wants.
fn arguments(text: String, path: &str) -> Result<String, UpstreamError> {
    if text.trim().is_empty() {
        return Ok("{}".to_owned());
    }
    match serde_json::from_str::<&serde_json::value::RawValue>(&text) {
        Ok(value) if value.get().starts_with('{') => Ok(text),
        _ => {
            let message = "the arguments of an earlier call are not a JSON object, which the model's server wants";
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message)
                .with_param(format!("{path}.function.arguments")))
        }
    }
}

/// What came of a call.
fn result(message: ChatMessage, path: &str, unsupported: &mut Unsupported) -> Result<ContentBlock, UpstreamError> {
    let tool_use_id = message.tool_call_id.clone();
    let members = message.additional_members.clone();
    let content = parts(message.content, path, unsupported)?;
    let content = match <[ContentBlock; 1]>::try_from(content) {
        Ok([block]) if is_plain_text(&block) => {
            Some(content_block::Content::ContentText(block.text.unwrap_or_default()))
        }
        Ok(block) => Some(content_block::Content::ContentBlocks(ContentBlocks { blocks: block.into() })),
        Err(blocks) if blocks.is_empty() => None,
        Err(blocks) => Some(content_block::Content::ContentBlocks(ContentBlocks { blocks })),
    };
    Ok(ContentBlock {
        r#type: "tool_result".to_owned(),
        tool_use_id,
        content,
        additional_members: foreign_members(members).collect(),
        ..ContentBlock::default()
    })
}

/// Content as blocks. Empty texts are left out: the protocol refuses them, and they say nothing.
fn parts(
    content: Option<Content>,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<Vec<ContentBlock>, UpstreamError> {
    let parts = match content {
        None => return Ok(Vec::new()),
        Some(Content::Text(said)) => {
            return Ok(Some(said).filter(|said| !said.is_empty()).map(text).into_iter().collect());
        }
        Some(Content::Parts(parts)) => parts.parts,
    };
    let mut blocks = Vec::with_capacity(parts.len());
    for (index, part) in parts.into_iter().enumerate() {
        blocks.extend(block(part, &format!("{path}.content[{index}]"), unsupported)?);
    }
    Ok(blocks)
}

fn block(part: ContentPart, path: &str, unsupported: &mut Unsupported) -> Result<Option<ContentBlock>, UpstreamError> {
    let ContentPart { part, prompt_cache_breakpoint, additional_members } = part;
    let additional_members = foreign_members(additional_members).collect();
    let cache_control = match prompt_cache_breakpoint {
        None => None,
        Some(breakpoint) => {
            unsupported.leave_out(format!("{path}.prompt_cache_breakpoint.ttl"), &breakpoint.ttl)?;
            Some(CacheControl { r#type: "ephemeral".to_owned(), ..CacheControl::default() })
        }
    };
    let block = match part {
        Some(Part::Text(said) | Part::Refusal(said)) if said.is_empty() => return Ok(None),
        Some(Part::Text(said) | Part::Refusal(said)) => text(said),
        Some(Part::ImageUrl(image)) => {
            let usual = matches!(image.detail.as_deref(), None | Some("auto"));
            unsupported.unless(usual, format!("{path}.image_url.detail"))?;
            ContentBlock { r#type: "image".to_owned(), source: Some(source(image.url)), ..ContentBlock::default() }
        }
        Some(Part::File(file)) => document(file, path)?,
        Some(Part::InputAudio(_)) => {
            unsupported.unless(false, format!("{path}.input_audio"))?;
            return Ok(None);
        }
        // A block of the vendor's own, which is all in its members.
        None => ContentBlock::default(),
    };
    Ok(Some(ContentBlock { cache_control, additional_members, ..block }))
}

/// Where an image is: here, or at an address that the server fetches from.
fn source(url: String) -> BlockSource {
    match DataUrl::parse(&url) {
        Some(DataUrl { media_type, base64 }) => BlockSource {
            r#type: "base64".to_owned(),
            media_type: Some(media_type.to_owned()),
            data: Some(base64.to_owned()),
            ..BlockSource::default()
        },
        None => BlockSource { r#type: "url".to_owned(), url: Some(url), ..BlockSource::default() },
    }
}

/// A document to read: an upload, or its bytes.
fn document(file: InputFile, path: &str) -> Result<ContentBlock, UpstreamError> {
    let source = match (file.file_id, file.file_data) {
        (Some(id), _) => BlockSource { r#type: "file".to_owned(), file_id: Some(id), ..BlockSource::default() },
        (None, Some(data)) if data.starts_with("https://") || data.starts_with("http://") => source(data),
        (None, Some(data)) => match DataUrl::parse(&data) {
            Some(_) => source(data),
            // OpenAI takes bare base64 of PDF too.
            None => BlockSource {
                r#type: "base64".to_owned(),
                media_type: Some("application/pdf".to_owned()),
                data: Some(data),
                ..BlockSource::default()
            },
        },
        (None, None) => {
            let message = "a file has neither file_data nor file_id";
            return Err(
                UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(format!("{path}.file"))
            );
        }
    };
    Ok(ContentBlock {
        r#type: "document".to_owned(),
        source: Some(source),
        title: file.filename,
        ..ContentBlock::default()
    })
}

/// Of the members that came with an earlier call, the one that asks for something.
fn cache_control_of(members: std::collections::BTreeMap<String, String>) -> std::collections::BTreeMap<String, String> {
    foreign_members(members).filter(|(name, _)| name == "cache_control").collect()
}

fn refuse_foreign(
    members: std::collections::BTreeMap<String, String>,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<(), UpstreamError> {
    foreign_members(members).try_for_each(|(name, _)| unsupported.unless(false, format!("{path}.{name}")))
}

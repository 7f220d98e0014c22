//! The conversation.
//!
//! What the application says comes first and is one message: the API refuses it elsewhere. The rest keeps its order.

use std::collections::BTreeMap;

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{ChatMessage, ContentPart, FunctionCall, ImageUrl, ReasoningDetail, Role, ToolCall};

use super::wire::{Block, Called, Function, Kind, Message, Picture};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};
use crate::verbatim::Members;

/// The members of an earlier answer that the protocol has and our schema does not name.
const OWN_OF_ANSWERS: [&str; 2] = ["citations", "tool_plan"];

/// The messages.
pub(super) fn word(messages: Vec<ChatMessage>, unsupported: &mut Unsupported) -> Result<Vec<Message>, UpstreamError> {
    let mut functions = BTreeMap::new();
    let mut system: Option<Message> = None;
    let mut worded = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        match message.role() {
            Role::System | Role::Developer => {
                let message = said("system", message, &path, unsupported)?;
                match &mut system {
                    Some(before) => before.append(message),
                    None => system = Some(message),
                }
            }
            Role::User => worded.push(said("user", message, &path, unsupported)?),
            Role::Assistant => worded.push(answered(message, &path, &mut functions, unsupported)?),
            Role::Tool => worded.push(result(message, &path, &functions, unsupported)?),
            Role::Function | Role::Unspecified => unsupported.unless(false, format!("{path}.role"))?,
        }
    }
    Ok(system.into_iter().chain(worded).collect())
}

/// What a user or the application says.
fn said(
    role: &'static str,
    message: ChatMessage,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<Message, UpstreamError> {
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
    let content = parts(content, role == "user", path, unsupported)?;
    Ok(Message { role, content, members: Members::foreign(additional_members, path)?, ..Message::default() })
}

/// What the model said before: its thoughts first, then its words.
fn answered(
    message: ChatMessage,
    path: &str,
    functions: &mut BTreeMap<String, String>,
    unsupported: &mut Unsupported,
) -> Result<Message, UpstreamError> {
    let ChatMessage {
        role: _,
        content,
        name,
        tool_calls,
        tool_call_id: _,
        refusal,
        reasoning_content,
        audio,
        function_call,
        reasoning_details,
        additional_members,
    } = message;
    unsupported.leave_out(format!("{path}.name"), &name)?;
    unsupported.leave_out(format!("{path}.audio"), &audio)?;
    unsupported.leave_out(format!("{path}.function_call"), &function_call)?;
    let thought = reasoning_content.or_else(|| thoughts(reasoning_details)).filter(|text| !text.is_empty());
    let mut blocks: Vec<Block> = thought.map(|text| Kind::Thinking(text).into()).into_iter().collect();
    blocks.extend(parts(content, false, path, unsupported)?);
    blocks.extend(refusal.filter(|refusal| !refusal.is_empty()).map(|text| Kind::Text(text).into()));
    let mut called = Vec::with_capacity(tool_calls.len());
    // What else came with an earlier call is its vendor's, and asks for nothing.
    for (index, ToolCall { id, call, additional_members: _ }) in tool_calls.into_iter().enumerate() {
        match call {
            Some(Call::Function(FunctionCall { name, arguments, additional_members: _ })) => {
                functions.insert(id.clone(), name.clone());
                let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
                called.push(Called { id, function: Function { name, arguments } });
            }
            Some(Call::Custom(_)) | None => unsupported.unless(false, format!("{path}.tool_calls[{index}].custom"))?,
        }
    }
    // The same is true of what else came with an earlier answer, unless it is the protocol's own.
    let mut members = Members::foreign(additional_members, path)?;
    members.retain(|name| OWN_OF_ANSWERS.contains(&name));
    Ok(Message { role: "assistant", content: blocks, tool_calls: called, members, ..Message::default() })
}

/// The texts of thoughts that are nobody's secret.
fn thoughts(details: Vec<ReasoningDetail>) -> Option<String> {
    let open = details.into_iter().filter(|detail| detail.format.is_none() && detail.r#type == "reasoning.text");
    open.filter_map(|detail| detail.text).reduce(|all, text| all + &text)
}

/// What came of a call.
fn result(
    message: ChatMessage,
    path: &str,
    functions: &BTreeMap<String, String>,
    unsupported: &mut Unsupported,
) -> Result<Message, UpstreamError> {
    let ChatMessage {
        role: _,
        content,
        name,
        tool_calls: _,
        tool_call_id,
        refusal: _,
        reasoning_content: _,
        audio: _,
        function_call: _,
        reasoning_details: _,
        additional_members,
    } = message;
    let Some(id) = tool_call_id else {
        let message = "the result of a call does not say of which";
        let error = UpstreamError::new(UpstreamErrorKind::InvalidRequest, message);
        return Err(error.with_param(format!("{path}.tool_call_id")));
    };
    // The name of the function that was called says nothing new.
    let is_known = name.as_ref().is_none_or(|name| functions.get(&id) == Some(name));
    unsupported.unless(is_known, format!("{path}.name"))?;
    let content = parts(content, false, path, unsupported)?;
    let members = Members::foreign(additional_members, path)?;
    Ok(Message { role: "tool", content, tool_call_id: Some(id), members, ..Message::default() })
}

/// The pieces of a message. `sees` says whether images may be among them.
fn parts(
    content: Option<Content>,
    sees: bool,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<Vec<Block>, UpstreamError> {
    let parts = match content {
        None => return Ok(Vec::new()),
        Some(Content::Text(text)) => return Ok(vec![Kind::Text(text).into()]),
        Some(Content::Parts(parts)) => parts.parts,
    };
    let mut blocks = Vec::with_capacity(parts.len());
    for (index, ContentPart { part, prompt_cache_breakpoint, additional_members }) in parts.into_iter().enumerate() {
        let path = format!("{path}.content[{index}]");
        unsupported.leave_out(format!("{path}.prompt_cache_breakpoint"), &prompt_cache_breakpoint)?;
        let members = Members::foreign(additional_members, &path)?;
        let kind = match part {
            Some(Part::Text(text) | Part::Refusal(text)) => Kind::Text(text),
            Some(Part::ImageUrl(image)) if sees => Kind::Image(picture(image, &path, unsupported)?),
            Some(Part::ImageUrl(_)) => {
                unsupported.unless(false, format!("{path}.image_url"))?;
                continue;
            }
            Some(Part::InputAudio(_)) => {
                unsupported.unless(false, format!("{path}.input_audio"))?;
                continue;
            }
            Some(Part::File(_)) => {
                unsupported.unless(false, format!("{path}.file"))?;
                continue;
            }
            // A block of the vendor's own, such as a document, which is all in its members.
            None => Kind::Own,
        };
        blocks.push(Block { kind, members });
    }
    Ok(blocks)
}

/// An image: a `data:` URL or an address that the server fetches from.
fn picture(image: ImageUrl, path: &str, unsupported: &mut Unsupported) -> Result<Picture, UpstreamError> {
    let ImageUrl { url, detail, additional_members } = image;
    let known = matches!(detail.as_deref(), None | Some("auto" | "low" | "high"));
    unsupported.unless(known, format!("{path}.image_url.detail"))?;
    for (name, _) in foreign_members(additional_members) {
        unsupported.unless(false, format!("{path}.image_url.{name}"))?;
    }
    Ok(Picture { url, detail: detail.filter(|_| known) })
}

//! The messages of a conversation as items: what a model thought, said and called in one message are items of their own.

use std::collections::{BTreeMap, HashSet};

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::response_item::{Content as ItemContent, Output, Summary};
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatMessage, ContentPart, ImageUrl, InputFile, ReasoningDetail, ResponseItem, ResponsePart, ResponseParts, Role,
    ToolCall,
};

use super::{FORMAT, ITEMS};
use crate::error::UpstreamError;
use crate::unsupported::{Unsupported, foreign_members};

/// Words a conversation.
pub(super) fn word(
    messages: Vec<ChatMessage>,
    unsupported: &mut Unsupported,
) -> Result<Vec<ResponseItem>, UpstreamError> {
    let mut items = Vec::with_capacity(messages.len());
    // Calls of custom tools, whose results are items of another kind.
    let mut custom: HashSet<String> = HashSet::new();
    for (index, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let role = message.role();
        let ChatMessage {
            role: _,
            content,
            name,
            tool_calls,
            tool_call_id,
            refusal,
            // What a model thought is told by its details; the text alone is for people.
            reasoning_content: _,
            audio,
            function_call,
            reasoning_details,
            additional_members,
        } = message;
        // A result's tool is known by the call that it answers.
        unsupported.unless(name.is_none() || role == Role::Tool, format!("{path}.name"))?;
        unsupported.leave_out(format!("{path}.audio"), &audio)?;
        unsupported.leave_out(format!("{path}.function_call"), &function_call)?;
        // What tools of the vendor's own did was told to the caller; the vendor has no use for it.
        let members = foreign_members(additional_members).filter(|(name, _)| name != ITEMS);
        let members: BTreeMap<String, String> = members.collect();
        let word = match role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User | Role::Unspecified => "user",
            Role::Assistant => {
                items.extend(thoughts(reasoning_details));
                let mut parts = parts(content, "output_text", &path, unsupported)?;
                parts.extend(refusal.map(|text| ResponsePart { refusal: Some(text), ..part("refusal") }));
                if !parts.is_empty() {
                    items.push(said("assistant", parts, members));
                }
                for (place, call) in tool_calls.into_iter().enumerate() {
                    if matches!(call.call, Some(Call::Custom(_))) {
                        custom.insert(call.id.clone());
                    }
                    items.extend(called(call, &format!("{path}.tool_calls[{place}]"), unsupported)?);
                }
                continue;
            }
            Role::Tool => {
                let id = tool_call_id.unwrap_or_default();
                let kind = if custom.contains(&id) { "custom_tool_call_output" } else { "function_call_output" };
                items.push(ResponseItem {
                    call_id: Some(id),
                    output: Some(output(content, &path, unsupported)?),
                    additional_members: members,
                    ..item(kind)
                });
                continue;
            }
            Role::Function => {
                unsupported.unless(false, format!("{path}.role"))?;
                continue;
            }
        };
        items.push(said(word, parts(content, "input_text", &path, unsupported)?, members));
    }
    Ok(items)
}

fn item(kind: &str) -> ResponseItem {
    ResponseItem { r#type: Some(kind.to_owned()), ..ResponseItem::default() }
}

fn part(kind: &str) -> ResponsePart {
    ResponsePart { r#type: kind.to_owned(), ..ResponsePart::default() }
}

/// A message; a single plain text of somebody else than the model is a text.
fn said(role: &str, mut parts: Vec<ResponsePart>, additional_members: BTreeMap<String, String>) -> ResponseItem {
    let content = match parts.as_mut_slice() {
        [ResponsePart { r#type, text: Some(text), additional_members, .. }]
            if r#type == "input_text" && additional_members.is_empty() =>
        {
            ItemContent::ContentText(std::mem::take(text))
        }
        _ => ItemContent::ContentParts(ResponseParts { parts }),
    };
    ResponseItem { role: Some(role.to_owned()), content: Some(content), additional_members, ..item("message") }
}

/// The thoughts that OpenAI's models had, each an item. Those of others mean nothing here.
fn thoughts(details: Vec<ReasoningDetail>) -> Vec<ResponseItem> {
    let mut items: Vec<(Option<String>, ResponseItem)> = Vec::new();
    for detail in details.into_iter().filter(|detail| detail.format.as_deref() == Some(FORMAT)) {
        let ReasoningDetail { text, summary, data, id, .. } = detail;
        if items.last().is_none_or(|(last, _)| *last != id) {
            let summary = Some(Summary::SummaryParts(ResponseParts::default()));
            items.push((id.clone(), ResponseItem { id, summary, ..item("reasoning") }));
        }
        let Some((_, thought)) = items.last_mut() else { continue };
        if let (Some(text), Some(Summary::SummaryParts(parts))) = (summary, &mut thought.summary) {
            parts.parts.push(ResponsePart { text: Some(text), ..part("summary_text") });
        }
        if let Some(text) = text {
            let content = thought.content.get_or_insert(ItemContent::ContentParts(ResponseParts::default()));
            if let ItemContent::ContentParts(parts) = content {
                parts.parts.push(ResponsePart { text: Some(text), ..part("reasoning_text") });
            }
        }
        thought.encrypted_content = data.or(thought.encrypted_content.take());
    }
    // Without its seal, a thought would have to be with the vendor.
    items.retain(|(_, thought)| thought.encrypted_content.is_some());
    items.into_iter().map(|(_, thought)| thought).collect()
}

fn called(call: ToolCall, path: &str, unsupported: &mut Unsupported) -> Result<Option<ResponseItem>, UpstreamError> {
    let ToolCall { id, call, additional_members } = call;
    let additional_members = foreign_members(additional_members).collect();
    let item = match call {
        Some(Call::Function(function)) => ResponseItem {
            name: Some(function.name),
            arguments: Some(if function.arguments.is_empty() { "{}".to_owned() } else { function.arguments }),
            ..item("function_call")
        },
        Some(Call::Custom(custom)) => {
            ResponseItem { name: Some(custom.name), input: Some(custom.input), ..item("custom_tool_call") }
        }
        None => return unsupported.unless(false, path.to_owned()).map(|()| None),
    };
    Ok(Some(ResponseItem { call_id: Some(id), additional_members, ..item }))
}

fn output(content: Option<Content>, path: &str, unsupported: &mut Unsupported) -> Result<Output, UpstreamError> {
    match content {
        None => Ok(Output::OutputText(String::new())),
        Some(Content::Text(text)) => Ok(Output::OutputText(text)),
        Some(parts @ Content::Parts(_)) => {
            let parts = self::parts(Some(parts), "input_text", path, unsupported)?;
            Ok(Output::OutputParts(ResponseParts { parts }))
        }
    }
}

/// Whether what stands for a file's bytes says where they are.
fn is_address(data: &str) -> bool {
    data.starts_with("https://") || data.starts_with("http://")
}

/// The parts of a message, whose texts are of this kind.
fn parts(
    content: Option<Content>,
    kind: &str,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<Vec<ResponsePart>, UpstreamError> {
    let content = match content {
        None => return Ok(Vec::new()),
        Some(Content::Text(text)) if text.is_empty() && kind == "output_text" => return Ok(Vec::new()),
        Some(Content::Text(text)) => return Ok(vec![ResponsePart { text: Some(text), ..part(kind) }]),
        Some(Content::Parts(parts)) => parts.parts,
    };
    let mut parts = Vec::with_capacity(content.len());
    for (index, ContentPart { part: said, prompt_cache_breakpoint, additional_members }) in
        content.into_iter().enumerate()
    {
        let path = format!("{path}.content[{index}]");
        unsupported.leave_out(format!("{path}.prompt_cache_breakpoint"), &prompt_cache_breakpoint)?;
        let mut worded = match said {
            Some(Part::Text(text)) => ResponsePart { text: Some(text), ..part(kind) },
            Some(Part::Refusal(text)) => ResponsePart { refusal: Some(text), ..part("refusal") },
            Some(Part::ImageUrl(ImageUrl { url, detail, additional_members })) => ResponsePart {
                image_url: Some(url),
                // There it has to be said.
                detail: Some(detail.unwrap_or_else(|| "auto".to_owned())),
                additional_members: foreign_members(additional_members).collect(),
                ..part("input_image")
            },
            Some(Part::InputAudio(audio)) => ResponsePart { input_audio: Some(audio), ..part("input_audio") },
            Some(Part::File(InputFile { file_data, file_id, filename, additional_members })) => {
                let is_address = file_data.as_deref().is_some_and(is_address);
                let (file_url, file_data) = if is_address { (file_data, None) } else { (None, file_data) };
                ResponsePart {
                    file_data,
                    file_url,
                    file_id,
                    filename,
                    additional_members: foreign_members(additional_members).collect(),
                    ..part("input_file")
                }
            }
            None => {
                unsupported.unless(false, path)?;
                continue;
            }
        };
        worded.additional_members.extend(foreign_members(additional_members));
        parts.push(worded);
    }
    Ok(parts)
}

//! The items of a conversation as messages.
//!
//! What a model did in a row (thinking, speaking, calling) is several items and one message.

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::response_item;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatMessage, ContentPart, CustomToolCall, FunctionCall, ImageUrl, InputFile, ResponseItem, ResponsePart, Role,
    ToolCall,
};
use tonic::Status;

use super::thought;
use crate::api::foreign::{content_of, invalid, message};

/// What a model did in a row.
#[derive(Default)]
struct Turn {
    message: ChatMessage,
    said: Vec<ContentPart>,
}

impl Turn {
    /// Ends it.
    fn close(&mut self, messages: &mut Vec<ChatMessage>) {
        let Self { message, said } = std::mem::take(self);
        let message = ChatMessage { role: Role::Assistant.into(), content: content_of(said), ..message };
        let says_something =
            message.content.is_some() || !message.tool_calls.is_empty() || !message.reasoning_details.is_empty();
        if says_something {
            messages.push(message);
        }
    }
}

/// Adds the messages that items are.
///
/// # Errors
/// Items that lack what their kind needs, and kinds that only OpenAI's own servers understand.
pub(super) fn translate(items: Vec<ResponseItem>, messages: &mut Vec<ChatMessage>) -> Result<(), Status> {
    let mut turn = Turn::default();
    for (index, mut item) in items.into_iter().enumerate() {
        let path = format!("input[{index}]");
        let kind = item.r#type.take().unwrap_or_else(|| "message".to_owned());
        match (kind.as_str(), item.role.as_deref()) {
            ("message", Some("assistant")) => turn.said.extend(content(item.content, &path)?),
            ("message", role) => {
                let role = match role {
                    Some("system") => Role::System,
                    Some("developer") => Role::Developer,
                    Some(_) => Role::User,
                    None => return Err(invalid(format!("{path}.role"), "is required")),
                };
                turn.close(messages);
                let content = content_of(content(item.content, &path)?);
                messages.push(ChatMessage { additional_members: item.additional_members, ..message(role, content) });
            }
            ("reasoning", _) => thought::recall(item, &mut turn.message),
            ("function_call" | "custom_tool_call", _) => turn.message.tool_calls.push(call(&kind, item, &path)?),
            ("function_call_output" | "custom_tool_call_output", _) => {
                turn.close(messages);
                messages.push(output(item, &path)?);
            }
            ("item_reference", _) => {
                return Err(invalid(path, "refers to an item that is not kept here; send the item itself"));
            }
            _ => {
                let known = "message, reasoning, function_call, function_call_output, custom_tool_call or \
                             custom_tool_call_output";
                return Err(invalid(format!("{path}.type"), &format!("must be {known}; {kind} is OpenAI's own")));
            }
        }
    }
    turn.close(messages);
    Ok(())
}

fn call(kind: &str, item: ResponseItem, path: &str) -> Result<ToolCall, Status> {
    let required = |value: Option<String>, name: &str| {
        value.filter(|text| !text.is_empty()).ok_or_else(|| invalid(format!("{path}.{name}"), "is required"))
    };
    let id = required(item.call_id, "call_id")?;
    let name = required(item.name, "name")?;
    let call = if kind == "custom_tool_call" {
        Call::Custom(CustomToolCall { name, input: item.input.unwrap_or_default(), ..CustomToolCall::default() })
    } else {
        let arguments = item.arguments.filter(|text| !text.is_empty()).unwrap_or_else(|| "{}".to_owned());
        Call::Function(FunctionCall { name, arguments, ..FunctionCall::default() })
    };
    Ok(ToolCall { id, call: Some(call), ..ToolCall::default() })
}

fn output(item: ResponseItem, path: &str) -> Result<ChatMessage, Status> {
    let id = item.call_id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| invalid(format!("{path}.call_id"), "is required"))?;
    let content = match item.output {
        None => return Err(invalid(format!("{path}.output"), "is required")),
        Some(response_item::Output::OutputText(text)) => Content::Text(text),
        Some(response_item::Output::OutputParts(parts)) => {
            let parts = translate_parts(parts.parts, &format!("{path}.output"))?;
            content_of(parts).unwrap_or_else(|| Content::Text(String::new()))
        }
    };
    Ok(ChatMessage { tool_call_id: Some(id), ..message(Role::Tool, Some(content)) })
}

fn content(content: Option<response_item::Content>, path: &str) -> Result<Vec<ContentPart>, Status> {
    match content {
        None => Ok(Vec::new()),
        Some(response_item::Content::ContentText(text)) => {
            Ok(vec![ContentPart { part: Some(Part::Text(text)), ..ContentPart::default() }])
        }
        Some(response_item::Content::ContentParts(parts)) => translate_parts(parts.parts, &format!("{path}.content")),
    }
}

fn translate_parts(parts: Vec<ResponsePart>, path: &str) -> Result<Vec<ContentPart>, Status> {
    let parts = parts.into_iter().enumerate();
    parts.map(|(index, part)| translate_part(part, &format!("{path}[{index}]"))).collect()
}

fn translate_part(part: ResponsePart, path: &str) -> Result<ContentPart, Status> {
    let ResponsePart {
        r#type,
        text,
        refusal,
        image_url,
        detail,
        file_id,
        file_data,
        file_url,
        filename,
        input_audio,
        // Of what the model said itself.
        annotations: _,
        logprobs: _,
        additional_members,
    } = part;
    let missing = |name: &str| invalid(format!("{path}.{name}"), "is required");
    let part = match r#type.as_str() {
        "input_text" | "output_text" | "text" => Part::Text(text.ok_or_else(|| missing("text"))?),
        "refusal" => Part::Refusal(refusal.ok_or_else(|| missing("refusal"))?),
        "input_image" => match (image_url, file_id) {
            (Some(url), None) => Part::ImageUrl(ImageUrl { url, detail, ..ImageUrl::default() }),
            (None, Some(file_id)) => Part::File(InputFile { file_id: Some(file_id), ..InputFile::default() }),
            _ => return Err(invalid(path, "needs image_url or file_id, one of them")),
        },
        "input_file" => {
            // Providers take an address where the bytes would be.
            let file_data = file_data.or(file_url);
            if file_data.is_none() && file_id.is_none() {
                return Err(invalid(path, "needs file_data, file_url or file_id"));
            }
            Part::File(InputFile { file_data, file_id, filename, ..InputFile::default() })
        }
        "input_audio" => Part::InputAudio(input_audio.ok_or_else(|| missing("input_audio"))?),
        kind => {
            let known = "input_text, input_image, input_file, input_audio, output_text or refusal";
            return Err(invalid(format!("{path}.type"), &format!("must be {known}, not {kind}")));
        }
    };
    Ok(ContentPart { part: Some(part), additional_members, ..ContentPart::default() })
}

//! The conversation.
//!
//! A message is one text with images beside it. Results of calls are told by the name of the function; the names of calls
//! (`id`), which newer servers have, are sent along.

use std::collections::BTreeMap;

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{ChatMessage, ContentPart, FunctionCall, ImageUrl, ReasoningDetail, Role, ToolCall};
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use crate::data_url::DataUrl;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};
use crate::verbatim::{Members, arguments};

/// The members of an earlier answer that the protocol has and our schema does not name.
const OWN_OF_ANSWERS: [&str; 2] = ["images", "thinking"];

/// A message in the protocol's words.
#[derive(Default)]
pub(super) struct Message {
    role: &'static str,
    content: String,
    thinking: Option<String>,
    images: Vec<String>,
    tool_calls: Vec<Called>,
    tool_name: Option<String>,
    tool_call_id: Option<String>,
    members: Members,
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("role", self.role)?;
        object.serialize_entry("content", &self.content)?;
        if let Some(thinking) = &self.thinking {
            object.serialize_entry("thinking", thinking)?;
        }
        if !self.images.is_empty() {
            object.serialize_entry("images", &self.images)?;
        }
        if !self.tool_calls.is_empty() {
            object.serialize_entry("tool_calls", &self.tool_calls)?;
        }
        if let Some(name) = &self.tool_name {
            object.serialize_entry("tool_name", name)?;
        }
        if let Some(id) = &self.tool_call_id {
            object.serialize_entry("tool_call_id", id)?;
        }
        self.members.write(&mut object)?;
        object.end()
    }
}

/// A call that the model made.
#[derive(Serialize)]
struct Called {
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    arguments: Box<RawValue>,
}

/// The messages, in their order.
pub(super) fn word(messages: Vec<ChatMessage>, unsupported: &mut Unsupported) -> Result<Vec<Message>, UpstreamError> {
    let mut functions = BTreeMap::new();
    let mut worded = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let message = match message.role() {
            Role::System | Role::Developer => said("system", message, &path, unsupported)?,
            Role::User => said("user", message, &path, unsupported)?,
            Role::Assistant => answered(message, &path, &mut functions, unsupported)?,
            Role::Tool => result(message, &path, &functions, unsupported)?,
            Role::Function | Role::Unspecified => {
                unsupported.unless(false, format!("{path}.role"))?;
                continue;
            }
        };
        worded.push(message);
    }
    Ok(worded)
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
    let (content, images) = parts(content, path, unsupported)?;
    let members = Members::foreign(additional_members, path)?;
    contradict_none(&members, path, &[("images", !images.is_empty())])?;
    Ok(Message { role, content, images, members, ..Message::default() })
}

/// What the model said before.
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
    let (mut content, images) = parts(content, path, unsupported)?;
    if let Some(refusal) = refusal {
        append(&mut content, &refusal);
    }
    let mut called = Vec::with_capacity(tool_calls.len());
    // What else came with an earlier call is its vendor's, and asks for nothing.
    for (index, ToolCall { id, call, additional_members: _ }) in tool_calls.into_iter().enumerate() {
        let path = format!("{path}.tool_calls[{index}]");
        match call {
            Some(Call::Function(FunctionCall { name, arguments: text, additional_members: _ })) => {
                functions.insert(id.clone(), name.clone());
                called.push(Called { id, function: Function { name, arguments: arguments(text, &path)? } });
            }
            Some(Call::Custom(_)) | None => unsupported.unless(false, format!("{path}.custom"))?,
        }
    }
    // The same is true of what else came with an earlier answer, unless it is the protocol's own.
    let mut members = Members::foreign(additional_members, path)?;
    members.retain(|name| OWN_OF_ANSWERS.contains(&name));
    let thinking = reasoning_content.or_else(|| thoughts(reasoning_details)).filter(|text| !text.is_empty());
    contradict_none(&members, path, &[("images", !images.is_empty()), ("thinking", thinking.is_some())])?;
    Ok(Message { role: "assistant", content, thinking, images, tool_calls: called, members, ..Message::default() })
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
    let (content, images) = parts(content, path, unsupported)?;
    let members = Members::foreign(additional_members, path)?;
    let known = tool_call_id.as_ref().and_then(|id| functions.get(id).cloned());
    let tool_name = name.or(known).filter(|_| !members.contains("tool_name"));
    contradict_none(&members, path, &[("images", !images.is_empty())])?;
    Ok(Message { role: "tool", content, images, tool_name, tool_call_id, members, ..Message::default() })
}

/// The text and the images of a message. What lay between two texts is lost, so each begins on a line of its own.
fn parts(
    content: Option<Content>,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<(String, Vec<String>), UpstreamError> {
    let parts = match content {
        None => return Ok((String::new(), Vec::new())),
        Some(Content::Text(text)) => return Ok((text, Vec::new())),
        Some(Content::Parts(parts)) => parts.parts,
    };
    let (mut whole, mut images) = (String::new(), Vec::new());
    for (index, ContentPart { part, prompt_cache_breakpoint, additional_members }) in parts.into_iter().enumerate() {
        let path = format!("{path}.content[{index}]");
        unsupported.leave_out(format!("{path}.prompt_cache_breakpoint"), &prompt_cache_breakpoint)?;
        match part {
            Some(Part::Text(text) | Part::Refusal(text)) => append(&mut whole, &text),
            Some(Part::ImageUrl(image)) => images.extend(picture(image, &path, unsupported)?),
            Some(Part::InputAudio(_)) => unsupported.unless(false, format!("{path}.input_audio"))?,
            Some(Part::File(_)) => unsupported.unless(false, format!("{path}.file"))?,
            None => {
                unsupported.unless(false, path)?;
                continue;
            }
        }
        for (name, _) in foreign_members(additional_members) {
            unsupported.unless(false, format!("{path}.{name}"))?;
        }
    }
    Ok((whole, images))
}

/// The bytes of an image. The server fetches none.
fn picture(image: ImageUrl, path: &str, unsupported: &mut Unsupported) -> Result<Option<String>, UpstreamError> {
    let ImageUrl { url, detail, additional_members } = image;
    unsupported.unless(matches!(detail.as_deref(), None | Some("auto")), format!("{path}.image_url.detail"))?;
    for (name, _) in foreign_members(additional_members) {
        unsupported.unless(false, format!("{path}.image_url.{name}"))?;
    }
    match DataUrl::parse(&url) {
        Some(DataUrl { media_type: _, base64 }) => Ok(Some(base64.to_owned())),
        None => unsupported.unless(false, format!("{path}.image_url.url")).map(|()| None),
    }
}

fn append(whole: &mut String, text: &str) {
    if !whole.is_empty() && !text.is_empty() {
        whole.push('\n');
    }
    whole.push_str(text);
}

/// A vendor's own member may not say again what the message says in our words.
fn contradict_none(members: &Members, path: &str, said: &[(&str, bool)]) -> Result<(), UpstreamError> {
    match said.iter().find(|(name, said)| *said && members.contains(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let param = format!("{path}.{name}");
            let message = format!("{param} contradicts what the message says by other members");
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(param))
        }
    }
}

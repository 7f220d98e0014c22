//! The conversation as contents.
//!
//! System and developer messages leave the conversation, whose place they have at its beginning. Neighbours of one kind
//! become one content, because the results of calls that the model made at once have to stand together.

use std::collections::{BTreeMap, HashMap};

use sabir_proto::v1::chat_message::Content as Said;
use sabir_proto::v1::content_part;
use sabir_proto::v1::tool_call::Call as Called;
use sabir_proto::v1::{ChatMessage, ContentPart, Role, ToolCall};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::parts::{IMAGES, OWN_PARTS};
use super::signature::{self, Seals};
use super::tools::CACHE_MARK;
use super::wire::{Call, CallResult, Content, Kind, Part};
use super::{media, thinking};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};
use crate::upstream::Origin;
use crate::verbatim::{Members, arguments};

/// How the ids of calls begin that were not given by the server: ours, and most other vendors'.
pub(super) const OWN_ID: &str = "call_";

/// The mark of a result that is an error, by which Anthropic's API says so.
const IS_ERROR: &str = "is_error";

/// Who says something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    User,
    Model,
    /// The functions that the model called.
    Functions,
}

/// Puts a conversation into the protocol's words.
pub(super) struct Conversation<'a> {
    pub(super) system: Vec<Part>,
    pub(super) contents: Vec<Content>,
    last: Option<Side>,
    /// The functions behind the ids of calls so far.
    names: HashMap<String, String>,
    wants_signatures: bool,
    origin: Origin,
    unsupported: &'a mut Unsupported,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(model: &str, origin: Origin, unsupported: &'a mut Unsupported) -> Self {
        Self {
            system: Vec::new(),
            contents: Vec::new(),
            last: None,
            names: HashMap::new(),
            wants_signatures: thinking::wants_signatures(model),
            origin,
            unsupported,
        }
    }

    /// Adds the messages, which are all.
    pub(super) fn with(mut self, messages: Vec<ChatMessage>) -> Result<Self, UpstreamError> {
        for (index, message) in messages.into_iter().enumerate() {
            let path = format!("messages[{index}]");
            match message.role() {
                Role::System | Role::Developer => {
                    let parts = self.said(message, &path)?;
                    self.system.extend(parts);
                }
                Role::User => {
                    let parts = self.said(message, &path)?;
                    self.say(Side::User, parts);
                }
                Role::Assistant => {
                    let parts = self.answered(message, &path)?;
                    self.say(Side::Model, parts);
                }
                Role::Tool => {
                    let part = self.result(message, &path)?;
                    self.say(Side::Functions, vec![part]);
                }
                Role::Function | Role::Unspecified => self.unsupported.unless(false, format!("{path}.role"))?,
            }
        }
        Ok(self)
    }

    fn say(&mut self, side: Side, parts: Vec<Part>) {
        if parts.is_empty() {
            return;
        }
        match self.contents.last_mut() {
            Some(content) if self.last == Some(side) => content.parts.extend(parts),
            _ => {
                let role = if side == Side::Model { "model" } else { "user" };
                self.contents.push(Content { role: Some(role), parts });
            }
        }
        self.last = Some(side);
    }

    /// What a user or the application says.
    fn said(&mut self, message: ChatMessage, path: &str) -> Result<Vec<Part>, UpstreamError> {
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
        self.unsupported.leave_out(format!("{path}.name"), &name)?;
        self.refuse_foreign(additional_members, path)?;
        self.parts(content, path)
    }

    /// What the model said before: its thoughts first, then its words, then its calls.
    fn answered(&mut self, message: ChatMessage, path: &str) -> Result<Vec<Part>, UpstreamError> {
        let ChatMessage {
            role: _,
            content,
            name,
            tool_calls,
            tool_call_id: _,
            refusal,
            // What the server wants back of its thoughts are their seals, which are elsewhere.
            reasoning_content: _,
            audio,
            function_call,
            reasoning_details,
            additional_members,
        } = message;
        self.unsupported.leave_out(format!("{path}.name"), &name)?;
        self.unsupported.leave_out(format!("{path}.audio"), &audio)?;
        self.unsupported.leave_out(format!("{path}.function_call"), &function_call)?;
        let mut seals = Seals::read(reasoning_details);
        let thoughts = seals.thoughts.into_iter();
        let thoughts = thoughts.map(|(text, seal)| Part { thought: true, signature: Some(seal), ..Part::text(text) });
        let mut parts: Vec<Part> = thoughts.collect();
        parts.extend(own_parts(&additional_members, path)?);
        let mut said = self.parts(content, path)?;
        said.extend(refusal.filter(|refusal| !refusal.is_empty()).map(Part::text));
        said.extend(images(&additional_members, path)?);
        let mut calls = Vec::with_capacity(tool_calls.len());
        for (index, call) in tool_calls.into_iter().enumerate() {
            calls.extend(self.call(call, &mut seals.calls, &format!("{path}.tool_calls[{index}]"))?);
        }
        if let Some(seal) = signature::of(&additional_members).or(seals.text) {
            match (said.last_mut(), calls.first_mut()) {
                (Some(part), _) => part.signature = Some(seal),
                // A client that lost to which call it belongs.
                (None, Some(call)) => drop(call.signature.get_or_insert(seal)),
                (None, None) => said.push(Part { signature: Some(seal), ..Part::text("") }),
            }
        }
        // Of calls made at once only the first has one.
        if self.wants_signatures
            && let Some(call) = calls.first_mut()
        {
            call.signature.get_or_insert_with(|| signature::NONE.to_owned());
        }
        parts.extend(said);
        parts.extend(calls);
        Ok(parts)
    }

    fn call(
        &mut self,
        call: ToolCall,
        seals: &mut BTreeMap<String, String>,
        path: &str,
    ) -> Result<Option<Part>, UpstreamError> {
        let ToolCall { id, call, additional_members } = call;
        let Some(Called::Function(function)) = call else {
            self.unsupported.unless(false, format!("{path}.custom"))?;
            return Ok(None);
        };
        let signature = signature::of(&additional_members).or_else(|| seals.remove(&id));
        self.names.insert(id.clone(), function.name.clone());
        let args = arguments(function.arguments, path)?;
        let call = Call { id: given(id), name: function.name, args };
        Ok(Some(Part { signature, ..Part::new(Kind::Call(call)) }))
    }

    /// What came of a call. The function is known by its name.
    fn result(&mut self, message: ChatMessage, path: &str) -> Result<Part, UpstreamError> {
        let ChatMessage {
            role: _,
            content,
            // The call's own name says it.
            name: _,
            tool_call_id,
            tool_calls: _,
            refusal: _,
            reasoning_content: _,
            audio: _,
            function_call: _,
            reasoning_details: _,
            mut additional_members,
        } = message;
        let id = tool_call_id.unwrap_or_default();
        let name = self.names.get(&id).cloned().ok_or_else(|| {
            let message = format!("no message before has a call of the id {id:?}");
            let error = UpstreamError::new(UpstreamErrorKind::InvalidRequest, message);
            error.with_param(format!("{path}.tool_call_id"))
        })?;
        let failed = additional_members.remove(IS_ERROR).is_some_and(|text| text == "true");
        self.refuse_foreign(additional_members, path)?;
        let (mut text, mut media) = (String::new(), Vec::new());
        for part in self.parts(content, path)? {
            match part.kind {
                Kind::Text(said) => text.push_str(&said),
                _ => media.push(part),
            }
        }
        let response = response(text, failed)?;
        Ok(Part::new(Kind::Result(CallResult { id: given(id), name, response, parts: media })))
    }

    /// Content as parts. Empty texts are left out: they say nothing.
    fn parts(&mut self, content: Option<Said>, path: &str) -> Result<Vec<Part>, UpstreamError> {
        let parts = match content {
            None => return Ok(Vec::new()),
            Some(Said::Text(said)) => {
                return Ok(Some(said).filter(|said| !said.is_empty()).map(Part::text).into_iter().collect());
            }
            Some(Said::Parts(parts)) => parts.parts,
        };
        let mut worded = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            worded.extend(self.part(part, &format!("{path}.content[{index}]"))?);
        }
        Ok(worded)
    }

    fn part(&mut self, part: ContentPart, path: &str) -> Result<Option<Part>, UpstreamError> {
        let ContentPart { part, prompt_cache_breakpoint, mut additional_members } = part;
        self.unsupported.leave_out(format!("{path}.prompt_cache_breakpoint"), &prompt_cache_breakpoint)?;
        let mark = additional_members.remove(CACHE_MARK);
        let silent = mark.is_none() || self.origin == Origin::Translated;
        self.unsupported.unless(silent, format!("{path}.{CACHE_MARK}"))?;
        let mut members = Members::foreign(additional_members, path)?;
        let kind = match part {
            Some(content_part::Part::Text(said) | content_part::Part::Refusal(said)) if said.is_empty() => {
                return Ok(None);
            }
            Some(content_part::Part::Text(said) | content_part::Part::Refusal(said)) => Kind::Text(said),
            Some(content_part::Part::ImageUrl(image)) => media::image(image, path, self.unsupported)?,
            Some(content_part::Part::InputAudio(audio)) => media::audio(audio, path)?,
            Some(content_part::Part::File(file)) => media::file(file, path)?,
            None => {
                members.retain(|name| name != "type");
                Kind::Own
            }
        };
        Ok(Some(Part { members, ..Part::new(kind) }))
    }

    fn refuse_foreign(&mut self, members: BTreeMap<String, String>, path: &str) -> Result<(), UpstreamError> {
        let translated = self.origin == Origin::Translated;
        foreign_members(members).try_for_each(|(name, _)| {
            let silent = translated && name == CACHE_MARK;
            self.unsupported.unless(silent, format!("{path}.{name}"))
        })
    }
}

/// The parts of an earlier answer that our words cannot say, as the server said them.
fn own_parts(members: &BTreeMap<String, String>, path: &str) -> Result<Vec<Part>, UpstreamError> {
    let Some(json) = given_member(members, OWN_PARTS) else { return Ok(Vec::new()) };
    let parts: Vec<Members> = serde_json::from_str(json).map_err(|error| unlike(path, OWN_PARTS, &error))?;
    Ok(parts.into_iter().map(|members| Part { members, ..Part::new(Kind::Own) }).collect())
}

/// The images in an earlier answer.
fn images(members: &BTreeMap<String, String>, path: &str) -> Result<Vec<Part>, UpstreamError> {
    #[derive(Deserialize)]
    struct Image {
        image_url: Place,
    }
    #[derive(Deserialize)]
    struct Place {
        url: String,
    }
    let Some(json) = given_member(members, IMAGES) else { return Ok(Vec::new()) };
    let images: Vec<Image> = serde_json::from_str(json).map_err(|error| unlike(path, IMAGES, &error))?;
    let image = |(index, image): (usize, Image)| {
        let path = format!("{path}.{IMAGES}[{index}].image_url.url");
        Ok(Part::new(media::place(image.image_url.url, Members::default(), &path)?))
    };
    images.into_iter().enumerate().map(image).collect()
}

fn given_member<'m>(members: &'m BTreeMap<String, String>, name: &str) -> Option<&'m str> {
    members.get(name).map(String::as_str).filter(|json| !matches!(*json, "" | "null"))
}

fn unlike(path: &str, member: &str, error: &serde_json::Error) -> UpstreamError {
    let message = format!("{path}.{member} is not as an earlier answer had it: {error}");
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(format!("{path}.{member}"))
}

/// An id that the server gave.
fn given(id: String) -> Option<String> {
    Some(id).filter(|id| !id.is_empty() && !id.starts_with(OWN_ID))
}

/// A result as the object that the protocol wants. An object is one already; anything else is its output.
fn response(text: String, failed: bool) -> Result<Box<RawValue>, UpstreamError> {
    let value = serde_json::from_str::<&RawValue>(&text).ok().map(RawValue::get);
    let json = match value {
        Some(object) if object.starts_with('{') && !failed => object.to_owned(),
        Some(list) if list.starts_with(['[', '{']) => format!(r#"{{"{}":{list}}}"#, key(failed)),
        _ => format!(r#"{{"{}":{}}}"#, key(failed), serde_json::Value::from(text)),
    };
    RawValue::from_string(json).or_else(|_| to_raw_value("")).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("a result has no JSON form: {error}"))
    })
}

fn key(failed: bool) -> &'static str {
    if failed { "error" } else { "output" }
}

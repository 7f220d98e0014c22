//! What the translations of other APIs into chat completions have in common.

use std::collections::BTreeMap;

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::content_part::Part;
use sabir_proto::v1::{ChatMessage, ContentPart, ContentParts, Role};
use serde_json::value::RawValue;
use tonic::Status;
use transcode::json::{MessageId, Plans};

use crate::chat::{Failure, Violation};

/// A message that is nothing but content.
pub(super) fn message(role: Role, content: Option<Content>) -> ChatMessage {
    ChatMessage { role: role.into(), content, ..ChatMessage::default() }
}

/// A single plain text is a text; anything else, parts.
pub(super) fn content_of(mut parts: Vec<ContentPart>) -> Option<Content> {
    match parts.as_mut_slice() {
        [] => None,
        [ContentPart { part: Some(Part::Text(text)), additional_members, .. }] if additional_members.is_empty() => {
            Some(Content::Text(std::mem::take(text)))
        }
        _ => Some(Content::Parts(ContentParts { parts })),
    }
}

/// The members of a message, each as JSON, for those who know words that chat completions have not.
pub(super) fn members(plans: &Plans, message: MessageId, wire: &[u8]) -> BTreeMap<String, String> {
    let mut json = Vec::new();
    if plans.write(message, wire, &mut json).is_err() {
        return BTreeMap::new();
    }
    let members: Result<BTreeMap<String, Box<RawValue>>, _> = serde_json::from_slice(&json);
    members.unwrap_or_default().into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
}

/// A text as JSON.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The refusal of a request for one of its members.
pub(super) fn invalid(field: impl Into<String>, message: &str) -> Status {
    (&Failure::Invalid(vec![Violation { field: field.into(), message: message.to_owned() }])).into()
}

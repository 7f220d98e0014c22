//! The seals of a model's thoughts, by which its server knows them again.
//!
//! They belong to parts of an answer, and travel among the details of the reasoning: that of a call with the call's id. A
//! call has its own besides, in the form in which Google's endpoint for OpenAI's protocol has it.
//! Sources: <https://ai.google.dev/gemini-api/docs/thought-signatures>, <https://ai.google.dev/gemini-api/docs/openai>.

use std::collections::BTreeMap;

use sabir_proto::v1::ReasoningDetail;
use serde::Deserialize;

/// Who can read the thoughts of these models.
const FORMAT: &str = "google-gemini-v1";

/// What the server takes in place of a signature that was never there: the call is another model's, or the client lost it.
pub(super) const NONE: &str = "skip_thought_signature_validator";

/// The member of a call, or of a message, that holds its signature.
const MEMBER: &str = "extra_content";

#[derive(Deserialize)]
struct ExtraContent {
    google: Option<Google>,
}

#[derive(Deserialize)]
struct Google {
    thought_signature: Option<String>,
}

/// The signature among the members that came with a call or a message.
pub(super) fn of(members: &BTreeMap<String, String>) -> Option<String> {
    let extra: ExtraContent = serde_json::from_str(members.get(MEMBER)?).ok()?;
    extra.google?.thought_signature.filter(|signature| !signature.is_empty())
}

/// The signature as a member.
pub(super) fn member(signature: &str) -> (String, String) {
    let signature = serde_json::Value::from(signature);
    (MEMBER.to_owned(), format!(r#"{{"google":{{"thought_signature":{signature}}}}}"#))
}

/// A thought, or a piece of one.
pub(super) fn thought(text: String, signature: Option<String>, index: u32) -> ReasoningDetail {
    ReasoningDetail { text: Some(text), signature, ..detail("reasoning.text", index) }
}

/// The seal of a text.
pub(super) fn seal(signature: String, index: u32) -> ReasoningDetail {
    ReasoningDetail { data: Some(signature), ..detail("reasoning.encrypted", index) }
}

/// The seal of the call of this id.
pub(super) fn of_call(signature: String, id: &str, index: u32) -> ReasoningDetail {
    ReasoningDetail { id: Some(id.to_owned()), ..seal(signature, index) }
}

fn detail(kind: &str, index: u32) -> ReasoningDetail {
    ReasoningDetail {
        r#type: kind.to_owned(),
        format: Some(FORMAT.to_owned()),
        index: Some(index),
        ..ReasoningDetail::default()
    }
}

/// What a message's details bring back.
#[derive(Debug, Default)]
pub(super) struct Seals {
    /// Thoughts that are sealed themselves, each with its seal.
    pub(super) thoughts: Vec<(String, String)>,
    /// The seal of the text.
    pub(super) text: Option<String>,
    /// The seals of calls, by the calls' ids.
    pub(super) calls: BTreeMap<String, String>,
}

impl Seals {
    /// Reads the details. Those of other vendors' models mean nothing here, and a thought without a seal is not wanted back.
    pub(super) fn read(details: Vec<ReasoningDetail>) -> Self {
        let mut seals = Self::default();
        for detail in details.into_iter().filter(|detail| detail.format.as_deref() == Some(FORMAT)) {
            match (detail.text, detail.signature, detail.data, detail.id) {
                (Some(text), Some(signature), ..) => seals.thoughts.push((text, signature)),
                (_, _, Some(data), Some(id)) => drop(seals.calls.insert(id, data)),
                (_, _, Some(data), None) => seals.text = Some(data),
                _ => {}
            }
        }
        seals
    }
}

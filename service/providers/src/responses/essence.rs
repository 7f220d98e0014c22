//! What is needed of an answer, for answers of which the rest is not as our schema has it: what echoes the request and what
//! tools of the vendor's own do is the vendor's to change, and no reason to lose an answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::verbatim::Members;

/// What is needed of an answer.
const ANSWER: [&str; 9] =
    ["id", "object", "created_at", "status", "error", "incomplete_details", "model", "usage", "service_tier"];

/// What is needed of an event, its answer and its item aside.
const EVENT: [&str; 7] = ["type", "output_index", "item_id", "content_index", "summary_index", "delta", "logprobs"];

/// The items that our words can say.
const ITEMS: [&str; 4] = ["message", "reasoning", "function_call", "custom_tool_call"];

/// What stands for an item of another kind.
const STAND_IN: &str = r#"{"type":"other"}"#;

/// What is needed, and what was taken out of it.
pub(super) struct Essence {
    /// The document without what is not needed.
    pub(super) json: Vec<u8>,
    /// Items of other kinds, verbatim, by their places.
    pub(super) others: BTreeMap<usize, String>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

/// The type of an event or item.
pub(super) fn kind(json: &[u8]) -> Option<Cow<'_, str>> {
    serde_json::from_slice::<Typed<'_>>(json).ok().map(|typed| typed.r#type)
}

/// What is needed of a whole answer.
pub(super) fn of_answer(json: &[u8]) -> Option<Essence> {
    let mut others = BTreeMap::new();
    let answer = answer(json, &mut others)?;
    Some(Essence { json: serde_json::to_vec(&answer).ok()?, others })
}

/// What is needed of an event. Its item is at place 0.
pub(super) fn of_event(json: &[u8]) -> Option<Essence> {
    let mut event: Members = serde_json::from_slice(json).ok()?;
    let mut others = BTreeMap::new();
    let (response, item) = (event.take("response"), event.take("item"));
    event.retain(|name| EVENT.contains(&name));
    if let Some(response) = response {
        event.push("response", to_raw_value(&answer(response.get().as_bytes(), &mut others)?).ok()?);
    }
    if let Some(item) = item {
        event.push("item", ours(0, item, &mut others)?);
    }
    Some(Essence { json: serde_json::to_vec(&event).ok()?, others })
}

fn answer(json: &[u8], others: &mut BTreeMap<usize, String>) -> Option<Members> {
    let mut answer: Members = serde_json::from_slice(json).ok()?;
    let output = answer.take("output");
    answer.retain(|name| ANSWER.contains(&name));
    if let Some(output) = output {
        let items: Vec<Box<RawValue>> = serde_json::from_str(output.get()).ok()?;
        let items = items.into_iter().enumerate().map(|(place, item)| ours(place, item, others));
        answer.push("output", to_raw_value(&items.collect::<Option<Vec<_>>>()?).ok()?);
    }
    Some(answer)
}

/// An item if it is one of ours, else what stands for it.
fn ours(place: usize, item: Box<RawValue>, others: &mut BTreeMap<usize, String>) -> Option<Box<RawValue>> {
    if kind(item.get().as_bytes()).is_some_and(|kind| ITEMS.contains(&kind.as_ref())) {
        return Some(item);
    }
    others.insert(place, item.get().to_owned());
    RawValue::from_string(STAND_IN.to_owned()).ok()
}

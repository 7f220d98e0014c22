//! What a model thought, as an item of reasoning and back.
//!
//! Clients keep `encrypted_content` and send it back, whatever they make of the rest of an item; so what servers other than
//! OpenAI's want back, seals and all, travels in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message as _;
use sabir_proto::v1::response_item::{Content, Summary};
use sabir_proto::v1::{ChatMessage, ReasoningDetail, ResponseItem, ResponsePart, ResponseParts};

/// Who can read the thoughts of OpenAI's models.
const FORMAT: &str = "openai-responses-v1";

/// Stands before what we packed ourselves. What OpenAI seals is base64 and has no colon.
const PACKED: &str = "sabir:";

/// A part of an item.
pub(super) fn part(kind: &str) -> ResponsePart {
    ResponsePart { r#type: kind.to_owned(), ..ResponsePart::default() }
}

/// The text of a detail, and whether it is a summary.
pub(super) fn text(detail: &ReasoningDetail) -> Option<(&str, bool)> {
    let summary = detail.summary.as_deref().map(|text| (text, true));
    summary.or_else(|| detail.text.as_deref().map(|text| (text, false))).filter(|(text, _)| !text.is_empty())
}

/// Whether two details are of one thought.
pub(super) fn belong_together(one: &ReasoningDetail, other: &ReasoningDetail) -> bool {
    match (&one.id, &other.id) {
        (Some(one), Some(other)) if !one.is_empty() => one == other,
        _ => one.index.is_some() && one.index == other.index,
    }
}

/// The item of a thought, in progress or done; `name` is for those that have none.
pub(super) fn item(details: &[ReasoningDetail], name: &str) -> ResponseItem {
    let mut summaries = Vec::new();
    let mut texts = Vec::new();
    for detail in details {
        match text(detail) {
            Some((text, true)) => summaries.push(ResponsePart { text: Some(text.to_owned()), ..part("summary_text") }),
            Some((text, false)) => texts.push(ResponsePart { text: Some(text.to_owned()), ..part("reasoning_text") }),
            None => {}
        }
    }
    let of_openai = details.first().is_some_and(|detail| detail.format.as_deref() == Some(FORMAT));
    let id = details.iter().find_map(|detail| detail.id.clone()).filter(|_| of_openai);
    ResponseItem {
        r#type: Some("reasoning".to_owned()),
        id: Some(id.unwrap_or_else(|| name.to_owned())),
        summary: Some(Summary::SummaryParts(ResponseParts { parts: summaries })),
        content: Some(texts)
            .filter(|texts| !texts.is_empty())
            .map(|parts| Content::ContentParts(ResponseParts { parts })),
        encrypted_content: if of_openai {
            details.iter().find_map(|detail| detail.data.clone())
        } else {
            pack(details)
        },
        ..ResponseItem::default()
    }
}

/// The details as one text, if any server wants them back.
fn pack(details: &[ReasoningDetail]) -> Option<String> {
    if !details.iter().any(|detail| detail.format.is_some()) {
        return None;
    }
    let message = ChatMessage { reasoning_details: details.to_vec(), ..ChatMessage::default() };
    Some(format!("{PACKED}{}", URL_SAFE_NO_PAD.encode(message.encode_to_vec())))
}

/// The details that a text holds; `None` if it is not ours or somebody has changed it.
fn unpack(text: &str) -> Option<Vec<ReasoningDetail>> {
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PACKED)?).ok()?;
    Some(ChatMessage::decode(&bytes[..]).ok()?.reasoning_details)
}

/// Puts the thought of an item into the message that it led to. One that nobody sealed is only text.
pub(super) fn recall(item: ResponseItem, message: &mut ChatMessage) {
    let ResponseItem { id, content, summary, encrypted_content, .. } = item;
    let texts = match content {
        Some(Content::ContentParts(parts)) => parts.parts.into_iter().filter_map(|part| part.text).collect(),
        Some(Content::ContentText(text)) => vec![text],
        None => Vec::new(),
    };
    for text in &texts {
        message.reasoning_content.get_or_insert_default().push_str(text);
    }
    let Some(sealed) = encrypted_content else { return };
    if sealed.starts_with(PACKED) {
        message.reasoning_details.extend(unpack(&sealed).unwrap_or_default());
        return;
    }
    let index = u32::try_from(message.reasoning_details.len()).ok();
    let detail = |kind: &str| ReasoningDetail {
        r#type: kind.to_owned(),
        id: id.clone(),
        format: Some(FORMAT.to_owned()),
        index,
        ..ReasoningDetail::default()
    };
    if let Some(Summary::SummaryParts(parts)) = summary {
        let summaries = parts.parts.into_iter().filter_map(|part| part.text);
        message
            .reasoning_details
            .extend(summaries.map(|summary| ReasoningDetail { summary: Some(summary), ..detail("reasoning.summary") }));
    }
    let texts = texts.into_iter().map(|text| ReasoningDetail { text: Some(text), ..detail("reasoning.text") });
    message.reasoning_details.extend(texts);
    message.reasoning_details.push(ReasoningDetail { data: Some(sealed), ..detail("reasoning.encrypted") });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recalled(item: ResponseItem) -> ChatMessage {
        let mut message = ChatMessage::default();
        recall(item, &mut message);
        message
    }

    #[test]
    fn what_other_servers_seal_comes_back_as_it_was() {
        let details = vec![ReasoningDetail {
            r#type: "reasoning.text".to_owned(),
            text: Some("Hm.".to_owned()),
            signature: Some("sealed".to_owned()),
            id: Some("call_1".to_owned()),
            format: Some("anthropic-claude-v1".to_owned()),
            index: Some(0),
            ..ReasoningDetail::default()
        }];
        let item = item(&details, "rs_1");
        assert_eq!(item.id.as_deref(), Some("rs_1"));
        let message = recalled(item.clone());
        assert_eq!(message.reasoning_details, details);
        assert_eq!(message.reasoning_content.as_deref(), Some("Hm."));
        // A client that shows no thoughts, and keeps what it must.
        assert_eq!(recalled(ResponseItem { content: None, ..item.clone() }).reasoning_details, details);
        // One that was changed is what can be read of it, and no more.
        let changed = recalled(ResponseItem { encrypted_content: Some("sabir:!".to_owned()), ..item });
        assert_eq!((changed.reasoning_content.as_deref(), changed.reasoning_details.len()), (Some("Hm."), 0));
    }

    #[test]
    fn what_openai_seals_is_passed_on_under_its_own_name() {
        let detail = |kind: &str| ReasoningDetail {
            r#type: kind.to_owned(),
            id: Some("rs_upstream".to_owned()),
            format: Some(FORMAT.to_owned()),
            index: Some(0),
            ..ReasoningDetail::default()
        };
        let details = vec![
            ReasoningDetail { summary: Some("Thinking".to_owned()), ..detail("reasoning.summary") },
            ReasoningDetail { data: Some("gAAAA".to_owned()), ..detail("reasoning.encrypted") },
        ];
        let item = item(&details, "rs_1");
        assert_eq!((item.id.as_deref(), item.encrypted_content.as_deref()), (Some("rs_upstream"), Some("gAAAA")));
        assert_eq!(recalled(item).reasoning_details, details);
    }

    #[test]
    fn thoughts_that_nobody_seals_are_only_shown() {
        let detail = ReasoningDetail { text: Some("Hm.".to_owned()), ..ReasoningDetail::default() };
        assert_eq!(item(&[detail], "rs_1").encrypted_content, None);
    }
}

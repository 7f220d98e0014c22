//! Tidies a request that was translated from another API: what is in it for that API's servers alone would be refused here.

use std::collections::BTreeMap;

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::{CreateChatCompletionRequest, Reasoning};

/// Marks for Anthropic's prompt cache, without which prompts are cached here, and whether a tool failed, which its result
/// says in words.
const FOREIGN: [&str; 2] = ["cache_control", "is_error"];

/// Takes out marks for another vendor's cache and thoughts of other models, and says in one word how long to think.
pub(crate) fn tidy(request: &mut CreateChatCompletionRequest) {
    tidy_all_but_thoughts(request);
    request.messages.iter_mut().for_each(|message| message.reasoning_details.clear());
}

/// The same for who can read some of the thoughts, and leaves out the rest himself.
pub(crate) fn tidy_all_but_thoughts(request: &mut CreateChatCompletionRequest) {
    if let Some(reasoning) = request.reasoning.take()
        && request.reasoning_effort.is_none()
    {
        let limit = request.max_completion_tokens.or(request.max_tokens);
        request.reasoning_effort = effort(reasoning, limit);
    }
    let forget = |members: &mut BTreeMap<String, String>| {
        FOREIGN.iter().for_each(|name| drop(members.remove(*name)));
    };
    for message in &mut request.messages {
        forget(&mut message.additional_members);
        if let Some(Content::Parts(parts)) = &mut message.content {
            parts.parts.iter_mut().for_each(|part| forget(&mut part.additional_members));
        }
        message.tool_calls.iter_mut().for_each(|call| forget(&mut call.additional_members));
    }
    request.tools.iter_mut().for_each(|tool| forget(&mut tool.additional_members));
}

/// An effort for a number of tokens, by the share of the answer that they are.
pub(crate) fn effort(reasoning: Reasoning, limit: Option<i32>) -> Option<String> {
    let word = match (reasoning.enabled, reasoning.effort, reasoning.max_tokens, limit) {
        (Some(false), ..) => return None,
        (_, Some(effort), ..) => return Some(effort),
        (_, None, Some(tokens), Some(limit)) => match i64::from(tokens) * 100 / i64::from(limit.max(1)) {
            65.. => "high",
            35..=64 => "medium",
            _ => "low",
        },
        (Some(true), ..) | (_, _, Some(_), None) => "medium",
        (None, None, None, _) => return None,
    };
    Some(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_tokens_becomes_an_effort() {
        let tokens = |max_tokens, limit| effort(Reasoning { max_tokens, ..Default::default() }, limit);
        for (given, limit, expected) in [
            (Some(8_000), Some(10_000), Some("high")),
            (Some(5_000), Some(10_000), Some("medium")),
            (Some(1_024), Some(10_000), Some("low")),
            (Some(1_024), None, Some("medium")),
            (None, Some(10_000), None),
        ] {
            assert_eq!(tokens(given, limit).as_deref(), expected, "{given:?} of {limit:?}");
        }
        assert_eq!(effort(Reasoning { enabled: Some(false), ..Default::default() }, None), None);
        let said = Reasoning { effort: Some("xhigh".to_owned()), ..Default::default() };
        assert_eq!(effort(said, None).as_deref(), Some("xhigh"));
    }
}

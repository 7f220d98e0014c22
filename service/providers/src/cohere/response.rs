//! Reads a whole answer, and what the end of a stream has in common with one.

use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatCompletion, ChoiceLogprobs, CompletionUsage, FinishReason, FunctionCall, PromptTokensDetails, ReasoningDetail,
    ResponseMessage, Role, TokenLogprob, ToolCall,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error;
use crate::error::{UpstreamError, UpstreamErrorKind};

#[derive(Deserialize)]
struct Answer<'a> {
    id: Option<String>,
    finish_reason: Option<String>,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(borrow)]
    usage: Option<Usage<'a>>,
    logprobs: Option<Vec<Logprob>>,
    error: Option<String>,
}

/// What the model said.
#[derive(Deserialize)]
struct Said<'a> {
    tool_plan: Option<String>,
    content: Option<Vec<Block>>,
    tool_calls: Option<Vec<Called>>,
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Block {
    text: Option<String>,
    thinking: Option<String>,
}

#[derive(Deserialize)]
struct Called {
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

/// Token counts, which the API gives as numbers of any kind.
#[derive(Deserialize)]
pub(super) struct Usage<'a> {
    tokens: Option<Tokens>,
    #[serde(borrow)]
    billed_units: Option<&'a RawValue>,
    cached_tokens: Option<f64>,
}

#[derive(Deserialize, Clone, Copy, Default)]
pub(super) struct Tokens {
    pub(super) input_tokens: Option<f64>,
    pub(super) output_tokens: Option<f64>,
}

/// How likely a stretch of text was, token by token.
#[derive(Deserialize)]
pub(super) struct Logprob {
    text: Option<String>,
    token_ids: Option<Vec<i64>>,
    logprobs: Option<Vec<f64>>,
}

/// A count as ours; what is none counts nothing.
pub(super) fn count(number: Option<f64>) -> u32 {
    // A cast from a floating-point number keeps to the bounds of its target.
    number.unwrap_or(0.0) as u32
}

impl Usage<'_> {
    /// The counts in our words. What is paid for, which leaves out what the vendor adds to the prompt, stands beside.
    pub(super) fn translate(&self) -> CompletionUsage {
        let billed = || self.billed_units.and_then(|units| serde_json::from_str::<Tokens>(units.get()).ok());
        let tokens = self.tokens.or_else(billed).unwrap_or_default();
        let (prompt_tokens, completion_tokens) = (count(tokens.input_tokens), count(tokens.output_tokens));
        let cached = self.cached_tokens.map(|cached| PromptTokensDetails {
            cached_tokens: Some(count(Some(cached))),
            ..PromptTokensDetails::default()
        });
        let billed = self.billed_units.map(|units| ("billed_units".to_owned(), units.get().to_owned()));
        CompletionUsage {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
            prompt_tokens_details: cached,
            additional_members: billed.into_iter().collect(),
            ..CompletionUsage::default()
        }
    }
}

/// The probabilities in our words. A stretch of several tokens is as likely as all of them together.
pub(super) fn likelihoods(stretches: impl IntoIterator<Item = Logprob>) -> ChoiceLogprobs {
    let token = |Logprob { text, token_ids, logprobs }: Logprob| {
        let (text, logprobs) = (text.unwrap_or_default(), logprobs.unwrap_or_default());
        let mut token = TokenLogprob {
            logprob: logprobs.iter().sum(),
            bytes: text.bytes().map(u32::from).collect(),
            token: text,
            ..TokenLogprob::default()
        };
        let several = Some(&logprobs).filter(|logprobs| logprobs.len() > 1);
        let single = several.and_then(|logprobs| serde_json::to_string(logprobs).ok());
        let ids = token_ids.and_then(|ids| serde_json::to_string(&ids).ok());
        token.additional_members.extend(single.map(|text| ("logprobs".to_owned(), text)));
        token.additional_members.extend(ids.map(|text| ("token_ids".to_owned(), text)));
        token
    };
    ChoiceLogprobs { content: stretches.into_iter().map(token).collect(), ..ChoiceLogprobs::default() }
}

/// A thought, in the form in which it is taken again. It has no seal, so anybody may read it.
pub(super) fn thought(text: String, index: u32) -> ReasoningDetail {
    let r#type = "reasoning.text".to_owned();
    ReasoningDetail { r#type, text: Some(text), index: Some(index), ..ReasoningDetail::default() }
}

/// Why the model stopped; and the vendor's own word, as JSON, where ours have none.
///
/// # Errors
/// A model that did not stop of its own accord, which `message` may explain.
pub(super) fn finish_reason(
    word: Option<&str>,
    message: Option<String>,
) -> Result<(FinishReason, Option<String>), UpstreamError> {
    match word {
        Some(word @ ("ERROR" | "TIMEOUT")) => Err(error::unfinished(word, message)),
        Some("COMPLETE" | "STOP_SEQUENCE") => Ok((FinishReason::Stop, None)),
        Some("MAX_TOKENS") => Ok((FinishReason::Length, None)),
        Some("TOOL_CALL") => Ok((FinishReason::ToolCalls, None)),
        Some(other) => Ok((FinishReason::Unspecified, Some(json_text(other)))),
        None if message.is_some() => Err(error::said(None, message)),
        None => Ok((FinishReason::Unspecified, None)),
    }
}

/// The id of a call, which the API always gives; if it does not, one that no other call of a conversation has.
pub(super) fn call_id(given: Option<String>, index: u32, answer: &str) -> String {
    given.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{answer}_{index}"))
}

/// A text as JSON.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn read(model: String, body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| not_one("an answer of a chat", &error))?;
    let (reason, word) = finish_reason(answer.finish_reason.as_deref(), answer.error)?;
    let said = answer.message.ok_or_else(|| not_one("an answer of a chat", &"it has no message"))?;
    let id = answer.id.unwrap_or_default();
    let mut choice = Choice { message: Some(message(said, &id)), ..Choice::default() };
    choice.logprobs = answer.logprobs.map(likelihoods);
    choice.set_finish_reason(reason);
    choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
    Ok(ChatCompletion {
        id,
        object: "chat.completion".to_owned(),
        model,
        choices: vec![choice],
        usage: answer.usage.map(|usage| usage.translate()),
        ..ChatCompletion::default()
    })
}

fn message(said: Said<'_>, answer: &str) -> ResponseMessage {
    let Said { tool_plan, content, tool_calls, citations } = said;
    let mut message = ResponseMessage { role: Role::Assistant.into(), ..ResponseMessage::default() };
    for Block { text, thinking } in content.unwrap_or_default() {
        if let Some(text) = text {
            message.content.get_or_insert_default().push_str(&text);
        }
        if let Some(text) = thinking.filter(|text| !text.is_empty()) {
            message.reasoning_content.get_or_insert_default().push_str(&text);
            let index = u32::try_from(message.reasoning_details.len()).unwrap_or(u32::MAX);
            message.reasoning_details.push(thought(text, index));
        }
    }
    let call = |(index, Called { id, function }): (u32, Called)| {
        let Function { name, arguments } = function.unwrap_or(Function { name: None, arguments: None });
        let arguments = arguments.filter(|text| !text.is_empty()).unwrap_or_else(|| "{}".to_owned());
        let function = FunctionCall { name: name.unwrap_or_default(), arguments, ..FunctionCall::default() };
        let id = call_id(id, index, answer);
        ToolCall { id, call: Some(Call::Function(function)), ..ToolCall::default() }
    };
    message.tool_calls = (0..).zip(tool_calls.unwrap_or_default()).map(call).collect();
    let plan = tool_plan.filter(|plan| !plan.is_empty());
    message.additional_members.extend(plan.map(|plan| ("tool_plan".to_owned(), json_text(&plan))));
    let citations = citations.map(RawValue::get).filter(|text| !matches!(*text, "null" | "[]"));
    message.additional_members.extend(citations.map(|text| ("citations".to_owned(), text.to_owned())));
    message
}

/// The error of an answer that is not what it should be.
pub(super) fn not_one(what: &str, error: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Protocol, format!("the upstream's answer is not {what}: {error}"))
}

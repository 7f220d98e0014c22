//! Reads a whole answer, and what a line of a stream has in common with one.

use std::collections::BTreeMap;

use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::tool_call::Call;
use sabir_proto::v1::{
    ChatCompletion, ChoiceLogprobs, CompletionUsage, FinishReason, FunctionCall, ReasoningDetail, ResponseMessage,
    Role, TokenLogprob, ToolCall, TopLogprob,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{error, time};
use crate::error::{UpstreamError, UpstreamErrorKind};

/// An answer, or a line of a stream.
#[derive(Deserialize)]
pub(super) struct Answer<'a> {
    pub(super) model: Option<String>,
    pub(super) created_at: Option<String>,
    #[serde(borrow)]
    pub(super) message: Option<Said<'a>>,
    #[serde(default)]
    pub(super) done: bool,
    pub(super) done_reason: Option<String>,
    logprobs: Option<Vec<Logprob>>,
    prompt_eval_count: Option<u32>,
    eval_count: Option<u32>,
    // How long each part took, in nanoseconds.
    #[serde(borrow)]
    total_duration: Option<&'a RawValue>,
    #[serde(borrow)]
    load_duration: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt_eval_duration: Option<&'a RawValue>,
    #[serde(borrow)]
    eval_duration: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What the model said.
#[derive(Deserialize, Default)]
pub(super) struct Said<'a> {
    pub(super) content: Option<String>,
    pub(super) thinking: Option<String>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<Called<'a>>>,
    #[serde(borrow)]
    pub(super) images: Option<&'a RawValue>,
}

/// A call that the model made.
#[derive(Deserialize)]
pub(super) struct Called<'a> {
    id: Option<String>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Logprob {
    token: String,
    logprob: f64,
    bytes: Option<Vec<u32>>,
    top_logprobs: Option<Vec<Logprob>>,
}

impl<'a> Answer<'a> {
    /// Reads one.
    ///
    /// # Errors
    /// What is none, and an answer that is an error.
    pub(super) fn read(json: &'a [u8], what: &str) -> Result<Self, UpstreamError> {
        let answer: Self = serde_json::from_slice(json).map_err(|error| not_one(what, &error))?;
        match answer.error {
            Some(said) if !matches!(said.get(), "null" | "\"\"") => Err(error::read(None, json)),
            _ => Ok(answer),
        }
    }

    /// Its time in seconds since 1970; 0 if it has none.
    pub(super) fn created(&self) -> i64 {
        self.created_at.as_deref().and_then(time::seconds).unwrap_or(0).max(0)
    }

    /// The digits of its time. No other answer of a server has the same.
    pub(super) fn digits(&self) -> String {
        self.created_at.iter().flat_map(|time| time.chars()).filter(char::is_ascii_digit).collect()
    }

    /// The token counts, if there are any. Those of thoughts are not told apart.
    pub(super) fn usage(&self) -> Option<CompletionUsage> {
        if self.prompt_eval_count.is_none() && self.eval_count.is_none() {
            return None;
        }
        let (prompt_tokens, completion_tokens) = (self.prompt_eval_count.unwrap_or(0), self.eval_count.unwrap_or(0));
        let total_tokens = prompt_tokens.saturating_add(completion_tokens);
        Some(CompletionUsage { prompt_tokens, completion_tokens, total_tokens, ..CompletionUsage::default() })
    }

    /// How long each part took, verbatim.
    pub(super) fn durations(&self) -> BTreeMap<String, String> {
        let named = [
            ("total_duration", self.total_duration),
            ("load_duration", self.load_duration),
            ("prompt_eval_duration", self.prompt_eval_duration),
            ("eval_duration", self.eval_duration),
        ];
        named.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.get().to_owned()))).collect()
    }

    /// The probabilities of its tokens, if it has any.
    pub(super) fn take_logprobs(&mut self) -> Option<ChoiceLogprobs> {
        let content = self.logprobs.take()?.into_iter().map(Logprob::token).collect();
        Some(ChoiceLogprobs { content, ..ChoiceLogprobs::default() })
    }
}

impl Logprob {
    fn token(self) -> TokenLogprob {
        TokenLogprob {
            token: self.token,
            logprob: self.logprob,
            bytes: self.bytes.unwrap_or_default(),
            top_logprobs: self.top_logprobs.unwrap_or_default().into_iter().map(Self::top).collect(),
            ..TokenLogprob::default()
        }
    }

    fn top(self) -> TopLogprob {
        let Self { token, logprob, bytes, top_logprobs: _ } = self;
        TopLogprob { token, logprob, bytes: bytes.unwrap_or_default(), ..TopLogprob::default() }
    }
}

impl Called<'_> {
    /// The call's id, name and arguments. Older servers give no id; it is then made up of the call's place and the answer's
    /// time, so that no other call of a conversation has it.
    pub(super) fn take(self, index: usize, digits: &str) -> (String, String, String) {
        let id = self.id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("call_{digits}_{index}"));
        let arguments = match self.function.arguments.map(RawValue::get) {
            None | Some("null" | "") => "{}".to_owned(),
            // Some models' templates yield the text of the object.
            Some(text) if text.starts_with('"') => serde_json::from_str(text).unwrap_or_default(),
            Some(text) => text.to_owned(),
        };
        (id, self.function.name, arguments)
    }
}

/// A thought, in the form in which it is taken again. It has no seal, so anybody may read it.
pub(super) fn thought(text: String) -> ReasoningDetail {
    let r#type = "reasoning.text".to_owned();
    ReasoningDetail { r#type, text: Some(text), index: Some(0), ..ReasoningDetail::default() }
}

/// Why the model stopped; and the server's own word, as JSON, where ours have none.
pub(super) fn finish_reason(word: Option<&str>, any_calls: bool) -> (FinishReason, Option<String>) {
    match word {
        None | Some("" | "stop") if any_calls => (FinishReason::ToolCalls, None),
        // Servers before the end of 2024 do not say why they are done.
        None | Some("" | "stop") => (FinishReason::Stop, None),
        Some("length") => (FinishReason::Length, None),
        // `load` and `unload`: the model was loaded or unloaded, and nothing was asked.
        Some(other) => (FinishReason::Unspecified, Some(serde_json::Value::from(other).to_string())),
    }
}

pub(super) fn read(body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
    let mut answer = Answer::read(body, "an answer of a chat")?;
    let Some(Said { content, thinking, tool_calls, images }) = answer.message.take() else {
        return Err(not_one("an answer of a chat", &"it has no message"));
    };
    if !answer.done {
        let message = "the upstream's answer is a part of one: it is not done";
        return Err(UpstreamError::new(UpstreamErrorKind::Truncated, message));
    }
    let digits = answer.digits();
    let tool_calls: Vec<ToolCall> = tool_calls
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(index, called)| {
            let (id, name, arguments) = called.take(index, &digits);
            let function = FunctionCall { name, arguments, ..FunctionCall::default() };
            ToolCall { id, call: Some(Call::Function(function)), ..ToolCall::default() }
        })
        .collect();
    let (reason, word) = finish_reason(answer.done_reason.as_deref(), !tool_calls.is_empty());
    let mut choice = Choice { logprobs: answer.take_logprobs(), ..Choice::default() };
    choice.set_finish_reason(reason);
    choice.additional_members.extend(word.map(|word| ("finish_reason".to_owned(), word)));
    let thinking = thinking.filter(|text| !text.is_empty());
    let mut message = ResponseMessage {
        role: Role::Assistant.into(),
        content: content.filter(|text| !text.is_empty() || tool_calls.is_empty()),
        reasoning_details: thinking.clone().map(thought).into_iter().collect(),
        reasoning_content: thinking,
        tool_calls,
        ..ResponseMessage::default()
    };
    message.additional_members.extend(images.map(|images| ("images".to_owned(), images.get().to_owned())));
    choice.message = Some(message);
    Ok(ChatCompletion {
        id: name(&digits),
        object: "chat.completion".to_owned(),
        created: answer.created(),
        choices: vec![choice],
        usage: answer.usage(),
        additional_members: answer.durations(),
        model: answer.model.unwrap_or_default(),
        ..ChatCompletion::default()
    })
}

/// A name for an answer, which the protocol has not; empty, for others to make up, if it has no time either.
pub(super) fn name(digits: &str) -> String {
    if digits.is_empty() { String::new() } else { format!("chatcmpl-{digits}") }
}

/// The error of an answer that is not what it should be.
pub(super) fn not_one(what: &str, error: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Protocol, format!("the upstream's answer is not {what}: {error}"))
}

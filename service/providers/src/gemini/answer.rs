//! What the server answers: the same object whole and in each event of a stream.
//! Source: <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>.

use std::collections::BTreeMap;

use sabir_proto::v1::{ChoiceLogprobs, FinishReason, TokenLogprob, TopLogprob};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::usage::Usage;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::failure;

/// An answer, or an event of one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow, default)]
    pub(super) candidates: Vec<Candidate<'a>>,
    #[serde(borrow)]
    prompt_feedback: Option<&'a RawValue>,
    pub(super) usage_metadata: Option<Usage>,
    pub(super) model_version: Option<String>,
    pub(super) response_id: Option<String>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// One of the answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(default)]
    pub(super) index: u32,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    finish_reason: Option<String>,
    logprobs_result: Option<Logprobs>,
    #[serde(borrow)]
    finish_message: Option<&'a RawValue>,
    #[serde(borrow)]
    safety_ratings: Option<&'a RawValue>,
    #[serde(borrow)]
    citation_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    url_context_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    avg_logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    parts: Vec<Part<'a>>,
}

/// A piece of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) thought: bool,
    pub(super) thought_signature: Option<String>,
    #[serde(borrow)]
    pub(super) function_call: Option<Call<'a>>,
    pub(super) inline_data: Option<Blob>,
    #[serde(borrow)]
    file_data: Option<&'a RawValue>,
    #[serde(borrow)]
    executable_code: Option<&'a RawValue>,
    #[serde(borrow)]
    code_execution_result: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_call: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_response: Option<&'a RawValue>,
}

impl Part<'_> {
    /// The part as the server wants it back, if it is of a kind that our words cannot say.
    pub(super) fn own(&self) -> Option<String> {
        let kinds = [
            ("fileData", self.file_data),
            ("executableCode", self.executable_code),
            ("codeExecutionResult", self.code_execution_result),
            ("toolCall", self.tool_call),
            ("toolResponse", self.tool_response),
        ];
        let (kind, value) = kinds.into_iter().find_map(|(kind, value)| Some((kind, value?)))?;
        let value = compact(value);
        Some(match &self.thought_signature {
            None => format!(r#"{{"{kind}":{value}}}"#),
            Some(seal) => {
                let seal = serde_json::Value::from(seal.as_str());
                format!(r#"{{"{kind}":{value},"thoughtSignature":{seal}}}"#)
            }
        })
    }
}

/// A call of a function.
#[derive(Deserialize)]
pub(super) struct Call<'a> {
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) name: String,
    #[serde(borrow)]
    pub(super) args: Option<&'a RawValue>,
}

/// Bytes, in base64.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blob {
    #[serde(default)]
    pub(super) mime_type: String,
    #[serde(default)]
    pub(super) data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logprobs {
    #[serde(default)]
    chosen_candidates: Vec<Token>,
    #[serde(default)]
    top_candidates: Vec<Tops>,
}

#[derive(Deserialize)]
struct Tops {
    #[serde(default)]
    candidates: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    log_probability: f64,
}

impl Answer<'_> {
    /// Refuses an answer that says why there is none: the prompt was blocked.
    pub(super) fn unless_blocked(&self) -> Result<(), UpstreamError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Feedback {
            block_reason: Option<String>,
            block_reason_message: Option<String>,
        }
        let feedback = self.prompt_feedback.and_then(|text| serde_json::from_str::<Feedback>(text.get()).ok());
        let Some(Feedback { block_reason: Some(reason), block_reason_message }) = feedback else { return Ok(()) };
        let message = match block_reason_message {
            Some(message) => format!("the prompt was blocked ({reason}): {message}"),
            None => format!("the prompt was blocked ({reason})"),
        };
        let error = UpstreamError::new(UpstreamErrorKind::ContentFilter, failure::shortened(message));
        Err(error.with_code(reason))
    }

    /// What it says of the prompt, as a member.
    pub(super) fn members(&self) -> BTreeMap<String, String> {
        self.prompt_feedback.map(|text| ("promptFeedback".to_owned(), compact(text))).into_iter().collect()
    }
}

impl<'a> Candidate<'a> {
    /// Its pieces, taken out.
    pub(super) fn parts(&mut self) -> Vec<Part<'a>> {
        self.content.take().map(|content| content.parts).unwrap_or_default()
    }

    /// Why the model stopped, if it did: in our word, or in the vendor's own, as JSON, where we have none.
    pub(super) fn finish(&self, calls: bool) -> Option<(FinishReason, Option<String>)> {
        let word = self.finish_reason.as_deref().filter(|word| *word != "FINISH_REASON_UNSPECIFIED")?;
        Some(match word {
            "STOP" if calls => (FinishReason::ToolCalls, None),
            "STOP" => (FinishReason::Stop, None),
            "MAX_TOKENS" => (FinishReason::Length, None),
            "SAFETY"
            | "RECITATION"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "MODEL_ARMOR"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION" => (FinishReason::ContentFilter, None),
            other => (FinishReason::Unspecified, Some(serde_json::Value::from(other).to_string())),
        })
    }

    /// What it says besides, as members, verbatim.
    pub(super) fn members(&self) -> BTreeMap<String, String> {
        let members = [
            ("finishMessage", self.finish_message),
            ("safetyRatings", self.safety_ratings),
            ("citationMetadata", self.citation_metadata),
            ("groundingMetadata", self.grounding_metadata),
            ("urlContextMetadata", self.url_context_metadata),
            ("avgLogprobs", self.avg_logprobs),
        ];
        members.into_iter().filter_map(|(name, text)| Some((name.to_owned(), compact(text?)))).collect()
    }

    /// The probabilities of its tokens.
    pub(super) fn logprobs(&mut self) -> Option<ChoiceLogprobs> {
        let Logprobs { chosen_candidates, top_candidates } = self.logprobs_result.take()?;
        let mut tops = top_candidates.into_iter();
        let token = |Token { token, log_probability }| TokenLogprob {
            bytes: bytes(&token),
            token,
            logprob: log_probability,
            top_logprobs: tops.next().map(|tops| tops.candidates.into_iter().map(top).collect()).unwrap_or_default(),
            ..TokenLogprob::default()
        };
        Some(ChoiceLogprobs { content: chosen_candidates.into_iter().map(token).collect(), ..Default::default() })
    }
}

fn top(Token { token, log_probability }: Token) -> TopLogprob {
    TopLogprob { bytes: bytes(&token), token, logprob: log_probability, ..TopLogprob::default() }
}

fn bytes(token: &str) -> Vec<u32> {
    token.bytes().map(u32::from).collect()
}

/// JSON without the line breaks and blanks that this server puts between its tokens.
pub(super) fn compact(json: &RawValue) -> String {
    let json = json.get();
    let mut text = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    text.extend(json.chars().filter(|character| {
        if in_string {
            in_string = escaped || *character != '"';
            escaped = !escaped && *character == '\\';
            return true;
        }
        in_string = *character == '"';
        !character.is_ascii_whitespace()
    }));
    text
}

/// The error of an answer that is not what it should be.
pub(super) fn not_one(what: &str, error: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Protocol, format!("the upstream's answer is not {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_go_between_tokens_and_stay_within_texts() {
        let json = "{\n  \"a b\": [ 1,\t\"x \\\" \\\\\" , \"\\\\\" ],\r\n \"c\" : null }";
        let value = RawValue::from_string(json.to_owned()).unwrap();
        assert_eq!(compact(&value), r#"{"a b":[1,"x \" \\","\\"],"c":null}"#);
    }
}

//! How hard a model thinks, which each maker's models are told in their own words.
//!
//! Sources: <https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-adaptive-thinking.html>,
//! <https://docs.aws.amazon.com/nova/latest/nova2-userguide/using-converse-api.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html>.

use sabir_proto::v1::Reasoning;
use serde::Serialize;

use super::Family;
use crate::anthropic::thinking::{self, Thinking};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::openai::translation;
use crate::unsupported::{Unsupported, foreign_members};
use crate::upstream::Origin;
use crate::verbatim::Members;

/// How long an answer may be, in tokens, when a part of it is for thoughts and the caller sets no limit.
const LIMIT_WITH_THINKING: i32 = 16_384;

/// What the caller says of it.
pub(super) struct Asked {
    pub(super) origin: Origin,
    pub(super) reasoning: Option<Reasoning>,
    pub(super) effort: Option<String>,
    /// How long the answer may be, in tokens.
    pub(super) limit: Option<i32>,
}

/// What the model is told.
#[derive(Default)]
pub(super) struct Told {
    /// In its maker's words.
    pub(super) fields: Members,
    /// How long the answer may be, in tokens.
    pub(super) limit: Option<i32>,
}

#[derive(Serialize)]
struct Claude<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_tokens: Option<i32>,
}

#[derive(Serialize)]
struct Effort<'a> {
    effort: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Nova<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_reasoning_effort: Option<&'a str>,
}

/// What the request's two ways of saying it come to. Nothing leaves it to the model.
pub(super) fn of(model: &str, mut asked: Asked, unsupported: &mut Unsupported) -> Result<Told, UpstreamError> {
    if let Some(reasoning) = &mut asked.reasoning {
        unsupported.unless(!reasoning.exclude.unwrap_or(false), "reasoning.exclude")?;
        for (name, _) in foreign_members(std::mem::take(&mut reasoning.additional_members)) {
            unsupported.unless(false, format!("reasoning.{name}"))?;
        }
    }
    match Family::of(model) {
        Family::Claude => claude(model, asked),
        Family::Nova2 => nova(asked, unsupported),
        Family::GptOss => gpt_oss(asked, unsupported),
        Family::Nova | Family::Other => {
            let limit = asked.limit;
            let effort = effort(asked, unsupported)?;
            // A model that does not think need not be told so.
            unsupported.unless(matches!(effort.as_deref(), None | Some("none")), "reasoning_effort")?;
            Ok(Told { limit, ..Told::default() })
        }
    }
}

fn claude(model: &str, asked: Asked) -> Result<Told, UpstreamError> {
    let Asked { origin: _, reasoning, effort, limit } = asked;
    let thinking = thinking::of(model, reasoning, effort, limit.unwrap_or(LIMIT_WITH_THINKING))?;
    let mut told = Told { limit, ..Told::default() };
    let Some(Thinking { param, effort }) = thinking else { return Ok(told) };
    if param.budget_tokens.is_some() {
        told.limit = limit.or(Some(LIMIT_WITH_THINKING));
    }
    told.fields.say("thinking", &Some(Claude { r#type: &param.r#type, budget_tokens: param.budget_tokens }));
    told.fields.say("output_config", &effort.as_deref().map(|effort| Effort { effort }));
    Ok(told)
}

fn nova(asked: Asked, unsupported: &mut Unsupported) -> Result<Told, UpstreamError> {
    let mut told = Told { limit: asked.limit, ..Told::default() };
    let Some(effort) = effort(asked, unsupported)? else { return Ok(told) };
    let config = match level(&effort)? {
        None => Nova { r#type: "disabled", max_reasoning_effort: None },
        level => Nova { r#type: "enabled", max_reasoning_effort: level },
    };
    told.fields.say("reasoningConfig", &Some(config));
    Ok(told)
}

fn gpt_oss(asked: Asked, unsupported: &mut Unsupported) -> Result<Told, UpstreamError> {
    let mut told = Told { limit: asked.limit, ..Told::default() };
    let Some(effort) = effort(asked, unsupported)? else { return Ok(told) };
    let level = level(&effort)?;
    // They always think.
    unsupported.unless(level.is_some(), "reasoning_effort")?;
    told.fields.say("reasoning_effort", &level);
    Ok(told)
}

/// The two ways as a word, for models that take no number of tokens. One that another API's client gave becomes a word.
fn effort(asked: Asked, unsupported: &mut Unsupported) -> Result<Option<String>, UpstreamError> {
    let Asked { origin, reasoning, effort, limit } = asked;
    let Some(reasoning) = reasoning else { return Ok(effort) };
    if origin == Origin::Translated {
        return Ok(effort.or_else(|| translation::effort(reasoning, limit)));
    }
    let Reasoning { enabled, effort: said, max_tokens, exclude: _, additional_members: _ } = reasoning;
    unsupported.leave_out("reasoning.max_tokens", &max_tokens)?;
    match (effort, said) {
        (Some(one), Some(other)) if one != other => Err(invalid("contradicts reasoning.effort")),
        _ if enabled == Some(false) => Ok(Some("none".to_owned())),
        (one, other) => Ok(one.or(other).or_else(|| enabled.map(|_| "medium".to_owned()))),
    }
}

/// An effort in the three words that there are; `None` is none.
fn level(effort: &str) -> Result<Option<&'static str>, UpstreamError> {
    match effort {
        "none" => Ok(None),
        "minimal" | "low" => Ok(Some("low")),
        "medium" => Ok(Some("medium")),
        "high" | "xhigh" | "max" => Ok(Some("high")),
        _ => Err(invalid("must be none, minimal, low, medium, high, xhigh or max")),
    }
}

fn invalid(message: &str) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("reasoning_effort {message}"))
        .with_param("reasoning_effort")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::OnUnsupported;

    const OLD: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    const NEW: &str = "global.anthropic.claude-opus-4-6-v1";
    const NOVA: &str = "us.amazon.nova-2-lite-v1:0";
    const OSS: &str = "openai.gpt-oss-120b-1:0";
    const OTHER: &str = "meta.llama3-3-70b-instruct-v1:0";

    fn told(model: &str, effort: Option<&str>, reasoning: Option<Reasoning>, origin: Origin) -> Result<String, String> {
        let mut unsupported = Unsupported::new(OnUnsupported::Refuse, "Bedrock");
        let asked = Asked { origin, reasoning, effort: effort.map(str::to_owned), limit: Some(10_000) };
        let told = of(model, asked, &mut unsupported).map_err(|error| error.param.unwrap_or_default())?;
        Ok(serde_json::to_string(&told.fields).unwrap())
    }

    #[test]
    fn an_effort_is_said_in_the_words_of_the_models_maker() {
        for (model, effort, expected) in [
            (OLD, "high", Ok(r#"{"thinking":{"type":"enabled","budget_tokens":8000}}"#)),
            (OLD, "none", Ok(r#"{"thinking":{"type":"disabled"}}"#)),
            (NEW, "high", Ok(r#"{"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}}"#)),
            (NOVA, "minimal", Ok(r#"{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"}}"#)),
            (NOVA, "none", Ok(r#"{"reasoningConfig":{"type":"disabled"}}"#)),
            (OSS, "max", Ok(r#"{"reasoning_effort":"high"}"#)),
            (OSS, "none", Err("reasoning_effort")),
            (OTHER, "none", Ok("{}")),
            (OTHER, "low", Err("reasoning_effort")),
            (OLD, "very", Err("reasoning_effort")),
            (NOVA, "very", Err("reasoning_effort")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(told(model, Some(effort), None, Origin::ChatCompletions), expected, "{model} {effort}");
        }
    }

    #[test]
    fn a_number_of_tokens_is_a_budget_or_is_refused_unless_it_was_meant_for_another_api() {
        let tokens = || Some(Reasoning { max_tokens: Some(2000), ..Reasoning::default() });
        let budget = r#"{"thinking":{"type":"enabled","budget_tokens":2000}}"#;
        assert_eq!(told(OLD, None, tokens(), Origin::ChatCompletions).as_deref(), Ok(budget));
        assert_eq!(told(NOVA, None, tokens(), Origin::ChatCompletions), Err("reasoning.max_tokens".to_owned()));
        let word = r#"{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"}}"#;
        assert_eq!(told(NOVA, None, tokens(), Origin::Translated).as_deref(), Ok(word));
        let off = || Some(Reasoning { enabled: Some(false), ..Reasoning::default() });
        assert_eq!(told(OTHER, None, off(), Origin::ChatCompletions).as_deref(), Ok("{}"));
        assert_eq!(told(OTHER, None, off(), Origin::Translated).as_deref(), Ok("{}"));
    }
}

//! How hard a model thinks.
//!
//! Models since 4.6 decide for themselves how long they think, and are told how much effort to make; those before are given
//! a budget of tokens, of which the share by effort is the one that OpenRouter made common.
//! Sources: <https://docs.claude.com/en/docs/build-with-claude/adaptive-thinking>,
//! <https://docs.claude.com/en/docs/build-with-claude/extended-thinking>,
//! <https://openrouter.ai/docs/use-cases/reasoning-tokens>.

use sabir_proto::v1::{Reasoning, ThinkingParam};

use crate::error::{UpstreamError, UpstreamErrorKind};

/// The least budget that the protocol takes, in tokens.
const LEAST_BUDGET: i32 = 1024;

/// The generation from which models think as they see fit.
const ADAPTIVE_SINCE: (u32, u32) = (4, 6);

/// How hard to think, in the protocol's two places.
pub(crate) struct Thinking {
    pub(crate) param: ThinkingParam,
    pub(crate) effort: Option<String>,
}

/// What the request's two ways of saying it mean to this model, whose answer may have `limit` tokens. `None` leaves it to
/// the model.
pub(crate) fn of(
    model: &str,
    reasoning: Option<Reasoning>,
    effort: Option<String>,
    limit: i32,
) -> Result<Option<Thinking>, UpstreamError> {
    let Some(Reasoning { enabled, effort: said, max_tokens, exclude: _, additional_members: _ }) = reasoning else {
        return of_effort(model, effort, limit);
    };
    let effort = match (effort, said) {
        (Some(one), Some(other)) if one != other => return Err(invalid("contradicts reasoning.effort")),
        (one, other) => one.or(other),
    };
    match (enabled, max_tokens) {
        (Some(false), _) => of_effort(model, Some("none".to_owned()), limit),
        (_, Some(budget)) => Ok(Some(Thinking { param: param("enabled", Some(budget)), effort })),
        (Some(true), None) => of_effort(model, Some(effort.unwrap_or_else(|| "medium".to_owned())), limit),
        (None, None) => of_effort(model, effort, limit),
    }
}

fn param(kind: &str, budget_tokens: Option<i32>) -> ThinkingParam {
    ThinkingParam { r#type: kind.to_owned(), budget_tokens, ..ThinkingParam::default() }
}

/// What an effort means to this model.
fn of_effort(model: &str, effort: Option<String>, limit: i32) -> Result<Option<Thinking>, UpstreamError> {
    let Some(effort) = effort else { return Ok(None) };
    // In hundredths of the answer's limit.
    let share = match effort.as_str() {
        "none" => return Ok(Some(Thinking { param: param("disabled", None), effort: None })),
        "minimal" => 10,
        "low" => 20,
        "medium" => 50,
        "high" => 80,
        "xhigh" | "max" => 95,
        _ => return Err(invalid("must be none, minimal, low, medium, high, xhigh or max")),
    };
    if generation(model).is_none_or(|generation| generation >= ADAPTIVE_SINCE) {
        let effort = if effort == "minimal" { "low".to_owned() } else { effort };
        return Ok(Some(Thinking { param: param("adaptive", None), effort: Some(effort) }));
    }
    if limit <= LEAST_BUDGET {
        return Err(invalid("needs a limit of more than 1024 tokens for the answer, of which thinking takes a part"));
    }
    let budget = i32::try_from(i64::from(limit) * share / 100).unwrap_or(LEAST_BUDGET);
    let budget = budget.clamp(LEAST_BUDGET, limit - 1);
    Ok(Some(Thinking { param: param("enabled", Some(budget)), effort: None }))
}

fn invalid(message: &str) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("reasoning_effort {message}"))
        .with_param("reasoning_effort")
}

/// The generation in a model's name: 3.7 of `claude-3-7-sonnet-20250219`, 4.6 of `claude-opus-4-6`, 4.0 of
/// `claude-sonnet-4-20250514`.
fn generation(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.split_once("claude-")?;
    let mut parts = name.split(['-', '.', '@', ':']);
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() <= 2);
    let major = parts.by_ref().find_map(number)?;
    let minor = parts.next().and_then(number).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_is_read_off_names_of_every_fashion() {
        for (model, expected) in [
            ("claude-3-7-sonnet-20250219", Some((3, 7))),
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("claude-opus-4-6", Some((4, 6))),
            ("us.anthropic.claude-opus-4-1-20250805-v1:0", Some((4, 1))),
            ("claude-sonnet-4@20250514", Some((4, 0))),
            ("claude-instant", None),
            ("other", None),
        ] {
            assert_eq!(generation(model), expected, "{model}");
        }
    }

    #[test]
    fn an_effort_is_a_share_of_the_answer_or_a_word() {
        let budget = |model: &str, effort: &str, limit| {
            let thinking = of_effort(model, Some(effort.to_owned()), limit).unwrap().unwrap();
            (thinking.param.r#type, thinking.param.budget_tokens, thinking.effort)
        };
        let old = "claude-sonnet-4-5";
        assert_eq!(budget(old, "medium", 10_000), ("enabled".to_owned(), Some(5_000), None));
        assert_eq!(budget(old, "minimal", 2_000), ("enabled".to_owned(), Some(1_024), None));
        assert_eq!(budget(old, "max", 1_025), ("enabled".to_owned(), Some(1_024), None));
        assert_eq!(budget(old, "none", 10), ("disabled".to_owned(), None, None));
        let new = "claude-opus-4-6";
        assert_eq!(budget(new, "high", 10), ("adaptive".to_owned(), None, Some("high".to_owned())));
        assert_eq!(budget(new, "minimal", 10), ("adaptive".to_owned(), None, Some("low".to_owned())));
        for (effort, limit) in [("low", 1_024), ("very", 9_000)] {
            let Err(error) = of_effort(old, Some(effort.to_owned()), limit) else { panic!("{effort} is taken") };
            assert_eq!(error.param.as_deref(), Some("reasoning_effort"));
        }
    }
}

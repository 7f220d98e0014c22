//! How long a model thinks. Source: <https://docs.cohere.com/v2/docs/reasoning>.
//!
//! A model that can think does, unless it is told not to, and may be given a budget of tokens. The share of the answer that
//! an effort stands for is the one that OpenRouter made common: <https://openrouter.ai/docs/use-cases/reasoning-tokens>.

use sabir_proto::v1::Reasoning;
use serde::Serialize;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};

/// How long an answer is taken to be, in tokens, when the caller sets no limit.
const USUAL_LIMIT: i32 = 16_384;

/// Whether the model thinks, and how long.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Thinking {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_budget: Option<i32>,
}

/// What the request's two ways of saying it come to, in an answer of at most `limit` tokens. `None` leaves it to the model.
pub(super) fn of(
    reasoning: Option<Reasoning>,
    effort: Option<String>,
    limit: Option<i32>,
    unsupported: &mut Unsupported,
) -> Result<Option<Thinking>, UpstreamError> {
    let Reasoning { enabled, effort: said, max_tokens, exclude, additional_members } = reasoning.unwrap_or_default();
    unsupported.unless(!exclude.unwrap_or(false), "reasoning.exclude")?;
    for (name, _) in foreign_members(additional_members) {
        unsupported.unless(false, format!("reasoning.{name}"))?;
    }
    let effort = match (effort, said) {
        (Some(one), Some(other)) if one != other => return Err(invalid("contradicts reasoning.effort")),
        (one, other) => one.or(other),
    };
    let enabled_with = |token_budget| Ok(Some(Thinking { r#type: "enabled", token_budget }));
    // In hundredths of the answer.
    let share = match (enabled, max_tokens, effort.as_deref()) {
        (Some(false), ..) | (_, None, Some("none")) => {
            return Ok(Some(Thinking { r#type: "disabled", token_budget: None }));
        }
        (_, Some(budget), _) => return enabled_with(Some(budget)),
        (_, None, Some("minimal")) => 10,
        (_, None, Some("low")) => 20,
        (_, None, Some("medium")) => 50,
        (_, None, Some("high")) => 80,
        (_, None, Some("xhigh" | "max")) => return enabled_with(None),
        (_, None, Some(_)) => return Err(invalid("must be none, minimal, low, medium, high, xhigh or max")),
        (Some(true), None, None) => return enabled_with(None),
        (None, None, None) => return Ok(None),
    };
    let budget = i64::from(limit.unwrap_or(USUAL_LIMIT)) * share / 100;
    enabled_with(i32::try_from(budget.max(1)).ok())
}

fn invalid(message: &str) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("reasoning_effort {message}"))
        .with_param("reasoning_effort")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::OnUnsupported;

    fn read(effort: Option<&str>, reasoning: Reasoning, limit: Option<i32>) -> Option<(&'static str, Option<i32>)> {
        let mut unsupported = Unsupported::new(OnUnsupported::Refuse, "Cohere");
        let thinking = of(Some(reasoning), effort.map(str::to_owned), limit, &mut unsupported).unwrap();
        thinking.map(|thinking| (thinking.r#type, thinking.token_budget))
    }

    #[test]
    fn an_effort_is_a_share_of_the_answer_and_a_budget_is_itself() {
        let effort = |effort, limit| read(Some(effort), Reasoning::default(), limit);
        assert_eq!(effort("none", None), Some(("disabled", None)));
        assert_eq!(effort("minimal", Some(5)), Some(("enabled", Some(1))));
        assert_eq!(effort("low", None), Some(("enabled", Some(3276))));
        assert_eq!(effort("medium", Some(1000)), Some(("enabled", Some(500))));
        assert_eq!(effort("high", Some(1000)), Some(("enabled", Some(800))));
        assert_eq!(effort("max", Some(1000)), Some(("enabled", None)));
        let reasoning = |enabled, max_tokens| Reasoning { enabled, max_tokens, ..Reasoning::default() };
        assert_eq!(read(None, reasoning(None, None), Some(1000)), None);
        assert_eq!(read(None, reasoning(Some(true), None), Some(1000)), Some(("enabled", None)));
        assert_eq!(read(None, reasoning(Some(false), Some(5)), Some(1000)), Some(("disabled", None)));
        assert_eq!(read(Some("low"), reasoning(None, Some(77)), Some(1000)), Some(("enabled", Some(77))));
    }
}

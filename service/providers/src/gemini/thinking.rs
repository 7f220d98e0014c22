//! How hard a model thinks.
//!
//! Since the third generation models are told a level and cannot be kept from thinking; those before are given a budget of
//! tokens. What an effort means to them is what Google's own endpoint for OpenAI's protocol makes of it.
//! Sources: <https://ai.google.dev/gemini-api/docs/thinking>, <https://ai.google.dev/gemini-api/docs/openai>.

use sabir_proto::v1::Reasoning;
use serde::Serialize;

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::{Unsupported, foreign_members};

/// How hard to think, in the protocol's words.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include_thoughts: Option<bool>,
}

/// What the request's two ways of saying it mean to this model. `None` leaves it to the model.
pub(super) fn of(
    model: &str,
    reasoning: Option<Reasoning>,
    effort: Option<String>,
    unsupported: &mut Unsupported,
) -> Result<Option<Thinking>, UpstreamError> {
    if reasoning.is_none() && effort.is_none() {
        return Ok(None);
    }
    let Reasoning { enabled, effort: said, max_tokens, exclude, additional_members } = reasoning.unwrap_or_default();
    for (name, _) in foreign_members(additional_members) {
        unsupported.unless(false, format!("reasoning.{name}"))?;
    }
    let effort = match (effort, said) {
        (Some(one), Some(other)) if one != other => return Err(invalid("contradicts reasoning.effort")),
        (one, other) => one.or(other),
    };
    let (off, member) = match (enabled, effort.as_deref()) {
        (Some(false), _) => (true, "reasoning.enabled"),
        (_, Some("none")) => (true, "reasoning_effort"),
        _ => (false, ""),
    };
    let generation = Generation::of(model);
    if off {
        return match generation {
            // The large models of the second generation cannot be kept from it either.
            Generation::Budgets if !is_large(model) => {
                Ok(Some(Thinking { thinking_budget: Some(0), ..Thinking::default() }))
            }
            Generation::Budgets | Generation::Levels => unsupported.unless(false, member).map(|()| None),
            Generation::Thoughtless => Ok(None),
        };
    }
    if generation == Generation::Thoughtless {
        let member = if effort.is_some() { "reasoning_effort" } else { "reasoning" };
        return unsupported.unless(false, member).map(|()| None);
    }
    let include_thoughts = (!exclude.unwrap_or(false)).then_some(true);
    let thinking = Thinking { include_thoughts, ..Thinking::default() };
    Ok(Some(match (effort, max_tokens) {
        (Some(_), Some(_)) => return Err(invalid("and reasoning.max_tokens say the same thing; give one of them")),
        (None, tokens) => Thinking { thinking_budget: tokens, ..thinking },
        (Some(effort), None) if generation == Generation::Levels => {
            Thinking { thinking_level: Some(level(model, &effort)?), ..thinking }
        }
        (Some(effort), None) => Thinking { thinking_budget: Some(budget(&effort)?), ..thinking },
    }))
}

/// A level, of those that the model has.
fn level(model: &str, effort: &str) -> Result<&'static str, UpstreamError> {
    Ok(match effort {
        "minimal" if knows_minimal(model) => "MINIMAL",
        "minimal" | "low" => "LOW",
        // The first large model of the generation has only the lowest and the highest.
        "medium" if model.contains("gemini-3-pro") => "HIGH",
        "medium" => "MEDIUM",
        "high" | "xhigh" | "max" => "HIGH",
        _ => return Err(unknown()),
    })
}

fn budget(effort: &str) -> Result<i32, UpstreamError> {
    Ok(match effort {
        "minimal" | "low" => 1024,
        "medium" => 8192,
        "high" | "xhigh" | "max" => 24_576,
        _ => return Err(unknown()),
    })
}

fn unknown() -> UpstreamError {
    invalid("must be none, minimal, low, medium, high, xhigh or max")
}

fn invalid(message: &str) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("reasoning_effort {message}"))
        .with_param("reasoning_effort")
}

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    /// It does not.
    Thoughtless,
    /// By a number of tokens.
    Budgets,
    /// By a level.
    Levels,
}

impl Generation {
    /// By a model's name. Names without a number mean the latest.
    fn of(model: &str) -> Self {
        match version(model) {
            Some(version) if version < (2, 5) => Self::Thoughtless,
            Some((..=2, _)) => Self::Budgets,
            _ => Self::Levels,
        }
    }
}

/// The number in `gemini-2.5-flash`.
fn version(model: &str) -> Option<(u32, u32)> {
    let (_, name) = model.split_once("gemini-")?;
    let number = name.split('-').next().unwrap_or_default();
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn is_large(model: &str) -> bool {
    model.contains("-pro")
}

/// Whether a model has the lowest level: the small ones had it until 3.6. For the others the next one is as close as can be.
fn knows_minimal(model: &str) -> bool {
    !model.contains("gemini") || (!is_large(model) && version(model).is_some_and(|version| version < (3, 7)))
}

/// Whether a model refuses its own calls without the signature of the thought that led to them.
pub(super) fn wants_signatures(model: &str) -> bool {
    model.contains("gemini") && Generation::of(model) == Generation::Levels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::OnUnsupported;

    #[test]
    fn the_generation_is_read_off_names_of_every_fashion() {
        for (model, expected) in [
            ("gemini-1.5-pro-002", Generation::Thoughtless),
            ("gemini-2.0-flash", Generation::Thoughtless),
            ("gemini-2.5-flash-lite", Generation::Budgets),
            ("gemini-3-pro-preview", Generation::Levels),
            ("gemini-3.1-flash-lite", Generation::Levels),
            ("gemini-flash-latest", Generation::Levels),
            ("gemma-4-31b-it", Generation::Levels),
        ] {
            assert_eq!(Generation::of(model), expected, "{model}");
        }
        assert!(wants_signatures("gemini-3-flash") && wants_signatures("gemini-pro-latest"));
        assert!(!wants_signatures("gemini-2.5-pro") && !wants_signatures("gemma-4-31b-it"));
    }

    fn thinking(model: &str, reasoning: Option<Reasoning>, effort: Option<&str>) -> Result<String, Option<String>> {
        let mut unsupported = Unsupported::new(OnUnsupported::Refuse, "Acme");
        let thinking = of(model, reasoning, effort.map(str::to_owned), &mut unsupported);
        thinking.map(|thinking| serde_json::to_string(&thinking).unwrap()).map_err(|error| error.param)
    }

    #[test]
    fn an_effort_is_a_level_or_a_number_of_tokens() {
        let said = |model, effort| thinking(model, None, Some(effort)).unwrap();
        let level = |level: &str| format!(r#"{{"thinkingLevel":"{level}","includeThoughts":true}}"#);
        assert_eq!(said("gemini-3-flash", "minimal"), level("MINIMAL"));
        assert_eq!(said("gemini-3.8-flash", "minimal"), level("LOW"));
        assert_eq!(said("gemini-flash-latest", "minimal"), level("LOW"));
        assert_eq!(said("gemini-3.1-pro", "minimal"), level("LOW"));
        assert_eq!(said("gemini-3.1-pro", "medium"), level("MEDIUM"));
        assert_eq!(said("gemini-3-pro-preview", "medium"), level("HIGH"));
        assert_eq!(said("gemini-3-flash", "max"), level("HIGH"));
        let budget = |budget: i32| format!(r#"{{"thinkingBudget":{budget},"includeThoughts":true}}"#);
        assert_eq!(said("gemini-2.5-flash", "low"), budget(1024));
        assert_eq!(said("gemini-2.5-flash", "medium"), budget(8192));
        assert_eq!(said("gemini-2.5-flash", "high"), budget(24_576));
        assert_eq!(said("gemini-2.5-flash", "none"), r#"{"thinkingBudget":0}"#);
        assert_eq!(said("gemini-2.0-flash", "none"), "null");
    }

    #[test]
    fn thoughts_are_shown_unless_they_are_not_wanted() {
        let reasoning = |reasoning| thinking("gemini-2.5-flash", Some(reasoning), None).unwrap();
        assert_eq!(thinking("gemini-2.5-flash", None, None).unwrap(), "null");
        assert_eq!(reasoning(Reasoning::default()), r#"{"includeThoughts":true}"#);
        let hidden = Reasoning { max_tokens: Some(99), exclude: Some(true), ..Default::default() };
        assert_eq!(reasoning(hidden), r#"{"thinkingBudget":99}"#);
        let off = Reasoning { enabled: Some(false), ..Default::default() };
        assert_eq!(reasoning(off), r#"{"thinkingBudget":0}"#);
    }

    #[test]
    fn what_a_model_cannot_do_is_refused_by_name() {
        let param = |reasoning, effort| thinking("gemini-3-pro", reasoning, effort).unwrap_err().unwrap();
        let older = |model, reasoning, effort| thinking(model, reasoning, effort).unwrap_err().unwrap();
        assert_eq!(older("gemini-2.5-pro", None, Some("none")), "reasoning_effort");
        assert_eq!(older("gemini-2.0-flash", None, Some("low")), "reasoning_effort");
        assert_eq!(older("gemini-2.0-flash", Some(Reasoning::default()), None), "reasoning");
        let off = Reasoning { enabled: Some(false), ..Default::default() };
        let both = Reasoning { max_tokens: Some(1), ..Default::default() };
        let other = Reasoning { effort: Some("high".to_owned()), ..Default::default() };
        assert_eq!(param(None, Some("none")), "reasoning_effort");
        assert_eq!(param(Some(off), None), "reasoning.enabled");
        assert_eq!(param(None, Some("very")), "reasoning_effort");
        assert_eq!(param(Some(both), Some("low")), "reasoning_effort");
        assert_eq!(param(Some(other), Some("low")), "reasoning_effort");
    }
}

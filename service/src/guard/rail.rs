//! One guardrail.

use std::sync::Arc;

use super::judge::{Judge, Verdict};
use crate::auth::fits;
use crate::redact::Redactor;

/// A guardrail.
#[derive(Clone, Debug)]
pub(crate) struct Rail {
    pub(super) name: Arc<str>,
    /// Patterns of the models that it is for, as callers name them.
    pub(super) models: Arc<[String]>,
    /// Whether it looks at questions.
    pub(super) on_input: bool,
    /// Whether it looks at answers.
    pub(super) on_output: bool,
    pub(super) what: What,
}

/// What a guardrail looks for.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// Certain words.
    Words {
        finder: Arc<Redactor>,
        action: Action,
        /// Whether what was taken out of a question is put back into its answer.
        restores: bool,
    },
    /// Whatever somebody else looks for.
    Judge(Judge),
}

/// What to do about what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Put a mark in its place.
    Mask,
    /// Refuse the call.
    Block,
    /// Say so in a header.
    Annotate,
}

impl Rail {
    /// Whether it is for a model.
    pub(super) fn is_for(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| fits(pattern, model))
    }

    /// What it says when it has found something.
    pub(super) fn verdict(&self, action: Action) -> Verdict {
        match action {
            Action::Mask | Action::Annotate => Verdict::Note,
            Action::Block => Verdict::Block("it holds what must not be said here".to_owned()),
        }
    }
}

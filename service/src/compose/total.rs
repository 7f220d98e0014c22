//! What several answers cost together.

use sabir_proto::v1::{ChatCompletion, CompletionUsage};

/// Sums up token counts.
#[derive(Default)]
pub(super) struct Total(Option<CompletionUsage>);

impl Total {
    /// Adds what an answer cost, as far as anybody counted.
    pub(super) fn add(&mut self, completion: &ChatCompletion) {
        let Some(usage) = &completion.usage else { return };
        let total = self.0.get_or_insert_default();
        total.prompt_tokens = total.prompt_tokens.saturating_add(usage.prompt_tokens);
        total.completion_tokens = total.completion_tokens.saturating_add(usage.completion_tokens);
        total.total_tokens = total.total_tokens.saturating_add(usage.total_tokens);
    }

    /// The sum; `None` if nobody counted.
    pub(super) fn sum(self) -> Option<CompletionUsage> {
        self.0
    }
}

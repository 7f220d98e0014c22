//! What a chat call takes of its limits before anybody is asked: tokens of its caller's, and everything of its model's,
//! which no layer before this one knows.

use sabir_proto::v1::CreateChatCompletionRequest;
use sabir_store::Subject;

use super::bounds::Bounds;
use super::ledger::Ledger;
use crate::limit::{Limiter, Refusal, Want};
use crate::upstream::Target;

/// Reserves tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokenLimits {
    limiter: Limiter,
    /// How many tokens an answer is taken to have whose request sets no limit.
    output_estimate: u32,
}

impl TokenLimits {
    /// Reserves of these limits.
    pub(crate) fn new(limiter: Limiter, output_estimate: u32) -> Self {
        Self { limiter, output_estimate }
    }

    /// Lets everybody ask everything.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self::new(Limiter::none(), 0)
    }

    /// Takes what the call may need, and leaves it in the ledger, which settles it with what it has needed.
    pub(super) async fn take(
        &self,
        ledger: &mut Ledger,
        request: &CreateChatCompletionRequest,
        target: &Target,
    ) -> Result<(), Refusal> {
        if !self.limiter.limits_anybody() {
            return Ok(());
        }
        let bounds = Bounds::of(request);
        let answers = u64::from(bounds.output.unwrap_or(self.output_estimate)) * u64::from(bounds.answers);
        let prompt = u64::from(bounds.prompt);
        let want = Want { tokens: prompt.saturating_add(answers), least_tokens: prompt, ..Want::default() };

        let own = ledger.principal().subjects().into_iter().chain([Subject::Everyone]);
        ledger.hold(self.limiter.admit(own, want).await?);

        if !self.limiter.limits_models() {
            return Ok(());
        }
        // A model is limited by whichever of its names, lest an alias be a way around.
        let alias = (target.full_name != request.model).then(|| Subject::Model(request.model.clone()));
        let models = [Subject::Model(target.full_name.clone())].into_iter().chain(alias);
        let hold = self.limiter.admit(models, Want { requests: 1, place: true, ..want }).await?;
        ledger.hold(hold);
        Ok(())
    }
}

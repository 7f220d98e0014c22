//! What a chat call takes of its limits before anybody is asked: tokens of its caller's, and everything of its model's,
//! which no layer before this one knows.

use sabir_proto::v1::CreateChatCompletionRequest;
use sabir_store::Subject;

use super::bounds::Bounds;
use super::ledger::Ledger;
use crate::limit::{Refusal, Want};
use crate::upstream::Target;

/// Takes what the call may need, and leaves it in the ledger, which settles it with what it has needed. An answer whose
/// request sets no limit is taken to have `output_estimate` tokens.
pub(super) async fn take(
    ledger: &mut Ledger,
    request: &CreateChatCompletionRequest,
    target: &Target,
    output_estimate: u32,
) -> Result<(), Refusal> {
    let Some(limits) = ledger.limits() else { return Ok(()) };
    let bounds = Bounds::of(request);
    let answers = u64::from(bounds.output.unwrap_or(output_estimate)) * u64::from(bounds.answers);
    let prompt = u64::from(bounds.prompt);
    let want = Want { tokens: prompt.saturating_add(answers), least_tokens: prompt, ..Want::default() };
    ledger.hold(limits.take(want).await?);

    if limits.limit_models() {
        // A model is limited by whichever of its names, lest an alias be a way around.
        let mut names = vec![Subject::Model(target.full_name.clone())];
        if target.full_name != request.model {
            names.push(Subject::Model(request.model.clone()));
        }
        ledger.hold(limits.take_of_model(&names, Want { requests: 1, place: true, ..want }).await?);
    }
    Ok(())
}

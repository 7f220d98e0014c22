//! What a call takes of its limits before anybody is asked: tokens of its caller's, and everything of its model's, which no
//! layer before this one knows.

use sabir_store::Subject;

use super::ledger::Ledger;
use super::question::Question;
use crate::limit::{Hold, Refusal, Want};
use crate::upstream::Target;

/// Takes the tokens that the call may need, and leaves them in the ledger, which settles them with what it has needed. An
/// answer whose request sets no limit is taken to have `output_estimate` tokens.
pub(super) async fn take(ledger: &mut Ledger, question: &Question, output_estimate: u32) -> Result<(), Refusal> {
    let Some(limits) = ledger.limits() else { return Ok(()) };
    let hold = limits.take(want(question, output_estimate)).await?;
    ledger.hold(hold);
    Ok(())
}

/// Takes what the call may need of a model's own limits.
pub(super) async fn take_of_model(
    ledger: &Ledger,
    question: &Question,
    target: &Target,
    output_estimate: u32,
) -> Result<Option<Hold>, Refusal> {
    let Some(limits) = ledger.limits().filter(|limits| limits.limit_models()) else { return Ok(None) };
    // A model is limited by whichever of its names, lest an alias be a way around.
    let mut names = vec![Subject::Model(target.full_name.clone())];
    if *target.full_name != *question.model {
        names.push(Subject::Model(question.model.to_string()));
    }
    let want = Want { requests: 1, place: true, ..want(question, output_estimate) };
    limits.take_of_model(&names, want).await.map(Some)
}

fn want(question: &Question, output_estimate: u32) -> Want {
    let bounds = question.bounds;
    let answers = u64::from(bounds.output.unwrap_or(output_estimate)) * u64::from(bounds.answers);
    let prompt = u64::from(bounds.prompt);
    Want { tokens: prompt.saturating_add(answers), least_tokens: prompt, ..Want::default() }
}

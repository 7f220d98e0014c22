//! Whole answers: checked, put right, asked for once more.

use sabir_proto::v1::chat_completion::Choice;
use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::{
    ChatCompletion, ChatMessage, CompletionTokensDetails, CompletionUsage, CreateChatCompletionRequest, FinishReason,
    PromptTokensDetails, Role,
};
use tonic::Status;
use tonic::metadata::MetadataValue;

use super::{Care, Checked, Problem, STRUCTURED, Schema};
use crate::chat::{Answer, Caller};
use crate::guard::Guard;

/// Asks, and has the answer follow the schema.
pub(super) async fn complete(
    guard: &Guard,
    schema: &Schema,
    caller: Caller,
    request: Box<CreateChatCompletionRequest>,
) -> Result<Answer<ChatCompletion>, Status> {
    let again = (caller.care == Care::Reask).then(|| (caller.clone(), request.clone()));
    let mut answer = guard.complete(caller, request).await?;
    let (problem, said) = match check(schema, &mut answer) {
        Ok(()) => return Ok(answer),
        Err(faulty) => faulty,
    };
    let Some((caller, mut request)) = again else { return Err(problem.of_answer()) };
    request.messages.push(message(Role::Assistant, said));
    request.messages.push(message(
        Role::User,
        format!("That does not follow the schema: {problem}. Answer again, with the corrected JSON document only."),
    ));
    let mut second = guard.complete(caller, request).await?;
    second.body.usage = sum(answer.body.usage, second.body.usage);
    check(schema, &mut second).map_err(|(problem, _)| problem.of_answer())?;
    second.headers.insert(STRUCTURED, MetadataValue::from_static("reasked"));
    Ok(second)
}

/// Checks every choice that the model finished, and puts it right. A choice that was cut off says so itself.
fn check(schema: &Schema, answer: &mut Answer<ChatCompletion>) -> Result<(), (Problem, String)> {
    let mut repaired = false;
    for Choice { message, finish_reason, .. } in &mut answer.body.choices {
        let finished = *finish_reason == i32::from(FinishReason::Stop);
        let said = message.as_mut().and_then(|message| message.content.as_mut()).filter(|_| finished);
        let Some(said) = said else { continue };
        match schema.check(said) {
            Ok(Checked::Valid) => {}
            Ok(Checked::Repaired(text)) => {
                *said = text;
                repaired = true;
            }
            Err(problem) => return Err((problem, said.clone())),
        }
    }
    if repaired {
        answer.headers.insert(STRUCTURED, MetadataValue::from_static("repaired"));
    }
    Ok(())
}

fn message(role: Role, text: String) -> ChatMessage {
    ChatMessage { role: role.into(), content: Some(Content::Text(text)), ..ChatMessage::default() }
}

/// What two questions cost together.
fn sum(one: Option<CompletionUsage>, other: Option<CompletionUsage>) -> Option<CompletionUsage> {
    let (Some(one), Some(mut both)) = (one, other) else { return None };
    let add = |to: &mut Option<u32>, more: Option<u32>| {
        if let Some(more) = more {
            *to = Some(to.unwrap_or(0).saturating_add(more));
        }
    };
    both.prompt_tokens = both.prompt_tokens.saturating_add(one.prompt_tokens);
    both.completion_tokens = both.completion_tokens.saturating_add(one.completion_tokens);
    both.total_tokens = both.total_tokens.saturating_add(one.total_tokens);
    if let Some(PromptTokensDetails { cached_tokens, cache_write_tokens, .. }) = one.prompt_tokens_details {
        let details = both.prompt_tokens_details.get_or_insert_default();
        add(&mut details.cached_tokens, cached_tokens);
        add(&mut details.cache_write_tokens, cache_write_tokens);
    }
    if let Some(CompletionTokensDetails { reasoning_tokens, .. }) = one.completion_tokens_details {
        add(&mut both.completion_tokens_details.get_or_insert_default().reasoning_tokens, reasoning_tokens);
    }
    Some(both)
}

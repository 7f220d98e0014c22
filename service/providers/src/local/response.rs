//! A finished generation as a chat completion of the contract.

use sabir_proto::v1::{
    ChatCompletion, CompletionUsage, FinishReason as WireReason, ResponseMessage, Role, chat_completion::Choice,
};

use super::{
    engine::Generation,
    error::GenerateError,
    generation::{Event, FinishReason},
};

/// What all parts of one answer have in common.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    /// The answer's id.
    pub(crate) id: String,
    /// Seconds since the Unix epoch.
    pub(crate) created: i64,
    /// The model's name, as the caller of the upstream gave it.
    pub(crate) model: String,
    /// Names the weights.
    pub(crate) system_fingerprint: String,
}

/// Waits for the end of a generation.
pub(crate) async fn collect(stamp: Stamp, mut generation: Generation) -> Result<ChatCompletion, GenerateError> {
    let mut content = String::new();
    while let Some(event) = generation.next().await {
        match event? {
            Event::Text(text) => content.push_str(&text),
            Event::Done { reason, prompt_tokens, completion_tokens } => {
                let message =
                    ResponseMessage { role: Role::Assistant.into(), content: Some(content), ..Default::default() };
                let finish_reason = wire_reason(reason).into();
                return Ok(ChatCompletion {
                    id: stamp.id,
                    object: "chat.completion".to_owned(),
                    created: stamp.created,
                    model: stamp.model,
                    choices: vec![Choice { message: Some(message), finish_reason, ..Default::default() }],
                    usage: Some(usage(prompt_tokens, completion_tokens)),
                    system_fingerprint: Some(stamp.system_fingerprint),
                    ..Default::default()
                });
            }
        }
    }
    Err(cut())
}

pub(crate) fn wire_reason(reason: FinishReason) -> WireReason {
    match reason {
        FinishReason::Stop => WireReason::Stop,
        FinishReason::Length => WireReason::Length,
    }
}

pub(crate) fn usage(prompt_tokens: u32, completion_tokens: u32) -> CompletionUsage {
    CompletionUsage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        ..Default::default()
    }
}

/// A generation whose events end without [`Event::Done`] was cut, whatever it had said by then.
pub(crate) fn cut() -> GenerateError {
    GenerateError::Internal("the generation ended without saying so".to_owned())
}

//! A generation in progress as chunks of the contract: the role, the text as it comes, why it ended, and the usage.

use std::collections::VecDeque;

use futures_core::Stream;
use futures_util::stream;
use sabir_proto::v1::{
    ChatCompletionChunk, CompletionUsage, FinishReason, Role,
    chat_completion_chunk::{Choice, Delta},
};

use super::{
    engine::Generation,
    error::GenerateError,
    generation::Event,
    response::{Stamp, cut, usage, wire_reason},
};

/// Chunks to come, and where further ones come from.
struct State {
    stamp: Stamp,
    ready: VecDeque<Result<ChatCompletionChunk, GenerateError>>,
    /// `None` once nothing follows.
    generation: Option<Generation>,
}

/// The chunks of a generation whose first event is already there.
///
/// Dropping the stream drops the generation, and with it the model's work.
pub(crate) fn chunks(
    stamp: Stamp,
    first: Event,
    generation: Generation,
) -> impl Stream<Item = Result<ChatCompletionChunk, GenerateError>> + Send {
    let mut state = State { stamp, ready: VecDeque::new(), generation: Some(generation) };
    let role = Delta { role: Role::Assistant.into(), content: Some(String::new()), ..Default::default() };
    state.push(vec![choice(role, FinishReason::Unspecified)], None);
    state.translate(Some(Ok(first)));
    stream::unfold(state, |mut state| async move {
        if state.ready.is_empty() {
            let event = state.generation.as_mut()?.next().await;
            state.translate(event);
        }
        state.ready.pop_front().map(|chunk| (chunk, state))
    })
}

impl State {
    fn translate(&mut self, event: Option<Result<Event, GenerateError>>) {
        match event {
            Some(Ok(Event::Text(text))) => {
                let delta = Delta { content: Some(text), ..Default::default() };
                self.push(vec![choice(delta, FinishReason::Unspecified)], None);
            }
            Some(Ok(Event::Done { reason, prompt_tokens, completion_tokens })) => {
                self.push(vec![choice(Delta::default(), wire_reason(reason))], None);
                self.push(Vec::new(), Some(usage(prompt_tokens, completion_tokens)));
                self.generation = None;
            }
            Some(Err(error)) => self.fail(error),
            None => self.fail(cut()),
        }
    }

    fn push(&mut self, choices: Vec<Choice>, usage: Option<CompletionUsage>) {
        self.ready.push_back(Ok(ChatCompletionChunk {
            id: self.stamp.id.clone(),
            object: "chat.completion.chunk".to_owned(),
            created: self.stamp.created,
            model: self.stamp.model.clone(),
            choices,
            usage,
            system_fingerprint: Some(self.stamp.system_fingerprint.clone()),
            ..Default::default()
        }));
    }

    fn fail(&mut self, error: GenerateError) {
        self.ready.push_back(Err(error));
        self.generation = None;
    }
}

fn choice(delta: Delta, finish_reason: FinishReason) -> Choice {
    Choice { delta: Some(delta), finish_reason: finish_reason.into(), ..Default::default() }
}

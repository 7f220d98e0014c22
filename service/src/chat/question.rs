//! What is asked, as far as those have to know who make room for it, count it and record it: not the words themselves.

use std::sync::Arc;

use sabir_proto::v1::{CreateChatCompletionRequest, CreateEmbeddingRequest, EmbeddingInput, embedding_input::Input};
use sabir_store::Operation;

use super::bounds::Bounds;
use super::meter::prompt_bytes;

/// A question to a model.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The model as the caller names it.
    pub(super) model: Arc<str>,
    pub(super) operation: Operation,
    /// Whether the answer comes piece by piece.
    pub(super) streamed: bool,
    /// How much it may take.
    pub(super) bounds: Bounds,
    /// How many bytes of text it has.
    pub(super) prompt_bytes: usize,
}

impl Question {
    /// The question that a conversation ends with.
    pub(super) fn of_chat(request: &CreateChatCompletionRequest, streamed: bool) -> Self {
        let prompt_bytes = prompt_bytes(request);
        let bounds = Bounds::of(request, prompt_bytes);
        Self { model: Arc::from(&*request.model), operation: Operation::Chat, streamed, bounds, prompt_bytes }
    }

    /// The question for the vectors of texts.
    pub(super) fn of_embedding(request: &CreateEmbeddingRequest) -> Self {
        let (mut prompt_bytes, mut tokens) = (0, 0);
        for EmbeddingInput { input } in &request.input {
            match input {
                None => {}
                Some(Input::Text(text)) => prompt_bytes += text.len(),
                Some(Input::Token(_)) => tokens += 1,
                Some(Input::Tokens(ids)) => tokens += ids.ids.len(),
            }
        }
        let bounds = Bounds::of_texts(prompt_bytes, tokens);
        Self { model: Arc::from(&*request.model), operation: Operation::Embed, streamed: false, bounds, prompt_bytes }
    }
}

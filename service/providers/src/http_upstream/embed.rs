//! Vectors of many texts: as many requests as the protocol needs, a few at a time, put together as one answer.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sabir_proto::v1::{CreateEmbeddingResponse, EmbeddingInput, embedding_input::Input};

use super::Inner;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::protocol::Protocol;
use crate::upstream::{EmbedCall, Reply};
use crate::vectors::write_base64;

/// How many requests of one call are under way at once.
const CONCURRENT: usize = 4;

impl<P: Protocol> Inner<P> {
    pub(super) async fn embed(
        self: &Arc<Self>,
        call: EmbedCall,
    ) -> Result<Reply<CreateEmbeddingResponse>, UpstreamError> {
        let batches = batches(call, self.protocol.embed_batch());
        let answers = stream::iter(batches).map(|batch| self.embed_batch(batch)).buffered(CONCURRENT);
        let answers: Vec<_> = answers.try_collect().await?;
        answers.into_iter().reduce(joined).ok_or_else(|| {
            UpstreamError::new(UpstreamErrorKind::InvalidRequest, "there is no text to turn into a vector")
                .with_param("input")
        })
    }

    async fn embed_batch(&self, mut call: EmbedCall) -> Result<Reply<CreateEmbeddingResponse>, UpstreamError> {
        let (deadline, trace, expected) = (call.deadline, call.trace.take(), texts(&call.request.input));
        let model = call.model.clone();
        let in_base64 = call.request.encoding_format() == "base64";
        let worded = self.protocol.embed_request(call)?;
        let body = self.ask(worded.request, trace, deadline).await?;
        let mut answer = self.protocol.read_embeddings(&body)?;
        if answer.data.len() != expected {
            let message = format!("the upstream was given {expected} texts and gave {} vectors", answer.data.len());
            return Err(UpstreamError::new(UpstreamErrorKind::Protocol, message));
        }
        answer.data.sort_by_key(|embedding| embedding.index);
        if answer.model.is_empty() {
            answer.model = model;
        }
        if in_base64 {
            write_base64(&mut answer);
        }
        Ok(Reply { body: answer, dropped: worded.dropped })
    }
}

/// How many texts an input holds: tokens that stand side by side are a single one.
fn texts(input: &[EmbeddingInput]) -> usize {
    if is_one_text(input) { 1 } else { input.len() }
}

fn is_one_text(input: &[EmbeddingInput]) -> bool {
    matches!(input, [EmbeddingInput { input: Some(Input::Token(_)) }, ..])
}

/// The same call in several of at most `size` texts each.
fn batches(call: EmbedCall, size: usize) -> Vec<EmbedCall> {
    if is_one_text(&call.request.input) || call.request.input.len() <= size {
        return vec![call];
    }
    let EmbedCall { model, mut request, deadline, on_unsupported, trace } = call;
    let input = std::mem::take(&mut request.input);
    let batch = |texts: &[EmbeddingInput]| {
        let mut request = request.clone();
        request.input = texts.to_vec();
        EmbedCall { model: model.clone(), request, deadline, on_unsupported, trace: trace.clone() }
    };
    input.chunks(size.max(1)).map(batch).collect()
}

/// Two answers as one: the vectors of the second are numbered on, and what both cost is summed up.
fn joined(
    mut first: Reply<CreateEmbeddingResponse>,
    second: Reply<CreateEmbeddingResponse>,
) -> Reply<CreateEmbeddingResponse> {
    let offset = u32::try_from(first.body.data.len()).unwrap_or(u32::MAX);
    first.body.data.extend(second.body.data.into_iter().map(|mut embedding| {
        embedding.index = embedding.index.saturating_add(offset);
        embedding
    }));
    if let (Some(usage), Some(more)) = (&mut first.body.usage, second.body.usage) {
        usage.prompt_tokens = usage.prompt_tokens.saturating_add(more.prompt_tokens);
        usage.total_tokens = usage.total_tokens.saturating_add(more.total_tokens);
    }
    first.dropped.extend(second.dropped);
    first.dropped.dedup();
    first
}

#[cfg(test)]
mod tests {
    use sabir_proto::v1::{CreateEmbeddingRequest, Embedding, EmbeddingUsage};

    use super::*;
    use crate::upstream::OnUnsupported;

    fn call(input: Vec<Input>) -> EmbedCall {
        let input = input.into_iter().map(|input| EmbeddingInput { input: Some(input) }).collect();
        let request = Box::new(CreateEmbeddingRequest { input, ..Default::default() });
        let on_unsupported = OnUnsupported::Refuse;
        EmbedCall { model: "m".to_owned(), request, deadline: None, on_unsupported, trace: None }
    }

    fn sizes(input: Vec<Input>) -> Vec<usize> {
        batches(call(input), 2).iter().map(|batch| batch.request.input.len()).collect()
    }

    #[test]
    fn many_texts_go_in_batches_and_the_tokens_of_one_text_stay_together() {
        assert_eq!(sizes(vec![Input::Text("a".to_owned()); 5]), [2, 2, 1]);
        assert_eq!(sizes(vec![Input::Text("a".to_owned()); 2]), [2]);
        assert_eq!(sizes(vec![Input::Token(1); 5]), [5]);
    }

    #[test]
    fn answers_are_numbered_on_and_their_costs_summed_up() {
        let answer = |tokens: u32| {
            let data = (0..2).map(|index| Embedding { index, ..Default::default() }).collect();
            let usage = EmbeddingUsage { prompt_tokens: tokens, total_tokens: tokens, ..Default::default() };
            Reply::whole(CreateEmbeddingResponse { data, usage: Some(usage), ..Default::default() })
        };
        let both = joined(answer(3), answer(4)).body;
        assert_eq!(both.data.iter().map(|embedding| embedding.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(both.usage.unwrap().total_tokens, 7);
    }
}

//! A streamed answer on its way through: each chunk is noted in the ledger and handed on, and every end has its state.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::Stream;
use sabir_proto::v1::ChatCompletionChunk;
use sabir_providers::ChunkStream;
use tokio::time::{Sleep, sleep_until};
use tonic::Status;

use super::failure::Failure;
use super::ledger::Ledger;
use super::stamp::Stamp;
use crate::cache::Recorder;

/// The chunks for the caller. It ends normally only if the upstream said that its answer is complete.
///
/// Dropping it aborts the upstream call and settles the ledger.
pub(crate) struct Relay {
    /// Gone when the stream has ended, so that the upstream's connection is free at once.
    chunks: Option<ChunkStream>,
    ledger: Ledger,
    provider: Arc<str>,
    wants_usage: bool,
    stamp: Stamp,
    limit: Option<Pin<Box<Sleep>>>,
    /// Puts the answer together, if it is to be kept.
    recorder: Option<Box<Recorder>>,
}

impl Relay {
    pub(super) fn new(
        chunks: ChunkStream,
        ledger: Ledger,
        provider: Arc<str>,
        wants_usage: bool,
        deadline: Option<Instant>,
    ) -> Self {
        let limit = deadline.map(|deadline| Box::pin(sleep_until(deadline.into())));
        let stamp = Stamp::of(&ledger);
        Self { chunks: Some(chunks), ledger, provider, wants_usage, stamp, limit, recorder: None }
    }

    /// The same, with the answer kept by this recorder once it is whole.
    pub(super) fn recorded(mut self, recorder: Option<Recorder>) -> Self {
        self.recorder = recorder.map(Box::new);
        self
    }

    fn fail(&mut self, failure: &Failure) -> Poll<Option<Result<ChatCompletionChunk, Status>>> {
        self.chunks = None;
        self.recorder = None;
        Poll::Ready(Some(Err(self.ledger.fail(failure))))
    }
}

impl Stream for Relay {
    type Item = Result<ChatCompletionChunk, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(chunks) = &mut this.chunks else { return Poll::Ready(None) };
            match chunks.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(mut chunk))) => {
                    this.stamp.chunk(&mut chunk);
                    this.ledger.chunk(&chunk);
                    if let Some(recorder) = &mut this.recorder {
                        recorder.chunk(&chunk);
                    }
                    let chunk = if this.wants_usage { Some(chunk) } else { without_usage(chunk) };
                    if let Some(chunk) = chunk {
                        return Poll::Ready(Some(Ok(chunk)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    let provider = Arc::clone(&this.provider);
                    return this.fail(&Failure::Upstream { provider, error });
                }
                Poll::Ready(None) => {
                    this.chunks = None;
                    this.ledger.finish();
                    if let Some(recorder) = this.recorder.take() {
                        recorder.finish();
                    }
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let late = this.limit.as_mut().is_some_and(|limit| limit.as_mut().poll(context).is_ready());
                    return if late { this.fail(&Failure::Deadline) } else { Poll::Pending };
                }
            }
        }
    }
}

/// The chunk as a caller sees it who did not ask for usage: we always ask the upstream, so its answer has traces of a
/// question that the caller never put. Nothing is left of the chunk that is there for usage alone.
fn without_usage(mut chunk: ChatCompletionChunk) -> Option<ChatCompletionChunk> {
    if chunk.usage.take().is_some() && chunk.choices.is_empty() {
        return None;
    }
    chunk.additional_members.remove("usage");
    Some(chunk)
}

#[cfg(test)]
mod tests {
    use sabir_proto::v1::CompletionUsage;
    use sabir_proto::v1::chat_completion_chunk::Choice;

    use super::*;

    #[test]
    fn no_trace_of_usage_is_left_for_those_who_did_not_ask() {
        let usage = Some(CompletionUsage::default());
        assert!(without_usage(ChatCompletionChunk { usage: usage.clone(), ..Default::default() }).is_none());

        let with_choice = ChatCompletionChunk { usage, choices: vec![Choice::default()], ..Default::default() };
        assert_eq!(without_usage(with_choice).map(|chunk| (chunk.usage, chunk.choices.len())), Some((None, 1)));

        let null = [("usage".to_owned(), "null".to_owned())].into();
        let with_null = ChatCompletionChunk { additional_members: null, ..Default::default() };
        assert_eq!(without_usage(with_null), Some(ChatCompletionChunk::default()));
    }
}

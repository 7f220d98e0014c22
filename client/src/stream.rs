//! A streamed answer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use sabir_proto::v1::ChatCompletionChunk;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Streaming;
use tonic::metadata::MetadataMap;

use crate::Error;

/// The chunks of an answer, as they are made. Dropping it cancels the call, down to the model.
///
/// It ends with `None` only if the whole answer has arrived; an answer that broke off ends with an error.
#[derive(Debug)]
pub struct ChatStream {
    chunks: Streaming<ChatCompletionChunk>,
    headers: MetadataMap,
    limit: Option<Pin<Box<Sleep>>>,
    over: bool,
}

impl ChatStream {
    pub(crate) fn new(response: tonic::Response<Streaming<ChatCompletionChunk>>, deadline: Option<Instant>) -> Self {
        let (headers, chunks, _) = response.into_parts();
        Self { chunks, headers, limit: deadline.map(|deadline| Box::pin(sleep_until(deadline))), over: false }
    }

    /// The server's name for this call, to find it in its records.
    pub fn request_id(&self) -> Option<&str> {
        self.header("sabir-request-id")
    }

    /// The model that answers, as `provider/model`.
    pub fn model_used(&self) -> Option<&str> {
        self.header("sabir-model-used")
    }

    /// The next chunk; `None` at the end of the answer.
    ///
    /// # Errors
    /// [`Error::Call`] when the answer breaks off. Nothing follows.
    pub async fn next(&mut self) -> Result<Option<ChatCompletionChunk>, Error> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await.transpose()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Stream for ChatStream {
    type Item = Result<ChatCompletionChunk, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        let item = match Pin::new(&mut this.chunks).poll_next(context) {
            Poll::Ready(item) => item.map(|chunk| chunk.map_err(Error::from)),
            Poll::Pending => match &mut this.limit {
                None => return Poll::Pending,
                Some(limit) => {
                    ready!(limit.as_mut().poll(context));
                    Some(Err(Error::deadline_exceeded()))
                }
            },
        };
        this.over = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

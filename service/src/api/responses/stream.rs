//! Chunks of a chat completion as the events of an answer in the form of the Responses API.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses-streaming>.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use sabir_proto::v1::{ModelResponse, ResponseEvent};
use tonic::Status;

use super::writer::Writer;
use crate::structured::Answering;

/// The events. The last one says how the answer ended only if the chunks came to their normal end.
pub(crate) struct Events {
    chunks: Answering,
    writer: Writer,
    ended: bool,
}

impl Events {
    pub(super) fn new(echo: ModelResponse, chunks: Answering) -> Self {
        Self { chunks, writer: Writer::new(echo), ended: false }
    }
}

impl Stream for Events {
    type Item = Result<ResponseEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(event) = this.writer.next_event() {
                return Poll::Ready(Some(Ok(event)));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut this.chunks).poll_next(context)) {
                Some(Ok(chunk)) => this.writer.chunk(chunk),
                Some(Err(status)) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
                None => {
                    this.ended = true;
                    this.writer.end();
                }
            }
        }
    }
}

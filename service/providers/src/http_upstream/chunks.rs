//! The chunks of a streamed answer, decoded straight from the connection: no task and no queue in between.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;
use http_body::Body as _;
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use sabir_proto::v1::ChatCompletionChunk;

use super::Inner;
use crate::error::UpstreamError;
use crate::protocol::{Protocol, StreamDecoder};
use crate::transport::{Watchdog, expired, lost_body};

/// How long the body may stay open after the protocol's end marker. A body that has been read to its end leaves a
/// connection that can be used again, and the end is as a rule already there.
const DRAIN_PATIENCE: Duration = Duration::from_millis(50);

pin_project! {
    /// A streamed answer. Dropping it drops the body, and with it the connection (HTTP/1.1) or the stream (HTTP/2).
    pub(super) struct Chunks<P: Protocol> {
        upstream: Arc<Inner<P>>,
        decoder: P::Decoder,
        // `None` when there is nothing more to read.
        body: Option<Incoming>,
        #[pin]
        watchdog: Watchdog,
        put_back: Option<ChatCompletionChunk>,
        any_read: bool,
        // The end marker has been read.
        ended: bool,
    }
}

impl<P: Protocol> Chunks<P> {
    pub(super) fn new(upstream: Arc<Inner<P>>, reading: P::Reading, body: Incoming, deadline: Option<Instant>) -> Self {
        // A server may send its head at once and then think; the first event is what counts.
        let watchdog = Watchdog::new(upstream.transport.config().header_timeout, deadline);
        let decoder = upstream.protocol.stream_decoder(reading);
        Self { upstream, decoder, body: Some(body), watchdog, put_back: None, any_read: false, ended: false }
    }

    /// Puts the chunk that was read first back in front of the others.
    pub(super) fn put_back(self: Pin<&mut Self>, chunk: ChatCompletionChunk) {
        *self.project().put_back = Some(chunk);
    }

    /// The next item; the body is still there afterwards only if more may follow.
    fn poll_item(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<ChatCompletionChunk, UpstreamError>>> {
        loop {
            if self.ended {
                return self.poll_drained(context);
            }
            let mut this = self.as_mut().project();
            let Some(body) = this.body.as_mut() else {
                return Poll::Ready(None);
            };
            if let Some(chunk) = this.decoder.next_chunk()? {
                return Poll::Ready(Some(Ok(chunk)));
            }
            if this.decoder.ended() {
                *this.ended = true;
                this.watchdog.as_mut().expect_within(DRAIN_PATIENCE);
                continue;
            }
            match Pin::new(body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(piece) = frame.into_data() {
                        if *this.any_read {
                            this.watchdog.heard();
                        } else {
                            *this.any_read = true;
                            this.watchdog.expect_within(this.upstream.transport.config().idle_timeout);
                        }
                        this.decoder.push(piece);
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(lost_body(&error)))),
                Poll::Ready(None) => return Poll::Ready(this.decoder.finish().err().map(Err)),
                Poll::Pending => {
                    let reason = ready!(this.watchdog.poll_expired(context));
                    return Poll::Ready(Some(Err(expired(reason, "the next event"))));
                }
            }
        }
    }

    /// Reads what follows the end marker and throws it away. However that goes, the answer is complete.
    fn poll_drained<T>(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        while let Some(body) = this.body {
            match Pin::new(body).poll_frame(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => *this.body = None,
                Poll::Pending => {
                    ready!(this.watchdog.as_mut().poll_expired(context));
                    *this.body = None;
                }
            }
        }
        Poll::Ready(None)
    }
}

impl<P: Protocol> Stream for Chunks<P> {
    type Item = Result<ChatCompletionChunk, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(chunk) = self.as_mut().project().put_back.take() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        let item = ready!(self.as_mut().poll_item(context));
        let this = self.project();
        Poll::Ready(match item {
            Some(Ok(chunk)) => Some(Ok(chunk)),
            Some(Err(error)) => {
                *this.body = None;
                Some(Err(this.upstream.redacted(error)))
            }
            None => {
                *this.body = None;
                None
            }
        })
    }
}

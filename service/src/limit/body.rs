//! The body of an answer that keeps its place among the open calls until it has ended or is dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

use super::hold::Hold;

/// A body with what its call holds.
#[derive(Debug)]
pub(super) struct HeldBody {
    inner: tonic::body::Body,
    /// Gone when the body has ended: whoever reads it may keep it for longer.
    hold: Option<Hold>,
}

impl HeldBody {
    pub(super) fn new(inner: tonic::body::Body, hold: Hold) -> Self {
        Self { inner, hold: Some(hold) }
    }
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        let goes_on = matches!(&frame, Some(Ok(frame)) if frame.is_data());
        if !goes_on {
            self.hold = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

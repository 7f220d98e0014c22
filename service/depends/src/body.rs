//! The body of an answer, which ends the request when it ends: after the last message, before the status goes out.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::ending::Ending;
use crate::hook::Outcome;
use crate::layer::outcome_of_status;

/// A body on its way to the caller.
pub(crate) struct Relayed {
    // Before the ending, so that what a stream holds is gone when the hooks of a cancelled request run.
    inner: Body,
    ending: Ending,
    /// What it means when the body ends without trailers.
    fallback: Outcome,
    state: State,
}

enum State {
    Relaying,
    /// The request is over but for its hooks. This is what the caller is told then.
    Ending(Outcome, Option<Result<HeaderMap, Status>>),
    Over,
}

impl Relayed {
    pub(crate) fn new(inner: Body, ending: Ending, fallback: Outcome) -> Self {
        Self { inner, ending, fallback, state: State::Relaying }
    }
}

impl http_body::Body for Relayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Relaying => {
                    let (outcome, last) = match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                        None => (this.fallback, None),
                        Some(Err(status)) => (Outcome::Failure(status.code()), Some(Err(status))),
                        Some(Ok(frame)) => match frame.into_trailers() {
                            Err(data) => return Poll::Ready(Some(Ok(data))),
                            Ok(trailers) => (outcome_of_status(&trailers), Some(Ok(trailers))),
                        },
                    };
                    // A stream that is over holds nothing while its hooks run.
                    this.inner = Body::empty();
                    this.state = State::Ending(outcome, last);
                }
                State::Ending(outcome, last) => {
                    let ended = ready!(this.ending.poll(context, *outcome));
                    let last = last.take();
                    this.state = State::Over;
                    let last = match (ended, last) {
                        (Ok(()), last) => last,
                        (Err(error), Some(Ok(_))) => Some(trailers(&Status::from(error))),
                        // The caller knows of a failure, or is told no status at all.
                        (Err(_), last) => last,
                    };
                    return Poll::Ready(last.map(|last| last.map(Frame::trailers)));
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }

    fn size_hint(&self) -> SizeHint {
        match self.state {
            State::Relaying => self.inner.size_hint(),
            State::Ending(..) | State::Over => SizeHint::with_exact(0),
        }
    }
}

fn trailers(status: &Status) -> Result<HeaderMap, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(trailers)
}

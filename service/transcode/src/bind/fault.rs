//! What was wrong with a request stream, kept for the answer.
//!
//! A handler that meets a broken request stream may pass the error on, wrap it in another, or take it for the end. The
//! caller is told what was wrong whatever the handler makes of it; where it is the caller who has gone, the handler is not
//! waited for. Knows nothing of what else can be wrong.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::{Code, Status};

use super::Refusal;

/// A place for the first thing that is wrong with a request stream. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fault(Arc<Place>);

#[derive(Debug, Default)]
struct Place {
    refusal: OnceLock<Refusal>,
    gone: Notify,
}

impl Fault {
    /// Notes what is wrong, and says it as the error of the request stream. Of two faults the first counts.
    pub(crate) fn note(&self, refusal: Refusal) -> Status {
        let status = &self.0.refusal.get_or_init(|| refusal).status;
        // The code of a body that broke off.
        if status.code() == Code::Aborted {
            self.0.gone.notify_one();
        }
        status.clone()
    }

    /// Waits until the stream breaks off, which only a caller who goes away does; over HTTP/1.1 nothing else tells.
    pub(crate) async fn gone(&self) -> Refusal {
        loop {
            self.0.gone.notified().await;
            if let Some(refusal) = self.0.refusal.get() {
                return refusal.clone();
            }
        }
    }

    /// Lets `answer` end with the fault, should there be one by then.
    pub(crate) fn hold(self, answer: Response<Body>) -> Response<Body> {
        if let Some(refusal) = self.0.refusal.get() {
            return refusal.clone().into_grpc();
        }
        answer.map(|body| Body::new(HeldBody { body, fault: self }))
    }
}

/// An answer whose end is the fault, once there is one.
struct HeldBody {
    body: Body,
    fault: Fault,
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(refusal) = self.fault.0.refusal.get() else {
            return Poll::Ready(frame);
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) if frame.is_data() => Some(Ok(frame)),
            Some(Ok(_)) => {
                let mut trailers = HeaderMap::new();
                let written = refusal.status.add_header(&mut trailers);
                Some(written.map(|()| Frame::trailers(trailers)))
            }
            Some(Err(_)) => Some(Err(refusal.status.clone())),
            None => None,
        })
    }
}

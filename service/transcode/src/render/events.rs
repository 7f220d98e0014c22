//! Server-sent events: the messages of a gRPC stream, and an end that cannot be mistaken.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>. A stream that ends well ends with the
//! method's terminator, or an event named `end`; one that fails ends with the error in the API's shape, under the event
//! name `error` where the shape is `google.rpc.Status`. A connection that is cut ends with neither.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};

use super::end_of;
use crate::ErrorShape;
use crate::frame::Deframer;
use crate::route::Method;
use crate::status;
use crate::transcoder::Shared;

pin_project_lite::pin_project! {
    /// The body of a streamed answer.
    pub(super) struct EventBody {
        shared: Arc<Shared>,
        method: Arc<Method>,
        // The frame that was waited for before the headers went out.
        first: Option<Frame<Bytes>>,
        // None once the stream has ended: the call is then dropped.
        body: Option<Body>,
        deframer: Deframer,
        last_write: Instant,
        #[pin]
        keep_alive: Sleep,
    }
}

impl EventBody {
    pub(super) fn new(shared: Arc<Shared>, method: Arc<Method>, first: Frame<Bytes>, body: Body) -> Self {
        Self {
            method,
            first: Some(first),
            body: Some(body),
            deframer: Deframer::default(),
            last_write: Instant::now(),
            keep_alive: tokio::time::sleep(shared.config.keep_alive),
            shared,
        }
    }
}

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut() else { return Poll::Ready(None) };
        // One frame of the answer holds every message that was ready when it was made: what is there is joined already.
        let frame = match this.first.take() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => Pin::new(body).poll_frame(context),
        };
        let mut out = Vec::new();
        if let Poll::Ready(frame) = frame {
            let end = match frame.transpose() {
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.deframer.push(data);
                        write_events(this.shared, this.method, this.deframer, &mut out).err()
                    }
                    Err(frame) => Some(end_of(frame.into_trailers().ok()).err().unwrap_or_else(|| Status::ok(""))),
                },
                Ok(None) => Some(Status::unavailable("the answer ended before it was complete")),
                Err(status) => Some(status),
            };
            if let Some(status) = end {
                *this.body = None;
                write_end(this.method, &status, &mut out);
            } else if out.is_empty() {
                // Half a message: the other half is asked for at once.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if !out.is_empty() {
            *this.last_write = Instant::now();
            return Poll::Ready(Some(Ok(Frame::data(out.into()))));
        }
        // The timer is moved on only when it fires, so that an event costs no timer operation.
        while this.keep_alive.as_mut().poll(context).is_ready() {
            let period = this.shared.config.keep_alive;
            let due = *this.last_write + period;
            let now = Instant::now();
            if due > now {
                this.keep_alive.as_mut().reset(due.into());
                continue;
            }
            *this.last_write = now;
            this.keep_alive.as_mut().reset((now + period).into());
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b": keep-alive\n\n")))));
        }
        Poll::Pending
    }
}

/// One event for each message that is there.
fn write_events(shared: &Shared, method: &Method, deframer: &mut Deframer, out: &mut Vec<u8>) -> Result<(), Status> {
    while let Some(message) = deframer.next().map_err(|error| Status::internal(error.to_string()))? {
        out.reserve(message.len() * 2 + 64);
        let start = out.len();
        out.extend_from_slice(b"data: ");
        if let Err(error) = shared.plans.write(method.output, &message, out) {
            out.truncate(start);
            return Err(Status::internal(error.to_string()));
        }
        // Raw JSON may hold line breaks between its tokens, which would end the event's data.
        if memchr::memchr2(b'\n', b'\r', &out[start..]).is_some() {
            for byte in &mut out[start..] {
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
        out.extend_from_slice(b"\n\n");
    }
    Ok(())
}

/// The event that ends the stream.
fn write_end(method: &Method, status: &Status, out: &mut Vec<u8>) {
    if status.code() == Code::Ok {
        match &method.terminator {
            Some(terminator) => out.extend_from_slice(format!("data: {terminator}\n\n").as_bytes()),
            None => out.extend_from_slice(b"event: end\ndata: {}\n\n"),
        }
        return;
    }
    if method.error_shape == ErrorShape::Status {
        out.extend_from_slice(b"event: error\n");
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&status::body(method.error_shape, status, status::http_status(status.code())));
    out.extend_from_slice(b"\n\n");
}

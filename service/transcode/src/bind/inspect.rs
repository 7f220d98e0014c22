//! The messages of a request stream, checked and validated as they pass.
//!
//! A message that comes compressed is passed on decompressed, so that none slips by unseen. What is wrong with one ends
//! the request stream, and is the status of the call: INVALID_ARGUMENT under the message's index, `[3].name`. The next
//! piece of the body is read when the service asks for more, and no earlier.

use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tonic::body::Body;
use tonic::{Code, Status};

use super::body::too_large;
use super::compressed::Compression;
use super::fault::Fault;
use super::{Refusal, invalid};
use crate::frame;
use crate::route::Method;
use crate::transcoder::Shared;

/// Messages that are there together are passed on together, up to about this many bytes.
const BATCH: usize = 32 << 10;

/// Where the messages of a request stream come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// A stranger, who says how they are compressed.
    Stranger(Compression),
    /// The converter, whose messages are well-formed.
    Converter,
}

/// The body of a client-streaming gRPC request, inspected; what is wrong with a message is noted in `fault` too.
pub(super) fn body(shared: Arc<Shared>, method: Arc<Method>, origin: Origin, body: Body, fault: Fault) -> Body {
    let inspector =
        Inspector { shared, method, origin, body: Some(body), buffer: BytesMut::new(), index: 0, fault, done: false };
    let frames = futures_util::stream::unfold(inspector, |mut inspector| async move {
        let frame = inspector.next().await?;
        Some((frame.map(Frame::data), inspector))
    });
    Body::new(StreamBody::new(frames))
}

struct Inspector {
    shared: Arc<Shared>,
    method: Arc<Method>,
    origin: Origin,
    /// None once it has ended.
    body: Option<Body>,
    /// What has arrived and not passed.
    buffer: BytesMut,
    index: u64,
    fault: Fault,
    /// An error has been said, after which nothing comes.
    done: bool,
}

impl Inspector {
    /// The messages that are there, or the next ones to come.
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        loop {
            if self.done {
                return None;
            }
            match self.pass() {
                Ok(Some(messages)) => return Some(Ok(messages)),
                Ok(None) => {}
                Err(refusal) => return Some(Err(self.end(refusal))),
            }
            let next = match &mut self.body {
                Some(body) => body.frame().await,
                None => None,
            };
            match next {
                // What follows the messages is of no concern here.
                Some(Ok(frame)) => self.buffer.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(status)) => {
                    self.done = true;
                    // tonic takes CANCELLED in a request stream for the stream's normal end, which this is not.
                    let cancelled = status.code() == Code::Cancelled;
                    return Some(Err(if cancelled { Status::aborted(status.message()) } else { status }));
                }
                None if self.buffer.is_empty() => return None,
                None => return Some(Err(self.end(Status::invalid_argument("the message is cut short").into()))),
            }
        }
    }

    fn end(&mut self, refusal: Refusal) -> Status {
        self.done = true;
        self.body = None;
        self.fault.note(refusal)
    }

    /// Inspects the whole messages in the buffer; those that are right come out, framed, before an error does.
    fn pass(&mut self) -> Result<Option<Bytes>, Refusal> {
        let limit = self.method.limits.max_body;
        let mut ready = 0;
        while ready < BATCH {
            match self.frame(ready, limit) {
                Ok(Some(Inspected::AsItIs(length))) => ready += length,
                Ok(Some(Inspected::Compressed { .. })) if ready > 0 => break,
                Ok(Some(Inspected::Compressed { length, plain })) => {
                    self.buffer.advance(length);
                    self.index += 1;
                    return Ok(Some(plain));
                }
                Ok(None) => break,
                // Said next time, after what has been right so far.
                Err(_) if ready > 0 => break,
                Err(refusal) => return Err(refusal),
            }
            self.index += 1;
        }
        Ok((ready > 0).then(|| self.buffer.split_to(ready).freeze()))
    }

    /// Inspects the message whose frame begins at byte `at` of the buffer, if all of it is there.
    fn frame(&self, at: usize, limit: usize) -> Result<Option<Inspected>, Refusal> {
        let rest = &self.buffer[at..];
        let Some(header) = rest.first_chunk::<{ frame::HEADER }>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        if length > limit {
            return Err(too_large(limit));
        }
        let Some(message) = rest.get(frame::HEADER..frame::HEADER + length) else {
            return Ok(None);
        };
        let length = frame::HEADER + length;
        match (header[0], self.origin) {
            (0, _) => {
                self.message(message)?;
                Ok(Some(Inspected::AsItIs(length)))
            }
            (1, Origin::Stranger(compression)) => {
                let plain = compression.decode(message, limit)?;
                self.message(&plain)?;
                let mut framed = frame::start(plain.len());
                framed.extend_from_slice(&plain);
                let plain = frame::seal(framed).ok_or_else(|| too_large(limit))?;
                Ok(Some(Inspected::Compressed { length, plain }))
            }
            (flag, _) => Err(Status::internal(format!("a message has the flag {flag}, which is not known")).into()),
        }
    }

    fn message(&self, message: &[u8]) -> Result<(), Refusal> {
        let Self { shared, method, .. } = self;
        if let Origin::Stranger(_) = self.origin {
            let checked = shared.plans.check_within(method.input, message, method.limits.json);
            checked.map_err(|error| {
                let path = error.field_path();
                let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
                Refusal::from(invalid(&format!("[{}]{dot}{path}", self.index), error.message()))
            })?;
        }
        Ok(shared.validator.validate_item(method.input, message, self.index)?)
    }
}

enum Inspected {
    /// It passes as it came, in a frame of this many bytes.
    AsItIs(usize),
    /// Its frame took this many bytes; this is what takes its place.
    Compressed { length: usize, plain: Bytes },
}

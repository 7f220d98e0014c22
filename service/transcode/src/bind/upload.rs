//! Bodies of any type, into `google.api.HttpBody`: as one message, or as a stream of pieces.
//!
//! Where the body of a rule is an `HttpBody` (the whole message, or one field of it), the bytes are taken as they come,
//! JSON and forms too, with their content type beside them. Of a stream, the first message carries the content type and
//! what query and path say; every message carries one piece, and the next piece is read when the RPC asks for it. A body
//! that breaks off is an error in the stream and never its end.

use std::sync::Arc;

use bytes::Bytes;
use http::Uri;
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::Status;
use tonic::body::Body;

use super::Refusal;
use super::body::{next_chunk, too_large};
use super::fault::Fault;
use crate::frame;
use crate::json::wire::{WireType, close, open, put_bytes, put_varint};
use crate::json::{MessageId, Plans};
use crate::route::{BodyPart, Route};
use crate::transcoder::Shared;

/// The most that one message of a stream carries: far below what any receiver limits a message to.
pub(super) const PIECE: usize = 64 << 10;

/// Field numbers of google/api/httpbody.proto.
const CONTENT_TYPE: u64 = 1;
const DATA: u64 = 2;

/// Whether the body of a route is an `HttpBody`.
pub(super) fn is_raw(plans: &Plans, route: &Route) -> bool {
    match route.body {
        BodyPart::None => false,
        BodyPart::Whole => is_http_body(plans, route.method.input),
        BodyPart::Field(field) => {
            !plans.is_repeated(route.method.input, field)
                && plans.child(route.method.input, field).is_some_and(|child| is_http_body(plans, child))
        }
    }
}

pub(super) fn is_http_body(plans: &Plans, message: MessageId) -> bool {
    plans.name(message) == "google.api.HttpBody"
}

/// Appends the fields of an `HttpBody`.
pub(super) fn http_body(content_type: &str, data: &[u8], out: &mut Vec<u8>) {
    if !content_type.is_empty() {
        put_varint(out, CONTENT_TYPE << 3 | WireType::Bytes.number());
        put_bytes(out, content_type.as_bytes());
    }
    if !data.is_empty() {
        put_varint(out, DATA << 3 | WireType::Bytes.number());
        put_bytes(out, data);
    }
}

/// Appends a raw body to the request message, where the route has its body.
pub(super) fn put(plans: &Plans, route: &Route, content_type: &str, data: &[u8], out: &mut Vec<u8>) {
    let BodyPart::Field(field) = route.body else {
        return http_body(content_type, data, out);
    };
    let number = plans.field_number(route.method.input, field);
    put_varint(out, u64::from(number) << 3 | WireType::Bytes.number());
    let start = open(out);
    http_body(content_type, data, out);
    close(out, start);
}

/// The body of the gRPC request that `body` makes piece by piece; what is wrong with it is noted in `fault` too.
pub(super) fn stream(
    shared: Arc<Shared>,
    route: Arc<Route>,
    uri: Uri,
    content_type: Box<str>,
    body: Body,
    fault: Fault,
) -> Body {
    let pieces = Pieces::new(body, route.method.limits.max_upload);
    let upload = Upload { shared, route, head: Some((uri, content_type)), pieces: Some(pieces), fault };
    let frames = futures_util::stream::unfold(upload, |mut upload| async move {
        let frame = upload.next().await?;
        Some((frame.map(Frame::data), upload))
    });
    Body::new(StreamBody::new(frames))
}

struct Upload {
    shared: Arc<Shared>,
    route: Arc<Route>,
    /// What the first message says besides; until it is there.
    head: Option<(Uri, Box<str>)>,
    /// None once the body has ended, or something was wrong with it.
    pieces: Option<Pieces>,
    fault: Fault,
}

impl Upload {
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        let pieces = self.pieces.as_mut()?;
        let piece = match pieces.next(self.route.method.limits.body_idle_timeout).await {
            Ok(piece) => piece,
            Err(refusal) => return Some(Err(self.fail(refusal))),
        };
        if piece.is_none() {
            self.pieces = None;
            // An empty body is one message all the same.
            self.head.as_ref()?;
        }
        let piece = piece.unwrap_or_default();
        Some(self.message(&piece).map_err(|refusal| self.fail(refusal)))
    }

    fn message(&mut self, piece: &[u8]) -> Result<Bytes, Refusal> {
        let mut message = frame::start(piece.len() + 64);
        match self.head.take() {
            None => put(&self.shared.plans, &self.route, "", piece, &mut message),
            Some((uri, content_type)) => {
                put(&self.shared.plans, &self.route, &content_type, piece, &mut message);
                self.shared.bind_uri(&self.route, &uri, &mut message, frame::HEADER)?;
            }
        }
        frame::seal(message).ok_or_else(|| too_large(u32::MAX as usize))
    }

    fn fail(&mut self, refusal: Refusal) -> Status {
        self.pieces = None;
        self.fault.note(refusal)
    }
}

/// A body in pieces of bounded size, up to a limit altogether.
struct Pieces {
    body: Body,
    chunk: Bytes,
    taken: usize,
    limit: usize,
}

impl Pieces {
    fn new(body: Body, limit: usize) -> Self {
        Self { body, chunk: Bytes::new(), taken: 0, limit }
    }

    async fn next(&mut self, idle: std::time::Duration) -> Result<Option<Bytes>, Refusal> {
        while self.chunk.is_empty() {
            match next_chunk(&mut self.body, idle).await? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(None),
            }
        }
        let piece = self.chunk.split_to(self.chunk.len().min(PIECE));
        self.taken = self.taken.saturating_add(piece.len());
        if self.taken > self.limit { Err(too_large(self.limit)) } else { Ok(Some(piece)) }
    }
}

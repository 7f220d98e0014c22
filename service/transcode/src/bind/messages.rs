//! JSON texts to the messages of a request stream, as they arrive.
//!
//! The body of a client-streaming RPC is NDJSON, JSON texts put end to end, or one JSON array; the first byte that is
//! not white space tells an array from the rest, unless the content type is one of NDJSON's. Each text is one message
//! (or the field of it that the rule names as the body). What path and query say belongs to the stream as a whole, and
//! is bound into its first message, as Envoy and grpc-gateway have it; a stream without messages stays without.
//!
//! The next piece of the body is read when the RPC asks for more, and no earlier. What is wrong with a message is
//! INVALID_ARGUMENT under its index: `[3].name`. A body that ends within a message, or before its array does, is an
//! error and never the end of the stream.

mod converter;
mod splitter;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Uri};
use http_body::Frame;
use http_body_util::StreamBody;
use tonic::Status;
use tonic::body::Body;

pub(crate) use self::converter::Converter;
pub(crate) use self::splitter::Layout;
use self::splitter::{SplitError, Splitter};
use super::Refusal;
use super::body::{next_chunk, too_large};
use super::fault::Fault;
use crate::route::Route;
use crate::transcoder::Shared;

/// Messages that are there together are passed on together, up to about this many bytes.
const BATCH: usize = 32 << 10;

/// The content types whose body is a sequence of JSON texts, whatever its first byte.
const SEQUENCES: [&str; 4] =
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];

/// The layout that a content type fixes.
pub(crate) fn layout(content_type: &HeaderValue) -> Option<Layout> {
    let essence = content_type.to_str().ok()?.split(';').next()?.trim();
    SEQUENCES.iter().any(|name| essence.eq_ignore_ascii_case(name)).then_some(Layout::Sequence)
}

/// The body of the gRPC request that `body`, which is JSON, makes; what is wrong with it is noted in `fault` too.
pub(super) fn body(
    shared: Arc<Shared>,
    route: Arc<Route>,
    uri: Uri,
    layout: Option<Layout>,
    body: Body,
    fault: Fault,
) -> Body {
    let limits = &route.method.limits;
    let (splitter, idle) = (Splitter::new(layout, limits.max_body), limits.body_idle_timeout);
    let converter = Converter::new(shared, route, uri);
    let reader = Reader { converter, splitter, body: Some(body), idle, failed: None, fault };
    let frames = futures_util::stream::unfold(reader, |mut reader| async move {
        let frame = reader.next().await?;
        Some((frame.map(Frame::data), reader))
    });
    Body::new(StreamBody::new(frames))
}

struct Reader {
    converter: Converter,
    splitter: Splitter,
    /// None once it has ended, or something was wrong with it.
    body: Option<Body>,
    /// How long the body may pause.
    idle: Duration,
    /// What comes after the messages that were good.
    failed: Option<Refusal>,
    fault: Fault,
}

impl Reader {
    /// The messages that are there, or the next ones to come.
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        let mut out = Vec::new();
        loop {
            if let Some(refusal) = self.failed.take() {
                self.body = None;
                return Some(Err(self.fault.note(refusal)));
            }
            self.failed = self.convert(&mut out).err();
            if !out.is_empty() {
                return Some(Ok(out.into()));
            }
            if self.failed.is_none() {
                self.failed = self.fetch(&mut out).await?.err();
                if !out.is_empty() {
                    return Some(Ok(out.into()));
                }
            }
        }
    }

    /// Converts what has arrived.
    fn convert(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        while out.len() < BATCH
            && let Some(text) = self.splitter.next().map_err(refuse)?
        {
            self.converter.message(&text, out)?;
        }
        Ok(())
    }

    /// Reads more; at the end of the body, converts what only the end completes. `None` where it had ended before.
    async fn fetch(&mut self, out: &mut Vec<u8>) -> Option<Result<(), Refusal>> {
        let body = self.body.as_mut()?;
        Some(match next_chunk(body, self.idle).await {
            Ok(Some(data)) => {
                self.splitter.push(data);
                Ok(())
            }
            Ok(None) => {
                self.body = None;
                match self.splitter.finish() {
                    Ok(Some(text)) => self.converter.message(&text, out),
                    Ok(None) => Ok(()),
                    Err(error) => Err(refuse(error)),
                }
            }
            Err(refusal) => Err(refusal),
        })
    }
}

fn refuse(error: SplitError) -> Refusal {
    match error {
        SplitError::TooLarge { limit } => too_large(limit),
        _ => Status::invalid_argument(error.to_string()).into(),
    }
}

#[cfg(test)]
mod tests;

//! The three protocols behind one face, so that a claim is written once and looped over all of them.

mod failure;
mod grpc;
mod grpc_web;
mod rest;
mod view;

use std::{net::SocketAddr, pin::Pin};

use futures_util::{Stream, StreamExt};

pub(crate) use failure::Failure;
pub(crate) use grpc_web::messages as grpc_web_messages;
pub(crate) use view::{Answer, Chunk, ToolCall, Usage};

use super::{Call, soon};

/// A way to call the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Grpc,
    GrpcWeb,
    Rest,
}

/// What happens next on a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A piece of the answer.
    Chunk(Box<Chunk>),
    /// The server says that it failed: a status other than OK, or an error event.
    Failed(Failure),
    /// The normal end: status OK, or `[DONE]`.
    End,
    /// The bytes stopped without an end.
    Cut(String),
}

/// An open stream. Dropping it is what a client does that goes away.
pub(crate) type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// All of a stream.
#[derive(Debug, Default)]
pub(crate) struct Streamed {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) failure: Option<Failure>,
    /// Whether the stream came to a normal end. After a failure it must not.
    pub(crate) ended: bool,
    pub(crate) cut: Option<String>,
}

impl Protocol {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Grpc, Self::GrpcWeb, Self::Rest];

    /// The name under which usage rows have it.
    pub(crate) fn stored(self) -> sabir_store::Protocol {
        match self {
            Self::Grpc => sabir_store::Protocol::Grpc,
            Self::GrpcWeb => sabir_store::Protocol::GrpcWeb,
            Self::Rest => sabir_store::Protocol::Rest,
        }
    }

    /// A call that is answered in one piece.
    pub(crate) async fn unary(self, server: SocketAddr, call: &Call) -> Result<Answer, Failure> {
        let answer = async {
            match self {
                Self::Grpc => grpc::unary(server, call).await,
                Self::GrpcWeb => grpc_web::unary(server, call).await,
                Self::Rest => rest::unary(server, call).await,
            }
        };
        soon("an answer", answer).await
    }

    /// A call that is answered as a stream. An error here came before anything else: it has a status of its own.
    pub(crate) async fn stream(self, server: SocketAddr, call: &Call) -> Result<Events, Failure> {
        let stream = async {
            match self {
                Self::Grpc => grpc::stream(server, call).await,
                Self::GrpcWeb => grpc_web::stream(server, call).await,
                Self::Rest => rest::stream(server, call).await,
            }
        };
        soon("a stream to begin", stream).await
    }

    /// A call that is answered as a stream, read to whatever end it has.
    pub(crate) async fn stream_all(self, server: SocketAddr, call: &Call) -> Streamed {
        match self.stream(server, call).await {
            Ok(events) => Streamed::read(events).await,
            Err(failure) => Streamed { failure: Some(failure), ..Streamed::default() },
        }
    }
}

/// The next event of a stream, which must come soon.
pub(crate) async fn next(events: &mut Events) -> Event {
    soon("the next event of a stream", events.next()).await.expect("a stream says how it ends")
}

impl Streamed {
    /// Reads the rest of a stream.
    pub(crate) async fn read(mut events: Events) -> Self {
        let mut streamed = Self::default();
        while let Some(event) = soon("the next event of a stream", events.next()).await {
            match event {
                Event::Chunk(chunk) => streamed.chunks.push(*chunk),
                Event::Failed(failure) => streamed.failure = Some(failure),
                Event::End => streamed.ended = true,
                Event::Cut(how) => streamed.cut = Some(how),
            }
        }
        streamed
    }

    /// The text of all chunks.
    pub(crate) fn text(&self) -> String {
        self.chunks.iter().filter_map(|chunk| chunk.text.as_deref()).collect()
    }

    /// The only finish reason.
    pub(crate) fn finish_reason(&self) -> Option<&str> {
        let mut reasons = self.chunks.iter().filter_map(|chunk| chunk.finish_reason.as_deref());
        let reason = reasons.next();
        assert_eq!(reasons.next(), None, "a stream has one finish reason");
        reason
    }

    /// The usage, which only one chunk may have.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let mut usages = self.chunks.iter().filter_map(|chunk| chunk.usage);
        let usage = usages.next();
        assert_eq!(usages.next(), None, "usage is reported once");
        usage
    }

    /// The tool calls, put together as a tolerant client does: by index; without one, a delta with an id or a name
    /// begins the next call, and any other goes on with the last.
    pub(crate) fn tool_calls(&self) -> Vec<ToolCall> {
        let mut calls: Vec<ToolCall> = Vec::new();
        for delta in self.chunks.iter().flat_map(|chunk| &chunk.tool_calls) {
            let begins = !delta.id.is_empty() || !delta.name.is_empty();
            let next =
                if begins { calls.len() } else { calls.len().checked_sub(1).expect("a call begins with its name") };
            let index = delta.index.map_or(next, |index| usize::try_from(index).unwrap());
            if calls.len() <= index {
                calls.resize(index + 1, ToolCall::default());
            }
            calls[index].id.push_str(&delta.id);
            calls[index].name.push_str(&delta.name);
            calls[index].arguments.push_str(&delta.arguments);
        }
        calls
    }

    /// Asserts that the stream came to a normal end.
    pub(crate) fn assert_complete(&self, about: impl std::fmt::Debug) {
        assert!(self.failure.is_none() && self.cut.is_none() && self.ended, "{about:?}: {self:#?}");
    }

    /// Asserts that the client was told of a failure and could not take the stream for complete.
    pub(crate) fn assert_failed(&self, about: impl std::fmt::Debug) -> &Failure {
        assert!(!self.ended, "{about:?}: a failed stream looks complete: {self:#?}");
        self.failure.as_ref().unwrap_or_else(|| panic!("{about:?}: no failure was reported: {self:#?}"))
    }
}

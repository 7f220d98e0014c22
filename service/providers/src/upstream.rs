//! What the service sees of a model: one trait, whatever answers behind it.
//!
//! It names no protocol and no vendor. A new kind of model implements this trait and nothing else changes.

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use futures_core::Stream;
use sabir_proto::v1::{ChatCompletion, ChatCompletionChunk, CreateChatCompletionRequest};

use crate::error::UpstreamError;

/// One chat request on its way to an upstream.
#[derive(Clone, Debug)]
pub struct ChatCall {
    /// The model's name at the upstream. It replaces the request's own `model`.
    pub model: String,
    /// The request as the caller sent it. Whether the answer streams is decided by the method called, not by its
    /// `stream` member.
    ///
    /// Boxed, because it is large and passes through many hands.
    pub request: Box<CreateChatCompletionRequest>,
    /// When the whole call, the stream included, must be over.
    pub deadline: Option<Instant>,
}

/// An answer to come. Dropping it aborts the upstream call.
pub type ChatFuture<T> = Pin<Box<dyn Future<Output = Result<T, UpstreamError>> + Send>>;

/// A streamed answer. Dropping it aborts the upstream call. Nothing follows an error.
pub type ChunkStream = Pin<Box<dyn Stream<Item = Result<ChatCompletionChunk, UpstreamError>> + Send>>;

/// A model that an upstream offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name by which the upstream knows the model.
    pub id: String,
    /// When the model was made, in seconds since the Unix epoch, if the upstream says so.
    pub created: Option<i64>,
    /// Who owns the model, if the upstream says so.
    pub owned_by: Option<String>,
    /// What the model is, in words for a person, if the upstream says so.
    pub description: Option<String>,
}

/// A model that can be asked. Dropping a future or a stream aborts the upstream call.
pub trait Upstream: Send + Sync {
    /// Asks for a whole answer.
    ///
    /// # Errors
    /// Whatever the upstream refuses, and whatever keeps it from answering in full.
    fn chat(&self, call: ChatCall) -> ChatFuture<ChatCompletion>;

    /// Asks for a streamed answer.
    ///
    /// Resolves when the upstream has accepted and its first event is there, so that an early error has a real status.
    /// The stream ends normally only if the provider said so by its terminal marker; otherwise its last item is an
    /// error of kind [`Truncated`](crate::UpstreamErrorKind::Truncated). Usage is always asked for; a chunk with usage
    /// is there if the upstream reports it, and the last one counts.
    ///
    /// # Errors
    /// Whatever the upstream refuses before its first event; later failures are items of the stream.
    fn stream_chat(&self, call: ChatCall) -> ChatFuture<ChunkStream>;

    /// Lists the models that the upstream offers to our credentials.
    ///
    /// # Errors
    /// Whatever keeps the upstream from answering.
    fn models(&self) -> ChatFuture<Vec<ModelInfo>>;
}

//! What the service sees of a model: one trait, whatever answers behind it.
//!
//! It names no protocol and no vendor. A new kind of model implements this trait and nothing else changes.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use futures_core::Stream;
use http::HeaderValue;
use sabir_proto::v1::{
    ChatCompletion, ChatCompletionChunk, CreateChatCompletionRequest, CreateEmbeddingRequest, CreateEmbeddingResponse,
};

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
    /// What to do about a member of the request that the model cannot honour.
    pub on_unsupported: OnUnsupported,
    /// In whose words the caller asked.
    pub origin: Origin,
    /// The trace that the call belongs to, for the upstream to go on with.
    pub trace: Option<TraceHeaders>,
}

/// The headers by which a call says which trace it belongs to (W3C Trace Context).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceHeaders {
    /// `traceparent`: the trace, and the span that asks.
    pub parent: HeaderValue,
    /// `tracestate`: what tracing systems on the way have added.
    pub state: Option<HeaderValue>,
}

/// In whose words a caller asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// In those of chat completions: whoever speaks them gets the request as it is.
    #[default]
    ChatCompletions,
    /// In those of another API. The request is a translation; what is in it for that API's own servers, such as marks for
    /// their prompt cache, is not passed on to others, where it would be refused.
    Translated,
}

/// One request for vectors on its way to an upstream.
#[derive(Clone, Debug)]
pub struct EmbedCall {
    /// The model's name at the upstream. It replaces the request's own `model`.
    pub model: String,
    /// The request as the caller sent it.
    pub request: Box<CreateEmbeddingRequest>,
    /// When the call must be over.
    pub deadline: Option<Instant>,
    /// What to do about a member of the request that the model cannot honour.
    pub on_unsupported: OnUnsupported,
    /// The trace that the call belongs to, for the upstream to go on with.
    pub trace: Option<TraceHeaders>,
}

/// What to do about a member of a request that a model cannot honour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnsupported {
    /// Refuse the request, naming the member.
    #[default]
    Refuse,
    /// Go on without the member, and name it in [`Reply::dropped`].
    Drop,
}

/// An answer, and what was left out of the question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply<T> {
    /// The answer.
    pub body: T,
    /// The members of the request that the model was not told of, by their paths, such as `logit_bias` or
    /// `messages[0].name`. Only with [`OnUnsupported::Drop`] is there any.
    pub dropped: Dropped,
}

/// Paths of request members that were left out.
pub type Dropped = Vec<Cow<'static, str>>;

impl<T> Reply<T> {
    /// The answer to a question of which nothing was left out.
    pub fn whole(body: T) -> Self {
        Self { body, dropped: Vec::new() }
    }
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
    fn chat(&self, call: ChatCall) -> ChatFuture<Reply<ChatCompletion>>;

    /// Asks for a streamed answer.
    ///
    /// Resolves when the upstream has accepted and its first event is there, so that an early error has a real status.
    /// The stream ends normally only if the provider said so by its terminal marker; otherwise its last item is an
    /// error of kind [`Truncated`](crate::UpstreamErrorKind::Truncated). Usage is always asked for; a chunk with usage
    /// is there if the upstream reports it, and the last one counts.
    ///
    /// # Errors
    /// Whatever the upstream refuses before its first event; later failures are items of the stream.
    fn stream_chat(&self, call: ChatCall) -> ChatFuture<Reply<ChunkStream>>;

    /// Asks for texts as vectors.
    ///
    /// # Errors
    /// Whatever the upstream refuses, and whatever keeps it from answering in full.
    fn embed(&self, call: EmbedCall) -> ChatFuture<Reply<CreateEmbeddingResponse>>;

    /// Lists the models that the upstream offers to our credentials.
    ///
    /// # Errors
    /// Whatever keeps the upstream from answering.
    fn models(&self) -> ChatFuture<Vec<ModelInfo>>;
}

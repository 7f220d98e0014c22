//! What a wire protocol is: pure translation between our messages and an upstream's bytes.
//!
//! Nothing here or in an implementation has a clock, a socket, the environment or a log. Sending is
//! [`HttpUpstream`](crate::HttpUpstream)'s; what cannot go over HTTP implements [`Upstream`](crate::Upstream) itself.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use sabir_proto::v1::{ChatCompletion, ChatCompletionChunk, CreateEmbeddingResponse};

use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::upstream::{ChatCall, Dropped, EmbedCall, ModelInfo};

/// A request as an upstream's protocol words it, without address and credentials.
#[derive(Clone, Debug)]
pub struct WireRequest {
    /// The verb.
    pub method: Method,
    /// What follows the base URL: a path that begins with `/`, and a query if there is one.
    pub path: Cow<'static, str>,
    /// Headers that depend on the request; those that never change are [`Protocol::headers`].
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A chat request in a protocol's words, and what has to be remembered to read its answer.
#[derive(Clone, Debug)]
pub struct Worded<R> {
    /// The request.
    pub request: WireRequest,
    /// What the answer's reader has to know of the question.
    pub reading: R,
    /// The members that could not be said.
    pub dropped: Dropped,
}

/// Translates calls and answers for every upstream that speaks one wire protocol.
pub trait Protocol: Send + Sync + 'static {
    /// Reads streamed answers.
    type Decoder: StreamDecoder;

    /// What the reader of an answer has to know of the question; `()` where answers explain themselves.
    type Reading: Send + 'static;

    /// The paths that do not depend on the call, so that their addresses can be made up once.
    fn paths(&self) -> &'static [&'static str];

    /// The headers of every request, besides the credentials.
    fn headers(&self) -> HeaderMap;

    /// Words a chat request. What it cannot say is refused or named, as the call wants it.
    ///
    /// # Errors
    /// A request that the protocol cannot say.
    fn chat_request(&self, call: ChatCall, streamed: bool) -> Result<Worded<Self::Reading>, UpstreamError>;

    /// Reads a whole answer.
    ///
    /// # Errors
    /// A body that is not a chat completion in this protocol.
    fn read_completion(&self, reading: Self::Reading, body: &[u8]) -> Result<ChatCompletion, UpstreamError>;

    /// The media type of a streamed answer, in lower case and without parameters.
    fn stream_type(&self) -> &'static str;

    /// A decoder at the start of a streamed answer.
    fn stream_decoder(&self, reading: Self::Reading) -> Self::Decoder;

    /// How many texts one request for vectors may hold. A call with more is made in several requests.
    fn embed_batch(&self) -> usize {
        2048
    }

    /// Words a request for vectors, of at most [`embed_batch`](Self::embed_batch) texts. What it cannot say is refused or
    /// named, as the call wants it.
    ///
    /// # Errors
    /// A request that the protocol cannot say; a protocol that has no vectors, which is the default.
    fn embed_request(&self, call: EmbedCall) -> Result<Worded<()>, UpstreamError> {
        let _ = call;
        Err(no_vectors())
    }

    /// Reads the vectors.
    ///
    /// # Errors
    /// A body that holds no vectors in this protocol.
    fn read_embeddings(&self, body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
        let _ = body;
        Err(no_vectors())
    }

    /// Words the request for the list of models.
    fn models_request(&self) -> WireRequest;

    /// Reads the list of models.
    ///
    /// # Errors
    /// A body that is no such list in this protocol.
    fn read_models(&self, body: &[u8]) -> Result<Vec<ModelInfo>, UpstreamError>;

    /// Reads an answer whose HTTP status says that the call has failed. Never fails: what cannot be understood is
    /// classified by its status.
    fn read_error(&self, status: u16, body: &[u8]) -> UpstreamError;
}

/// The error of a protocol without vectors.
fn no_vectors() -> UpstreamError {
    let message = "this model's server has no embeddings in the protocol by which it is asked";
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param("model").with_code("model_not_supported")
}

/// Reads one streamed answer: the bytes of the body in, chunks out. How the bytes are framed (server-sent events, lines
/// of JSON, binary messages) is its own business.
///
/// The order of calls is: [`push`](Self::push), then [`next_chunk`](Self::next_chunk) until it has none, and so on;
/// [`finish`](Self::finish) when the body has ended. After an error, or once [`ended`](Self::ended), no more calls.
pub trait StreamDecoder: Send + 'static {
    /// Takes the next piece of the body.
    fn push(&mut self, piece: Bytes);

    /// The next chunk, if the bytes pushed so far hold one.
    ///
    /// # Errors
    /// Bytes that the protocol does not allow, or an error that the upstream reports within the stream.
    fn next_chunk(&mut self) -> Result<Option<ChatCompletionChunk>, UpstreamError>;

    /// Whether the protocol's mark of a normal end has been read.
    fn ended(&self) -> bool;

    /// Says that the body has ended before [`ended`](Self::ended) was true.
    ///
    /// # Errors
    /// [`Truncated`](crate::UpstreamErrorKind::Truncated), unless the protocol takes the end of the body, after what
    /// has been read, for a normal end.
    fn finish(&mut self) -> Result<(), UpstreamError>;
}

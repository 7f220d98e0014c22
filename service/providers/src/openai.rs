//! OpenAI's chat completions protocol, spoken by OpenAI, by many vendors and by almost every server one can run.
//!
//! The shape of its JSON is described once, by the options in our own proto files; this folder only says what is asked
//! for in which case, where a stream ends, and what errors mean. Source:
//! <https://platform.openai.com/docs/api-reference/chat>.

mod embed;
pub(crate) mod error;
pub(crate) mod models;
mod quirks;
mod request;
mod response;
mod stream;
mod tool_calls;
pub(crate) mod translation;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};
use transcode::json::{MessageId, Plans};

use crate::dialect::Dialect;
use crate::error::{SetupError, UpstreamError};
use crate::http_upstream::HttpUpstream;
use crate::protocol::{Protocol, WireRequest, Worded};
use crate::upstream::{ChatCall, EmbedCall, ModelInfo};

pub use self::quirks::{DoneMarker, OutputLimit, Quirks, StreamUsage};
pub use self::stream::ChunkDecoder;

/// The protocol as a line of the list of protocols.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "openai",
    build: |setup| {
        let protocol = OpenAi::new(setup.plans, setup.quirks)?;
        Ok(Arc::new(HttpUpstream::new(protocol, setup.endpoint, setup.transport)?))
    },
};

const CHAT_PATH: &str = "/chat/completions";
const EMBED_PATH: &str = "/embeddings";
const MODELS_PATH: &str = "/models";

/// OpenAI's protocol with the quirks of one vendor.
#[derive(Clone)]
pub struct OpenAi {
    schema: Schema,
    quirks: Quirks,
}

/// The messages that the protocol is made of, and how they look as JSON.
#[derive(Clone)]
struct Schema {
    plans: Arc<Plans>,
    request: MessageId,
    completion: MessageId,
    chunk: MessageId,
    embed_request: MessageId,
    embed_response: MessageId,
}

impl OpenAi {
    /// The protocol, with plans compiled from a descriptor set that holds `sabir.v1`, such as
    /// [`sabir_proto::FILE_DESCRIPTOR_SET`].
    ///
    /// # Errors
    /// Plans that lack one of the messages.
    pub fn new(plans: Arc<Plans>, quirks: Quirks) -> Result<Self, SetupError> {
        let message = |name: &'static str| plans.message(name).ok_or(SetupError::Message(name));
        let schema = Schema {
            request: message("sabir.v1.CreateChatCompletionRequest")?,
            completion: message("sabir.v1.ChatCompletion")?,
            chunk: message("sabir.v1.ChatCompletionChunk")?,
            embed_request: message("sabir.v1.CreateEmbeddingRequest")?,
            embed_response: message("sabir.v1.CreateEmbeddingResponse")?,
            plans,
        };
        Ok(Self { schema, quirks })
    }
}

impl Protocol for OpenAi {
    type Decoder = ChunkDecoder;
    type Reading = ();

    fn paths(&self) -> &'static [&'static str] {
        &[CHAT_PATH, EMBED_PATH, MODELS_PATH]
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    fn chat_request(&self, call: ChatCall, streamed: bool) -> Result<Worded<()>, UpstreamError> {
        let request = request::prepare(call.request, call.model, streamed, self.quirks, call.origin);
        let body = request::write(&self.schema, &request)?;
        let path = Cow::Borrowed(CHAT_PATH);
        let request = WireRequest { method: Method::POST, path, headers: HeaderMap::new(), body };
        Ok(Worded { request, reading: (), dropped: Vec::new() })
    }

    fn read_completion(&self, (): (), body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
        response::read(&self.schema, body)
    }

    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn stream_decoder(&self, (): ()) -> ChunkDecoder {
        ChunkDecoder::new(self.schema.clone(), self.quirks.done_marker)
    }

    fn embed_request(&self, call: EmbedCall) -> Result<Worded<()>, UpstreamError> {
        let body = embed::write(&self.schema, call)?;
        let path = Cow::Borrowed(EMBED_PATH);
        let request = WireRequest { method: Method::POST, path, headers: HeaderMap::new(), body };
        Ok(Worded { request, reading: (), dropped: Vec::new() })
    }

    fn read_embeddings(&self, body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
        embed::read(&self.schema, body)
    }

    fn models_request(&self) -> WireRequest {
        let path = Cow::Borrowed(MODELS_PATH);
        WireRequest { method: Method::GET, path, headers: HeaderMap::new(), body: Bytes::new() }
    }

    fn read_models(&self, body: &[u8]) -> Result<Vec<ModelInfo>, UpstreamError> {
        models::read(body)
    }

    fn read_error(&self, status: u16, body: &[u8]) -> UpstreamError {
        error::read(Some(status), body)
    }
}

#[cfg(test)]
mod tests;

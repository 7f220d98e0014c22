//! OpenAI's Responses protocol.
//!
//! The shape of its JSON is described once, by the options of `responses.proto`; this folder says what becomes of a chat
//! completion in it. Nothing is left with the vendor: each request has the whole conversation, and what the model thought
//! travels sealed. Source: <https://platform.openai.com/docs/api-reference/responses>.

mod error;
mod essence;
mod form;
mod include;
mod items;
mod models;
mod request;
mod response;
mod search;
mod stream;
mod tools;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};
use transcode::json::{MessageId, Plans};

use self::stream::EventDecoder;
use crate::dialect::Dialect;
use crate::error::{SetupError, UpstreamError};
use crate::http_upstream::HttpUpstream;
use crate::openai::{OpenAi, Quirks};
use crate::protocol::{Protocol, WireRequest, Worded};
use crate::upstream::{ChatCall, EmbedCall, ModelInfo};

/// The protocol as a line of the list of protocols.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "responses",
    build: |setup| {
        let protocol = Responses::new(setup.plans)?;
        Ok(Arc::new(HttpUpstream::new(protocol, setup.endpoint, setup.transport)?))
    },
};

/// Who cannot honour something, for messages.
const NAME: &str = "OpenAI's Responses API";

/// Who can read the thoughts of these models.
const FORMAT: &str = "openai-responses-v1";

/// The member that holds an answer's items, verbatim, which our words cannot say.
const ITEMS: &str = "output_items";

const RESPONSES_PATH: &str = "/responses";
const EMBED_PATH: &str = "/embeddings";
const MODELS_PATH: &str = "/models";

/// OpenAI's Responses protocol.
#[derive(Clone)]
pub(crate) struct Responses {
    schema: Schema,
    /// The vendor's other protocol, which has the vectors of both.
    other: OpenAi,
}

/// The messages that the protocol is made of, and how they look as JSON.
#[derive(Clone)]
struct Schema {
    plans: Arc<Plans>,
    request: MessageId,
    response: MessageId,
    event: MessageId,
    item: MessageId,
}

impl Responses {
    /// The protocol, with plans compiled from a descriptor set that holds `sabir.v1`.
    ///
    /// # Errors
    /// Plans that lack one of the messages.
    pub(crate) fn new(plans: Arc<Plans>) -> Result<Self, SetupError> {
        let other = OpenAi::new(Arc::clone(&plans), Quirks::NONE)?;
        let message = |name: &'static str| plans.message(name).ok_or(SetupError::Message(name));
        let schema = Schema {
            request: message("sabir.v1.CreateResponseRequest")?,
            response: message("sabir.v1.ModelResponse")?,
            event: message("sabir.v1.ResponseEvent")?,
            item: message("sabir.v1.ResponseItem")?,
            plans,
        };
        Ok(Self { schema, other })
    }
}

impl Protocol for Responses {
    type Decoder = EventDecoder;
    type Reading = ();

    fn paths(&self) -> &'static [&'static str] {
        &[RESPONSES_PATH, EMBED_PATH, MODELS_PATH]
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    fn chat_request(&self, call: ChatCall, streamed: bool) -> Result<Worded<()>, UpstreamError> {
        let (request, dropped) = request::word(call, streamed)?;
        let body = request::write(&self.schema, &request)?;
        let path = Cow::Borrowed(RESPONSES_PATH);
        let request = WireRequest { method: Method::POST, path, headers: HeaderMap::new(), body };
        Ok(Worded { request, reading: (), dropped })
    }

    fn read_completion(&self, (): (), body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
        response::read(&self.schema, body)
    }

    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn stream_decoder(&self, (): ()) -> EventDecoder {
        EventDecoder::new(self.schema.clone())
    }

    fn embed_batch(&self) -> usize {
        self.other.embed_batch()
    }

    fn embed_request(&self, call: EmbedCall) -> Result<Worded<()>, UpstreamError> {
        self.other.embed_request(call)
    }

    fn read_embeddings(&self, body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
        self.other.read_embeddings(body)
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

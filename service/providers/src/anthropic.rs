//! Anthropic's Messages protocol.
//!
//! The shape of its JSON is described once, by the options of `messages.proto`; this folder says what becomes of a chat
//! completion in it. Source: <https://docs.claude.com/en/api/messages>.

mod blocks;
mod error;
mod models;
mod request;
mod response;
mod stream;
pub(crate) mod thinking;
mod tools;
mod usage;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use sabir_proto::v1::ChatCompletion;
use transcode::json::{MessageId, Plans};

pub(crate) use self::response::FORMAT;
use self::stream::EventDecoder;
use crate::dialect::Dialect;
use crate::error::{SetupError, UpstreamError};
use crate::http_upstream::HttpUpstream;
use crate::protocol::{Protocol, WireRequest, Worded};
use crate::upstream::{ChatCall, ModelInfo};

/// The protocol as a line of the list of protocols.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "anthropic",
    build: |setup| {
        let protocol = Anthropic::new(setup.plans)?;
        Ok(Arc::new(HttpUpstream::new(protocol, setup.endpoint, setup.transport)?))
    },
};

const MESSAGES_PATH: &str = "/v1/messages";
const MODELS_PATH: &str = "/v1/models?limit=1000";

/// The version of the API that this folder speaks. Source: <https://docs.claude.com/en/api/versioning>.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));

/// Anthropic's protocol.
#[derive(Clone)]
pub(crate) struct Anthropic {
    schema: Schema,
}

/// The messages that the protocol is made of, and how they look as JSON.
#[derive(Clone)]
struct Schema {
    plans: Arc<Plans>,
    request: MessageId,
    response: MessageId,
    event: MessageId,
    block: MessageId,
}

impl Anthropic {
    /// The protocol, with plans compiled from a descriptor set that holds `sabir.v1`.
    ///
    /// # Errors
    /// Plans that lack one of the messages.
    pub(crate) fn new(plans: Arc<Plans>) -> Result<Self, SetupError> {
        let message = |name: &'static str| plans.message(name).ok_or(SetupError::Message(name));
        let schema = Schema {
            request: message("sabir.v1.CreateMessageRequest")?,
            response: message("sabir.v1.MessageResponse")?,
            event: message("sabir.v1.MessageEvent")?,
            block: message("sabir.v1.ContentBlock")?,
            plans,
        };
        Ok(Self { schema })
    }
}

impl Protocol for Anthropic {
    type Decoder = EventDecoder;
    type Reading = ();

    fn paths(&self) -> &'static [&'static str] {
        &[MESSAGES_PATH, MODELS_PATH]
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json")), VERSION])
    }

    fn chat_request(&self, call: ChatCall, streamed: bool) -> Result<Worded<()>, UpstreamError> {
        let (request, dropped) = request::word(call, streamed)?;
        let body = request::write(&self.schema, &request)?;
        let path = Cow::Borrowed(MESSAGES_PATH);
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

//! Cohere's protocol, version 2.
//!
//! Source: <https://docs.cohere.com/v2/reference/chat>.

mod embed;
mod error;
mod messages;
mod models;
mod request;
mod response;
mod stream;
mod thinking;
mod tools;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};

use self::stream::EventDecoder;
use crate::dialect::Dialect;
use crate::error::UpstreamError;
use crate::http_upstream::HttpUpstream;
use crate::protocol::{Protocol, WireRequest, Worded};
use crate::upstream::{ChatCall, EmbedCall, ModelInfo};

/// The protocol as a line of the list of protocols.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "cohere",
    build: |setup| {
        // The version is a part of each path, and of the address that some clients are told.
        let endpoint = setup.endpoint.without_suffix("/v2").without_suffix("/v1");
        Ok(Arc::new(HttpUpstream::new(Cohere, endpoint, setup.transport)?))
    },
};

const CHAT_PATH: &str = "/v2/chat";
const EMBED_PATH: &str = "/v2/embed";
const MODELS_PATH: &str = "/v1/models?page_size=1000";

/// Who cannot honour a member, for messages.
const TARGET: &str = "Cohere's Chat API";

/// Cohere's protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cohere;

fn post(path: &'static str, body: Bytes) -> WireRequest {
    WireRequest { method: Method::POST, path: Cow::Borrowed(path), headers: HeaderMap::new(), body }
}

impl Protocol for Cohere {
    type Decoder = EventDecoder;
    /// The model that was asked, which answers do not name.
    type Reading = String;

    fn paths(&self) -> &'static [&'static str] {
        &[CHAT_PATH, EMBED_PATH, MODELS_PATH]
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    fn chat_request(&self, call: ChatCall, streamed: bool) -> Result<Worded<String>, UpstreamError> {
        let reading = call.model.clone();
        let (body, dropped) = request::word(call, streamed)?;
        Ok(Worded { request: post(CHAT_PATH, body), reading, dropped })
    }

    fn read_completion(&self, model: String, body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
        response::read(model, body)
    }

    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn stream_decoder(&self, model: String) -> EventDecoder {
        EventDecoder::new(model)
    }

    fn embed_batch(&self) -> usize {
        96
    }

    fn embed_request(&self, call: EmbedCall) -> Result<Worded<()>, UpstreamError> {
        let (body, dropped) = embed::word(call)?;
        Ok(Worded { request: post(EMBED_PATH, body), reading: (), dropped })
    }

    fn read_embeddings(&self, body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
        embed::read(body)
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

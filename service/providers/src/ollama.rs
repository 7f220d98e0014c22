//! Ollama's own protocol, which says more than the part of OpenAI's that Ollama speaks as well: options of the model's
//! runner, thinking, how long the model stays loaded.
//!
//! Source: <https://docs.ollama.com/api/introduction> and its description at <https://docs.ollama.com/openapi.yaml>.

mod embed;
mod error;
mod messages;
mod models;
mod options;
mod request;
mod response;
mod stream;
mod time;
mod tools;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};

use self::stream::LineDecoder;
use crate::dialect::Dialect;
use crate::error::UpstreamError;
use crate::http_upstream::HttpUpstream;
use crate::protocol::{Protocol, WireRequest, Worded};
use crate::upstream::{ChatCall, Dropped, EmbedCall, ModelInfo};

/// The protocol as a line of the list of protocols.
pub(crate) static DIALECT: Dialect = Dialect {
    name: "ollama",
    build: |setup| {
        // Where OpenAI's protocol is spoken, and where other clients of this one are told to look.
        let endpoint = setup.endpoint.without_suffix("/v1").without_suffix("/api");
        Ok(Arc::new(HttpUpstream::new(Ollama, endpoint, setup.transport)?))
    },
};

const CHAT_PATH: &str = "/api/chat";
const EMBED_PATH: &str = "/api/embed";
const MODELS_PATH: &str = "/api/tags";

/// Who cannot honour a member, for messages.
const TARGET: &str = "Ollama";

/// Ollama's protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ollama;

fn post(path: &'static str, (body, dropped): (Bytes, Dropped)) -> Worded<()> {
    let request = WireRequest { method: Method::POST, path: Cow::Borrowed(path), headers: HeaderMap::new(), body };
    Worded { request, reading: (), dropped }
}

impl Protocol for Ollama {
    type Decoder = LineDecoder;
    type Reading = ();

    fn paths(&self) -> &'static [&'static str] {
        &[CHAT_PATH, EMBED_PATH, MODELS_PATH]
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    fn chat_request(&self, call: ChatCall, streamed: bool) -> Result<Worded<()>, UpstreamError> {
        Ok(post(CHAT_PATH, request::word(call, streamed)?))
    }

    fn read_completion(&self, (): (), body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
        response::read(body)
    }

    fn stream_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn stream_decoder(&self, (): ()) -> LineDecoder {
        LineDecoder::default()
    }

    fn embed_request(&self, call: EmbedCall) -> Result<Worded<()>, UpstreamError> {
        Ok(post(EMBED_PATH, embed::word(call)?))
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

//! Google's Gemini API: `generateContent`, its stream, and embeddings.
//!
//! The model is part of the path. A stream has no mark of its own at the end; it is whole when every candidate has said why
//! it stopped. Google hosts the models in two places, which differ in little: [`Host`].
//! Sources: <https://ai.google.dev/api/generate-content>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference>.

mod answer;
mod config;
mod contents;
mod embed;
mod error;
mod media;
mod models;
mod parts;
mod request;
mod response;
mod signature;
mod stream;
mod thinking;
mod tools;
mod usage;
mod vertex;
mod wire;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};

use self::stream::AnswerDecoder;
use crate::dialect::{Dialect, Setup};
use crate::error::{SetupError, UpstreamError};
use crate::http_upstream::HttpUpstream;
use crate::protocol::{Protocol, WireRequest, Worded};
use crate::upstream::{ChatCall, EmbedCall, ModelInfo, Upstream};

/// The protocol as a line of the list of protocols.
pub(crate) static DIALECT: Dialect = Dialect { name: "gemini", build: |setup| build(Gemini::DEVELOPER, setup) };

/// The protocol as Vertex AI speaks it. Its base URL names project and region, and ends in `/publishers/google`.
pub(crate) static VERTEX: Dialect = Dialect { name: "vertex", build: |setup| build(Gemini::VERTEX, setup) };

fn build(protocol: Gemini, setup: Setup) -> Result<Arc<dyn Upstream>, SetupError> {
    Ok(Arc::new(HttpUpstream::new(protocol, setup.endpoint, setup.transport)?))
}

const MODELS_PATH: &str = "/models?pageSize=1000";

/// Google's protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gemini {
    host: Host,
}

impl Gemini {
    /// As the Gemini API speaks it.
    pub(crate) const DEVELOPER: Self = Self { host: Host::Developer };

    /// As Vertex AI speaks it.
    pub(crate) const VERTEX: Self = Self { host: Host::Vertex };
}

/// Where the models are asked. Chat is the same in both places; the class of speed and price, and vectors are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    /// The Gemini API, with keys from AI Studio.
    Developer,
    /// Vertex AI, in Google's cloud.
    Vertex,
}

impl Host {
    /// Who cannot honour something, for messages.
    fn name(self) -> &'static str {
        match self {
            Self::Developer => "Google's Gemini API",
            Self::Vertex => "Google's Vertex AI",
        }
    }
}

impl Protocol for Gemini {
    type Decoder = AnswerDecoder;
    type Reading = ();

    fn paths(&self) -> &'static [&'static str] {
        &[MODELS_PATH]
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    fn chat_request(&self, call: ChatCall, streamed: bool) -> Result<Worded<()>, UpstreamError> {
        let method = if streamed { "streamGenerateContent?alt=sse" } else { "generateContent" };
        let path = path(&call.model, method);
        let request::Wording { body, tier, dropped } = request::word(self.host, call)?;
        let mut request = post(path, body);
        if let (Host::Vertex, Some(tier)) = (self.host, tier) {
            request.headers.extend(vertex::tier(tier));
        }
        Ok(Worded { request, reading: (), dropped })
    }

    fn read_completion(&self, (): (), body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
        response::read(body)
    }

    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    fn stream_decoder(&self, (): ()) -> AnswerDecoder {
        AnswerDecoder::default()
    }

    fn embed_batch(&self) -> usize {
        match self.host {
            Host::Developer => embed::BATCH,
            Host::Vertex => vertex::BATCH,
        }
    }

    fn embed_request(&self, call: EmbedCall) -> Result<Worded<()>, UpstreamError> {
        let (path, (body, dropped)) = match self.host {
            Host::Developer => (path(&call.model, "batchEmbedContents"), embed::word(call)?),
            Host::Vertex => (path(&call.model, vertex::method(&call.model)), vertex::word(call)?),
        };
        Ok(Worded { request: post(path, body), reading: (), dropped })
    }

    fn read_embeddings(&self, body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
        match self.host {
            Host::Developer => embed::read(body),
            Host::Vertex => vertex::read(body),
        }
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

fn post(path: String, body: Bytes) -> WireRequest {
    WireRequest { method: Method::POST, path: Cow::Owned(path), headers: HeaderMap::new(), body }
}

/// The path of a model's method.
fn path(model: &str, method: &str) -> String {
    let mut path = format!("/{}/", collection(model));
    for byte in id(model).bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path.push(':');
    path.push_str(method);
    path
}

/// What kind of model a name is of: tuned ones have a place of their own.
fn collection(model: &str) -> &'static str {
    if model.starts_with("tunedModels/") { "tunedModels" } else { "models" }
}

/// A model's name without what kind it is.
fn id(model: &str) -> &str {
    model.strip_prefix("models/").or_else(|| model.strip_prefix("tunedModels/")).unwrap_or(model)
}

#[cfg(test)]
mod tests;

//! Amazon Bedrock's runtime: `Converse`, `ConverseStream`, and vectors by `InvokeModel`.
//!
//! The model is part of the path. A stream is binary: messages of AWS's event stream, each with its length and checksums.
//! Answers do not name their model, and what it can be told besides the usual depends on who made it.
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

mod cache;
mod embed;
mod error;
mod frames;
mod media;
mod messages;
mod models;
mod request;
mod response;
mod stream;
mod thinking;
mod tools;
mod upstream;
mod usage;
mod wire;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use sabir_proto::v1::{ChatCompletion, CreateEmbeddingResponse};

use self::stream::EventDecoder;
use self::upstream::TwoHosts;
use crate::dialect::Dialect;
use crate::error::UpstreamError;
use crate::protocol::{Protocol, WireRequest, Worded};
use crate::upstream::{ChatCall, EmbedCall, ModelInfo};

#[cfg(test)]
pub(crate) use self::frames::encode;

/// The protocol as a line of the list of protocols.
pub(crate) static DIALECT: Dialect =
    Dialect { name: "bedrock", build: |setup| Ok(Arc::new(TwoHosts::new(setup.endpoint, setup.transport)?)) };

const MODELS_PATH: &str = "/foundation-models";

/// Who cannot honour a member, for messages.
const TARGET: &str = "Amazon Bedrock's Converse API";

/// Bedrock's protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bedrock;

/// Who made a model, where that decides what it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Anthropic.
    Claude,
    /// Amazon, first generation.
    Nova,
    /// Amazon, with thoughts.
    Nova2,
    /// OpenAI's open models.
    GptOss,
    /// Others, and models behind the name of a profile or of a deployment, which does not tell.
    Other,
}

impl Family {
    fn of(model: &str) -> Self {
        if model.contains("anthropic.claude") {
            Self::Claude
        } else if model.contains("amazon.nova-2") {
            Self::Nova2
        } else if model.contains("amazon.nova") {
            Self::Nova
        } else if model.contains("openai.gpt-oss") {
            Self::GptOss
        } else {
            Self::Other
        }
    }

    /// Who can read the thoughts of these models.
    fn format(self) -> &'static str {
        match self {
            // A seal of Anthropic's is one in whichever cloud its models are.
            Self::Claude => crate::anthropic::FORMAT,
            _ => "amazon-bedrock-v1",
        }
    }

    /// Whether marks in a prompt say what is kept of it. Others refuse them.
    fn caches(self) -> bool {
        matches!(self, Self::Claude | Self::Nova | Self::Nova2)
    }
}

impl Protocol for Bedrock {
    type Decoder = EventDecoder;
    /// The model that was asked, which answers do not name.
    type Reading = String;

    fn paths(&self) -> &'static [&'static str] {
        &[MODELS_PATH]
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    fn chat_request(&self, call: ChatCall, streamed: bool) -> Result<Worded<String>, UpstreamError> {
        let path = path(&call.model, if streamed { "converse-stream" } else { "converse" });
        let reading = call.model.clone();
        let (body, dropped) = request::word(call)?;
        Ok(Worded { request: post(path, body), reading, dropped })
    }

    fn read_completion(&self, model: String, body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
        response::read(model, body)
    }

    fn stream_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn stream_decoder(&self, model: String) -> EventDecoder {
        EventDecoder::new(model)
    }

    fn embed_batch(&self) -> usize {
        1
    }

    fn embed_request(&self, call: EmbedCall) -> Result<Worded<()>, UpstreamError> {
        let path = path(&call.model, "invoke");
        let (body, dropped) = embed::word(call)?;
        Ok(Worded { request: post(path, body), reading: (), dropped })
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

fn post(path: String, body: Bytes) -> WireRequest {
    WireRequest { method: Method::POST, path: Cow::Owned(path), headers: HeaderMap::new(), body }
}

/// The path of what a model does. Its name may have colons and, if it is that of a profile, slashes.
fn path(model: &str, what: &str) -> String {
    let mut path = "/model/".to_owned();
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string never fails.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path.push('/');
    path.push_str(what);
    path
}

#[cfg(test)]
mod tests;

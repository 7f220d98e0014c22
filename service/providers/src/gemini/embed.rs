//! Words a request for vectors, and reads them. Source: <https://ai.google.dev/api/embeddings>.

use bytes::Bytes;
use sabir_proto::v1::embedding::Embedding as Form;
use sabir_proto::v1::embedding_input::Input;
use sabir_proto::v1::{
    CreateEmbeddingRequest, CreateEmbeddingResponse, Embedding, EmbeddingInput, EmbeddingUsage, Vector,
};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::answer::not_one;
use super::wire::{Content, Part};
use super::{Host, collection, error, id};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::Unsupported;
use crate::upstream::{Dropped, EmbedCall};
use crate::verbatim::Members;

/// How many texts one request may hold.
pub(super) const BATCH: usize = 100;

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<One<'a>>,
}

/// The request for one vector.
struct One<'a> {
    model: &'a str,
    content: Content,
    dimensions: Option<i32>,
    /// The vendor's own members, such as `taskType`.
    members: &'a Members,
}

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("model", self.model)?;
        object.serialize_entry("content", &self.content)?;
        if let Some(dimensions) = self.dimensions {
            object.serialize_entry("outputDimensionality", &dimensions)?;
        }
        self.members.write(&mut object)?;
        object.end()
    }
}

/// The request as JSON, and what could not be said.
pub(super) fn word(call: EmbedCall) -> Result<(Bytes, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, Host::Developer.name());
    // How the numbers are written is not the server's matter.
    let CreateEmbeddingRequest { model: _, input, encoding_format: _, dimensions, user, additional_members } =
        *call.request;
    unsupported.leave_out("user", &user)?;
    let model = format!("{}/{}", collection(&call.model), id(&call.model));
    let members = Members::foreign(additional_members, "")?;
    let one = |text| One {
        model: &model,
        content: Content { role: None, parts: vec![Part::text(text)] },
        dimensions,
        members: &members,
    };
    let requests = texts(input, Host::Developer)?.into_iter().map(one).collect();
    let body = serde_json::to_vec(&Batch { requests }).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok((body.into(), unsupported.into_dropped()))
}

/// The texts. Tokens are of no use to a server whose tokenizer nobody else has.
pub(super) fn texts(input: Vec<EmbeddingInput>, host: Host) -> Result<Vec<String>, UpstreamError> {
    let text = |EmbeddingInput { input }| match input {
        Some(Input::Text(text)) => Ok(text),
        Some(Input::Token(_) | Input::Tokens(_)) | None => {
            let message = format!("{} takes texts and no tokens", host.name());
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param("input"))
        }
    };
    input.into_iter().map(text).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    embeddings: Option<Vec<Values>>,
    usage_metadata: Option<Usage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Values {
    #[serde(default)]
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_token_count: Option<u32>,
}

/// The vectors.
pub(super) fn read(body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| not_one("a list of embeddings", &error))?;
    if answer.error.is_some() {
        return Err(error::read(None, body));
    }
    let embeddings = answer.embeddings.ok_or_else(|| not_one("a list of embeddings", &"it has none"))?;
    let tokens = answer.usage_metadata.and_then(|usage| usage.prompt_token_count);
    Ok(listed(embeddings.into_iter().map(|embedding| embedding.values), tokens))
}

/// Vectors, in order, as an answer.
pub(super) fn listed(vectors: impl Iterator<Item = Vec<f32>>, tokens: Option<u32>) -> CreateEmbeddingResponse {
    let embedding = |(index, values)| Embedding {
        object: "embedding".to_owned(),
        index,
        embedding: Some(Form::Vector(Vector { values })),
        ..Embedding::default()
    };
    CreateEmbeddingResponse {
        object: "list".to_owned(),
        data: (0..).zip(vectors).map(embedding).collect(),
        usage: tokens.map(|tokens| EmbeddingUsage {
            prompt_tokens: tokens,
            total_tokens: tokens,
            ..EmbeddingUsage::default()
        }),
        ..CreateEmbeddingResponse::default()
    }
}

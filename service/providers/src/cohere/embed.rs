//! Words a request for vectors, and reads them. Source: <https://docs.cohere.com/v2/reference/embed>.

use bytes::Bytes;
use sabir_proto::v1::embedding::Embedding as Written;
use sabir_proto::v1::embedding_input::Input;
use sabir_proto::v1::{
    CreateEmbeddingRequest, CreateEmbeddingResponse, Embedding, EmbeddingInput, EmbeddingUsage, Vector,
};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};

use super::response::{Tokens, count, not_one};
use super::{TARGET, error};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::Unsupported;
use crate::upstream::{Dropped, EmbedCall};
use crate::verbatim::Members;

/// What the vectors are for, if the caller does not say it: the protocol wants to know.
const USUAL_INPUT_TYPE: &str = "search_document";

/// The body of a request.
struct Body {
    model: String,
    texts: Vec<String>,
    others: Members,
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("model", &self.model)?;
        object.serialize_entry("texts", &self.texts)?;
        self.others.write(&mut object)?;
        object.end()
    }
}

/// The request as JSON, and what could not be said.
pub(super) fn word(call: EmbedCall) -> Result<(Bytes, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, TARGET);
    let CreateEmbeddingRequest {
        model: _,
        input,
        // The sender writes the vectors in this form.
        encoding_format: _,
        dimensions,
        user,
        additional_members,
    } = *call.request;
    unsupported.leave_out("user", &user)?;
    let mut foreign = Members::foreign(additional_members, "")?;
    let mut others = Members::default();
    if !foreign.contains("input_type") {
        others.say("input_type", &Some(USUAL_INPUT_TYPE));
    }
    // Vectors of other kinds have no place in our answer.
    let types = foreign.take("embedding_types");
    let floats = types
        .as_ref()
        .is_none_or(|types| serde_json::from_str::<Vec<String>>(types.get()).is_ok_and(|types| types == ["float"]));
    unsupported.unless(floats, "embedding_types")?;
    others.say("embedding_types", &Some(["float"]));
    others.say("output_dimension", &dimensions);
    for (name, value) in foreign {
        if others.contains(&name) {
            let message = format!("{name} contradicts what the request says by other members");
            return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(name));
        }
        others.push(name, value);
    }
    let body = Body { model: call.model, texts: texts(input)?, others };
    let json = serde_json::to_vec(&body).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok((json.into(), unsupported.into_dropped()))
}

fn texts(input: Vec<EmbeddingInput>) -> Result<Vec<String>, UpstreamError> {
    let text = |(index, input): (usize, EmbeddingInput)| match input.input {
        Some(Input::Text(text)) => Ok(text),
        Some(Input::Token(_) | Input::Tokens(_)) | None => {
            let message = "Cohere's Embed API takes texts, not tokens";
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(format!("input[{index}]")))
        }
    };
    input.into_iter().enumerate().map(text).collect()
}

#[derive(Deserialize)]
struct Answer {
    embeddings: Option<Embeddings>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Embeddings {
    float: Option<Vec<Vec<f32>>>,
}

#[derive(Deserialize)]
struct Meta {
    tokens: Option<Tokens>,
    billed_units: Option<Tokens>,
}

/// The vectors.
pub(super) fn read(body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
    const WHAT: &str = "a list of embeddings";
    let answer: Answer = serde_json::from_slice(body).map_err(|error| not_one(WHAT, &error))?;
    let embeddings = answer.embeddings.ok_or_else(|| error::read(None, body))?;
    let vectors = embeddings.float.ok_or_else(|| not_one(WHAT, &"it has none of numbers"))?;
    let embedding = |(index, values): (u32, Vec<f32>)| Embedding {
        object: "embedding".to_owned(),
        index,
        embedding: Some(Written::Vector(Vector { values })),
        ..Embedding::default()
    };
    let tokens = answer.meta.and_then(|meta| {
        let counted = |tokens: Option<Tokens>| tokens?.input_tokens;
        counted(meta.tokens).or_else(|| counted(meta.billed_units))
    });
    Ok(CreateEmbeddingResponse {
        object: "list".to_owned(),
        data: (0..).zip(vectors).map(embedding).collect(),
        usage: tokens.map(|tokens| EmbeddingUsage {
            prompt_tokens: count(Some(tokens)),
            total_tokens: count(Some(tokens)),
            ..EmbeddingUsage::default()
        }),
        ..CreateEmbeddingResponse::default()
    })
}

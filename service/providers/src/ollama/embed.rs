//! Words a request for vectors, and reads them. Source: <https://docs.ollama.com/api/embed>.

use bytes::Bytes;
use sabir_proto::v1::embedding::Embedding as Written;
use sabir_proto::v1::embedding_input::Input;
use sabir_proto::v1::{
    CreateEmbeddingRequest, CreateEmbeddingResponse, Embedding, EmbeddingInput, EmbeddingUsage, Vector,
};
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::response::not_one;
use super::{TARGET, error, options};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::Unsupported;
use crate::upstream::{Dropped, EmbedCall};
use crate::verbatim::Members;

/// The body of a request.
struct Body {
    model: String,
    input: Vec<String>,
    others: Members,
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("model", &self.model)?;
        object.serialize_entry("input", &self.input)?;
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
    let mut others = Members::default();
    others.say("dimensions", &dimensions);
    options::place(Members::foreign(additional_members, "")?, &mut others, Members::default())?;
    let body = Body { model: call.model, input: texts(input)?, others };
    let json = serde_json::to_vec(&body).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok((json.into(), unsupported.into_dropped()))
}

fn texts(input: Vec<EmbeddingInput>) -> Result<Vec<String>, UpstreamError> {
    let text = |(index, input): (usize, EmbeddingInput)| match input.input {
        Some(Input::Text(text)) => Ok(text),
        Some(Input::Token(_) | Input::Tokens(_)) | None => {
            let message = format!("{TARGET} takes texts, not tokens");
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(format!("input[{index}]")))
        }
    };
    input.into_iter().enumerate().map(text).collect()
}

#[derive(Deserialize)]
struct Answer<'a> {
    model: Option<String>,
    embeddings: Option<Vec<Vec<f32>>>,
    prompt_eval_count: Option<u32>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// The vectors.
pub(super) fn read(body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
    const WHAT: &str = "a list of embeddings";
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| not_one(WHAT, &error))?;
    let Some(vectors) = answer.embeddings else {
        let says_error = answer.error.is_some_and(|error| error.get() != "null");
        return Err(if says_error { error::read(None, body) } else { not_one(WHAT, &"it has none") });
    };
    let embedding = |(index, values): (u32, Vec<f32>)| Embedding {
        object: "embedding".to_owned(),
        index,
        embedding: Some(Written::Vector(Vector { values })),
        ..Embedding::default()
    };
    Ok(CreateEmbeddingResponse {
        object: "list".to_owned(),
        data: (0..).zip(vectors).map(embedding).collect(),
        model: answer.model.unwrap_or_default(),
        usage: answer.prompt_eval_count.map(|tokens| EmbeddingUsage {
            prompt_tokens: tokens,
            total_tokens: tokens,
            ..EmbeddingUsage::default()
        }),
        ..CreateEmbeddingResponse::default()
    })
}

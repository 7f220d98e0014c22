//! Words a request for the vector of one text, and reads it. What is asked depends on who made the model.
//!
//! Sources: <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>.

use bytes::Bytes;
use sabir_proto::v1::embedding::Embedding as Written;
use sabir_proto::v1::embedding_input::Input;
use sabir_proto::v1::{
    CreateEmbeddingRequest, CreateEmbeddingResponse, Embedding, EmbeddingInput, EmbeddingUsage, Vector,
};
use serde::Deserialize;

use super::error;
use super::response::not_one;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::Unsupported;
use crate::upstream::{Dropped, EmbedCall};
use crate::verbatim::Members;

/// Who cannot honour a member, for messages.
const TARGET: &str = "Amazon Bedrock";

/// What the vectors are for, if the caller does not say it: Cohere's models want to know.
const USUAL_INPUT_TYPE: &str = "search_document";

/// The request as JSON, and what could not be said.
pub(super) fn word(call: EmbedCall) -> Result<(Bytes, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, TARGET);
    // How the numbers are written is not the server's matter.
    let CreateEmbeddingRequest { model: _, input, encoding_format: _, dimensions, user, additional_members } =
        *call.request;
    unsupported.leave_out("user", &user)?;
    let text = text(input)?;
    let mut foreign = Members::foreign(additional_members, "")?;
    let mut body = Members::default();
    if call.model.contains("titan-embed-text") {
        body.say("inputText", &Some(text));
        if call.model.contains("titan-embed-text-v1") {
            unsupported.leave_out("dimensions", &dimensions)?;
        } else {
            body.say("dimensions", &dimensions);
        }
        only_floats(&mut foreign, "embeddingTypes", &mut unsupported)?;
    } else if call.model.contains("cohere.embed") {
        body.say("texts", &Some([text]));
        if !foreign.contains("input_type") {
            body.say("input_type", &Some(USUAL_INPUT_TYPE));
        }
        body.say("embedding_types", &Some(["float"]));
        only_floats(&mut foreign, "embedding_types", &mut unsupported)?;
        // The third generation has one length.
        if call.model.contains("-v3") {
            unsupported.leave_out("dimensions", &dimensions)?;
        } else {
            body.say("output_dimension", &dimensions);
        }
    } else {
        let message = format!("{TARGET} makes vectors with the models of Titan and of Cohere; {} is none", call.model);
        let error = UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param("model");
        return Err(error.with_code("model_not_supported"));
    }
    for (name, value) in foreign {
        if body.contains(&name) {
            let message = format!("{name} contradicts what the request says by other members");
            return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(name));
        }
        body.push(name, value);
    }
    let json = serde_json::to_vec(&body).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok((json.into(), unsupported.into_dropped()))
}

/// Vectors of other kinds have no place in our answer.
fn only_floats(members: &mut Members, name: &'static str, unsupported: &mut Unsupported) -> Result<(), UpstreamError> {
    let types = members.take(name);
    let floats = types
        .as_ref()
        .is_none_or(|types| serde_json::from_str::<Vec<String>>(types.get()).is_ok_and(|types| types == ["float"]));
    unsupported.unless(floats, name)
}

fn text(input: Vec<EmbeddingInput>) -> Result<String, UpstreamError> {
    let refused = |message: &str| {
        Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("{TARGET} {message}")).with_param("input"))
    };
    match <[EmbeddingInput; 1]>::try_from(input).map(|[only]| only.input) {
        Ok(Some(Input::Text(text))) => Ok(text),
        Ok(Some(Input::Token(_) | Input::Tokens(_)) | None) => refused("takes texts and no tokens"),
        Err(inputs) if matches!(inputs.first(), Some(EmbeddingInput { input: Some(Input::Token(_)) })) => {
            refused("takes texts and no tokens")
        }
        Err(_) => refused("makes the vector of one text at a time"),
    }
}

/// Titan's answer, or Cohere's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    embedding: Option<Vec<f32>>,
    input_text_token_count: Option<u32>,
    embeddings: Option<Embeddings>,
}

/// In the order in which they are looked for: by kind, or of one kind.
#[derive(Deserialize)]
#[serde(untagged)]
enum Embeddings {
    ByType { float: Vec<Vec<f32>> },
    Floats(Vec<Vec<f32>>),
}

/// The vectors.
pub(super) fn read(body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| not_one("a vector", &error))?;
    let vectors = match (answer.embedding, answer.embeddings) {
        (Some(vector), _) => vec![vector],
        (None, Some(Embeddings::ByType { float: vectors } | Embeddings::Floats(vectors))) => vectors,
        (None, None) => return Err(error::read(None, body)),
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
        usage: answer.input_text_token_count.map(|tokens| EmbeddingUsage {
            prompt_tokens: tokens,
            total_tokens: tokens,
            ..EmbeddingUsage::default()
        }),
        ..CreateEmbeddingResponse::default()
    })
}

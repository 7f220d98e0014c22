//! What is different at Vertex AI: where the class of speed and price is said, and how vectors are asked for.
//!
//! Gemini's newer models of vectors have a method of the family's own, all others the one of Vertex AI's older models. Both
//! take one text: the method of the newer ones has no place for more, and one of the others refuses more.
//! Sources: <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/flex-paygo>.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use sabir_proto::v1::{CreateEmbeddingRequest, CreateEmbeddingResponse};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::answer::not_one;
use super::embed::{listed, texts};
use super::request::{Tier, camel};
use super::wire::{Content, Part};
use super::{Host, error, id};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::Unsupported;
use crate::upstream::{Dropped, EmbedCall};
use crate::verbatim::Members;

/// How many texts one request may hold.
pub(super) const BATCH: usize = 1;

/// The class of speed and price as a header.
pub(super) fn tier(tier: Tier) -> HeaderMap {
    let name = HeaderName::from_static("x-vertex-ai-llm-shared-request-type");
    HeaderMap::from_iter([(name, HeaderValue::from_static(tier.name()))])
}

/// The method by which a model is asked for vectors.
pub(super) fn method(model: &str) -> &'static str {
    if has_own_method(model) { "embedContent" } else { "predict" }
}

fn has_own_method(model: &str) -> bool {
    let model = id(model);
    model.contains("gemini") && model != "gemini-embedding-001"
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EmbedContent {
    content: Content,
    #[serde(skip_serializing_if = "Members::is_empty")]
    embed_content_config: Members,
}

#[derive(Serialize)]
struct Predict {
    instances: Vec<Members>,
    #[serde(skip_serializing_if = "Members::is_empty")]
    parameters: Members,
}

/// The request as JSON, and what could not be said.
pub(super) fn word(call: EmbedCall) -> Result<(Bytes, Dropped), UpstreamError> {
    let mut unsupported = Unsupported::new(call.on_unsupported, Host::Vertex.name());
    // How the numbers are written is not the server's matter.
    let CreateEmbeddingRequest { model: _, input, encoding_format: _, dimensions, user, additional_members } =
        *call.request;
    unsupported.leave_out("user", &user)?;
    let mut texts = texts(input, Host::Vertex)?.into_iter();
    let (Some(text), None) = (texts.next(), texts.next()) else {
        let message = "Google's Vertex AI makes the vector of one text at a time";
        return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param("input"));
    };
    let (mut config, mut instance) = (Members::default(), Members::default());
    config.say("outputDimensionality", &dimensions);
    if !has_own_method(&call.model) {
        instance.say("content", &Some(&text));
    }
    for (name, value) in Members::foreign(additional_members, "")? {
        match camel(&name).as_str() {
            // The older method has these two beside the text, and one of them in another spelling.
            "taskType" if !has_own_method(&call.model) => instance.push("task_type", value),
            "title" if !has_own_method(&call.model) => instance.push("title", value),
            name => config.push(name, value),
        }
    }
    let body = if has_own_method(&call.model) {
        let content = Content { role: Some("user"), parts: vec![Part::text(text)] };
        serde_json::to_vec(&EmbedContent { content, embed_content_config: config })
    } else {
        serde_json::to_vec(&Predict { instances: vec![instance], parameters: config })
    };
    let body = body.map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok((body.into(), unsupported.into_dropped()))
}

/// The answer of either method.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    predictions: Option<Vec<Prediction>>,
    embedding: Option<Values>,
    usage_metadata: Option<Usage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Prediction {
    embeddings: Values,
}

#[derive(Deserialize)]
struct Values {
    #[serde(default)]
    values: Vec<f32>,
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    token_count: Option<f64>,
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
    let predictions = answer.predictions.map(|list| list.into_iter().map(|prediction| prediction.embeddings).collect());
    let all: Option<Vec<Values>> = predictions.or(answer.embedding.map(|embedding| vec![embedding]));
    let all = all.ok_or_else(|| not_one("a list of embeddings", &"it has none"))?;
    // Counts are whole numbers that the older method writes as `6.0`; too large ones stop at the largest.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are small and not negative")]
    let count = |values: &Values| values.statistics.as_ref()?.token_count.map(|count| count as u32);
    let counted = all.iter().filter_map(count).reduce(u32::saturating_add);
    let tokens = answer.usage_metadata.and_then(|usage| usage.prompt_token_count).or(counted);
    Ok(listed(all.into_iter().map(|values| values.values), tokens))
}

//! Words a request for vectors, and reads them.

use bytes::Bytes;
use prost::Message as _;
use sabir_proto::v1::CreateEmbeddingResponse;
use transcode::json::Mode;

use super::response::not_one;
use super::{Schema, error};
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::upstream::EmbedCall;

/// The request as JSON.
pub(super) fn write(schema: &Schema, call: EmbedCall) -> Result<Bytes, UpstreamError> {
    let mut request = call.request;
    request.model = call.model;
    request.additional_members.remove("model");
    let wire = request.encode_to_vec();
    let mut json = Vec::with_capacity(wire.len() + wire.len() / 4 + 256);
    schema.plans.write(schema.embed_request, &wire, &mut json).map_err(|error| {
        UpstreamError::new(UpstreamErrorKind::InvalidRequest, format!("the request has no JSON form: {error}"))
    })?;
    Ok(json.into())
}

/// The vectors.
pub(super) fn read(schema: &Schema, body: &[u8]) -> Result<CreateEmbeddingResponse, UpstreamError> {
    let mut wire = Vec::with_capacity(body.len() / 2);
    let read = schema.plans.read(schema.embed_response, body, Mode::Lenient, &mut wire);
    read.map_err(|error| not_one("a list of embeddings", &error))?;
    let answer = CreateEmbeddingResponse::decode(&wire[..]).map_err(|error| not_one("a list of embeddings", &error))?;
    if error::is_error(&answer.object, &answer.additional_members) {
        return Err(error::read(None, body));
    }
    Ok(answer)
}

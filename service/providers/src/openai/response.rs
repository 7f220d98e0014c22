//! Reads a whole answer.

use prost::Message as _;
use sabir_proto::v1::ChatCompletion;
use transcode::json::Mode;

use super::{Schema, error};
use crate::error::{UpstreamError, UpstreamErrorKind};

pub(super) fn read(schema: &Schema, body: &[u8]) -> Result<ChatCompletion, UpstreamError> {
    let mut wire = Vec::with_capacity(body.len());
    let read = schema.plans.read(schema.completion, body, Mode::Lenient, &mut wire);
    read.map_err(|error| not_one("a chat completion", &error))?;
    let completion = ChatCompletion::decode(&wire[..]).map_err(|error| not_one("a chat completion", &error))?;
    if error::is_error(&completion.object, &completion.additional_members) {
        return Err(error::read(None, body));
    }
    Ok(completion)
}

/// The error of an answer that is not what it should be.
pub(super) fn not_one(what: &str, error: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::new(UpstreamErrorKind::Protocol, format!("the upstream's answer is not {what}: {error}"))
}

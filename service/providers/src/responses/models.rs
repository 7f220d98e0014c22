//! Reads the list of models, which is that of OpenAI's other protocol.

use crate::error::UpstreamError;
use crate::openai::models;
use crate::upstream::ModelInfo;

/// Reads the list.
pub(super) fn read(body: &[u8]) -> Result<Vec<ModelInfo>, UpstreamError> {
    models::read(body)
}

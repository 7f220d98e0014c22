//! Reads the list of models. Source: <https://docs.claude.com/en/api/models-list>.

use serde::Deserialize;

use super::response::not_one;
use crate::error::UpstreamError;
use crate::upstream::ModelInfo;

#[derive(Deserialize)]
struct Page {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    display_name: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<Vec<ModelInfo>, UpstreamError> {
    let page: Page = serde_json::from_slice(body).map_err(|error| not_one("a list of models", &error))?;
    let info = |model: Model| ModelInfo {
        id: model.id,
        description: model.display_name,
        owned_by: Some("anthropic".to_owned()),
        ..ModelInfo::default()
    };
    Ok(page.data.into_iter().map(info).collect())
}

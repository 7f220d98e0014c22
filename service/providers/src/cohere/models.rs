//! Reads the list of models. Source: <https://docs.cohere.com/reference/list-models>.

use serde::Deserialize;

use super::error;
use super::response::not_one;
use crate::error::UpstreamError;
use crate::upstream::ModelInfo;

#[derive(Deserialize)]
struct Page {
    models: Option<Vec<Model>>,
}

#[derive(Deserialize)]
struct Model {
    name: Option<String>,
    /// What it can be asked for: `chat`, `embed`, `rerank`.
    endpoints: Option<Vec<String>>,
}

pub(super) fn read(body: &[u8]) -> Result<Vec<ModelInfo>, UpstreamError> {
    let page: Page = serde_json::from_slice(body).map_err(|error| not_one("a list of models", &error))?;
    let models = page.models.ok_or_else(|| error::read(None, body))?;
    let info = |model: Model| {
        let id = model.name.filter(|name| !name.is_empty())?;
        let description = model.endpoints.filter(|endpoints| !endpoints.is_empty());
        let description = description.map(|endpoints| format!("for {}", endpoints.join(", ")));
        Some(ModelInfo { id, description, owned_by: Some("cohere".to_owned()), ..ModelInfo::default() })
    };
    Ok(models.into_iter().filter_map(info).collect())
}

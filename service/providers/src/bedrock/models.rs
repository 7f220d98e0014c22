//! Reads the list of models.
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html>.

use serde::Deserialize;

use super::error;
use super::response::not_one;
use crate::error::UpstreamError;
use crate::upstream::ModelInfo;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    model_summaries: Option<Vec<Model>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    model_id: Option<String>,
    model_name: Option<String>,
    provider_name: Option<String>,
    /// What comes out of it: `TEXT`, `EMBEDDING`, `IMAGE` and others.
    output_modalities: Option<Vec<String>>,
    /// Whether it can be asked by this name: `ON_DEMAND`; or by that of a profile: `INFERENCE_PROFILE`.
    inference_types_supported: Option<Vec<String>>,
}

/// The models out of which text or vectors come.
pub(super) fn read(body: &[u8]) -> Result<Vec<ModelInfo>, UpstreamError> {
    let page: Page = serde_json::from_slice(body).map_err(|error| not_one("a list of models", &error))?;
    let models = page.model_summaries.ok_or_else(|| error::read(None, body))?;
    Ok(models.into_iter().filter_map(info).collect())
}

fn info(model: Model) -> Option<ModelInfo> {
    let Model { model_id, model_name, provider_name, output_modalities, inference_types_supported } = model;
    let of_use = |modality: &String| ["TEXT", "EMBEDDING"].contains(&modality.as_str());
    if !output_modalities.is_none_or(|modalities| modalities.is_empty() || modalities.iter().any(of_use)) {
        return None;
    }
    let by_name = |types: Vec<String>| types.is_empty() || types.iter().any(|kind| kind == "ON_DEMAND");
    let description = match (model_name, inference_types_supported.is_none_or(by_name)) {
        (name, true) => name,
        (Some(name), false) => Some(format!("{name}, by an inference profile only")),
        (None, false) => Some("by an inference profile only".to_owned()),
    };
    let id = model_id.filter(|id| !id.is_empty())?;
    Some(ModelInfo { id, description, owned_by: provider_name, ..ModelInfo::default() })
}

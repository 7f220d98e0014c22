//! Reads the list of models. Source: <https://docs.ollama.com/api/tags>.

use serde::Deserialize;

use super::response::not_one;
use super::{error, time};
use crate::error::UpstreamError;
use crate::upstream::ModelInfo;

#[derive(Deserialize)]
struct Page {
    models: Option<Vec<Model>>,
}

#[derive(Deserialize)]
struct Model {
    /// The newer name of `name`.
    model: Option<String>,
    name: Option<String>,
    modified_at: Option<String>,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    family: Option<String>,
    parameter_size: Option<String>,
    quantization_level: Option<String>,
}

pub(super) fn read(body: &[u8]) -> Result<Vec<ModelInfo>, UpstreamError> {
    let page: Page = serde_json::from_slice(body).map_err(|error| not_one("a list of models", &error))?;
    let models = page.models.ok_or_else(|| error::read(None, body))?;
    Ok(models.into_iter().filter_map(info).collect())
}

fn info(model: Model) -> Option<ModelInfo> {
    let id = model.model.or(model.name).filter(|name| !name.is_empty())?;
    let created = model.modified_at.as_deref().and_then(time::seconds).filter(|time| *time > 0);
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let description = model.details.and_then(|details| {
        let Details { family, parameter_size, quantization_level } = details;
        let words: Vec<String> = [family, parameter_size, quantization_level].into_iter().filter_map(said).collect();
        (!words.is_empty()).then(|| words.join(" "))
    });
    Some(ModelInfo { id, created, owned_by: None, description })
}

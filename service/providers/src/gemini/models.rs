//! Reads the list of models. Source: <https://ai.google.dev/api/models#method:-models.list>.

use serde::Deserialize;

use super::answer::not_one;
use super::id;
use crate::error::UpstreamError;
use crate::upstream::ModelInfo;

/// The methods by which models are asked here.
const METHODS: [&str; 2] = ["generateContent", "embedContent"];

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    models: Vec<Model>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    name: String,
    display_name: Option<String>,
    description: Option<String>,
    supported_generation_methods: Option<Vec<String>>,
}

impl Model {
    /// Whether it can be asked here: there are models of images and films too, which are asked otherwise.
    fn is_ours(&self) -> bool {
        let methods = self.supported_generation_methods.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|method| METHODS.contains(&method.as_str())))
    }
}

pub(super) fn read(body: &[u8]) -> Result<Vec<ModelInfo>, UpstreamError> {
    let page: Page = serde_json::from_slice(body).map_err(|error| not_one("a list of models", &error))?;
    let info = |model: Model| ModelInfo {
        id: id(&model.name).to_owned(),
        description: model.description.or(model.display_name),
        owned_by: Some("google".to_owned()),
        ..ModelInfo::default()
    };
    Ok(page.models.into_iter().filter(Model::is_ours).map(info).collect())
}

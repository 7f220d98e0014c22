//! Reads the list of models.

use serde_json::Value;

use super::response::not_one;
use crate::error::UpstreamError;
use crate::upstream::ModelInfo;

/// Reads `{"data": [...]}`, or the bare list that Together sends. Entries without an id are passed over.
pub(crate) fn read(body: &[u8]) -> Result<Vec<ModelInfo>, UpstreamError> {
    let page: Value = serde_json::from_slice(body).map_err(|error| not_one("a list of models", &error))?;
    let list = page.get("data").unwrap_or(&page).as_array();
    let list = list.ok_or_else(|| not_one("a list of models", &"it has no list"))?;
    Ok(list.iter().filter_map(model).collect())
}

fn model(entry: &Value) -> Option<ModelInfo> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let created = entry.get("created").and_then(Value::as_i64).filter(|time| *time > 0);
    Some(ModelInfo { id: text("id")?, created, owned_by: text("owned_by"), description: text("description") })
}

//! What an answer shall hold besides what it always holds.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses/create#responses-create-include>.

use crate::error::{UpstreamError, UpstreamErrorKind};

/// What the model thought, sealed: nothing of it is left with the vendor.
const SEALED_THOUGHTS: &str = "reasoning.encrypted_content";

/// The probabilities of its tokens.
const LOGPROBS: &str = "message.output_text.logprobs";

/// Words it. `own` is the caller's list, as JSON, to which is added only what other members ask for.
pub(super) fn word(
    own: Option<String>,
    model: &str,
    effort: Option<&str>,
    wants_logprobs: bool,
) -> Result<Vec<String>, UpstreamError> {
    let own = own.filter(|json| !matches!(json.as_str(), "" | "null"));
    let mut include: Vec<String> = match own {
        Some(json) => serde_json::from_str(&json).map_err(|error| {
            let message = format!("include is not a list of texts: {error}");
            UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param("include")
        })?,
        None if effort.map_or_else(|| thinks(model), |effort| effort != "none") => vec![SEALED_THOUGHTS.to_owned()],
        None => Vec::new(),
    };
    if wants_logprobs && !include.iter().any(|name| name == LOGPROBS) {
        include.push(LOGPROBS.to_owned());
    }
    Ok(include)
}

/// Whether a model is one that may think. Those that do not refuse to be asked for thoughts (`Encrypted content is not
/// supported with this model.`); all that are yet to come are taken to think.
/// Source: <https://github.com/pydantic/pydantic-ai/issues/2865>.
fn thinks(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let name = name.strip_prefix("ft:").unwrap_or(name);
    let is_older = ["gpt-3", "gpt-4", "chatgpt-"].iter().any(|family| name.starts_with(family));
    let only_chats = name.starts_with("gpt-") && name.contains("-chat");
    !(is_older || only_chats)
}

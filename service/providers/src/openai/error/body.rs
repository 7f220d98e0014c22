//! Takes an error body apart, whoever wrote it.

use serde_json::Value;

use crate::failure;

/// What an error body says, as far as it can be understood.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) message: Option<String>,
    pub(super) error_type: Option<String>,
    pub(super) param: Option<String>,
    pub(super) code: Option<String>,
    /// An HTTP status that the body names, as a code or beside it.
    pub(super) status: Option<u16>,
}

impl Said {
    pub(super) fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(document) => Self::of_document(&document),
            Err(_) => Self { message: failure::plain_text(body), ..Self::default() },
        }
    }

    fn of_document(document: &Value) -> Self {
        // Google's compatible endpoint wraps the document in a list.
        let document = document.get(0).unwrap_or(document);
        let error = document.get("error").filter(|error| !error.is_null()).unwrap_or(document);
        let text = |name: &str| {
            // Hugging Face puts `error_type` beside a plain `error`.
            error.get(name).or_else(|| document.get(name)).and_then(Value::as_str).map(str::to_owned)
        };
        let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let number = ["code", "status", "status_code"].into_iter().find_map(|name| number(error.get(name)?));
        Self {
            message: message(error),
            error_type: text("type").or_else(|| text("error_type")),
            param: text("param"),
            code: text("code"),
            status: number.and_then(|number| u16::try_from(number).ok()).filter(|status| (400..600).contains(status)),
        }
    }
}

/// The message: a text, or texts within `message`, `detail` (FastAPI) or `msg`, which may nest and repeat.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => {
            let said =
                ["message", "detail", "msg", "error"].into_iter().find_map(|name| message(members.get(name)?))?;
            Some(match members.get("loc").and_then(location) {
                Some(location) => format!("{location}: {said}"),
                None => said,
            })
        }
        Value::Array(entries) => {
            let said: Vec<String> = entries.iter().take(8).filter_map(message).collect();
            (!said.is_empty()).then(|| said.join("; "))
        }
        _ => None,
    }
}

/// Where Pydantic found fault: `["body", "messages", 0, "role"]`.
fn location(value: &Value) -> Option<String> {
    let steps = value.as_array()?.iter().map(|step| match step {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    });
    Some(steps.collect::<Vec<_>>().join("."))
}

//! A chat request as the upstream reads it: checked like the real service checks it, so that a malformed request of
//! ours is noticed.

use serde_json::{Map, Value};

use super::{Reply, dialect::Dialect};

const ROLES: [&str; 6] = ["developer", "system", "user", "assistant", "tool", "function"];

/// A request that the upstream accepts.
#[derive(Debug, Clone)]
pub(crate) struct ChatRequest {
    body: Map<String, Value>,
}

impl ChatRequest {
    /// Reads a body, or answers as the real service does.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Reply> {
        let refusal = |message: &str| Reply::error(400, "invalid_request_error", None, message);
        let body = match serde_json::from_slice(body) {
            Ok(Value::Object(body)) => body,
            _ => return Err(refusal("We could not parse the JSON body of your request.")),
        };
        check(&body).map_err(|message| refusal(&message))?;
        Ok(Self { body })
    }

    /// Reads a body in another format, or answers as that service does.
    pub(super) fn parse_as(dialect: &dyn Dialect, path: &str, body: &[u8]) -> Result<Self, Reply> {
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
            return Err(Reply::error(400, "invalid_request_error", None, "the body is not a JSON object"));
        };
        Ok(Self { body: dialect.read(path, &body)? })
    }

    /// The model that is asked.
    pub(crate) fn model(&self) -> &str {
        self.body["model"].as_str().unwrap()
    }

    /// Whether a stream is asked for.
    pub(crate) fn stream(&self) -> bool {
        self.body.get("stream").is_some_and(|stream| stream == true)
    }

    /// Whether a stream shall end with the usage.
    pub(crate) fn include_usage(&self) -> bool {
        self.body.get("stream_options").is_some_and(|options| options["include_usage"] == true)
    }

    /// The text of the last user message.
    pub(crate) fn last_user_text(&self) -> String {
        let messages = self.body["messages"].as_array().unwrap();
        let last = messages.iter().rev().find(|message| message["role"] == "user");
        match last.map(|message| &message["content"]) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
            _ => String::new(),
        }
    }
}

/// Whether a member has the right type.
type IsRight = fn(&Value) -> bool;

fn check(body: &Map<String, Value>) -> Result<(), String> {
    match body.get("model") {
        Some(Value::String(model)) if !model.is_empty() => {}
        _ => return Err("you must provide a model parameter".to_owned()),
    }
    let Some(Value::Array(messages)) = body.get("messages") else {
        return Err("Missing required parameter: 'messages'.".to_owned());
    };
    if messages.is_empty() {
        return Err("Invalid 'messages': empty array. Expected an array with minimum length 1.".to_owned());
    }
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages[{index}]");
        if !message["role"].as_str().is_some_and(|role| ROLES.contains(&role)) {
            return Err(format!("Invalid value: '{}'. Supported values are: {ROLES:?}. ({at}.role)", message["role"]));
        }
        let speaks = match message.get("content") {
            Some(Value::String(_)) => true,
            Some(Value::Array(parts)) => parts.iter().all(|part| part["type"].is_string()),
            None | Some(Value::Null) => message["role"] == "assistant",
            Some(_) => false,
        };
        if !speaks {
            return Err(format!("Invalid value for 'content': expected a string, got {}. ({at})", message["content"]));
        }
    }
    let kinds: [(&str, IsRight); 8] = [
        ("stream", Value::is_boolean),
        ("stream_options", Value::is_object),
        ("temperature", Value::is_number),
        ("top_p", Value::is_number),
        ("max_tokens", Value::is_u64),
        ("max_completion_tokens", Value::is_u64),
        ("tools", Value::is_array),
        ("response_format", Value::is_object),
    ];
    for (name, is_right) in kinds {
        if body.get(name).is_some_and(|value| !value.is_null() && !is_right(value)) {
            return Err(format!("Invalid type for '{name}': {}.", body[name]));
        }
    }
    if body.contains_key("stream_options") && body.get("stream") != Some(&Value::Bool(true)) {
        return Err("The 'stream_options' parameter is only allowed when 'stream' is enabled.".to_owned());
    }
    Ok(())
}

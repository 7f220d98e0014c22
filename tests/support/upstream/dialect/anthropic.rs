//! Anthropic's Messages API. Source: <https://docs.claude.com/en/api/messages>.

use serde_json::{Map, Value, json};

use super::super::Reply;
use super::{Dialect, Teller, usage_of};

pub(super) struct Anthropic;

/// The members of a request that the service knows; it refuses others.
const KNOWN: [&str; 17] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
    "service_tier",
    "container",
    "mcp_servers",
];

fn refused(message: String) -> Reply {
    Reply::json(400, &json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}}))
}

impl Dialect for Anthropic {
    fn read(&self, _: &str, body: &Map<String, Value>) -> Result<Map<String, Value>, Reply> {
        check(body).map_err(refused)?;
        let mut messages = Vec::new();
        match &body.get("system") {
            Some(Value::String(text)) => messages.push(json!({"role": "system", "content": text})),
            Some(blocks) => messages.push(json!({"role": "system", "content": blocks})),
            None => {}
        }
        for message in body["messages"].as_array().unwrap() {
            messages.extend(openai_messages(message));
        }
        let mut request = Map::from_iter([("model".to_owned(), body["model"].clone())]);
        request.insert("messages".to_owned(), Value::Array(messages));
        if body.get("stream") == Some(&Value::Bool(true)) {
            request.insert("stream".to_owned(), json!(true));
            // Usage comes unasked.
            request.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        if let Some(Value::Array(tools)) = body.get("tools") {
            let tool = |tool: &Value| json!({"type": "function", "function": {"name": tool["name"], "parameters": tool["input_schema"]}});
            request.insert("tools".to_owned(), tools.iter().map(tool).collect());
        }
        Ok(request)
    }

    fn whole(&self, answer: &Value) -> Value {
        let choice = &answer["choices"][0];
        let mut content = Vec::new();
        if let Some(text) = choice["message"]["content"].as_str() {
            content.push(json!({"type": "text", "text": text}));
        }
        for call in choice["message"]["tool_calls"].as_array().into_iter().flatten() {
            let input: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            content
                .push(json!({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": input}));
        }
        json!({
            "id": "msg_scripted", "type": "message", "role": "assistant", "model": answer["model"], "content": content,
            "stop_reason": stop_reason(&choice["finish_reason"]), "stop_sequence": null, "usage": usage(&answer["usage"]),
        })
    }

    fn error(&self, status: u16, error: &Value) -> Value {
        let kind = match status {
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            500 => "api_error",
            503 | 529 => "overloaded_error",
            _ => "invalid_request_error",
        };
        json!({"type": "error", "error": {"type": kind, "message": error["message"]}, "request_id": "req_1"})
    }

    fn stream(&self) -> Box<dyn Teller> {
        Box::new(Events::default())
    }
}

/// What the service checks of a request.
fn check(body: &Map<String, Value>) -> Result<(), String> {
    if let Some(unknown) = body.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("{unknown}: Extra inputs are not permitted"));
    }
    if !body.get("model").is_some_and(Value::is_string) {
        return Err("model: Field required".to_owned());
    }
    if body.get("max_tokens").and_then(Value::as_u64).is_none_or(|limit| limit == 0) {
        return Err("max_tokens: Field required".to_owned());
    }
    if body.get("temperature").and_then(Value::as_f64).is_some_and(|temperature| temperature > 1.0) {
        return Err("temperature: range: 0..1".to_owned());
    }
    let Some(messages) = body.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty()) else {
        return Err("messages: at least one message is required".to_owned());
    };
    let mut asked: Vec<String> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !["user", "assistant"].contains(&role) {
            return Err(format!("messages: Unexpected role \"{role}\""));
        }
        let blocks = match &message["content"] {
            Value::String(text) if text.is_empty() => return Err(format!("messages.{index}: text content is empty")),
            Value::String(_) => Vec::new(),
            Value::Array(blocks) if !blocks.is_empty() => blocks.clone(),
            _ => return Err(format!("messages.{index}.content: Input should be a valid list")),
        };
        let mut answered = Vec::new();
        for block in &blocks {
            check_block(block, role).map_err(|problem| format!("messages.{index}.content: {problem}"))?;
            if block["type"] == "tool_result" {
                answered.push(block["tool_use_id"].as_str().unwrap().to_owned());
            }
        }
        // Every call must have its result in the very next message.
        if let Some(open) = asked.iter().find(|id| !answered.contains(id)) {
            return Err(format!("messages.{index}: `tool_use` ids were found without `tool_result` blocks: {open}"));
        }
        if let Some(stray) = answered.iter().find(|id| !asked.contains(id)) {
            return Err(format!("messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {stray}"));
        }
        asked = blocks
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .map(|block| block["id"].as_str().unwrap().to_owned())
            .collect();
    }
    for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
        if !tool["name"].is_string() || tool["input_schema"]["type"] != "object" {
            return Err(format!("tools: input_schema.type: Field required ({tool})"));
        }
    }
    if body.contains_key("tool_choice") && !body.contains_key("tools") {
        return Err("tool_choice: may only be specified while providing tools".to_owned());
    }
    Ok(())
}

fn check_block(block: &Value, role: &str) -> Result<(), String> {
    let right = match block["type"].as_str().unwrap_or_default() {
        "text" => block["text"].as_str().is_some_and(|text| !text.is_empty()),
        "image" | "document" => match block["source"]["type"].as_str() {
            Some("base64") => block["source"]["media_type"].is_string() && block["source"]["data"].is_string(),
            Some("url") => block["source"]["url"].as_str().is_some_and(|url| url.starts_with("https://")),
            Some("file") => block["source"]["file_id"].is_string(),
            _ => false,
        },
        "tool_use" => {
            role == "assistant" && block["id"].is_string() && block["name"].is_string() && block["input"].is_object()
        }
        "tool_result" => role == "user" && block["tool_use_id"].is_string(),
        "thinking" => role == "assistant" && block["thinking"].is_string() && block["signature"] == "scripted-seal",
        other => return Err(format!("Input tag '{other}' found is not expected")),
    };
    if right { Ok(()) } else { Err(format!("the block is not right: {block}")) }
}

/// A turn as messages of OpenAI's, as far as scripts look at them.
fn openai_messages(message: &Value) -> Vec<Value> {
    let role = &message["role"];
    let Some(blocks) = message["content"].as_array() else {
        return vec![json!({"role": role, "content": message["content"]})];
    };
    let mut messages = Vec::new();
    let (mut said, mut calls) = (Vec::new(), Vec::new());
    for block in blocks {
        match block["type"].as_str().unwrap() {
            "text" => said.push(json!({"type": "text", "text": block["text"]})),
            "tool_use" => calls.push(json!({"id": block["id"], "type": "function", "function": {"name": block["name"], "arguments": block["input"].to_string()}})),
            "tool_result" => messages.push(json!({"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]})),
            _ => {}
        }
    }
    if !said.is_empty() || !calls.is_empty() {
        let mut message = json!({"role": role, "content": said});
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        messages.push(message);
    }
    messages
}

fn stop_reason(reason: &Value) -> &'static str {
    match reason.as_str() {
        Some("length") => "max_tokens",
        Some("tool_calls") => "tool_use",
        Some("content_filter") => "refusal",
        _ => "end_turn",
    }
}

fn usage(usage: &Value) -> Value {
    let (prompt, completion, cached) = usage_of(usage);
    json!({"input_tokens": prompt - cached, "cache_read_input_tokens": cached, "output_tokens": completion})
}

/// The events of one answer.
#[derive(Default)]
struct Events {
    started: bool,
    open: Option<usize>,
    blocks: usize,
    calls: Vec<usize>,
    reason: Option<&'static str>,
    usage: Value,
}

impl Events {
    fn event(out: &mut Vec<u8>, event: &Value) {
        out.extend_from_slice(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()).as_bytes());
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some(index) = self.open.take() {
            Self::event(out, &json!({"type": "content_block_stop", "index": index}));
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>, block: &Value) -> usize {
        self.close(out);
        let index = self.blocks;
        self.blocks += 1;
        self.open = Some(index);
        Self::event(out, &json!({"type": "content_block_start", "index": index, "content_block": block}));
        index
    }
}

impl Teller for Events {
    fn chunk(&mut self, chunk: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.started {
            self.started = true;
            let usage = json!({"input_tokens": 8, "cache_read_input_tokens": 3, "output_tokens": 1});
            let message = json!({"id": "msg_scripted", "type": "message", "role": "assistant", "model": chunk["model"], "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage});
            Self::event(&mut out, &json!({"type": "message_start", "message": message}));
            Self::event(&mut out, &json!({"type": "ping"}));
        }
        if chunk["usage"].is_object() {
            self.usage = usage(&chunk["usage"]);
        }
        let choice = &chunk["choices"][0];
        if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
            let index = match self.open {
                Some(index) if self.calls.is_empty() => index,
                _ => self.begin(&mut out, &json!({"type": "text", "text": ""})),
            };
            let delta = json!({"type": "text_delta", "text": text});
            Self::event(&mut out, &json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let number = usize::try_from(call["index"].as_u64().unwrap_or(0)).unwrap();
            if number >= self.calls.len() {
                let block =
                    json!({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": {}});
                let index = self.begin(&mut out, &block);
                self.calls.push(index);
            }
            if let Some(json) = call["function"]["arguments"].as_str() {
                let delta = json!({"type": "input_json_delta", "partial_json": json});
                Self::event(
                    &mut out,
                    &json!({"type": "content_block_delta", "index": self.calls[number], "delta": delta}),
                );
            }
        }
        if choice["finish_reason"].is_string() {
            self.reason = Some(stop_reason(&choice["finish_reason"]));
        }
        out
    }

    fn end(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.close(&mut out);
        let delta = json!({"stop_reason": self.reason, "stop_sequence": null});
        let usage = json!({"output_tokens": self.usage["output_tokens"]});
        Self::event(&mut out, &json!({"type": "message_delta", "delta": delta, "usage": usage}));
        Self::event(&mut out, &json!({"type": "message_stop"}));
        out
    }

    fn error(&mut self, error: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        let error = json!({"type": "api_error", "message": error["message"]});
        Self::event(&mut out, &json!({"type": "error", "error": error}));
        out
    }
}

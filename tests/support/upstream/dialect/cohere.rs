//! Cohere's API, version 2. Source: <https://docs.cohere.com/reference/chat>.

use serde_json::{Map, Value, json};

use super::super::Reply;
use super::{Dialect, Teller, usage_of};

pub(super) struct Cohere;

/// The members of a request that the service knows; it refuses others.
const KNOWN: [&str; 20] = [
    "model",
    "messages",
    "stream",
    "tools",
    "strict_tools",
    "documents",
    "citation_options",
    "response_format",
    "safety_mode",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "k",
    "p",
    "logprobs",
    "tool_choice",
    "thinking",
];

fn refused(message: String) -> Reply {
    Reply::json(400, &json!({"id": "scripted", "message": message}))
}

impl Dialect for Cohere {
    fn read(&self, _: &str, body: &Map<String, Value>) -> Result<Map<String, Value>, Reply> {
        check(body).map_err(refused)?;
        let mut request = Map::from_iter([("model".to_owned(), body["model"].clone())]);
        request.insert("messages".to_owned(), body["messages"].clone());
        if body.get("stream") == Some(&Value::Bool(true)) {
            request.insert("stream".to_owned(), json!(true));
            request.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        request.extend(body.get("tools").map(|tools| ("tools".to_owned(), tools.clone())));
        Ok(request)
    }

    fn whole(&self, answer: &Value) -> Value {
        let choice = &answer["choices"][0];
        let mut message = json!({"role": "assistant"});
        if let Some(text) = choice["message"]["content"].as_str() {
            message["content"] = json!([{"type": "text", "text": text}]);
        }
        if let Some(calls) = choice["message"]["tool_calls"].as_array() {
            message["tool_calls"] = json!(calls);
            message["tool_plan"] = json!("");
        }
        json!({
            "id": "c14c80c3", "message": message, "finish_reason": reason(&choice["finish_reason"]),
            "usage": usage(&answer["usage"]),
        })
    }

    fn error(&self, _: u16, error: &Value) -> Value {
        json!({"id": "scripted", "message": error["message"]})
    }

    fn stream(&self) -> Box<dyn Teller> {
        Box::new(Events::default())
    }
}

/// What the service checks of a request.
fn check(body: &Map<String, Value>) -> Result<(), String> {
    if let Some(unknown) = body.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("invalid request: unknown field '{unknown}'"));
    }
    if body.get("model").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("invalid request: model is required".to_owned());
    }
    let Some(messages) = body.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty()) else {
        return Err("invalid request: messages must not be empty".to_owned());
    };
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        match message["role"].as_str().unwrap_or_default() {
            "system" => {}
            "user" => {
                for part in message["content"].as_array().into_iter().flatten() {
                    let right = match part["type"].as_str() {
                        Some("text") => part["text"].is_string(),
                        Some("image_url") => part["image_url"]["url"].is_string(),
                        _ => false,
                    };
                    if !right {
                        return Err(format!("invalid request: content is not right: {part}"));
                    }
                }
            }
            "assistant" => {
                open.clear();
                for call in message["tool_calls"].as_array().into_iter().flatten() {
                    let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
                    if serde_json::from_str::<Map<String, Value>>(arguments).is_err() || call["type"] != "function" {
                        return Err(format!("invalid request: tool call is not right: {call}"));
                    }
                    open.push(call["id"].as_str().unwrap_or_default());
                }
                if open.is_empty() && message["content"].as_str().is_some_and(str::is_empty) {
                    return Err("invalid request: an assistant message needs content or tool calls".to_owned());
                }
            }
            "tool" => {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                if !open.contains(&id) {
                    return Err(format!("invalid request: tool call id '{id}' not found in previous tool calls"));
                }
            }
            role => return Err(format!("invalid request: invalid role '{role}'")),
        }
    }
    if body.get("tool_choice").is_some_and(|choice| choice != "REQUIRED" && choice != "NONE") {
        return Err("invalid request: tool_choice must be REQUIRED or NONE".to_owned());
    }
    if body.get("p").and_then(Value::as_f64).is_some_and(|p| !(0.01..=0.99).contains(&p)) {
        return Err("invalid request: p must be from 0.01 to 0.99".to_owned());
    }
    Ok(())
}

fn reason(reason: &Value) -> &'static str {
    match reason.as_str() {
        Some("length") => "MAX_TOKENS",
        Some("tool_calls") => "TOOL_CALL",
        _ => "COMPLETE",
    }
}

fn usage(usage: &Value) -> Value {
    let (prompt, completion, cached) = usage_of(usage);
    let tokens = json!({"input_tokens": prompt, "output_tokens": completion});
    json!({"billed_units": tokens, "tokens": tokens, "cached_tokens": cached})
}

/// The events of one answer.
#[derive(Default)]
struct Events {
    started: bool,
    writing: bool,
    calls: Vec<Value>,
    reason: Option<&'static str>,
    usage: Value,
}

fn event(out: &mut Vec<u8>, event: &Value) {
    out.extend_from_slice(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()).as_bytes());
}

impl Teller for Events {
    fn chunk(&mut self, chunk: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.started {
            self.started = true;
            let message =
                json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
            event(&mut out, &json!({"id": "c14c80c3", "type": "message-start", "delta": {"message": message}}));
        }
        if chunk["usage"].is_object() {
            self.usage = usage(&chunk["usage"]);
        }
        let choice = &chunk["choices"][0];
        if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
            if !self.writing {
                self.writing = true;
                let content = json!({"message": {"content": {"type": "text", "text": ""}}});
                event(&mut out, &json!({"type": "content-start", "index": 0, "delta": content}));
            }
            let content = json!({"message": {"content": {"text": text}}});
            event(&mut out, &json!({"type": "content-delta", "index": 0, "delta": content}));
        }
        super::gather_calls(&mut self.calls, choice);
        if choice["finish_reason"].is_string() {
            self.reason = Some(reason(&choice["finish_reason"]));
        }
        out
    }

    fn end(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.writing {
            event(&mut out, &json!({"type": "content-end", "index": 0}));
        }
        for (index, call) in self.calls.iter().enumerate() {
            let mut begun = call.clone();
            begun["function"]["arguments"] = json!("");
            event(
                &mut out,
                &json!({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": begun}}}),
            );
            let (first, second) = call["function"]["arguments"].as_str().unwrap().split_at(1);
            for piece in [first, second] {
                let delta = json!({"message": {"tool_calls": {"function": {"arguments": piece}}}});
                event(&mut out, &json!({"type": "tool-call-delta", "index": index, "delta": delta}));
            }
            event(&mut out, &json!({"type": "tool-call-end", "index": index}));
        }
        let delta = json!({"finish_reason": self.reason.unwrap_or("COMPLETE"), "usage": self.usage});
        event(&mut out, &json!({"type": "message-end", "delta": delta}));
        out
    }

    fn error(&mut self, error: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        let delta = json!({"finish_reason": "ERROR", "error": error["message"]});
        event(&mut out, &json!({"type": "message-end", "delta": delta}));
        out
    }
}

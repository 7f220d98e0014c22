//! Ollama's own API. Source: <https://docs.ollama.com/api/chat>.

use serde_json::{Map, Value, json};

use super::super::Reply;
use super::{Dialect, Teller, usage_of};

pub(super) struct Ollama;

fn refused(message: String) -> Reply {
    Reply::json(400, &json!({"error": message}))
}

impl Dialect for Ollama {
    fn read(&self, _: &str, body: &Map<String, Value>) -> Result<Map<String, Value>, Reply> {
        check(body).map_err(refused)?;
        let messages = body["messages"].as_array().unwrap().iter().map(openai_message).collect();
        let mut request = Map::from_iter([("model".to_owned(), body["model"].clone())]);
        request.insert("messages".to_owned(), messages);
        // What is not said to be whole is streamed.
        if body.get("stream") != Some(&Value::Bool(false)) {
            request.insert("stream".to_owned(), json!(true));
            request.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        request.extend(body.get("tools").map(|tools| ("tools".to_owned(), tools.clone())));
        Ok(request)
    }

    fn whole(&self, answer: &Value) -> Value {
        let choice = &answer["choices"][0];
        let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
        let text = choice["message"]["content"].as_str().unwrap_or_default();
        line(&answer["model"], text, &calls, Some((reason(&choice["finish_reason"]), &answer["usage"])))
    }

    fn error(&self, _: u16, error: &Value) -> Value {
        json!({"error": error["message"]})
    }

    fn stream(&self) -> Box<dyn Teller> {
        Box::new(Lines::default())
    }
}

/// What the service checks of a request.
fn check(body: &Map<String, Value>) -> Result<(), String> {
    if body.get("model").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("model is required".to_owned());
    }
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return Err("messages must be an array".to_owned());
    };
    for message in messages {
        let role = message["role"].as_str().unwrap_or_default();
        if !["system", "user", "assistant", "tool"].contains(&role) {
            return Err(format!("invalid role: {role}"));
        }
        if !message["content"].is_string() {
            return Err(format!("json: cannot unmarshal content into a string: {message}"));
        }
        for image in message["images"].as_array().into_iter().flatten() {
            if image.as_str().is_none_or(|image| image.starts_with("data:") || image.starts_with("http")) {
                return Err("illegal base64 data".to_owned());
            }
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            if !call["function"]["name"].is_string() || !call["function"]["arguments"].is_object() {
                return Err(format!("json: cannot unmarshal the arguments of a call into an object: {call}"));
            }
        }
    }
    if body.get("options").is_some_and(|options| !options.is_object()) {
        return Err("options must be an object".to_owned());
    }
    let format = body.get("format");
    if format.is_some_and(|format| !format.is_object() && format != "json") {
        return Err("format must be \"json\" or a schema".to_owned());
    }
    Ok(())
}

/// A message as one of OpenAI's, as far as scripts look at it.
fn openai_message(message: &Value) -> Value {
    let mut told = json!({"role": message["role"], "content": message["content"]});
    if let Some(calls) = message["tool_calls"].as_array() {
        let call = |call: &Value| {
            let function =
                json!({"name": call["function"]["name"], "arguments": call["function"]["arguments"].to_string()});
            json!({"id": call["id"], "type": "function", "function": function})
        };
        told["tool_calls"] = calls.iter().map(call).collect();
    }
    told
}

fn reason(reason: &Value) -> &'static str {
    if reason == "length" { "length" } else { "stop" }
}

/// An answer, or a line of one; the last one says why it ended and what it cost.
fn line(model: &Value, text: &str, calls: &[Value], end: Option<(&str, &Value)>) -> Value {
    let mut message = json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        let call = |call: &Value| {
            let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            json!({"id": call["id"], "function": {"name": call["function"]["name"], "arguments": arguments}})
        };
        message["tool_calls"] = calls.iter().map(call).collect();
    }
    let mut line =
        json!({"model": model, "created_at": "2026-01-02T03:04:05.678Z", "message": message, "done": end.is_some()});
    if let Some((reason, usage)) = end {
        let (prompt, completion, _) = usage_of(usage);
        line["done_reason"] = json!(reason);
        line["prompt_eval_count"] = json!(prompt);
        line["eval_count"] = json!(completion);
        line["total_duration"] = json!(1_234_567);
    }
    line
}

/// The lines of one answer.
#[derive(Default)]
struct Lines {
    model: Value,
    calls: Vec<Value>,
    reason: Option<&'static str>,
    usage: Value,
}

impl Teller for Lines {
    fn chunk(&mut self, chunk: &Value) -> Vec<u8> {
        self.model = chunk["model"].clone();
        if chunk["usage"].is_object() {
            self.usage = chunk["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        super::gather_calls(&mut self.calls, choice);
        if choice["finish_reason"].is_string() {
            self.reason = Some(reason(&choice["finish_reason"]));
        }
        match choice["delta"]["content"].as_str() {
            Some(text) => format!("{}\n", line(&self.model, text, &[], None)).into_bytes(),
            None => Vec::new(),
        }
    }

    fn end(&mut self) -> Vec<u8> {
        let mut out = String::new();
        if !self.calls.is_empty() {
            out.push_str(&format!("{}\n", line(&self.model, "", &self.calls, None)));
        }
        out.push_str(&format!("{}\n", line(&self.model, "", &[], Some((self.reason.unwrap_or("stop"), &self.usage)))));
        out.into_bytes()
    }

    fn error(&mut self, error: &Value) -> Vec<u8> {
        format!("{}\n", json!({"error": error["message"]})).into_bytes()
    }

    fn media_type(&self) -> &'static str {
        "application/x-ndjson"
    }
}

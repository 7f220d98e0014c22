//! OpenAI's Responses API. Source: <https://platform.openai.com/docs/api-reference/responses>.

use serde_json::{Map, Value, json};

use super::super::Reply;
use super::{Dialect, Teller, usage_of};

pub(super) struct Responses;

/// The members of a request that the service knows; it refuses others.
const KNOWN: [&str; 24] = [
    "model",
    "input",
    "instructions",
    "stream",
    "stream_options",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
    "include",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "user",
    "store",
    "truncation",
    "max_tool_calls",
];

fn refused(message: String) -> Reply {
    let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": null});
    Reply::json(400, &json!({"error": error}))
}

impl Dialect for Responses {
    fn read(&self, _: &str, body: &Map<String, Value>) -> Result<Map<String, Value>, Reply> {
        check(body).map_err(refused)?;
        let messages = body["input"].as_array().unwrap().iter().filter_map(openai_message).collect();
        let mut request = Map::from_iter([("model".to_owned(), body["model"].clone())]);
        request.insert("messages".to_owned(), messages);
        if body.get("stream") == Some(&Value::Bool(true)) {
            request.insert("stream".to_owned(), json!(true));
            request.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        if let Some(Value::Array(tools)) = body.get("tools") {
            let tool = |tool: &Value| json!({"type": "function", "function": {"name": tool["name"], "parameters": tool["parameters"]}});
            request.insert("tools".to_owned(), tools.iter().map(tool).collect());
        }
        Ok(request)
    }

    fn whole(&self, answer: &Value) -> Value {
        let choice = &answer["choices"][0];
        let mut output = Vec::new();
        let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
        if !calls.is_empty() {
            output.push(thought());
        }
        if let Some(text) = choice["message"]["content"].as_str() {
            output.push(said(text));
        }
        output.extend(calls.iter().enumerate().map(|(index, call)| called(index, call, "completed")));
        response(&answer["model"], output, Some((&choice["finish_reason"], &answer["usage"])))
    }

    fn error(&self, _: u16, error: &Value) -> Value {
        json!({"error": error})
    }

    fn stream(&self) -> Box<dyn Teller> {
        Box::new(Events::default())
    }
}

/// What the service checks of a request.
fn check(body: &Map<String, Value>) -> Result<(), String> {
    if let Some(unknown) = body.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("Unknown parameter: '{unknown}'."));
    }
    if body.get("model").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("you must provide a model parameter".to_owned());
    }
    // What is kept here, Sabir does not send.
    if body.get("store") != Some(&Value::Bool(false)) {
        return Err("this test keeps nothing: store must be false".to_owned());
    }
    let Some(items) = body.get("input").and_then(Value::as_array).filter(|items| !items.is_empty()) else {
        return Err("Missing required parameter: 'input'.".to_owned());
    };
    let mut calls: Vec<&str> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let problem = |what: &str| Err(format!("Invalid value: 'input[{index}]': {what}: {item}"));
        match item["type"].as_str() {
            None | Some("message") => {
                let text = if item["role"] == "assistant" { "output_text" } else { "input_text" };
                let right = match &item["content"] {
                    Value::String(_) => true,
                    Value::Array(parts) => parts.iter().all(|part| match part["type"].as_str() {
                        Some(kind) if kind == text => part["text"].is_string(),
                        Some("input_image") => part["image_url"].is_string() && part["detail"].is_string(),
                        Some("input_file" | "input_audio" | "refusal") => true,
                        _ => false,
                    }),
                    _ => false,
                };
                if !right {
                    return problem("content");
                }
            }
            Some("reasoning") => {
                if item["encrypted_content"] != "scripted-seal" || !item["summary"].is_array() {
                    return problem("the encrypted content could not be verified");
                }
                if !items.get(index + 1).is_some_and(|next| next["type"] != "reasoning" && next["role"] != "user") {
                    return problem("reasoning was provided without its required following item");
                }
            }
            Some("function_call") => {
                if !item["name"].is_string() || !item["arguments"].is_string() {
                    return problem("a call");
                }
                calls.push(item["call_id"].as_str().unwrap_or_default());
            }
            Some("function_call_output") => {
                let id = item["call_id"].as_str().unwrap_or_default();
                if !calls.contains(&id) {
                    return problem("No tool call found for function call output");
                }
            }
            Some(_) => return problem("type"),
        }
    }
    for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
        if tool["type"] == "function" && (!tool["name"].is_string() || !tool["strict"].is_boolean()) {
            return Err(format!("Missing required parameter: 'tools[0].name': {tool}"));
        }
    }
    Ok(())
}

/// An item as a message of OpenAI's, as far as scripts look at it.
fn openai_message(item: &Value) -> Option<Value> {
    let part = |part: &Value| match part["type"].as_str() {
        Some("input_image") => json!({"type": "image_url", "image_url": {"url": part["image_url"]}}),
        _ => json!({"type": "text", "text": part["text"]}),
    };
    match item["type"].as_str() {
        Some("message") => match &item["content"] {
            Value::Array(parts) => {
                let parts: Value = parts.iter().map(part).collect();
                Some(json!({"role": item["role"], "content": parts}))
            }
            text => Some(json!({"role": item["role"], "content": text})),
        },
        Some("function_call") => {
            let function = json!({"name": item["name"], "arguments": item["arguments"]});
            let call = json!({"id": item["call_id"], "type": "function", "function": function});
            Some(json!({"role": "assistant", "content": null, "tool_calls": [call]}))
        }
        Some("function_call_output") => {
            Some(json!({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}))
        }
        _ => None,
    }
}

fn thought() -> Value {
    json!({"type": "reasoning", "id": "rs_scripted", "summary": [], "encrypted_content": "scripted-seal"})
}

fn said(text: &str) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    json!({"type": "message", "id": "msg_scripted", "status": "completed", "role": "assistant", "content": [part]})
}

fn called(index: usize, call: &Value, status: &str) -> Value {
    let arguments = if status == "completed" { call["function"]["arguments"].clone() } else { json!("") };
    json!({
        "type": "function_call", "id": format!("fc_{index}"), "call_id": call["id"],
        "name": call["function"]["name"], "arguments": arguments, "status": status,
    })
}

fn response(model: &Value, output: Vec<Value>, end: Option<(&Value, &Value)>) -> Value {
    let mut response = json!({
        "id": "resp_scripted", "object": "response", "created_at": 1_741_476_542, "model": model, "output": output,
        "status": "in_progress", "error": null, "incomplete_details": null, "usage": null, "metadata": {},
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "store": false,
    });
    if let Some((reason, usage)) = end {
        let (prompt, completion, cached) = usage_of(usage);
        response["status"] = json!("completed");
        if reason == "length" {
            response["status"] = json!("incomplete");
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        response["usage"] = json!({
            "input_tokens": prompt, "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": completion, "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": prompt + completion,
        });
    }
    response
}

/// The events of one answer.
#[derive(Default)]
struct Events {
    number: usize,
    model: Value,
    text: Option<String>,
    calls: Vec<Value>,
    reason: Value,
    usage: Value,
}

impl Events {
    fn event(&mut self, out: &mut Vec<u8>, mut event: Value) {
        event["sequence_number"] = json!(self.number);
        self.number += 1;
        out.extend_from_slice(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()).as_bytes());
    }
}

impl Teller for Events {
    fn chunk(&mut self, chunk: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        if self.number == 0 {
            self.model = chunk["model"].clone();
            for kind in ["response.created", "response.in_progress"] {
                let response = response(&self.model, Vec::new(), None);
                self.event(&mut out, json!({"type": kind, "response": response}));
            }
        }
        if chunk["usage"].is_object() {
            self.usage = chunk["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
            if self.text.is_none() {
                let mut item = said("");
                item["content"] = json!([]);
                self.event(&mut out, json!({"type": "response.output_item.added", "output_index": 0, "item": item}));
            }
            self.text.get_or_insert_default().push_str(text);
            self.event(
                &mut out,
                json!({
                    "type": "response.output_text.delta", "item_id": "msg_scripted", "output_index": 0,
                    "content_index": 0, "delta": text, "logprobs": [],
                }),
            );
        }
        super::gather_calls(&mut self.calls, choice);
        if choice["finish_reason"].is_string() {
            self.reason = choice["finish_reason"].clone();
        }
        out
    }

    fn end(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut output = Vec::new();
        if let Some(text) = self.text.take() {
            let item = said(&text);
            self.event(&mut out, json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
            output.push(item);
        }
        let calls = std::mem::take(&mut self.calls);
        if !calls.is_empty() {
            let (place, item) = (output.len(), thought());
            self.event(&mut out, json!({"type": "response.output_item.added", "output_index": place, "item": item}));
            self.event(&mut out, json!({"type": "response.output_item.done", "output_index": place, "item": item}));
            output.push(item);
        }
        for (index, call) in calls.iter().enumerate() {
            let place = output.len();
            let begun = called(index, call, "in_progress");
            self.event(&mut out, json!({"type": "response.output_item.added", "output_index": place, "item": begun}));
            let (first, second) = call["function"]["arguments"].as_str().unwrap().split_at(1);
            for piece in [first, second] {
                let kind = "response.function_call_arguments.delta";
                let id = &begun["id"];
                self.event(&mut out, json!({"type": kind, "item_id": id, "output_index": place, "delta": piece}));
            }
            let item = called(index, call, "completed");
            self.event(&mut out, json!({"type": "response.output_item.done", "output_index": place, "item": item}));
            output.push(item);
        }
        let response = response(&self.model, output, Some((&self.reason, &self.usage)));
        let kind = format!("response.{}", response["status"].as_str().unwrap());
        self.event(&mut out, json!({"type": kind, "response": response}));
        out
    }

    fn error(&mut self, error: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        let message = &error["message"];
        self.event(&mut out, json!({"type": "error", "code": "server_error", "message": message, "param": null}));
        out
    }
}

//! Google's Gemini API. Source: <https://ai.google.dev/api/generate-content>.

use serde_json::{Map, Value, json};

use super::super::Reply;
use super::{Dialect, Teller, usage_of};

pub(super) struct Gemini;

/// The members of a request that the service knows; it refuses others.
const KNOWN: [&str; 8] = [
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "safetySettings",
    "cachedContent",
    "serviceTier",
];

/// Those of a request's `generationConfig`.
const KNOWN_CONFIG: [&str; 19] = [
    "temperature",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "candidateCount",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseLogprobs",
    "logprobs",
    "thinkingConfig",
    "responseModalities",
    "speechConfig",
    "mediaResolution",
    "imageConfig",
];

fn refused(message: String) -> Reply {
    Reply::json(400, &json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}))
}

impl Dialect for Gemini {
    fn read(&self, path: &str, body: &Map<String, Value>) -> Result<Map<String, Value>, Reply> {
        check(body).map_err(refused)?;
        let (model, method) = path.rsplit_once(':').unwrap();
        let model = model.rsplit_once('/').unwrap().1;
        let mut messages = Vec::new();
        if let Some(system) = body.get("systemInstruction") {
            messages.push(json!({"role": "system", "content": texts(system)}));
        }
        for content in body["contents"].as_array().unwrap() {
            messages.extend(openai_messages(content));
        }
        let mut request = Map::from_iter([("model".to_owned(), json!(model))]);
        request.insert("messages".to_owned(), Value::Array(messages));
        if method == "streamGenerateContent" {
            request.insert("stream".to_owned(), json!(true));
            request.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        Ok(request)
    }

    fn whole(&self, answer: &Value) -> Value {
        let choice = &answer["choices"][0];
        let mut parts = Vec::new();
        if let Some(text) = choice["message"]["content"].as_str() {
            parts.push(json!({"text": text}));
        }
        let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
        parts.extend(calls.iter().map(call_part));
        let mut told = piece(&answer["model"], &parts, Some(reason(&choice["finish_reason"])));
        told["usageMetadata"] = usage(&answer["usage"]);
        told
    }

    fn error(&self, status: u16, error: &Value) -> Value {
        let word = match status {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            _ => "INTERNAL",
        };
        json!({"error": {"code": status, "message": error["message"], "status": word}})
    }

    fn stream(&self) -> Box<dyn Teller> {
        Box::new(Pieces::default())
    }
}

/// What the service checks of a request.
fn check(body: &Map<String, Value>) -> Result<(), String> {
    let unknown = |object: &Map<String, Value>, known: &[&str]| {
        let unknown = object.keys().find(|name| !known.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| Err(format!("Invalid JSON payload received. Unknown name \"{name}\"")))
    };
    unknown(body, &KNOWN)?;
    if let Some(config) = body.get("generationConfig").and_then(Value::as_object) {
        unknown(config, &KNOWN_CONFIG)?;
    }
    let Some(contents) = body.get("contents").and_then(Value::as_array).filter(|contents| !contents.is_empty()) else {
        return Err("contents are required".to_owned());
    };
    let mut open: Vec<&Value> = Vec::new();
    for (index, content) in contents.iter().enumerate() {
        let role = content["role"].as_str().unwrap_or_default();
        if !["user", "model"].contains(&role) {
            return Err("Please use a valid role: user, model.".to_owned());
        }
        let Some(parts) = content["parts"].as_array().filter(|parts| !parts.is_empty()) else {
            return Err(format!("contents[{index}].parts: must not be empty"));
        };
        for part in parts {
            check_part(part).map_err(|problem| format!("contents[{index}].parts: {problem}"))?;
        }
        let answered: Vec<&Value> =
            parts.iter().map(|part| &part["functionResponse"]["name"]).filter(|name| name.is_string()).collect();
        if role == "user" && answered.len() != open.len() {
            return Err("Please ensure that the number of function response parts is equal to the number of function \
                        call parts of the function call turn."
                .to_owned());
        }
        if let Some(stray) = answered.iter().find(|name| !open.contains(name)) {
            return Err(format!("function response {stray} answers no call"));
        }
        open = parts.iter().map(|part| &part["functionCall"]["name"]).filter(|name| name.is_string()).collect();
    }
    for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
        for function in tool["functionDeclarations"].as_array().into_iter().flatten() {
            if !function["name"].is_string() || function.get("strict").is_some() {
                return Err(format!("the function is not right: {function}"));
            }
        }
    }
    Ok(())
}

fn check_part(part: &Value) -> Result<(), String> {
    let Some(part) = part.as_object() else { return Err("must be an object".to_owned()) };
    let data: Vec<&String> =
        part.keys().filter(|name| !["thought", "thoughtSignature", "videoMetadata"].contains(&name.as_str())).collect();
    let [kind] = data.as_slice() else { return Err(format!("required oneof field 'data' must have one: {data:?}")) };
    let value = &part[kind.as_str()];
    let right = match kind.as_str() {
        "text" => value.is_string(),
        "inlineData" => value["mimeType"].is_string() && value["data"].is_string(),
        "fileData" => value["fileUri"].is_string(),
        "functionCall" => value["name"].is_string() && value["args"].is_object(),
        "functionResponse" => value["name"].is_string() && value["response"].is_object(),
        _ => false,
    };
    if right { Ok(()) } else { Err(format!("the part is not right: {kind}: {value}")) }
}

fn texts(content: &Value) -> String {
    content["parts"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect()
}

/// A turn as messages of OpenAI's, as far as scripts look at them.
fn openai_messages(content: &Value) -> Vec<Value> {
    let mut messages = Vec::new();
    let mut calls = Vec::new();
    for part in content["parts"].as_array().unwrap() {
        if let Some(call) = part.get("functionCall") {
            let function = json!({"name": call["name"], "arguments": call["args"].to_string()});
            calls.push(json!({"id": call["id"], "type": "function", "function": function}));
        }
        if let Some(response) = part.get("functionResponse") {
            messages.push(
                json!({"role": "tool", "tool_call_id": response["id"], "content": response["response"].to_string()}),
            );
        }
    }
    let text = texts(content);
    if !text.is_empty() || !calls.is_empty() {
        let role = if content["role"] == "model" { "assistant" } else { "user" };
        let mut message = json!({"role": role, "content": text});
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        messages.push(message);
    }
    messages
}

fn reason(reason: &Value) -> &'static str {
    match reason.as_str() {
        Some("length") => "MAX_TOKENS",
        Some("content_filter") => "SAFETY",
        _ => "STOP",
    }
}

fn call_part(call: &Value) -> Value {
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    json!({"functionCall": {"id": call["id"], "name": call["function"]["name"], "args": arguments}, "thoughtSignature": "c2NyaXB0ZWQ="})
}

/// Thoughts are counted beside the answer.
fn usage(usage: &Value) -> Value {
    let (prompt, completion, cached) = usage_of(usage);
    json!({
        "promptTokenCount": prompt, "candidatesTokenCount": completion - 2, "thoughtsTokenCount": 2,
        "cachedContentTokenCount": cached, "totalTokenCount": prompt + completion,
    })
}

fn piece(model: &Value, parts: &[Value], reason: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if let Some(reason) = reason {
        candidate["finishReason"] = json!(reason);
    }
    json!({"candidates": [candidate], "modelVersion": model, "responseId": "scripted"})
}

/// The pieces of one answer.
#[derive(Default)]
struct Pieces {
    model: Value,
    calls: Vec<Value>,
    reason: Option<&'static str>,
    usage: Value,
}

impl Teller for Pieces {
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
        match choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
            Some(text) => format!("data: {}\r\n\r\n", piece(&self.model, &[json!({"text": text})], None)).into_bytes(),
            None => Vec::new(),
        }
    }

    /// Google's streams have no mark of their own: the last piece says why the model stopped.
    fn end(&mut self) -> Vec<u8> {
        let calls: Vec<Value> = self.calls.iter().map(call_part).collect();
        let parts = if calls.is_empty() { vec![json!({"text": ""})] } else { calls };
        let mut last = piece(&self.model, &parts, Some(self.reason.unwrap_or("STOP")));
        last["usageMetadata"] = usage(&self.usage);
        format!("data: {last}\r\n\r\n").into_bytes()
    }

    fn error(&mut self, error: &Value) -> Vec<u8> {
        let error = json!({"error": {"code": 500, "message": error["message"], "status": "INTERNAL"}});
        format!("data: {error}\r\n\r\n").into_bytes()
    }
}

//! Amazon Bedrock's Converse API. Sources: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>
//! and, for the frames of its streams, <https://smithy.io/2.0/aws/amazon-eventstream.html>.

use serde_json::{Map, Value, json};

use super::super::Reply;
use super::{Dialect, Teller, usage_of};

pub(super) struct Bedrock;

/// The members of a request that the service knows; it refuses others.
const KNOWN: [&str; 12] = [
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "outputConfig",
    "guardrailConfig",
    "promptVariables",
    "requestMetadata",
    "performanceConfig",
    "serviceTier",
];

fn refused(message: String) -> Reply {
    Reply::json(400, &json!({"message": message}))
}

impl Dialect for Bedrock {
    fn read(&self, path: &str, body: &Map<String, Value>) -> Result<Map<String, Value>, Reply> {
        check(body).map_err(refused)?;
        let (model, method) = path.trim_start_matches("/model/").split_once('/').unwrap();
        let mut messages = Vec::new();
        for block in body.get("system").and_then(Value::as_array).into_iter().flatten() {
            messages.push(json!({"role": "system", "content": block["text"]}));
        }
        for message in body["messages"].as_array().unwrap() {
            messages.extend(openai_messages(message));
        }
        let mut request = Map::from_iter([("model".to_owned(), json!(model))]);
        request.insert("messages".to_owned(), Value::Array(messages));
        if method == "converse-stream" {
            request.insert("stream".to_owned(), json!(true));
            request.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        Ok(request)
    }

    fn whole(&self, answer: &Value) -> Value {
        let choice = &answer["choices"][0];
        let mut content = Vec::new();
        if let Some(text) = choice["message"]["content"].as_str() {
            content.push(json!({"text": text}));
        }
        for call in choice["message"]["tool_calls"].as_array().into_iter().flatten() {
            let input: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            content
                .push(json!({"toolUse": {"toolUseId": call["id"], "name": call["function"]["name"], "input": input}}));
        }
        json!({
            "output": {"message": {"role": "assistant", "content": content}}, "metrics": {"latencyMs": 5},
            "stopReason": reason(&choice["finish_reason"]), "usage": usage(&answer["usage"]),
        })
    }

    fn error(&self, _: u16, error: &Value) -> Value {
        json!({"message": error["message"]})
    }

    fn stream(&self) -> Box<dyn Teller> {
        Box::new(Frames::default())
    }
}

/// What the service checks of a request.
fn check(body: &Map<String, Value>) -> Result<(), String> {
    if let Some(unknown) = body.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("extraneous key [{unknown}] is not permitted"));
    }
    let Some(messages) = body.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty()) else {
        return Err("1 validation error detected: messages must not be empty".to_owned());
    };
    let mut asked: Vec<&str> = Vec::new();
    let mut last = "assistant";
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !["user", "assistant"].contains(&role) || role == last {
            return Err(format!("messages.{index}: roles must alternate between \"user\" and \"assistant\""));
        }
        last = role;
        let Some(blocks) = message["content"].as_array().filter(|blocks| !blocks.is_empty()) else {
            return Err(format!("messages.{index}.content: must not be empty"));
        };
        let mut answered = Vec::new();
        for block in blocks {
            check_block(block, role).map_err(|problem| format!("messages.{index}: {problem}"))?;
            answered.extend(block["toolResult"]["toolUseId"].as_str());
        }
        if role == "user" && (answered.len() != asked.len() || answered.iter().any(|id| !asked.contains(id))) {
            return Err(format!("Expected toolResult blocks at messages.{index}.content for the Ids: {asked:?}"));
        }
        asked = blocks.iter().filter_map(|block| block["toolUse"]["toolUseId"].as_str()).collect();
    }
    for tool in body.get("toolConfig").map(|config| &config["tools"]).and_then(Value::as_array).into_iter().flatten() {
        if !tool["toolSpec"]["name"].is_string() || !tool["toolSpec"]["inputSchema"]["json"].is_object() {
            return Err(format!("toolConfig.tools: the tool is not right: {tool}"));
        }
    }
    Ok(())
}

fn check_block(block: &Value, role: &str) -> Result<(), String> {
    let Some((kind, value)) = block.as_object().filter(|block| block.len() == 1).and_then(|block| block.iter().next())
    else {
        return Err(format!("a block has one member: {block}"));
    };
    let right = match kind.as_str() {
        "text" => value.as_str().is_some_and(|text| !text.trim().is_empty()),
        "image" => value["format"].is_string() && value["source"]["bytes"].is_string(),
        "toolUse" => role == "assistant" && value["name"].is_string() && value["input"].is_object(),
        "toolResult" => role == "user" && value["content"].is_array(),
        _ => false,
    };
    if right { Ok(()) } else { Err(format!("the block is not right: {block}")) }
}

/// A turn as messages of OpenAI's, as far as scripts look at them.
fn openai_messages(message: &Value) -> Vec<Value> {
    let mut messages = Vec::new();
    let (mut said, mut calls) = (Vec::new(), Vec::new());
    for block in message["content"].as_array().unwrap() {
        if let Some(text) = block.get("text") {
            said.push(json!({"type": "text", "text": text}));
        }
        if let Some(call) = block.get("toolUse") {
            let function = json!({"name": call["name"], "arguments": call["input"].to_string()});
            calls.push(json!({"id": call["toolUseId"], "type": "function", "function": function}));
        }
        if let Some(result) = block.get("toolResult") {
            let content = result["content"].to_string();
            messages.push(json!({"role": "tool", "tool_call_id": result["toolUseId"], "content": content}));
        }
    }
    if !said.is_empty() || !calls.is_empty() {
        let mut told = json!({"role": message["role"], "content": said});
        if !calls.is_empty() {
            told["tool_calls"] = Value::Array(calls);
        }
        messages.push(told);
    }
    messages
}

fn reason(reason: &Value) -> &'static str {
    match reason.as_str() {
        Some("length") => "max_tokens",
        Some("tool_calls") => "tool_use",
        Some("content_filter") => "content_filtered",
        _ => "end_turn",
    }
}

/// What came from the cache is counted beside the rest of the prompt.
fn usage(usage: &Value) -> Value {
    let (prompt, completion, cached) = usage_of(usage);
    json!({
        "inputTokens": prompt - cached, "outputTokens": completion, "totalTokens": prompt + completion,
        "cacheReadInputTokens": cached,
    })
}

/// The frames of one answer.
#[derive(Default)]
struct Frames {
    started: bool,
    writing: bool,
    calls: Vec<Value>,
    reason: Option<&'static str>,
    usage: Value,
}

impl Teller for Frames {
    fn chunk(&mut self, chunk: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.started, true) {
            out.extend(event("messageStart", &json!({"role": "assistant"})));
        }
        if chunk["usage"].is_object() {
            self.usage = usage(&chunk["usage"]);
        }
        let choice = &chunk["choices"][0];
        if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
            self.writing = true;
            out.extend(event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": text}})));
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
            out.extend(event("contentBlockStop", &json!({"contentBlockIndex": 0})));
        }
        for (number, call) in self.calls.iter().enumerate() {
            let index = number + usize::from(self.writing);
            let begun = json!({"toolUse": {"toolUseId": call["id"], "name": call["function"]["name"]}});
            out.extend(event("contentBlockStart", &json!({"contentBlockIndex": index, "start": begun})));
            let (first, second) = call["function"]["arguments"].as_str().unwrap().split_at(1);
            for piece in [first, second] {
                let delta = json!({"toolUse": {"input": piece}});
                out.extend(event("contentBlockDelta", &json!({"contentBlockIndex": index, "delta": delta})));
            }
            out.extend(event("contentBlockStop", &json!({"contentBlockIndex": index})));
        }
        out.extend(event("messageStop", &json!({"stopReason": self.reason.unwrap_or("end_turn")})));
        out.extend(event("metadata", &json!({"usage": self.usage, "metrics": {"latencyMs": 5}})));
        out
    }

    fn error(&mut self, error: &Value) -> Vec<u8> {
        let names = [(":message-type", "exception"), (":exception-type", "internalServerException")];
        frame(&names, &json!({"message": error["message"]}))
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }
}

fn event(kind: &str, payload: &Value) -> Vec<u8> {
    frame(&[(":message-type", "event"), (":event-type", kind), (":content-type", "application/json")], payload)
}

/// A frame: lengths, their checksum, headers that are texts (type 7), the payload, the checksum of all.
fn frame(names: &[(&str, &str)], payload: &Value) -> Vec<u8> {
    let payload = payload.to_string().into_bytes();
    let mut headers = Vec::new();
    for (name, value) in names {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let mut frame = Vec::new();
    frame.extend_from_slice(&length(16 + headers.len() + payload.len()));
    frame.extend_from_slice(&length(headers.len()));
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(&payload);
    frame.extend_from_slice(&crc32(&frame).to_be_bytes());
    frame
}

/// The checksum of IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    };
    !bytes.iter().fold(!0, step)
}

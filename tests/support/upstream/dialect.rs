//! The wire formats that the upstream speaks. Scripts are written once, in OpenAI's; a request in another format is checked
//! as its own service checks it and read as one of OpenAI's, and what the script answers is said in the other format.
//!
//! Written from the providers' references, and from nothing of ours, so that the two readings check each other.

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod ollama;
mod responses;

use http::Method;
use serde_json::{Map, Value};

use super::{Reply, Step};

/// A format other than OpenAI's.
pub(super) trait Dialect: Send + Sync {
    /// The request in OpenAI's words; or the refusal, in its own.
    fn read(&self, path: &str, body: &Map<String, Value>) -> Result<Map<String, Value>, Reply>;

    /// A whole answer.
    fn whole(&self, answer: &Value) -> Value;

    /// The body of an error.
    fn error(&self, status: u16, error: &Value) -> Value;

    /// A teller of one streamed answer.
    fn stream(&self) -> Box<dyn Teller>;
}

/// Tells a stream chunk by chunk.
pub(super) trait Teller: Send {
    /// A chunk, in the bytes of the format.
    fn chunk(&mut self, chunk: &Value) -> Vec<u8>;

    /// The mark of a normal end.
    fn end(&mut self) -> Vec<u8>;

    /// An error within the stream.
    fn error(&mut self, error: &Value) -> Vec<u8>;

    /// The media type of the stream.
    fn media_type(&self) -> &'static str {
        "text/event-stream"
    }
}

/// Which format a request is in, by its path; `None` for OpenAI's.
pub(super) fn of(method: &Method, path: &str) -> Option<&'static dyn Dialect> {
    match (method, path) {
        (&Method::POST, "/v1/messages") => Some(&anthropic::Anthropic),
        (&Method::POST, "/v1/responses") => Some(&responses::Responses),
        (&Method::POST, "/v2/chat") => Some(&cohere::Cohere),
        (&Method::POST, "/api/chat") => Some(&ollama::Ollama),
        (&Method::POST, path) if path.starts_with("/model/") => Some(&bedrock::Bedrock),
        (&Method::POST, path) if path.starts_with("/v1beta/models/") => Some(&gemini::Gemini),
        _ => None,
    }
}

/// What a script answers, in another format. Bytes that are no event of OpenAI's, such as half of one, stay.
pub(super) fn told(dialect: &dyn Dialect, reply: Reply) -> Reply {
    let content_type = reply.headers.iter().find(|(name, _)| *name == "content-type").map(|(_, value)| value.as_str());
    if content_type.is_some_and(|kind| kind.starts_with("text/event-stream")) {
        let mut teller = dialect.stream();
        let media_type = teller.media_type().to_owned();
        let steps = reply.steps.into_iter().map(|step| told_step(&mut *teller, step)).collect();
        let others = reply.headers.into_iter().filter(|(name, _)| *name != "content-type");
        let headers = others.chain([("content-type", media_type)]).collect();
        return Reply { steps, headers, ..reply };
    }
    let [Step::Bytes(body)] = &reply.steps[..] else { return reply };
    let Ok(document) = serde_json::from_slice::<Value>(body) else { return reply };
    let told = match document.get("error") {
        Some(error) => dialect.error(reply.status, error),
        None => dialect.whole(&document),
    };
    let others = reply.headers.into_iter().filter(|(name, _)| !["content-type", "content-length"].contains(name));
    let Reply { status, headers, steps, .. } = Reply::json(reply.status, &told);
    Reply { before_headers: reply.before_headers, status, headers: headers.into_iter().chain(others).collect(), steps }
}

fn told_step(teller: &mut dyn Teller, step: Step) -> Step {
    let Step::Bytes(bytes) = &step else { return step };
    let data = bytes.strip_prefix(b"data: ").and_then(|rest| rest.strip_suffix(b"\n\n"));
    let told = match data {
        Some(b"[DONE]") => teller.end(),
        Some(data) => match serde_json::from_slice::<Value>(data) {
            Ok(chunk) if chunk.get("error").is_some() => teller.error(&chunk["error"]),
            Ok(chunk) => teller.chunk(&chunk),
            Err(_) => return step,
        },
        None => return step,
    };
    Step::Bytes(told.into())
}

/// The tokens of OpenAI's usage: of the prompt, of the answer, and of the prompt from the cache.
fn usage_of(usage: &Value) -> (u64, u64, u64) {
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let cached = count(&usage["prompt_tokens_details"]["cached_tokens"]);
    (count(&usage["prompt_tokens"]), count(&usage["completion_tokens"]), cached)
}

/// Puts together the calls of a stream, for formats that tell them whole.
fn gather_calls(calls: &mut Vec<Value>, choice: &Value) {
    for piece in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
        let number = usize::try_from(piece["index"].as_u64().unwrap_or(0)).unwrap();
        if number >= calls.len() {
            let function = serde_json::json!({"name": piece["function"]["name"], "arguments": ""});
            calls.push(serde_json::json!({"id": piece["id"], "type": "function", "function": function}));
        }
        let said = calls[number]["function"]["arguments"].as_str().unwrap().to_owned();
        let more = piece["function"]["arguments"].as_str().unwrap_or_default();
        calls[number]["function"]["arguments"] = Value::String(said + more);
    }
}

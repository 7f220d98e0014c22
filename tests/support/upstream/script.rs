//! Ready scripts: what a test tells the upstream to do when a model is asked. A script is a function from a request to
//! a reply; these answer unary calls and streams alike where that makes sense.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ChatRequest, Reply, Step};

/// The usage every answer reports.
pub(crate) const PROMPT_TOKENS: u32 = 11;
/// See [`PROMPT_TOKENS`].
pub(crate) const COMPLETION_TOKENS: u32 = 7;
/// See [`PROMPT_TOKENS`].
pub(crate) const CACHED_TOKENS: u32 = 3;
/// See [`PROMPT_TOKENS`].
pub(crate) const REASONING_TOKENS: u32 = 2;

/// How tool calls are streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolDeltas {
    /// As OpenAI does: id, type and name first, then pieces of the arguments, all with an index.
    Usual,
    /// Without index, and with the id in the first piece alone, as some servers do.
    WithoutIndex,
    /// Without any id, as some servers do.
    WithoutId,
}

/// This text, word by word when streamed.
pub(crate) fn text(text: &str) -> impl Fn(&ChatRequest) -> Reply + Send + Sync + use<> {
    let text = text.to_owned();
    move |request| spoken(request, &text, Duration::ZERO)
}

/// The last user message.
pub(crate) fn echo() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    |request| spoken(request, &request.last_user_text(), Duration::ZERO)
}

/// `count` chunks, each `0 `, `1 `, ..., with this time before each.
pub(crate) fn paced(count: usize, delay: Duration) -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    let text: String = (0..count).map(|number| format!("{number} ")).collect();
    move |request| spoken(request, &text, delay)
}

/// Calls of one tool each: name and arguments.
pub(crate) fn tool_calls(
    calls: &[(&'static str, &'static str)],
    deltas: ToolDeltas,
) -> impl Fn(&ChatRequest) -> Reply + Send + Sync + use<> {
    let calls = calls.to_vec();
    move |request| {
        if !request.stream() {
            let calls: Vec<_> = calls
                .iter()
                .enumerate()
                .map(|(index, (name, arguments))| {
                    let function = json!({"name": name, "arguments": arguments});
                    json!({"id": format!("call_{index}"), "type": "function", "function": function})
                })
                .collect();
            let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
            return Reply::json(200, &completion(request, message, "tool_calls"));
        }
        let mut steps = vec![chunk(request, json!({"role": "assistant", "content": null}), None)];
        for (index, (name, arguments)) in calls.iter().enumerate() {
            for delta in tool_deltas(index, name, arguments, deltas) {
                steps.push(chunk(request, json!({"tool_calls": [delta]}), None));
            }
        }
        steps.extend(ending(request, "tool_calls"));
        Reply::events(steps)
    }
}

/// An error in OpenAI's shape, for unary calls and streams.
pub(crate) fn failing(
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    message: &'static str,
) -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    move |_| Reply::error(status, kind, code, message)
}

/// Too many requests; come back in so many seconds.
pub(crate) fn rate_limited(retry_after: u32) -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    move |_| {
        Reply::error(429, "requests", Some("rate_limit_exceeded"), "Rate limit reached")
            .with_header(("retry-after", retry_after.to_string()))
    }
}

/// Never answers.
pub(crate) fn silent() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    |_| Reply::silence()
}

/// A web page where JSON or events should be, as a misconfigured proxy sends it.
pub(crate) fn web_page() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    |_| Reply::of("text/html", vec![Step::Bytes("<!DOCTYPE html><html><body>Welcome to nginx!</body></html>".into())])
}

/// A stream that begins with the chunks `one `, `two ` and goes on with these steps. A unary call gets half a document.
pub(crate) fn begun(steps: Vec<Step>) -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    move |request| {
        if !request.stream() {
            let whole = completion(request, json!({"role": "assistant", "content": "one two"}), "stop").to_string();
            let half = whole[..whole.len() / 2].to_owned();
            let mut parts = vec![Step::Bytes(half.into()), Step::Wait(Duration::from_millis(20))];
            parts.push(if steps.iter().any(|step| matches!(step, Step::Silence)) { Step::Silence } else { Step::Cut });
            return Reply::of("application/json", parts);
        }
        let mut whole = vec![
            chunk(request, json!({"role": "assistant", "content": "one "}), None),
            chunk(request, json!({"content": "two "}), None),
        ];
        whole.extend(steps.iter().cloned());
        Reply::events(whole)
    }
}

/// A stream cut in the middle of an event.
pub(crate) fn cut_mid_event() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    begun(vec![Step::Bytes(r#"data: {"id":"chatcmpl-1","object":"chat.compl"#.into()), pause(), Step::Cut])
}

/// A stream cut in the middle of a character.
pub(crate) fn cut_mid_character() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    let mut half = br#"data: {"choices":[{"index":0,"delta":{"content":""#.to_vec();
    half.extend_from_slice(&"é".as_bytes()[..1]);
    begun(vec![Step::Bytes(half.into()), pause(), Step::Cut])
}

/// A stream whose connection closes in good order, but which has neither a finish reason nor the last marker.
pub(crate) fn without_terminator() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    begun(Vec::new())
}

/// A stream in which one event is no JSON.
pub(crate) fn garbage_event() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    begun(vec![Step::event("{\"choices\": [oops"), Step::done()])
}

/// A stream with an event of about this many bytes.
pub(crate) fn huge_event(bytes: usize) -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    move |request| begun(vec![chunk(request, json!({"content": "x".repeat(bytes)}), None), Step::done()])(request)
}

/// A stream that stops speaking after two chunks.
pub(crate) fn silent_midway() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    begun(vec![Step::Silence])
}

/// A stream that reports an error of its own after two chunks.
pub(crate) fn error_event() -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    let error = json!({"error": {"message": "The engine broke", "type": "server_error", "param": null, "code": null}});
    begun(vec![Step::event(error)])
}

/// Text with characters of two, three and four bytes, every byte in a write of its own.
pub(crate) fn byte_by_byte(text: &'static str) -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    move |request| {
        let whole = spoken(request, text, Duration::ZERO);
        let bytes: Vec<u8> = whole
            .steps
            .iter()
            .flat_map(|step| match step {
                Step::Bytes(bytes) => bytes.to_vec(),
                _ => Vec::new(),
            })
            .collect();
        let steps = bytes.into_iter().flat_map(|byte| [Step::Bytes(vec![byte].into()), Step::Wait(Duration::ZERO)]);
        Reply { steps: steps.collect(), ..whole }
    }
}

/// One chunk of a stream.
pub(crate) fn chunk(request: &ChatRequest, delta: Value, finish_reason: Option<&str>) -> Step {
    let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
    Step::event(chunk_of(request, json!([choice])))
}

/// The end of a good stream: the finish reason, the usage if it was asked for, the last marker.
pub(crate) fn ending(request: &ChatRequest, finish_reason: &str) -> Vec<Step> {
    let mut steps = vec![chunk(request, json!({}), Some(finish_reason))];
    if request.include_usage() {
        let mut last = chunk_of(request, json!([]));
        last["usage"] = usage();
        steps.push(Step::event(last));
    }
    steps.push(Step::done());
    steps
}

/// A whole answer.
pub(crate) fn completion(request: &ChatRequest, message: Value, finish_reason: &str) -> Value {
    let mut message = message;
    message["refusal"] = Value::Null;
    json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 1_741_569_952,
        "model": request.model(),
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason}],
        "usage": usage(),
        "system_fingerprint": "fp_scripted",
    })
}

fn spoken(request: &ChatRequest, text: &str, delay: Duration) -> Reply {
    if !request.stream() {
        let message = json!({"role": "assistant", "content": text});
        let pieces = u32::try_from(text.split_inclusive(' ').count()).unwrap();
        return Reply::json(200, &completion(request, message, "stop")).after(delay * pieces);
    }
    let mut steps = vec![chunk(request, json!({"role": "assistant", "content": ""}), None)];
    for piece in text.split_inclusive(' ') {
        if !delay.is_zero() {
            steps.push(Step::Wait(delay));
        }
        steps.push(chunk(request, json!({"content": piece}), None));
    }
    steps.extend(ending(request, "stop"));
    Reply::events(steps)
}

fn tool_deltas(index: usize, name: &str, arguments: &str, deltas: ToolDeltas) -> Vec<Value> {
    let mut first = json!({"index": index, "type": "function", "function": {"name": name, "arguments": ""}});
    if deltas != ToolDeltas::WithoutId {
        first["id"] = json!(format!("call_{index}"));
    }
    let (left, right) = arguments.split_at(arguments.len() / 2);
    let piece = |piece: &str| json!({"index": index, "function": {"arguments": piece}});
    let mut all = vec![first];
    all.extend([left, right].into_iter().filter(|part| !part.is_empty()).map(piece));
    if deltas == ToolDeltas::WithoutIndex {
        all.iter_mut().for_each(|delta| drop(delta.as_object_mut().unwrap().remove("index")));
    }
    all
}

fn chunk_of(request: &ChatRequest, choices: Value) -> Value {
    let mut chunk = json!({
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1_741_569_952,
        "model": request.model(),
        "system_fingerprint": "fp_scripted",
        "choices": choices,
    });
    if request.include_usage() {
        chunk["usage"] = Value::Null;
    }
    chunk
}

fn usage() -> Value {
    json!({
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": COMPLETION_TOKENS,
        "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
    })
}

fn pause() -> Step {
    Step::Wait(Duration::from_millis(20))
}

//! Claims about the translation, without a socket.

use std::time::Duration;

use futures_util::TryStreamExt as _;

use super::*;
use crate::credentials::{Authentication, Secret};
use crate::endpoint::Endpoint;
use crate::error::UpstreamErrorKind;
use crate::golden::{self, PLANS};
use crate::openai::Quirks;
use crate::protocol::StreamDecoder as _;
use crate::scripted::{Scripted, answer};
use crate::transport::{Transport, TransportConfig};
use crate::upstream::{OnUnsupported, Origin};
use crate::vendors::{discover, vendor};

fn refused(json: &str) -> String {
    let error = Gemini::DEVELOPER.chat_request(golden::call(json, OnUnsupported::Refuse), false).unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::InvalidRequest);
    error.param.unwrap_or_default()
}

#[test]
fn every_case_is_as_its_golden_files_say() {
    golden::check("gemini", &Gemini::DEVELOPER);
}

#[test]
fn every_case_at_vertex_ai_is_as_its_golden_files_say() {
    golden::check("vertex", &Gemini::VERTEX);
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let with = |member: &str| {
        format!(r#"{{"model":"gemini-3-pro-preview","messages":[{{"role":"user","content":"x"}}],{member}}}"#)
    };
    for (param, member) in [
        ("seed", r#""seed":2147483648"#),
        ("logit_bias", r#""logit_bias":{"1":1}"#),
        ("metadata", r#""metadata":{"a":"b"}"#),
        ("verbosity", r#""verbosity":"low""#),
        ("prediction", r#""prediction":{"type":"content","content":"x"}"#),
        ("modalities", r#""modalities":["smell"]"#),
        ("audio.format", r#""modalities":["audio"],"audio":{"voice":"Kore","format":"mp3"}"#),
        ("audio.voice", r#""modalities":["audio"],"audio":{"voice":{"id":"v"},"format":"pcm16"}"#),
        ("audio.other", r#""modalities":["audio"],"audio":{"voice":"Kore","format":"pcm16","other":1}"#),
        ("service_tier", r#""service_tier":"scale""#),
        ("web_search_options.search_context_size", r#""web_search_options":{"search_context_size":"high"}"#),
        (
            "web_search_options.user_location",
            r#""web_search_options":{"user_location":{"type":"approximate","approximate":{"city":"Paris"}}}"#,
        ),
        ("web_search_options.other", r#""web_search_options":{"other":1}"#),
        ("prompt_cache_key", r#""prompt_cache_key":"k""#),
        ("prompt_cache_retention", r#""prompt_cache_retention":"24h""#),
        ("prompt_cache_options", r#""prompt_cache_options":{}"#),
        ("safety_identifier", r#""safety_identifier":"s""#),
        ("user", r#""user":"u""#),
        ("store", r#""store":true"#),
        ("moderation", r#""moderation":{"model":"m"}"#),
        ("parallel_tool_calls", r#""parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"f"}}]"#),
        ("functions", r#""functions":[{"name":"f"}]"#),
        ("function_call", r#""function_call":"none""#),
        ("reasoning_effort", r#""reasoning_effort":"none""#),
        ("reasoning_effort", r#""reasoning_effort":"very""#),
        ("reasoning_effort", r#""reasoning_effort":"low","reasoning":{"effort":"high"}"#),
        ("reasoning_effort", r#""reasoning_effort":"low","reasoning":{"max_tokens":1000}"#),
        ("reasoning.enabled", r#""reasoning":{"enabled":false}"#),
        ("reasoning.other", r#""reasoning":{"other":1}"#),
        ("tool_choice", r#""tool_choice":"required""#),
        ("tool_choice.custom", r#""tool_choice":{"type":"custom","custom":{"name":"c"}}"#),
        ("tools[0].custom", r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#),
        ("tools[0].type", r#""tools":[{"type":"web_search"}]"#),
        (
            "tools[0].cache_control",
            r#""tools":[{"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}}]"#,
        ),
        ("response_format.other", r#""response_format":{"type":"json_object","other":1}"#),
        (
            "response_format.json_schema.description",
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{}}}"#,
        ),
        // What the request says already, in our words or in the server's.
        ("contents", r#""contents":[]"#),
        ("generationConfig", r#""generationConfig":5"#),
        ("generationConfig.seed", r#""seed":1,"generationConfig":{"seed":2}"#),
        ("generation_config.top_p", r#""top_p":0.5,"generation_config":{"top_p":0.6}"#),
        ("top_k", r#""generationConfig":{"topK":1},"top_k":2"#),
        ("thinkingConfig", r#""reasoning_effort":"low","thinkingConfig":{"thinkingBudget":1}"#),
        (
            "toolConfig.functionCallingConfig",
            r#""tool_choice":"none","tools":[{"type":"function","function":{"name":"f"}}],"toolConfig":{"functionCallingConfig":{}}"#,
        ),
    ] {
        assert_eq!(refused(&with(member)), param, "{member}");
    }
    let system = r#"{"model":"m","messages":[{"role":"system","content":"x"},{"role":"user","content":"x"}],"systemInstruction":{}}"#;
    assert_eq!(refused(system), "systemInstruction");
}

#[test]
fn what_a_message_cannot_say_is_refused_by_its_place() {
    let said = |message: &str| format!(r#"{{"model":"m","messages":[{message}]}}"#);
    let part = |part: &str| said(&format!(r#"{{"role":"user","content":[{part}]}}"#));
    for (param, json) in [
        ("messages[0].name", said(r#"{"role":"user","content":"x","name":"bob"}"#)),
        ("messages[0].other", said(r#"{"role":"user","content":"x","other":1}"#)),
        ("messages[0].role", said(r#"{"role":"function","content":"x","name":"f"}"#)),
        ("messages[0].audio", said(r#"{"role":"assistant","audio":{"id":"a"}}"#)),
        ("messages[0].function_call", said(r#"{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}"#)),
        ("messages[0].parts", said(r#"{"role":"assistant","content":"x","parts":[1]}"#)),
        ("messages[0].images", said(r#"{"role":"assistant","content":"x","images":["QQ=="]}"#)),
        (
            "messages[0].images[0].image_url.url",
            said(r#"{"role":"assistant","content":"x","images":[{"image_url":{"url":"data:x"}}]}"#),
        ),
        (
            "messages[0].tool_calls[0].custom",
            said(r#"{"role":"assistant","tool_calls":[{"id":"a","type":"custom","custom":{"name":"f","input":"x"}}]}"#),
        ),
        (
            "messages[0].tool_calls[0].function.arguments",
            said(
                r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"[1]"}}]}"#,
            ),
        ),
        ("messages[0].tool_call_id", said(r#"{"role":"tool","tool_call_id":"a","content":"x"}"#)),
        (
            "messages[0].content[0].image_url.detail",
            part(r#"{"type":"image_url","image_url":{"url":"data:;base64,QQ==","detail":"low"}}"#),
        ),
        (
            "messages[0].content[0].image_url.url",
            part(r#"{"type":"image_url","image_url":{"url":"data:text/plain,hello"}}"#),
        ),
        (
            "messages[0].content[0].file.file_data",
            part(r#"{"type":"file","file":{"file_data":"data:text/plain,hello"}}"#),
        ),
        ("messages[0].content[0].file", part(r#"{"type":"file","file":{"filename":"x"}}"#)),
        (
            "messages[0].content[0].prompt_cache_breakpoint",
            part(r#"{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}"#),
        ),
        (
            "messages[0].content[0].cache_control",
            part(r#"{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}"#),
        ),
    ] {
        assert_eq!(refused(&json), param, "{json}");
    }
}

#[test]
fn a_request_of_another_api_loses_the_marks_for_that_api() {
    let json = r#"{"model":"gemini-2.5-flash","messages":[
        {"role":"user","cache_control":{"type":"ephemeral"},
         "content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}],
        "tools":[{"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}}]}"#;
    let call = ChatCall { origin: Origin::Translated, ..golden::call(json, OnUnsupported::Refuse) };
    let body = Gemini::DEVELOPER.chat_request(call, false).unwrap().request.body;
    let expected = concat!(
        r#"{"contents":[{"role":"user","parts":[{"text":"x"}]}],"#,
        r#""tools":[{"functionDeclarations":[{"name":"f"}]}]}"#
    );
    assert_eq!(body, expected);
}

/// The answer of a model, sent back with the result of its call by a client that keeps only some of what it was given.
fn sent_back(keeps: impl Fn(&mut serde_json::Map<String, serde_json::Value>)) -> String {
    let answer = concat!(
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"c2VhbA=="},"#,
        r#"{"functionCall":{"name":"g","args":{}}}]},"finishReason":"STOP"}],"responseId":"r"}"#
    );
    let completion = Gemini::DEVELOPER.read_completion((), answer.as_bytes()).unwrap();
    let json = golden::to_json("ChatCompletion", &completion);
    let mut completion: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut message = completion["choices"][0]["message"].take();
    keeps(message.as_object_mut().unwrap());
    let request = serde_json::json!({"model": "gemini-3-pro-preview", "messages": [
        {"role": "user", "content": "x"}, message,
        {"role": "tool", "tool_call_id": "call_r_0", "content": "1"},
        {"role": "tool", "tool_call_id": "call_r_1", "content": "2"},
    ]});
    let call = golden::call(&request.to_string(), OnUnsupported::Refuse);
    let body = Gemini::DEVELOPER.chat_request(call, false).unwrap().request.body;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let parts = &body["contents"][1]["parts"];
    assert_eq!(parts[1].get("thoughtSignature"), None, "{parts}");
    parts[0]["thoughtSignature"].as_str().unwrap().to_owned()
}

#[test]
fn a_signature_survives_every_client_that_keeps_either_form_of_it() {
    assert_eq!(sent_back(|_| ()), "c2VhbA==");
    assert_eq!(sent_back(|message| drop(message.remove("reasoning_details"))), "c2VhbA==");
    assert_eq!(
        sent_back(|message| drop(message["tool_calls"][0].as_object_mut().unwrap().remove("extra_content"))),
        "c2VhbA=="
    );
    let neither = |message: &mut serde_json::Map<String, serde_json::Value>| {
        message.remove("reasoning_details");
        message["tool_calls"][0].as_object_mut().unwrap().remove("extra_content");
    };
    assert_eq!(sent_back(neither), signature::NONE);
}

#[test]
fn errors_are_told_apart_by_their_words_and_then_by_their_status() {
    let body = |code: u16, word: &str, message: &str| {
        format!(r#"{{"error":{{"code":{code},"message":"{message}","status":"{word}"}}}}"#)
    };
    for (status, word, message, expected) in [
        (400, "INVALID_ARGUMENT", "Unknown name \\\"top_k\\\": Cannot find field.", UpstreamErrorKind::InvalidRequest),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1048600) exceeds the maximum number of tokens allowed (1048576).",
            UpstreamErrorKind::ContextLength,
        ),
        (
            400,
            "INVALID_ARGUMENT",
            "Request payload size exceeds the limit: 20971520 bytes.",
            UpstreamErrorKind::TooLarge,
        ),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", UpstreamErrorKind::Authentication),
        (400, "FAILED_PRECONDITION", "Enable billing on your project.", UpstreamErrorKind::InvalidRequest),
        (
            400,
            "FAILED_PRECONDITION",
            "User location is not supported for the API use.",
            UpstreamErrorKind::PermissionDenied,
        ),
        (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", UpstreamErrorKind::Authentication),
        (403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.", UpstreamErrorKind::PermissionDenied),
        (404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta.", UpstreamErrorKind::NotFound),
        (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", UpstreamErrorKind::RateLimited),
        (500, "INTERNAL", "An internal error has occurred.", UpstreamErrorKind::Internal),
        (503, "UNAVAILABLE", "The model is overloaded.", UpstreamErrorKind::Overloaded),
        (504, "DEADLINE_EXCEEDED", "The request timed out.", UpstreamErrorKind::Timeout),
        (429, "NEW_WORD", "Slow down.", UpstreamErrorKind::RateLimited),
    ] {
        let one = body(status, word, message);
        // Without `alt=sse` a stream is a list, and so is its error.
        for body in [one.clone(), format!("[{one}\n]\n")] {
            let error = Gemini::DEVELOPER.read_error(status, body.as_bytes());
            assert_eq!((error.kind, error.code.as_deref()), (expected, Some(word)), "{message}");
            assert_eq!((error.status, error.message), (Some(status), message.replace('\\', "")));
        }
    }
    let page = Gemini::DEVELOPER.read_error(502, b"<html><title>502 Bad Gateway</title></html>");
    assert!(page.kind == UpstreamErrorKind::Unavailable && page.message.contains("502 Bad Gateway"), "{page}");
}

#[test]
fn the_details_of_an_error_say_when_to_come_back_and_what_was_wrong() {
    let body = r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaValue":"5"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"21.5s"}]}}"#;
    let error = Gemini::DEVELOPER.read_error(429, body.as_bytes());
    assert_eq!((error.kind, error.retry_after), (UpstreamErrorKind::RateLimited, Some(Duration::from_millis(21_500))));
    let body = r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[
        {"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"generation_config","description":"d"}]}]}}"#;
    let error = Gemini::DEVELOPER.read_error(400, body.as_bytes());
    assert_eq!((error.kind, error.param.as_deref()), (UpstreamErrorKind::InvalidRequest, Some("generation_config")));
    let body = r#"{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[
        {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
    let error = Gemini::DEVELOPER.read_error(400, body.as_bytes());
    assert_eq!((error.kind, error.code.as_deref()), (UpstreamErrorKind::Authentication, Some("API_KEY_INVALID")));
}

#[test]
fn what_is_no_event_is_a_protocol_error() {
    for data in ["{", "5", "\"x\"", r#"{"candidates":5}"#, r#"{"candidates":[{"content":{"parts":[{"text":[]}]}}]}"#] {
        let mut decoder = Gemini::DEVELOPER.stream_decoder(());
        decoder.push(Bytes::from(format!("data: {data}\n\n")));
        assert_eq!(decoder.next_chunk().unwrap_err().kind, UpstreamErrorKind::Protocol, "{data}");
        let error = Gemini::DEVELOPER.read_completion((), data.as_bytes()).unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Protocol, "{data}");
    }
}

#[test]
fn a_stream_cut_short_is_never_whole() {
    for name in ["text", "tools", "thinking", "thinking-tools", "candidates", "grounding", "logprobs"] {
        let path = format!("{}/goldens/gemini/{name}.stream.sse", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        // The last line feed ends the last event.
        for length in 0..bytes.len() {
            let error = golden::decode(Gemini::DEVELOPER.stream_decoder(()), [&bytes[..length]]).1.unwrap();
            assert_eq!(error.kind, UpstreamErrorKind::Truncated, "{name}: cut at {length}");
        }
    }
}

#[test]
fn models_are_listed_by_their_ids() {
    let body = r#"{"models":[
        {"name":"models/gemini-2.5-flash","displayName":"Gemini 2.5 Flash","description":"Fast.","supportedGenerationMethods":["generateContent","countTokens"]},
        {"name":"models/gemini-embedding-001","displayName":"Gemini Embedding","supportedGenerationMethods":["embedContent"]},
        {"name":"models/veo-3","supportedGenerationMethods":["predictLongRunning"]}]}"#;
    let models = Gemini::DEVELOPER.read_models(body.as_bytes()).unwrap();
    let listed: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.description.as_deref())).collect();
    assert_eq!(listed, [("gemini-2.5-flash", Some("Fast.")), ("gemini-embedding-001", Some("Gemini Embedding"))]);
    assert_eq!(Gemini::DEVELOPER.read_models(b"<html>").unwrap_err().kind, UpstreamErrorKind::Protocol);
}

#[test]
fn a_model_is_part_of_the_path() {
    assert_eq!(path("gemini-2.5-flash", "generateContent"), "/models/gemini-2.5-flash:generateContent");
    assert_eq!(path("models/gemini-2.5-flash", "generateContent"), "/models/gemini-2.5-flash:generateContent");
    assert_eq!(path("tunedModels/mine", "generateContent"), "/tunedModels/mine:generateContent");
    assert_eq!(path("../a?b#ü", "x"), "/models/..%2Fa%3Fb%23%C3%BC:x");
}

#[test]
fn a_bare_host_means_the_version_that_has_everything() {
    let uri = |vendor_name, base_url| {
        let endpoint = Endpoint::from_vendor(vendor(vendor_name).unwrap(), Some(base_url), None).unwrap();
        endpoint.uri(&path("gemini-2.5-flash", "streamGenerateContent?alt=sse")).unwrap().to_string()
    };
    assert_eq!(uri("gemini", "https://h"), "https://h/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    assert_eq!(
        uri("vertex", "https://h/v1/projects/p/locations/l/publishers/google/"),
        "https://h/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    );
}

#[test]
fn vertex_ai_is_found_by_a_token_with_a_base_url() {
    let found = |names: &[&str]| {
        let found = discover(|name| names.contains(&name).then(|| "https://h/v1/projects/p".to_owned()));
        found.iter().map(|found| found.vendor.name).collect::<Vec<_>>()
    };
    assert!(found(&["VERTEX_ACCESS_TOKEN"]).is_empty() && found(&["VERTEX_BASE_URL"]).is_empty());
    assert_eq!(found(&["VERTEX_ACCESS_TOKEN", "VERTEX_BASE_URL"]), ["vertex"]);
    let row = vendor("vertex").unwrap();
    assert_eq!((row.dialect.name, row.authentication), ("vertex", Authentication::Bearer));
}

#[tokio::test]
async fn a_stream_ends_with_its_body_and_each_host_is_shown_its_kind_of_key() {
    let path = format!("{}/goldens/gemini/text.stream.sse", env!("CARGO_MANIFEST_DIR"));
    let events = std::fs::read_to_string(path).unwrap();
    let server = Scripted::start(move |_| vec![answer("200 OK", "content-type: text/event-stream\r\n", &events)]).await;
    for (name, header) in
        [("gemini", "x-goog-api-key: secret-key\r\n"), ("vertex", "authorization: Bearer secret-key\r\n")]
    {
        let row = vendor(name).unwrap();
        let base_url = format!("http://{}/base", server.address);
        let setup = Setup {
            plans: Arc::clone(&PLANS),
            endpoint: Endpoint::from_vendor(row, Some(&base_url), Some(Secret::new("secret-key"))).unwrap(),
            transport: Transport::new(TransportConfig::default()),
            quirks: Quirks::NONE,
        };
        let json = r#"{"model":"gemini-2.5-flash","messages":[{"role":"user","content":"x"}]}"#;
        let call = golden::call(json, OnUnsupported::Refuse);
        let reply = (row.dialect.build)(setup).unwrap().stream_chat(call).await.unwrap();
        let chunks: Vec<_> = reply.body.try_collect().await.unwrap();
        assert_eq!(chunks.len(), 4, "{chunks:?}");
        assert_eq!(chunks[3].usage.as_ref().unwrap().total_tokens, 12);
        let request = server.requests().pop().unwrap();
        let line = "POST /base/models/gemini-2.5-flash:streamGenerateContent?alt=sse HTTP/1.1\r\n";
        assert!(request.starts_with(line) && request.to_lowercase().contains(&header.to_lowercase()), "{request}");
    }
}

//! Claims about the translation, without a socket where none is needed.

use super::*;
use crate::dialect::Setup;
use crate::endpoint::Endpoint;
use crate::error::UpstreamErrorKind;
use crate::golden::{self, PLANS};
use crate::openai::Quirks;
use crate::protocol::StreamDecoder as _;
use crate::scripted::{Act, Scripted, answer};
use crate::transport::{Transport, TransportConfig};
use crate::upstream::{OnUnsupported, Origin};
use crate::vendors::vendor;

fn refused(json: &str) -> String {
    let error = Cohere.chat_request(golden::call(json, OnUnsupported::Refuse), false).unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::InvalidRequest);
    error.param.unwrap_or_default()
}

fn decoder() -> EventDecoder {
    Cohere.stream_decoder("m".to_owned())
}

#[test]
fn every_case_is_as_its_golden_files_say() {
    golden::check("cohere", &Cohere);
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let with = |member: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{member}}}"#);
    for (param, member) in [
        ("n", r#""n":2"#),
        ("logit_bias", r#""logit_bias":{"1":1}"#),
        ("top_logprobs", r#""logprobs":true,"top_logprobs":1"#),
        ("metadata", r#""metadata":{"a":"b"}"#),
        ("presence_penalty", r#""presence_penalty":-0.1"#),
        ("frequency_penalty", r#""frequency_penalty":1.1"#),
        ("verbosity", r#""verbosity":"low""#),
        ("prediction", r#""prediction":{"type":"content","content":"x"}"#),
        ("modalities", r#""modalities":["audio"]"#),
        ("audio", r#""audio":{"voice":"v","format":"wav"}"#),
        ("service_tier", r#""service_tier":"flex""#),
        ("web_search_options", r#""web_search_options":{}"#),
        ("prompt_cache_key", r#""prompt_cache_key":"k""#),
        ("prompt_cache_retention", r#""prompt_cache_retention":"24h""#),
        ("prompt_cache_options", r#""prompt_cache_options":{}"#),
        ("safety_identifier", r#""safety_identifier":"s""#),
        ("user", r#""user":"u""#),
        ("store", r#""store":true"#),
        ("moderation", r#""moderation":{"model":"m"}"#),
        ("parallel_tool_calls", r#""parallel_tool_calls":false"#),
        ("functions", r#""functions":[{"name":"f"}]"#),
        ("function_call", r#""function_call":"none""#),
        ("reasoning_effort", r#""reasoning_effort":"very""#),
        ("reasoning_effort", r#""reasoning_effort":"low","reasoning":{"effort":"high"}"#),
        ("reasoning.exclude", r#""reasoning":{"exclude":true}"#),
        ("reasoning.other", r#""reasoning":{"other":1}"#),
        ("tool_choice", r#""tool_choice":"required""#),
        ("tool_choice", r#""tool_choice":{"type":"function","function":{"name":"f"}}"#),
        ("tool_choice.custom", r#""tool_choice":{"type":"custom","custom":{"name":"c"}}"#),
        ("tools[0].custom", r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#),
        (
            "tools[1].function.strict",
            r#""tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g","strict":true}}]"#,
        ),
        ("response_format.other", r#""response_format":{"type":"json_object","other":1}"#),
        (
            "response_format.json_schema.description",
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{}}}"#,
        ),
        (
            "response_format.json_schema.other",
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{},"other":1}}"#,
        ),
        // What the request says already, in our words or in the server's.
        ("p", r#""top_p":0.5,"p":0.5"#),
        ("stop_sequences", r#""stop":"x","stop_sequences":["x"]"#),
        ("thinking", r#""reasoning_effort":"low","thinking":{"type":"disabled"}"#),
        ("strict_tools", r#""tools":[{"type":"function","function":{"name":"f","strict":true}}],"strict_tools":false"#),
    ] {
        assert_eq!(refused(&with(member)), param, "{member}");
    }
    let said = |message: &str| format!(r#"{{"model":"m","messages":[{message}]}}"#);
    let part = |part: &str| said(&format!(r#"{{"role":"user","content":[{part}]}}"#));
    for (param, json) in [
        ("messages[0].name", said(r#"{"role":"user","content":"x","name":"bob"}"#)),
        ("messages[0].name", said(r#"{"role":"tool","tool_call_id":"a","content":"x","name":"f"}"#)),
        ("messages[0].tool_call_id", said(r#"{"role":"tool","content":"x"}"#)),
        ("messages[0].role", said(r#"{"role":"function","content":"x","name":"f"}"#)),
        ("messages[0].audio", said(r#"{"role":"assistant","audio":{"id":"a"}}"#)),
        ("messages[0].function_call", said(r#"{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}"#)),
        (
            "messages[0].tool_calls[0].custom",
            said(r#"{"role":"assistant","tool_calls":[{"id":"a","type":"custom","custom":{"name":"f","input":"x"}}]}"#),
        ),
        (
            "messages[0].content[0].image_url",
            said(
                r#"{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}]}"#,
            ),
        ),
        (
            "messages[0].content[0].image_url.detail",
            part(r#"{"type":"image_url","image_url":{"url":"data:;base64,QQ==","detail":"original"}}"#),
        ),
        (
            "messages[0].content[0].image_url.other",
            part(r#"{"type":"image_url","image_url":{"url":"data:;base64,QQ==","other":1}}"#),
        ),
        (
            "messages[0].content[0].input_audio",
            part(r#"{"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}}"#),
        ),
        ("messages[0].content[0].file", part(r#"{"type":"file","file":{"file_id":"x"}}"#)),
        (
            "messages[0].content[0].prompt_cache_breakpoint",
            part(r#"{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}}"#),
        ),
    ] {
        assert_eq!(refused(&json), param, "{json}");
    }
}

#[test]
fn a_request_of_another_api_loses_the_marks_for_that_api() {
    let json = r#"{"model":"m","reasoning":{"max_tokens":8000},"max_tokens":10000,"messages":[
        {"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}"#;
    let call = ChatCall { origin: Origin::Translated, ..golden::call(json, OnUnsupported::Refuse) };
    let body = Cohere.chat_request(call, false).unwrap().request.body;
    let expected = concat!(
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":false,"#,
        r#""thinking":{"type":"enabled","token_budget":8000},"max_tokens":10000}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn errors_are_told_apart_by_their_words_and_then_by_their_status() {
    for (status, message, expected, param) in [
        (400, "invalid request: message must be at least 1 token long", UpstreamErrorKind::InvalidRequest, None),
        (
            400,
            "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.",
            UpstreamErrorKind::ContextLength,
            None,
        ),
        (400, "too many tokens: size limit exceeded by 11326 tokens.", UpstreamErrorKind::ContextLength, None),
        (
            400,
            "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model - received 8192.",
            UpstreamErrorKind::InvalidRequest,
            Some("max_tokens"),
        ),
        (401, "invalid api token", UpstreamErrorKind::Authentication, None),
        (402, "Please add or update your payment method", UpstreamErrorKind::RateLimited, None),
        (403, "this key may not use this model", UpstreamErrorKind::PermissionDenied, None),
        (404, "model 'command-z' not found", UpstreamErrorKind::NotFound, None),
        (422, "unprocessable", UpstreamErrorKind::InvalidRequest, None),
        (429, "You are past the per minute request limit", UpstreamErrorKind::RateLimited, None),
        (498, "blocked input", UpstreamErrorKind::ContentFilter, None),
        (499, "request cancelled", UpstreamErrorKind::Unavailable, None),
        (500, "internal server error, please contact support", UpstreamErrorKind::Internal, None),
        (501, "not implemented", UpstreamErrorKind::InvalidRequest, None),
        (503, "service unavailable", UpstreamErrorKind::Overloaded, None),
        (504, "gateway timeout", UpstreamErrorKind::Timeout, None),
    ] {
        let error = Cohere.read_error(status, format!(r#"{{"id":"1","message":"{message}"}}"#).as_bytes());
        assert_eq!((error.kind, error.param.as_deref(), error.status), (expected, param, Some(status)), "{message}");
        assert_eq!(error.message, message);
    }
    let page = Cohere.read_error(502, b"<html><title>502 Bad Gateway</title></html>");
    assert!(page.kind == UpstreamErrorKind::Unavailable && page.message.contains("502 Bad Gateway"), "{page}");
    for silent in ["{}", r#"{"message":""}"#, r#"{"message":null}"#, ""] {
        let error = Cohere.read_error(500, silent.as_bytes());
        assert!(error.kind == UpstreamErrorKind::Internal && error.message.contains("status 500"), "{error}");
    }
}

#[test]
fn what_is_no_event_is_a_protocol_error() {
    for data in [
        "{",
        "5",
        "[]",
        r#"{"type":5}"#,
        r#"{"type":"content-delta","index":-1}"#,
        r#"{"type":"content-delta","delta":{"message":{"content":"x"}}}"#,
        r#"{"type":"content-delta","delta":{"message":{"content":{"text":[]}}}}"#,
        r#"{"type":"tool-call-start","delta":{"message":{"tool_calls":[5]}}}"#,
    ] {
        let mut decoder = decoder();
        decoder.push(Bytes::from(format!("data: {data}\n\n")));
        assert_eq!(decoder.next_chunk().unwrap_err().kind, UpstreamErrorKind::Protocol, "{data}");
    }
    for body in ["{", "5", "{}", r#"{"id":"1","finish_reason":"COMPLETE"}"#, r#"{"message":{"content":"x"}}"#] {
        let error = Cohere.read_completion(String::new(), body.as_bytes()).unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Protocol, "{body}");
    }
}

#[test]
fn a_stream_without_its_last_event_is_truncated() {
    for name in ["text", "tools", "thinking", "citations", "logprobs", "odd"] {
        let path = format!("{}/goldens/cohere/{name}.stream.sse", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let last = text.find(r#"{"type":"message-end""#).unwrap();
        let end = last + text[last..].find("\n\n").unwrap() + 2;
        for length in 0..end {
            let error = golden::decode(decoder(), [&text.as_bytes()[..length]]).1.unwrap();
            assert_eq!(error.kind, UpstreamErrorKind::Truncated, "{name}: cut at {length}");
        }
        assert_eq!(golden::decode(decoder(), [&text.as_bytes()[..end]]).1, None, "{name}");
    }
}

#[test]
fn an_event_without_an_end_is_too_large_in_the_end() {
    let mut decoder = decoder();
    let piece = Bytes::from(vec![b'x'; 1024 * 1024]);
    let error = (0..9).find_map(|_| {
        decoder.push(piece.clone());
        decoder.next_chunk().err()
    });
    assert_eq!(error.unwrap().kind, UpstreamErrorKind::TooLarge);
}

#[test]
fn models_are_listed_by_their_names() {
    let body = br#"{"models":[{"name":"command-a-03-2025","endpoints":["chat","generate"],"finetuned":false,"context_length":288000,"supports_vision":false},{"name":"old","endpoints":null},{"endpoints":["embed"]}],"next_page_token":""}"#;
    let models = Cohere.read_models(body).unwrap();
    let read: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.description.as_deref())).collect();
    assert_eq!(read, [("command-a-03-2025", Some("for chat, generate")), ("old", None)]);
    assert_eq!(Cohere.read_models(b"<html>").unwrap_err().kind, UpstreamErrorKind::Protocol);
    assert_eq!(Cohere.read_models(br#"{"message":"invalid api token"}"#).unwrap_err().message, "invalid api token");
}

#[tokio::test]
async fn a_base_url_of_any_version_is_understood() {
    let models = || vec![answer("200 OK", "content-type: application/json\r\n", r#"{"models":[]}"#)];
    let server = Scripted::start(move |_| -> Vec<Act> { models() }).await;
    let row = vendor("cohere").unwrap();
    for path in ["", "/", "/v1", "/v2", "/v2/", "/compatibility/v1"] {
        let base_url = format!("http://{}{path}", server.address);
        let setup = Setup {
            plans: Arc::clone(&PLANS),
            endpoint: Endpoint::from_vendor(row, Some(&base_url), None).unwrap(),
            transport: Transport::new(TransportConfig::default()),
            quirks: Quirks::NONE,
        };
        let upstream = (row.dialect.build)(setup).unwrap();
        assert_eq!(upstream.models().await.unwrap(), [], "{path}");
    }
    let asked = "GET /v1/models?page_size=1000 HTTP/1.1\r\n";
    assert!(server.requests().iter().all(|request| request.starts_with(asked)));
}

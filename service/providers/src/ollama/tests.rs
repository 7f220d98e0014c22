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
    let error = Ollama.chat_request(golden::call(json, OnUnsupported::Refuse), false).unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::InvalidRequest);
    error.param.unwrap_or_default()
}

#[test]
fn every_case_is_as_its_golden_files_say() {
    golden::check("ollama", &Ollama);
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let with =
        |member: &str| format!(r#"{{"model":"llama3.2","messages":[{{"role":"user","content":"x"}}],{member}}}"#);
    for (param, member) in [
        ("n", r#""n":2"#),
        ("logit_bias", r#""logit_bias":{"1":1}"#),
        ("metadata", r#""metadata":{"a":"b"}"#),
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
        ("reasoning.max_tokens", r#""reasoning":{"max_tokens":1000}"#),
        ("reasoning.exclude", r#""reasoning":{"exclude":true}"#),
        ("reasoning.other", r#""reasoning":{"other":1}"#),
        ("tool_choice", r#""tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required""#),
        ("tool_choice.custom", r#""tool_choice":{"type":"custom","custom":{"name":"c"}}"#),
        ("tools[0].custom", r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#),
        ("tools[0].function.strict", r#""tools":[{"type":"function","function":{"name":"f","strict":true}}]"#),
        ("response_format.other", r#""response_format":{"type":"json_object","other":1}"#),
        (
            "response_format.json_schema.description",
            r#""response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{}}}"#,
        ),
        // What the request says already, in our words or in the server's.
        ("options.temperature", r#""temperature":1,"options":{"temperature":1}"#),
        ("options.num_predict", r#""max_tokens":1,"options":{"num_predict":1}"#),
        ("num_predict", r#""max_tokens":1,"num_predict":1"#),
        ("top_k", r#""top_k":1,"options":{"top_k":1}"#),
        ("think", r#""reasoning_effort":"low","think":true"#),
        ("format", r#""response_format":{"type":"json_object"},"format":"json""#),
        ("options", r#""options":[1]"#),
    ] {
        assert_eq!(refused(&with(member)), param, "{member}");
    }
    let said = |message: &str| format!(r#"{{"model":"llama3.2","messages":[{message}]}}"#);
    let part = |part: &str| said(&format!(r#"{{"role":"user","content":[{part}]}}"#));
    for (param, json) in [
        ("messages[0].name", said(r#"{"role":"user","content":"x","name":"bob"}"#)),
        ("messages[0].role", said(r#"{"role":"function","content":"x","name":"f"}"#)),
        ("messages[0].audio", said(r#"{"role":"assistant","audio":{"id":"a"}}"#)),
        ("messages[0].function_call", said(r#"{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}"#)),
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
        ("messages[0].thinking", said(r#"{"role":"assistant","content":"x","reasoning_content":"y","thinking":"z"}"#)),
        (
            "messages[0].images",
            said(
                r#"{"role":"user","images":["QQ=="],"content":[{"type":"image_url","image_url":{"url":"data:;base64,QQ=="}}]}"#,
            ),
        ),
        (
            "messages[0].content[0].image_url.url",
            part(r#"{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}"#),
        ),
        (
            "messages[0].content[0].image_url.detail",
            part(r#"{"type":"image_url","image_url":{"url":"data:;base64,QQ==","detail":"low"}}"#),
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
        ("messages[0].content[0].other", part(r#"{"type":"text","text":"x","other":1}"#)),
    ] {
        assert_eq!(refused(&json), param, "{json}");
    }
}

#[test]
fn a_request_of_another_api_loses_the_marks_for_that_api() {
    let json = r#"{"model":"m","reasoning":{"max_tokens":8000},"max_tokens":10000,"messages":[
        {"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}"#;
    let call = ChatCall { origin: Origin::Translated, ..golden::call(json, OnUnsupported::Refuse) };
    let body = Ollama.chat_request(call, false).unwrap().request.body;
    let expected = concat!(
        r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":false,"think":"high","#,
        r#""options":{"num_predict":10000}}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn errors_are_told_apart_by_their_words_and_then_by_their_status() {
    for (status, message, expected, param) in [
        (400, "invalid options: bogus", UpstreamErrorKind::InvalidRequest, None),
        (
            400,
            "registry.ollama.ai/library/gemma:2b does not support tools",
            UpstreamErrorKind::InvalidRequest,
            Some("tools"),
        ),
        (400, "\\\"gemma\\\" does not support thinking", UpstreamErrorKind::InvalidRequest, Some("reasoning_effort")),
        (400, "\\\"bge-m3\\\" does not support chat", UpstreamErrorKind::InvalidRequest, Some("model")),
        (400, "the input length exceeds the context length", UpstreamErrorKind::ContextLength, None),
        (500, "input is larger than the context window", UpstreamErrorKind::ContextLength, None),
        (401, "unauthorized", UpstreamErrorKind::Authentication, None),
        (403, "this model is not available", UpstreamErrorKind::PermissionDenied, None),
        (404, "model 'llama9' not found", UpstreamErrorKind::NotFound, None),
        (429, "slow down", UpstreamErrorKind::RateLimited, None),
        (500, "model requires more system memory (8 GiB) than is available", UpstreamErrorKind::Overloaded, None),
        (500, "llama runner process has terminated", UpstreamErrorKind::Internal, None),
        (502, "cannot reach the cloud", UpstreamErrorKind::Unavailable, None),
        (503, "server busy, please try again.  maximum pending requests exceeded", UpstreamErrorKind::Overloaded, None),
    ] {
        let error = Ollama.read_error(status, format!(r#"{{"error":"{message}"}}"#).as_bytes());
        assert_eq!((error.kind, error.param.as_deref(), error.status), (expected, param, Some(status)), "{message}");
        assert_eq!(error.message, message.replace('\\', ""));
    }
    let object = Ollama.read_error(500, br#"{"error":{"message":"oops"}}"#);
    assert_eq!((object.kind, object.message.as_str()), (UpstreamErrorKind::Internal, "oops"));
    let page = Ollama.read_error(502, b"<html><title>502 Bad Gateway</title></html>");
    assert!(page.kind == UpstreamErrorKind::Unavailable && page.message.contains("502 Bad Gateway"), "{page}");
    assert_eq!(Ollama.read_error(404, b"404 page not found").message, "404 page not found");
}

#[test]
fn what_is_no_line_is_a_protocol_error() {
    for line in ["{", "5", "[]", "data: {}", r#"{"message":5}"#, r#"{"message":{"tool_calls":[{}]}}"#] {
        let mut decoder = Ollama.stream_decoder(());
        decoder.push(Bytes::from(format!("{line}\n")));
        assert_eq!(decoder.next_chunk().unwrap_err().kind, UpstreamErrorKind::Protocol, "{line}");
    }
    for body in ["{}", "5", r#"{"message":null,"done":true}"#] {
        assert_eq!(
            Ollama.read_completion((), body.as_bytes()).unwrap_err().kind,
            UpstreamErrorKind::Protocol,
            "{body}"
        );
    }
}

#[test]
fn a_stream_is_the_same_with_other_line_ends_and_cut_short_it_is_an_error() {
    for name in ["text", "tools", "thinking", "logprobs"] {
        let path = format!("{}/goldens/ollama/{name}.stream.ndjson", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let decode = |bytes: &[u8]| golden::decode(Ollama.stream_decoder(()), [bytes]);
        let whole = decode(text.as_bytes());
        assert_eq!(decode(text.replace('\n', "\r\n").as_bytes()), whole, "{name}: CRLF");
        assert_eq!(decode(text.replace('\n', "\n\n \n").as_bytes()), whole, "{name}: empty lines");
        for length in 0..text.len() {
            let error = decode(&text.as_bytes()[..length]).1.unwrap();
            assert_eq!(error.kind, UpstreamErrorKind::Truncated, "{name}: cut at {length}");
        }
    }
}

#[test]
fn a_line_without_an_end_is_too_large_in_the_end() {
    let mut decoder = Ollama.stream_decoder(());
    let piece = Bytes::from(vec![b' '; 1024 * 1024]);
    let error = (0..9).find_map(|_| {
        decoder.push(piece.clone());
        decoder.next_chunk().err()
    });
    assert_eq!(error.unwrap().kind, UpstreamErrorKind::TooLarge);
}

#[test]
fn models_are_listed_by_their_names() {
    let body = br#"{"models":[{"name":"llama3.2:latest","model":"llama3.2:latest","modified_at":"2025-05-10T08:06:48.639712648-07:00","size":2019393189,"details":{"family":"llama","parameter_size":"3.2B","quantization_level":"Q4_K_M"}},{"name":"old","details":null},{"size":1}]}"#;
    let models = Ollama.read_models(body).unwrap();
    let read: Vec<_> =
        models.iter().map(|model| (model.id.as_str(), model.created, model.description.as_deref())).collect();
    let expected = [("llama3.2:latest", Some(1_746_889_608), Some("llama 3.2B Q4_K_M")), ("old", None, None)];
    assert_eq!(read, expected);
    assert_eq!(Ollama.read_models(b"<html>").unwrap_err().kind, UpstreamErrorKind::Protocol);
    assert_eq!(Ollama.read_models(br#"{"error":"unauthorized"}"#).unwrap_err().message, "unauthorized");
}

#[tokio::test]
async fn a_base_url_of_the_protocol_of_openai_is_understood() {
    let models = || vec![answer("200 OK", "content-type: application/json\r\n", r#"{"models":[]}"#)];
    let server = Scripted::start(move |_| -> Vec<Act> { models() }).await;
    let row = vendor("ollama").unwrap();
    for path in ["", "/", "/v1", "/v1/", "/api"] {
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
    assert!(server.requests().iter().all(|request| request.starts_with("GET /api/tags HTTP/1.1\r\n")));
}

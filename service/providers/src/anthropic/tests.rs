//! Claims about the translation, without a socket.

use super::*;
use crate::error::UpstreamErrorKind;
use crate::golden::{self, PLANS};
use crate::protocol::StreamDecoder as _;
use crate::upstream::OnUnsupported;

fn protocol() -> Anthropic {
    Anthropic::new(Arc::clone(&PLANS)).unwrap()
}

fn refused(json: &str) -> String {
    let error = protocol().chat_request(golden::call(json, OnUnsupported::Refuse), false).unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::InvalidRequest);
    error.param.unwrap_or_default()
}

#[test]
fn every_case_is_as_its_golden_files_say() {
    golden::check("anthropic", &protocol());
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let with = |member: &str| {
        format!(r#"{{"model":"claude-opus-4-6","messages":[{{"role":"user","content":"x"}}],{member}}}"#)
    };
    for (param, member) in [
        ("n", r#""n":2"#),
        ("seed", r#""seed":1"#),
        ("logit_bias", r#""logit_bias":{"1":1}"#),
        ("logprobs", r#""logprobs":true"#),
        ("presence_penalty", r#""presence_penalty":1"#),
        ("frequency_penalty", r#""frequency_penalty":1"#),
        ("temperature", r#""temperature":1.1"#),
        ("modalities", r#""modalities":["audio"]"#),
        ("service_tier", r#""service_tier":"flex""#),
        ("reasoning_effort", r#""reasoning_effort":"very""#),
        ("thinking", r#""reasoning_effort":"low","thinking":{"type":"disabled"}"#),
        ("functions", r#""functions":[{"name":"f"}]"#),
        ("tools[0].custom", r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#),
        ("tool_choice.custom", r#""tool_choice":{"type":"custom","custom":{"name":"c"}}"#),
        ("response_format.other", r#""response_format":{"type":"json_object","other":1}"#),
    ] {
        assert_eq!(refused(&with(member)), param, "{member}");
    }
    let said = |message: &str| format!(r#"{{"model":"claude-opus-4-6","messages":[{message}]}}"#);
    for (param, message) in [
        ("messages[0].name", r#"{"role":"user","content":"x","name":"bob"}"#),
        ("messages[0].other", r#"{"role":"user","content":"x","other":1}"#),
        ("messages[0].role", r#"{"role":"function","content":"x","name":"f"}"#),
        (
            "messages[0].tool_calls[0].function.arguments",
            r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"[1]"}}]}"#,
        ),
        (
            "messages[0].content[0].input_audio",
            r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}}]}"#,
        ),
        ("messages[0].content[0].file", r#"{"role":"user","content":[{"type":"file","file":{"filename":"x"}}]}"#),
    ] {
        assert_eq!(refused(&said(message)), param, "{message}");
    }
}

#[test]
fn errors_are_told_apart_by_their_words_and_then_by_their_status() {
    let body = |kind: &str, message: &str| {
        format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_1"}}"#)
    };
    for (status, kind, message, expected) in [
        (400, "invalid_request_error", "max_tokens: must be positive", UpstreamErrorKind::InvalidRequest),
        (400, "invalid_request_error", "prompt is too long: 200001 tokens > 200000", UpstreamErrorKind::ContextLength),
        (400, "invalid_request_error", "Your credit balance is too low", UpstreamErrorKind::RateLimited),
        (401, "authentication_error", "invalid x-api-key", UpstreamErrorKind::Authentication),
        (403, "permission_error", "no", UpstreamErrorKind::PermissionDenied),
        (404, "not_found_error", "model: claude-x", UpstreamErrorKind::NotFound),
        (413, "request_too_large", "too large", UpstreamErrorKind::TooLarge),
        (429, "rate_limit_error", "slow down", UpstreamErrorKind::RateLimited),
        (500, "api_error", "oops", UpstreamErrorKind::Internal),
        (529, "overloaded_error", "Overloaded", UpstreamErrorKind::Overloaded),
        (529, "new_error", "Overloaded", UpstreamErrorKind::Overloaded),
    ] {
        let error = protocol().read_error(status, body(kind, message).as_bytes());
        assert_eq!((error.kind, error.message.as_str(), error.code.as_deref()), (expected, message, Some(kind)));
    }
    let page = protocol().read_error(502, b"<html><title>502 Bad Gateway</title></html>");
    assert_eq!(page.kind, UpstreamErrorKind::Unavailable);
    assert!(page.message.contains("502 Bad Gateway"), "{page}");
}

#[test]
fn what_is_no_event_is_a_protocol_error() {
    for data in ["{", "5", "[]", r#"{"type":5}"#, r#"{"type":"content_block_delta","delta":{"text":[]}}"#] {
        let mut decoder = protocol().stream_decoder(());
        decoder.push(Bytes::from(format!("data: {data}\n\n")));
        assert_eq!(decoder.next_chunk().unwrap_err().kind, UpstreamErrorKind::Protocol, "{data}");
    }
}

#[test]
fn models_are_listed_by_their_ids() {
    let body = r#"{"data":[{"type":"model","id":"claude-opus-4-6","display_name":"Claude Opus 4.6","created_at":"2026-02-01T00:00:00Z"}],"has_more":false}"#;
    let models = protocol().read_models(body.as_bytes()).unwrap();
    assert_eq!((models[0].id.as_str(), models[0].description.as_deref()), ("claude-opus-4-6", Some("Claude Opus 4.6")));
    assert_eq!(protocol().read_models(b"<html>").unwrap_err().kind, UpstreamErrorKind::Protocol);
}

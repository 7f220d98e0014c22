//! Claims about the translation, without a socket.

use super::*;
use crate::error::UpstreamErrorKind;
use crate::golden::{self, PLANS};
use crate::protocol::StreamDecoder as _;
use crate::upstream::OnUnsupported;

fn protocol() -> Responses {
    Responses::new(Arc::clone(&PLANS)).unwrap()
}

fn refused(json: &str) -> String {
    let error = protocol().chat_request(golden::call(json, OnUnsupported::Refuse), false).unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::InvalidRequest);
    error.param.unwrap_or_default()
}

#[test]
fn every_case_is_as_its_golden_files_say() {
    golden::check("responses", &protocol());
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let with = |member: &str| format!(r#"{{"model":"gpt-5","messages":[{{"role":"user","content":"x"}}],{member}}}"#);
    for (param, member) in [
        ("n", r#""n":2"#),
        ("stop", r#""stop":"END""#),
        ("seed", r#""seed":1"#),
        ("logit_bias", r#""logit_bias":{"1":1}"#),
        ("presence_penalty", r#""presence_penalty":1"#),
        ("frequency_penalty", r#""frequency_penalty":1"#),
        ("prediction", r#""prediction":{"type":"content","content":"x"}"#),
        ("modalities", r#""modalities":["audio"]"#),
        ("web_search_options", r#""web_search_options":{}"#),
        ("reasoning.max_tokens", r#""reasoning":{"max_tokens":2000}"#),
        ("functions", r#""functions":[{"name":"f"}]"#),
        ("response_format.other", r#""response_format":{"type":"json_object","other":1}"#),
        ("include", r#""include":["x"]"#),
    ] {
        assert_eq!(refused(&with(member)), param, "{member}");
    }
    let said = |message: &str| format!(r#"{{"model":"gpt-5","messages":[{message}]}}"#);
    for (param, message) in [
        ("messages[0].name", r#"{"role":"user","content":"x","name":"bob"}"#),
        ("messages[0].role", r#"{"role":"function","content":"x","name":"f"}"#),
        ("messages[0].audio", r#"{"role":"assistant","content":"x","audio":{"id":"a"}}"#),
    ] {
        let refused = refused(&said(message));
        assert!(refused == param || refused == "messages[0].name", "{message}: {refused}");
    }
}

#[test]
fn an_answer_that_is_sent_back_is_accepted_again() {
    let given = include_str!("../../goldens/responses/tools.response.json");
    let completion = protocol().read_completion((), given.as_bytes()).unwrap();
    let message = golden::to_json("ResponseMessage", completion.choices[0].message.as_ref().unwrap());
    let json = format!(
        r#"{{"model":"gpt-5","messages":[{message},{{"role":"tool","tool_call_id":"call_a","content":"18"}}]}}"#
    );
    let worded = protocol().chat_request(golden::call(&json, OnUnsupported::Refuse), false).unwrap();
    let body = String::from_utf8(worded.request.body.to_vec()).unwrap();
    // Before the calls that it led to, with its seal.
    let thought = body.find(r#""encrypted_content":"gAAAA1""#).unwrap();
    assert!(thought < body.find(r#""call_id":"call_a""#).unwrap(), "{body}");
    assert!(body.contains(r#""id":"rs_1""#), "{body}");
}

#[test]
fn errors_within_a_stream_are_told_apart_by_their_codes() {
    for (code, expected) in [
        ("server_error", UpstreamErrorKind::Internal),
        ("rate_limit_exceeded", UpstreamErrorKind::RateLimited),
        ("context_length_exceeded", UpstreamErrorKind::ContextLength),
        ("invalid_prompt", UpstreamErrorKind::InvalidRequest),
        ("server_is_overloaded", UpstreamErrorKind::Overloaded),
    ] {
        for data in [
            format!(r#"{{"type":"error","code":"{code}","message":"no","param":null}}"#),
            format!(r#"{{"type":"error","error":{{"code":"{code}","message":"no"}}}}"#),
            format!(
                r#"{{"type":"response.failed","response":{{"object":"response","status":"failed","error":{{"code":"{code}","message":"no"}}}}}}"#
            ),
        ] {
            let mut decoder = protocol().stream_decoder(());
            decoder.push(Bytes::from(format!("data: {data}\n\n")));
            let error = decoder.next_chunk().unwrap_err();
            assert_eq!((error.kind, error.message.as_str()), (expected, "no"), "{data}");
        }
    }
}

#[test]
fn what_is_no_event_is_a_protocol_error() {
    for data in ["{", "5", "[]", r#"{"type":5}"#, r#"{"type":"response.output_text.delta","delta":[]}"#] {
        let mut decoder = protocol().stream_decoder(());
        decoder.push(Bytes::from(format!("data: {data}\n\n")));
        assert_eq!(decoder.next_chunk().unwrap_err().kind, UpstreamErrorKind::Protocol, "{data}");
    }
}

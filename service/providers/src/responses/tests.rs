//! Claims about the translation, without a socket.

use sabir_proto::v1::FinishReason;

use super::*;
use crate::error::UpstreamErrorKind;
use crate::golden::{self, PLANS};
use crate::protocol::StreamDecoder as _;
use crate::upstream::{EmbedCall, OnUnsupported, Origin};

const SEALED: &str = "reasoning.encrypted_content";

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
        ("reasoning.max_tokens", r#""reasoning":{"max_tokens":2000}"#),
        ("functions", r#""functions":[{"name":"f"}]"#),
        ("response_format.other", r#""response_format":{"type":"json_object","other":1}"#),
        ("include", r#""include":5"#),
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
fn errors_are_told_apart_by_their_words_and_then_by_their_status() {
    for (status, code, message, expected) in [
        (400, "null", "Encrypted content is not supported with this model.", UpstreamErrorKind::InvalidRequest),
        (400, r#""context_length_exceeded""#, "Too long.", UpstreamErrorKind::ContextLength),
        (401, r#""invalid_api_key""#, "Incorrect API key provided.", UpstreamErrorKind::Authentication),
        (403, "null", "Not for you.", UpstreamErrorKind::PermissionDenied),
        (404, r#""model_not_found""#, "No such model.", UpstreamErrorKind::NotFound),
        (429, r#""rate_limit_exceeded""#, "Slow down.", UpstreamErrorKind::RateLimited),
        (429, r#""insufficient_quota""#, "Pay.", UpstreamErrorKind::RateLimited),
        (500, "null", "Oops.", UpstreamErrorKind::Internal),
        (503, "null", "Later.", UpstreamErrorKind::Overloaded),
    ] {
        let body = format!(
            r#"{{"error":{{"message":"{message}","type":"invalid_request_error","param":"input","code":{code}}}}}"#
        );
        let error = protocol().read_error(status, body.as_bytes());
        assert_eq!((error.kind, error.message.as_str()), (expected, message), "{status} {code}");
        assert_eq!(error.param.as_deref(), Some("input"), "{status} {code}");
    }
    assert_eq!(protocol().read_error(502, b"<html>").kind, UpstreamErrorKind::Unavailable);
}

#[test]
fn an_error_within_a_stream_without_a_code_is_known_by_its_type() {
    for (kind, code, expected) in [
        ("rate_limit_error", "null", UpstreamErrorKind::RateLimited),
        ("invalid_request_error", "null", UpstreamErrorKind::InvalidRequest),
        ("too_many_requests", r#""too_many_requests""#, UpstreamErrorKind::RateLimited),
        ("server_error", "429", UpstreamErrorKind::RateLimited),
        ("server_error", "null", UpstreamErrorKind::Internal),
    ] {
        let data = format!(r#"{{"type":"error","error":{{"type":"{kind}","code":{code},"message":"no"}}}}"#);
        let mut decoder = protocol().stream_decoder(());
        decoder.push(Bytes::from(format!("data: {data}\n\n")));
        let error = decoder.next_chunk().unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (expected, "no"), "{data}");
    }
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

fn body(json: &str, origin: Origin) -> String {
    let call = ChatCall { origin, ..golden::call(json, OnUnsupported::Refuse) };
    let worded = protocol().chat_request(call, false).unwrap_or_else(|error| panic!("{json}: {error}"));
    String::from_utf8(worded.request.body.to_vec()).unwrap()
}

#[test]
fn what_another_api_said_for_its_own_servers_is_not_passed_on() {
    let thought = r#"{"type":"reasoning.encrypted","id":"rs_1","data":"gAAAA","format":"openai-responses-v1"}"#;
    let json = format!(
        r#"{{"model":"gpt-5","max_tokens":10000,"reasoning":{{"enabled":true,"max_tokens":8000}},"messages":[
        {{"role":"user","content":[{{"type":"text","text":"x","cache_control":{{"type":"ephemeral"}}}}]}},
        {{"role":"assistant","reasoning_details":[{thought}],"tool_calls":[{{"id":"a","type":"function",
        "function":{{"name":"f","arguments":"{{}}"}},"cache_control":{{"type":"ephemeral"}}}}]}},
        {{"role":"tool","tool_call_id":"a","content":"no","is_error":true}}],
        "tools":[{{"type":"function","function":{{"name":"f"}},"cache_control":{{"type":"ephemeral"}}}}]}}"#
    );
    let sent = body(&json, Origin::Translated);
    assert!(!sent.contains("cache_control") && !sent.contains("is_error"), "{sent}");
    assert!(sent.contains(r#""effort":"high""#), "{sent}");
    assert!(sent.contains(r#""encrypted_content":"gAAAA""#), "{sent}");
    // Whoever asks in our words is asked what is meant.
    assert_eq!(refused(&json), "reasoning.max_tokens");
}

#[test]
fn thoughts_are_asked_for_of_models_that_think() {
    let asks = |model: &str, members: &str| {
        let json = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]{members}}}"#);
        body(&json, Origin::ChatCompletions).contains(SEALED)
    };
    for model in
        ["gpt-5", "gpt-5.1-codex", "o3-mini", "o4-mini-deep-research", "openai/gpt-5", "ft:o4-mini:a::b", "other"]
    {
        assert!(asks(model, ""), "{model}");
    }
    // These answer 400 to whoever asks.
    for model in ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "gpt-35-turbo", "chatgpt-4o-latest", "gpt-5-chat-latest"] {
        assert!(!asks(model, ""), "{model}");
        assert!(!asks(&format!("openai/{model}"), ""), "{model}");
    }
    assert!(!asks("ft:gpt-4o-2024-08-06:a::b", ""));
    // Who asks a model to think knows that it does; who asks it not to has nothing to keep.
    assert!(asks("gpt-4o-next", r#","reasoning_effort":"low""#));
    assert!(!asks("gpt-5.1", r#","reasoning_effort":"none""#));
    // And who says what to include is taken at his word.
    assert!(!asks("gpt-5", r#","include":[]"#));
    assert!(asks("gpt-4o", &format!(r#","include":["{SEALED}"]"#)));
}

#[test]
fn more_may_be_included() {
    let json = r#"{"model":"gpt-5","messages":[{"role":"user","content":"x"}],"logprobs":true,"include":["web_search_call.action.sources"]}"#;
    let sent = body(json, Origin::ChatCompletions);
    let expected = r#""include":["web_search_call.action.sources","message.output_text.logprobs"]"#;
    assert!(sent.contains(expected), "{sent}");
}

#[test]
fn the_name_of_a_tool_beside_its_result_is_known_by_its_call() {
    let json = r#"{"model":"gpt-5","messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function",
        "function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","name":"f","content":"1"}]}"#;
    assert!(body(json, Origin::ChatCompletions).contains(r#""call_id":"a","output":"1""#));
}

#[test]
fn what_is_yet_to_be_invented_is_no_error() {
    let created = r#"{"type":"response.created","response":{"id":"resp_1","object":"response","model":"gpt-9","status":"in_progress","output":[],"instructions":[{"role":"developer","content":[]}]}}"#;
    let done = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"tool_search_call","arguments":{"paths":["a"]}}}"#;
    let completed = r#"{"type":"response.completed","response":{"id":"resp_1","object":"response","created_at":5.0,"model":"gpt-9","status":"completed","output":[{"type":"tool_search_call","arguments":{"paths":["a"]}}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}"#;
    let events = [
        created,
        r#"{"type":"response.reasoning.delta","delta":{"text":"x"}}"#,
        r#"{"type":"keepalive"}"#,
        r#"{"type":"response.new.thing","item":5,"response":"x"}"#,
        done,
        completed,
    ];
    let stream: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
    let (chunks, error) = golden::decode(protocol().stream_decoder(()), [stream.as_bytes()]);
    assert_eq!(error, None);
    let items: Vec<_> = chunks
        .iter()
        .flat_map(|chunk| &chunk.choices)
        .filter_map(|choice| choice.delta.as_ref()?.additional_members.get(ITEMS))
        .collect();
    assert_eq!(items, [r#"[{"type":"tool_search_call","arguments":{"paths":["a"]}}]"#]);
    assert_eq!((chunks[0].id.as_str(), chunks[0].model.as_str()), ("resp_1", "gpt-9"));

    let whole = completed.split_once(r#""response":"#).unwrap().1.strip_suffix('}').unwrap();
    let completion = protocol().read_completion((), whole.as_bytes()).unwrap();
    let message = completion.choices[0].message.as_ref().unwrap();
    assert_eq!(message.additional_members[ITEMS], r#"[{"type":"tool_search_call","arguments":{"paths":["a"]}}]"#);
    assert_eq!((completion.created, completion.usage.map(|usage| usage.total_tokens)), (5, Some(3)));
}

#[test]
fn an_answer_that_is_not_done_is_none() {
    let with = |status: &str| format!(r#"{{"object":"response","id":"resp_1","status":"{status}","output":[]}}"#);
    for status in ["queued", "in_progress"] {
        let error = protocol().read_completion((), with(status).as_bytes()).unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Protocol, "{status}");
        assert!(error.message.contains(status), "{error}");
    }
    let cut = protocol().read_completion((), with("incomplete").as_bytes()).unwrap();
    assert_eq!(cut.choices[0].finish_reason(), FinishReason::Length, "cut, and nobody says why");
}

#[test]
fn what_was_not_told_piece_by_piece_is_told_at_the_end_of_its_item() {
    let thought = r#"{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"Hm."}],"encrypted_content":"gAAAA"}"#;
    let said = r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi.","annotations":[]},{"type":"refusal","refusal":"No."}]}"#;
    let events = [
        r#"{"type":"response.created","response":{"id":"resp_1","object":"response","model":"m"}}"#.to_owned(),
        format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{thought}}}"#),
        format!(r#"{{"type":"response.output_item.done","output_index":1,"item":{said}}}"#),
        r#"{"type":"response.completed","response":{"id":"resp_1","object":"response","model":"m","status":"completed"}}"#
            .to_owned(),
    ];
    let stream: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
    let (chunks, error) = golden::decode(protocol().stream_decoder(()), [stream.as_bytes()]);
    assert_eq!(error, None);
    let deltas: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.choices).filter_map(|c| c.delta.as_ref()).collect();
    assert_eq!(deltas[1].reasoning_content.as_deref(), Some("Hm."));
    assert_eq!(deltas[1].reasoning_details.len(), 2);
    assert_eq!((deltas[2].content.as_deref(), deltas[2].refusal.as_deref()), (Some("Hi."), Some("No.")));
}

#[test]
fn nothing_is_told_twice_where_places_are_given_carelessly() {
    let events = [
        r#"{"type":"response.created","response":{"id":"resp_1","object":"response","model":"m"}}"#,
        r#"{"type":"response.reasoning_text.delta","delta":"Hm."}"#,
        r#"{"type":"response.output_item.done","output_index":3,"item":{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"Hm."}]}}"#,
        r#"{"type":"response.output_text.delta","delta":"Hi."}"#,
        r#"{"type":"response.output_item.done","output_index":7,"item":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi."}]}}"#,
        r#"{"type":"response.completed","response":{"object":"response","status":"completed"}}"#,
    ];
    let stream: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
    let (chunks, error) = golden::decode(protocol().stream_decoder(()), [stream.as_bytes()]);
    assert_eq!(error, None);
    let deltas = || chunks.iter().flat_map(|chunk| &chunk.choices).filter_map(|choice| choice.delta.as_ref());
    assert_eq!(deltas().filter_map(|delta| delta.content.as_deref()).collect::<String>(), "Hi.");
    assert_eq!(deltas().filter_map(|delta| delta.reasoning_content.as_deref()).collect::<String>(), "Hm.");
}

#[test]
fn vectors_are_asked_for_as_in_openais_other_protocol() {
    let request = Box::new(golden::from_json("CreateEmbeddingRequest", r#"{"model":"x","input":"a"}"#));
    let on_unsupported = OnUnsupported::Refuse;
    let call =
        EmbedCall { model: "text-embedding-3-small".to_owned(), request, deadline: None, on_unsupported, trace: None };
    let worded = protocol().embed_request(call).unwrap();
    assert_eq!(worded.request.path, "/embeddings");
    assert!(protocol().paths().contains(&"/embeddings"));
    let body = br#"{"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[1.0]}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#;
    assert_eq!(protocol().read_embeddings(body).unwrap().data.len(), 1);
}

//! Claims about the translation, without a socket where none is needed.

use futures_util::StreamExt as _;

use super::*;
use crate::dialect::Setup;
use crate::error::UpstreamErrorKind;
use crate::golden::{self, PLANS};
use crate::openai::Quirks;
use crate::scripted::{Act, Scripted, answer};
use crate::transport::{Transport, TransportConfig};
use crate::upstream::{OnUnsupported, Origin};
use crate::vendors::vendor;

const MODEL: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

fn refused(json: &str) -> String {
    let error = Bedrock.chat_request(golden::call(json, OnUnsupported::Refuse), false).unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::InvalidRequest, "{json}");
    error.param.unwrap_or_default()
}

fn decoder() -> EventDecoder {
    Bedrock.stream_decoder(MODEL.to_owned())
}

fn recorded(name: &str) -> Vec<u8> {
    let path = format!("{}/goldens/bedrock/{name}.stream.events.jsonl", env!("CARGO_MANIFEST_DIR"));
    golden::bytes(path.as_ref())
}

#[test]
fn every_case_is_as_its_golden_files_say() {
    golden::check("bedrock", &Bedrock);
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let with = |member: &str| format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"x"}}],{member}}}"#);
    for (param, member) in [
        ("n", r#""n":2"#),
        ("seed", r#""seed":1"#),
        ("presence_penalty", r#""presence_penalty":0.1"#),
        ("frequency_penalty", r#""frequency_penalty":0.1"#),
        ("logit_bias", r#""logit_bias":{"1":1}"#),
        ("logprobs", r#""logprobs":true"#),
        ("top_logprobs", r#""top_logprobs":1"#),
        ("temperature", r#""temperature":1.1"#),
        ("verbosity", r#""verbosity":"low""#),
        ("prediction", r#""prediction":{"type":"content","content":"x"}"#),
        ("modalities", r#""modalities":["audio"]"#),
        ("audio", r#""audio":{"voice":"v","format":"wav"}"#),
        ("service_tier", r#""service_tier":"scale""#),
        ("web_search_options", r#""web_search_options":{}"#),
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
        ("response_format", r#""response_format":{"type":"json_object"}"#),
        ("response_format", r#""response_format":{"type":"json_schema","json_schema":{"name":"s"}}"#),
        ("response_format.x", r#""response_format":{"type":"text","x":1}"#),
        ("reasoning_effort", r#""reasoning_effort":"very""#),
        ("reasoning_effort", r#""reasoning_effort":"low","reasoning":{"effort":"high"}"#),
        ("reasoning.exclude", r#""reasoning":{"exclude":true}"#),
        ("reasoning.other", r#""reasoning":{"other":1}"#),
        ("tool_choice", r#""tool_choice":"required""#),
        ("tool_choice.custom", r#""tool_choice":{"type":"custom","custom":{"name":"c"}}"#),
        ("tools[0].custom", r#""tools":[{"type":"custom","custom":{"name":"c"}}]"#),
        ("thinking", r#""reasoning_effort":"none","thinking":{"type":"adaptive"}"#),
        (
            "outputConfig",
            r#""outputConfig":{},"response_format":{"type":"json_schema","json_schema":{"name":"s","schema":{}}}"#,
        ),
        ("additionalModelRequestFields", r#""additionalModelRequestFields":5"#),
        ("top_k", r#""top_k":1,"additionalModelRequestFields":{"top_k":2}"#),
    ] {
        assert_eq!(refused(&with(member)), param, "{member}");
    }
    let said = |message: &str| format!(r#"{{"model":"{MODEL}","messages":[{message}]}}"#);
    for (param, message) in [
        ("messages[0].name", r#"{"role":"user","content":"x","name":"n"}"#),
        ("messages[0].x", r#"{"role":"user","content":"x","x":1}"#),
        ("messages[0].role", r#"{"role":"function","name":"f","content":"x"}"#),
        ("messages[0].audio", r#"{"role":"assistant","audio":{"id":"a"}}"#),
        ("messages[0].function_call", r#"{"role":"assistant","function_call":{"name":"f","arguments":"{}"}}"#),
        ("messages[0].tool_call_id", r#"{"role":"tool","content":"x"}"#),
        (
            "messages[0].tool_calls[0].function.arguments",
            r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"["}}]}"#,
        ),
        (
            "messages[0].tool_calls[0].custom",
            r#"{"role":"assistant","tool_calls":[{"id":"a","type":"custom","custom":{"name":"c","input":""}}]}"#,
        ),
        ("messages[0].content[0].x", r#"{"role":"user","content":[{"type":"text","text":"a","x":1}]}"#),
        (
            "messages[0].content[0].cache_control",
            r#"{"role":"user","content":[{"type":"text","text":"a","cache_control":"yes"}]}"#,
        ),
        (
            "messages[0].content[0].image_url.url",
            r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://h/x.png"}}]}"#,
        ),
        (
            "messages[0].content[0].image_url.detail",
            r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QQ==","detail":"high"}}]}"#,
        ),
        (
            "messages[0].content[0].file.file_id",
            r#"{"role":"user","content":[{"type":"file","file":{"file_id":"file_1"}}]}"#,
        ),
        (
            "messages[0].content[0].file.file_data",
            r#"{"role":"user","content":[{"type":"file","file":{"file_data":"https://h/x.pdf"}}]}"#,
        ),
        ("messages[0].content[0].file", r#"{"role":"user","content":[{"type":"file","file":{}}]}"#),
    ] {
        assert_eq!(refused(&said(message)), param, "{message}");
    }
}

#[test]
fn what_anthropics_clients_send_is_for_its_models_and_is_forgotten_by_others() {
    let body = |model: &str| {
        let json = format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":[{{"type":"text","text":"x","cache_control":{{"type":"ephemeral"}}}}]}},
            {{"role":"assistant","content":"y","reasoning_details":[{{"type":"reasoning.text","text":"t","signature":"s","format":"anthropic-claude-v1"}}]}}]}}"#
        );
        let call = ChatCall { origin: Origin::Translated, ..golden::call(&json, OnUnsupported::Refuse) };
        String::from_utf8(Bedrock.chat_request(call, false).unwrap().request.body.to_vec()).unwrap()
    };
    let claude = body(MODEL);
    assert!(
        claude.contains(r#"{"cachePoint":{"type":"default"}}"#) && claude.contains(r#""signature":"s""#),
        "{claude}"
    );
    let llama = body("meta.llama3-3-70b-instruct-v1:0");
    assert!(!llama.contains("cachePoint") && !llama.contains("reasoning"), "{llama}");
    assert!(body("us.amazon.nova-pro-v1:0").contains("cachePoint"));
}

#[test]
fn errors_are_told_by_their_words_and_their_status() {
    for (status, message, expected, param) in [
        (400, "The provided model identifier is invalid.", UpstreamErrorKind::NotFound, Some("model")),
        (
            400,
            "Invocation of model ID x with on-demand throughput isn't supported. Retry your request with an inference profile.",
            UpstreamErrorKind::InvalidRequest,
            Some("model"),
        ),
        (400, "Input is too long for requested model.", UpstreamErrorKind::ContextLength, None),
        (
            400,
            "The model returned the following errors: prompt is too long: 9 tokens > 5 maximum",
            UpstreamErrorKind::ContextLength,
            None,
        ),
        (400, "Malformed input request", UpstreamErrorKind::InvalidRequest, None),
        (403, "The security token included in the request is invalid.", UpstreamErrorKind::Authentication, None),
        (403, "The request signature we calculated does not match", UpstreamErrorKind::Authentication, None),
        (
            403,
            "Authentication failed: Please make sure your API Key is valid.",
            UpstreamErrorKind::Authentication,
            None,
        ),
        (403, "Bearer Token has expired", UpstreamErrorKind::Authentication, None),
        (
            403,
            "You don't have access to the model with the specified model ID.",
            UpstreamErrorKind::PermissionDenied,
            None,
        ),
        (404, "Not found", UpstreamErrorKind::NotFound, None),
        (408, "The model took too long", UpstreamErrorKind::Timeout, None),
        (424, "The request failed due to an error while processing the model.", UpstreamErrorKind::Internal, None),
        (429, "Too many requests, please wait before trying again.", UpstreamErrorKind::RateLimited, None),
        (429, "Model is not ready for inference.", UpstreamErrorKind::Overloaded, None),
        (500, "An internal server error occurred. Retry your request.", UpstreamErrorKind::Internal, None),
        (503, "Bedrock is unable to process your request.", UpstreamErrorKind::Overloaded, None),
    ] {
        let error = Bedrock.read_error(status, format!(r#"{{"message":"{message}"}}"#).as_bytes());
        assert_eq!((error.kind, error.param.as_deref(), error.status), (expected, param, Some(status)), "{message}");
        assert_eq!(error.message, message);
    }
    let typed = br#"{"__type":"com.amazon.coral.service#UnrecognizedClientException:http://x","Message":"no"}"#;
    let error = Bedrock.read_error(400, typed);
    assert_eq!(
        (error.kind, error.code.as_deref()),
        (UpstreamErrorKind::Authentication, Some("UnrecognizedClientException"))
    );
    let page = Bedrock.read_error(502, b"<html><title>502 Bad Gateway</title></html>");
    assert!(page.kind == UpstreamErrorKind::Unavailable && page.message.contains("502 Bad Gateway"), "{page}");
    for silent in ["{}", r#"{"message":""}"#, r#"{"message":null}"#, ""] {
        let error = Bedrock.read_error(500, silent.as_bytes());
        assert!(error.kind == UpstreamErrorKind::Internal && error.message.contains("status 500"), "{error}");
    }
}

#[test]
fn exceptions_within_a_stream_are_told_by_their_names() {
    for (name, expected) in [
        ("accessDeniedException", UpstreamErrorKind::PermissionDenied),
        ("internalServerException", UpstreamErrorKind::Internal),
        ("modelStreamErrorException", UpstreamErrorKind::Internal),
        ("modelTimeoutException", UpstreamErrorKind::Timeout),
        ("modelNotReadyException", UpstreamErrorKind::Overloaded),
        ("resourceNotFoundException", UpstreamErrorKind::NotFound),
        ("serviceQuotaExceededException", UpstreamErrorKind::RateLimited),
        ("serviceUnavailableException", UpstreamErrorKind::Overloaded),
        ("throttlingException", UpstreamErrorKind::RateLimited),
        ("validationException", UpstreamErrorKind::InvalidRequest),
        ("somethingNewException", UpstreamErrorKind::Internal),
    ] {
        let bytes = encode(&format!(r#"{{"{name}":{{"message":"x"}}}}"#));
        let error = golden::decode(decoder(), [&bytes[..]]).1.unwrap();
        assert_eq!((error.kind, error.code.as_deref(), error.message.as_str()), (expected, Some(name), "x"));
    }
    let long = encode(r#"{"validationException":{"message":"Input is too long for requested model."}}"#);
    assert_eq!(golden::decode(decoder(), [&long[..]]).1.unwrap().kind, UpstreamErrorKind::ContextLength);
}

#[test]
fn a_stream_without_its_last_event_is_truncated() {
    for name in ["text", "tools", "thinking", "guardrail", "odd"] {
        let bytes = recorded(name);
        for length in 0..bytes.len() {
            let error = golden::decode(decoder(), [&bytes[..length]]).1.unwrap();
            assert_eq!(error.kind, UpstreamErrorKind::Truncated, "{name}: cut at {length}");
        }
        assert_eq!(golden::decode(decoder(), [&bytes[..]]).1, None, "{name}");
    }
}

#[test]
fn what_is_no_event_is_a_protocol_error() {
    for payload in
        ["5", "[1]", r#"{"contentBlockIndex":-1}"#, r#"{"delta":{"text":[]}}"#, r#"{"usage":{"inputTokens":-1}}"#]
    {
        let bytes = encode(&format!(r#"{{"contentBlockDelta":{payload}}}"#));
        let error = golden::decode(decoder(), [&bytes[..]]).1.unwrap();
        assert_eq!(error.kind, UpstreamErrorKind::Protocol, "{payload}");
    }
    for body in ["{", "5", r#"{"output":{"message":{"content":"x"}}}"#, r#"{"output":{"message":{"content":[5]}}}"#] {
        let error = Bedrock.read_completion(String::new(), body.as_bytes()).unwrap_err();
        assert_eq!(error.kind, UpstreamErrorKind::Protocol, "{body}");
    }
}

#[test]
fn spoilt_events_in_whole_messages_are_read_or_refused() {
    // Bytes that are spoilt at random are stopped by a checksum; these have a right one.
    let path = format!("{}/goldens/bedrock/tools.stream.events.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    for (from, to) in [
        (r#""contentBlockIndex":1"#, r#""contentBlockIndex":2"#),
        (r#""contentBlockIndex":2"#, r#""contentBlockIndex":4294967295"#),
        (r#""contentBlockStart""#, r#""contentBlockStop""#),
        (r#""contentBlockStop""#, r#""contentBlockStart""#),
        (r#""messageStop""#, r#""messageStart""#),
        (r#""toolUse""#, r#""reasoningContent""#),
        (r#""toolUseId":"tooluse_1""#, r#""toolUseId":null"#),
        (r#""stopReason":"tool_use""#, r#""stopReason":null"#),
        (r#""usage":"#, r#""other":"#),
    ] {
        let bytes = encode(&text.replace(from, to));
        let whole = golden::decode(decoder(), [&bytes[..]]);
        assert_eq!(golden::decode(decoder(), bytes.chunks(7)), whole, "{from} -> {to}");
    }
}

#[test]
fn models_are_listed_by_their_ids() {
    let body = br#"{"modelSummaries":[
        {"modelId":"amazon.nova-pro-v1:0","modelName":"Nova Pro","providerName":"Amazon","inputModalities":["TEXT","IMAGE"],"outputModalities":["TEXT"],"inferenceTypesSupported":["ON_DEMAND"],"modelLifecycle":{"status":"ACTIVE"}},
        {"modelId":"anthropic.claude-sonnet-4-5-20250929-v1:0","modelName":"Claude Sonnet 4.5","providerName":"Anthropic","outputModalities":["TEXT"],"inferenceTypesSupported":["INFERENCE_PROFILE"]},
        {"modelId":"amazon.nova-canvas-v1:0","outputModalities":["IMAGE"]},
        {"modelId":"amazon.titan-embed-text-v2:0","outputModalities":["EMBEDDING"]},
        {"modelName":"nameless"}]}"#;
    let models = Bedrock.read_models(body).unwrap();
    let read: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.description.as_deref())).collect();
    let expected = [
        ("amazon.nova-pro-v1:0", Some("Nova Pro")),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", Some("Claude Sonnet 4.5, by an inference profile only")),
        ("amazon.titan-embed-text-v2:0", None),
    ];
    assert_eq!(read, expected);
    assert_eq!(models[0].owned_by.as_deref(), Some("Amazon"));
    assert_eq!(Bedrock.read_models(b"<html>").unwrap_err().kind, UpstreamErrorKind::Protocol);
    assert_eq!(Bedrock.read_models(br#"{"message":"no"}"#).unwrap_err().message, "no");
}

/// The upstream of the vendor's row at a scripted server, with these variables in the environment.
fn upstream(server: &Scripted, key: Option<&str>, variables: &[(&str, &str)]) -> Arc<dyn crate::upstream::Upstream> {
    let row = vendor("bedrock").unwrap();
    let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let base_url = format!("http://{}", server.address);
    let key = key.map(crate::credentials::Secret::new);
    let setup = Setup {
        plans: Arc::clone(&PLANS),
        endpoint: row.endpoint(Some(&base_url), key, Some("eu-west-1"), lookup).unwrap(),
        transport: Transport::new(TransportConfig::default()),
        quirks: Quirks::NONE,
    };
    (row.dialect.build)(setup).unwrap()
}

const ANSWER: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2}}"#;

fn hello() -> ChatCall {
    golden::call(
        &format!(r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"x"}}]}}"#),
        OnUnsupported::Refuse,
    )
}

#[tokio::test]
async fn a_key_is_shown_as_a_bearer_token() {
    let server =
        Scripted::start(|_| -> Vec<Act> { vec![answer("200 OK", "content-type: application/json\r\n", ANSWER)] }).await;
    let upstream = upstream(&server, Some("bedrock-api-key-1"), &[]);
    let reply = upstream.chat(hello()).await.unwrap();
    assert_eq!(reply.body.model, MODEL);
    let request = &server.requests()[0];
    let path = "POST /model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse HTTP/1.1\r\n";
    assert!(request.starts_with(path), "{request}");
    assert!(
        request.contains("authorization: Bearer bedrock-api-key-1\r\n") && !request.contains("x-amz-date"),
        "{request}"
    );
}

#[tokio::test]
async fn keys_of_an_account_sign_and_what_is_quoted_of_them_is_taken_out() {
    const REFUSAL: &str =
        r#"{"message":"The request signature we calculated does not match. x-amz-security-token:token-that-is-long"}"#;
    let server = Scripted::start(|_| -> Vec<Act> {
        vec![answer("403 Forbidden", "content-type: application/json\r\n", REFUSAL)]
    })
    .await;
    let variables = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "hush-hush-hush"),
        ("AWS_SESSION_TOKEN", "token-that-is-long"),
    ];
    let upstream = upstream(&server, None, &variables);
    let error = upstream.chat(hello()).await.unwrap_err();
    assert_eq!(error.kind, UpstreamErrorKind::Authentication);
    assert!(error.message.contains("[redacted]") && !error.message.contains("token-that"), "{error}");
    let request = &server.requests()[0];
    assert!(request.contains("authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{request}");
    assert!(
        request.contains(
            "/eu-west-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
        ),
        "{request}"
    );
    assert!(
        request.contains("x-amz-security-token: token-that-is-long\r\n") && !request.contains("hush-hush"),
        "{request}"
    );
}

#[tokio::test]
async fn a_binary_stream_is_read_through_a_socket() {
    let bytes = recorded("text");
    let server = Scripted::start(move |_| -> Vec<Act> {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ncontent-length: {}\r\n\r\n",
            bytes.len()
        );
        let (first, second) = bytes.split_at(bytes.len() / 2);
        vec![Act::Send(head), Act::SendBytes(first.to_vec()), Act::SendBytes(second.to_vec())]
    })
    .await;
    let upstream = upstream(&server, Some("k"), &[]);
    let chunks: Vec<_> = upstream.stream_chat(hello()).await.unwrap().body.collect().await;
    let text: String = chunks
        .iter()
        .flat_map(|chunk| &chunk.as_ref().unwrap().choices)
        .filter_map(|choice| choice.delta.as_ref()?.content.clone())
        .collect();
    assert_eq!(text, "Valletta is the capital. Grüße 😀");
    assert!(server.requests()[0].contains("/converse-stream HTTP/1.1\r\n"));
}

#[tokio::test]
async fn the_list_of_models_is_asked_for_at_the_host_that_stands_in() {
    let models = || vec![answer("200 OK", "content-type: application/json\r\n", r#"{"modelSummaries":[]}"#)];
    let server = Scripted::start(move |_| -> Vec<Act> { models() }).await;
    let upstream = upstream(&server, Some("k"), &[]);
    assert_eq!(upstream.models().await.unwrap(), []);
    assert!(server.requests()[0].starts_with("GET /foundation-models HTTP/1.1\r\n"));
}

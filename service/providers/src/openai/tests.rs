//! Claims about the translation, without a socket.

use prost::Message as _;
use sabir_proto::v1::{ChatCompletionChunk, CreateChatCompletionRequest, FinishReason};
use transcode::json::Mode;

use super::*;
use crate::error::UpstreamErrorKind;
use crate::golden::{self, PLANS};

fn protocol(quirks: Quirks) -> OpenAi {
    OpenAi::new(Arc::clone(&PLANS), quirks).unwrap()
}

/// The request that the upstream sees when the caller sends `json`.
fn sent(json: &str, streamed: bool, quirks: Quirks) -> String {
    let protocol = protocol(quirks);
    let mut wire = Vec::new();
    PLANS.read(protocol.schema.request, json.as_bytes(), Mode::Strict, &mut wire).unwrap();
    let request = CreateChatCompletionRequest::decode(&wire[..]).unwrap();
    let call = ChatCall {
        model: "m".to_owned(),
        request: Box::new(request),
        deadline: None,
        on_unsupported: Default::default(),
        origin: Default::default(),
        trace: None,
    };
    let request = protocol.chat_request(call, streamed).unwrap().request;
    assert_eq!((request.method, &*request.path), (Method::POST, "/chat/completions"));
    String::from_utf8(request.body.to_vec()).unwrap()
}

/// What a decoder makes of a stream in these pieces.
fn decode<'a>(
    quirks: Quirks,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<ChatCompletionChunk>, Option<UpstreamError>) {
    golden::decode(protocol(quirks).stream_decoder(()), pieces)
}

fn kind_after(stream: &str, quirks: Quirks) -> Option<UpstreamErrorKind> {
    decode(quirks, [stream.as_bytes()]).1.map(|error| error.kind)
}

const LENIENT_END: Quirks = Quirks { done_marker: DoneMarker::FinishReasonSuffices, ..Quirks::NONE };

/// A stream with what servers do differently: comments, CRLF, an event name, padding, a tool call without id and
/// index, members that no schema names, usage in a chunk of its own.
const FIXTURE: &str = concat!(
    ": OPENROUTER PROCESSING\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",",
    "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,",
    "\"finish_reason\":null}],\"x_vendor\":{\"b\":1,\"a\":[2]}}\n\n",
    "event: message\r\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",",
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße 😀 \\u4e16\"},\"finish_reason\":null}]}\r\n\r\n",
    "data: \n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",",
    "\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",",
    "\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",",
    "\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{\\\"q\\\":\"}}]},",
    "\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",",
    "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",\"choices\":[],",
    "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7,\"total_tokens\":12}}\n\n",
    "data: [DONE]\n\n",
);

#[test]
fn the_model_is_replaced_and_everything_else_kept() {
    let json = concat!(
        r#"{"model":"vendor/m","messages":[{"role":"user","content":[{"type":"text","text":"é"}]}],"#,
        r#""temperature":0.5,"tools":[{"type":"function","function":{"name":"f","#,
        r#""parameters":{"type":"object","properties":{"b":{},"a":{}}}}}],"x_vendor":{"deep":[1,2.50]}}"#
    );
    assert_eq!(sent(json, false, Quirks::NONE), json.replace("vendor/m", "m"));
}

#[test]
fn a_stream_always_asks_for_usage() {
    let with = |stream: &str| format!(r#"{{"model":"m","messages":[]{stream}}}"#);
    let expected = with(r#","stream":true,"stream_options":{"include_usage":true}"#);
    for stream in [
        "",
        r#","stream":false"#,
        r#","stream":null,"stream_options":null"#,
        r#","stream_options":{"include_usage":false}"#,
        r#","stream_options":{"include_usage":null}"#,
    ] {
        assert_eq!(sent(&with(stream), true, Quirks::NONE), expected, "{stream}");
    }
    let kept = with(r#","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false,"x":1}"#);
    let options = with(r#","stream_options":{"include_obfuscation":false,"x":1}"#);
    assert_eq!(sent(&options, true, Quirks::NONE), kept);
}

#[test]
fn a_call_for_a_whole_answer_does_not_mention_streams() {
    let json = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(sent(json, false, Quirks::NONE), r#"{"model":"m","messages":[]}"#);
}

#[test]
fn usage_is_not_asked_of_a_server_that_would_refuse() {
    let quirks = Quirks { stream_usage: StreamUsage::Unasked, ..Quirks::NONE };
    let json = r#"{"model":"m","messages":[],"stream_options":{"include_usage":true}}"#;
    assert_eq!(sent(json, true, quirks), r#"{"model":"m","messages":[],"stream":true}"#);
    let json = r#"{"model":"m","messages":[],"stream_options":{"include_obfuscation":true}}"#;
    let kept = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_obfuscation":true}}"#;
    assert_eq!(sent(json, true, quirks), kept, "what the target may not honour is not dropped in silence");
}

#[test]
fn the_output_limit_takes_the_name_that_the_server_knows() {
    let quirks = Quirks { output_limit: OutputLimit::MaxTokens, ..Quirks::NONE };
    let with = |limit: &str| format!(r#"{{"model":"m","messages":[]{limit}}}"#);
    for (given, expected) in [
        (r#","max_completion_tokens":9"#, r#","max_tokens":9"#),
        (r#","max_completion_tokens":9,"max_tokens":null"#, r#","max_tokens":9"#),
        (r#","max_completion_tokens":9,"max_tokens":4"#, r#","max_tokens":4"#),
        (r#","max_tokens":4"#, r#","max_tokens":4"#),
        ("", ""),
    ] {
        assert_eq!(sent(&with(given), false, quirks), with(expected), "{given}");
    }
    let given = with(r#","max_completion_tokens":9"#);
    assert_eq!(sent(&given, false, Quirks::NONE), given);
}

#[test]
fn a_whole_answer_is_read_with_what_no_schema_names() {
    let body = concat!(
        r#"{"id":"c","object":"chat.completion","created":1790000000,"model":"m","choices":[{"index":0,"#,
        r#""message":{"role":"assistant","content":"hi","x":1},"finish_reason":"eos"}],"#,
        r#""usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#
    );
    let completion = protocol(Quirks::NONE).read_completion((), body.as_bytes()).unwrap();
    let choice = &completion.choices[0];
    assert_eq!(choice.message.as_ref().unwrap().content.as_deref(), Some("hi"));
    assert_eq!(choice.message.as_ref().unwrap().additional_members["x"], "1");
    assert_eq!(choice.finish_reason(), FinishReason::Unspecified);
    assert_eq!(choice.additional_members["finish_reason"], "\"eos\"");
    assert_eq!(completion.usage.unwrap().total_tokens, 3);
}

#[test]
fn an_answer_that_is_none_is_an_error() {
    let read = |body: &str| protocol(Quirks::NONE).read_completion((), body.as_bytes()).unwrap_err();
    assert_eq!(read("").kind, UpstreamErrorKind::Protocol);
    assert_eq!(read("<html></html>").kind, UpstreamErrorKind::Protocol);
    assert_eq!(read("[1]").kind, UpstreamErrorKind::Protocol);
    let error = read(r#"{"choices":[{"message":{"content":5}}]}"#);
    assert_eq!(error.kind, UpstreamErrorKind::Protocol);
    assert!(error.message.contains("choices[0].message.content"), "{error}");
    let error = read(r#"{"error":{"message":"no capacity","code":503}}"#);
    assert_eq!((error.kind, error.message.as_str()), (UpstreamErrorKind::Overloaded, "no capacity"));
}

#[test]
fn every_split_point_gives_the_same_chunks() {
    let bytes = FIXTURE.as_bytes();
    let whole = decode(Quirks::NONE, [bytes]);
    assert_eq!((whole.0.len(), &whole.1), (6, &None));
    for split in 0..=bytes.len() {
        assert_eq!(decode(Quirks::NONE, [&bytes[..split], &bytes[split..]]), whole, "split at {split}");
    }
    assert_eq!(decode(Quirks::NONE, bytes.chunks(1)), whole);
}

#[test]
fn every_missing_tail_is_truncated() {
    let bytes = FIXTURE.as_bytes();
    // Without its last two line feeds the marker is still there.
    for length in 0..bytes.len() - "\n\n".len() {
        let (_, error) = decode(Quirks::NONE, [&bytes[..length]]);
        assert_eq!(error.map(|error| error.kind), Some(UpstreamErrorKind::Truncated), "cut at {length}");
    }
    for length in bytes.len() - "\n\n".len()..=bytes.len() {
        assert_eq!(decode(Quirks::NONE, [&bytes[..length]]).1, None, "cut at {length}");
    }
}

#[test]
fn chunks_hold_what_the_stream_said() {
    let (chunks, _) = decode(Quirks::NONE, [FIXTURE.as_bytes()]);
    let delta = |index: usize| chunks[index].choices[0].delta.as_ref().unwrap();
    assert_eq!(chunks[0].additional_members["x_vendor"], r#"{"b":1,"a":[2]}"#);
    assert_eq!(delta(1).content.as_deref(), Some("Grüße 😀 世"));
    assert_eq!(chunks[4].choices[0].finish_reason(), FinishReason::ToolCalls);
    assert_eq!(chunks[5].usage.as_ref().unwrap().total_tokens, 12);
}

#[test]
fn a_tool_call_delta_without_id_and_index_goes_on_with_the_call_begun_last() {
    let (chunks, _) = decode(Quirks::NONE, [FIXTURE.as_bytes()]);
    let call = |index: usize| &chunks[index].choices[0].delta.as_ref().unwrap().tool_calls[0];
    assert_eq!((call(2).index, call(2).id.as_deref()), (Some(0), Some("call_1")));
    assert_eq!(call(2).function.as_ref().unwrap().arguments.as_deref(), Some(""));
    assert_eq!((call(3).index, &call(3).id), (Some(0), &None));
    assert_eq!(call(3).function.as_ref().unwrap().arguments.as_deref(), Some("{\"q\":"));
}

#[test]
fn usage_in_every_chunk_stays_a_snapshot() {
    let chunk = |tokens: u32| format!("data: {{\"choices\":[],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n\n");
    let stream = [chunk(1), chunk(2), chunk(9), "data: [DONE]\n\n".to_owned()].concat();
    let (chunks, error) = decode(Quirks::NONE, [stream.as_bytes()]);
    let seen: Vec<u32> = chunks.iter().map(|chunk| chunk.usage.as_ref().unwrap().completion_tokens).collect();
    assert_eq!((seen, error), (vec![1, 2, 9], None));
}

#[test]
fn an_error_within_a_stream_ends_it() {
    for (event, kind) in [
        (r#"data: {"error":{"message":"m","type":"server_error","code":null}}"#, UpstreamErrorKind::Internal),
        (
            r#"data: {"object":"error","message":"m","type":"BadRequestError","code":400}"#,
            UpstreamErrorKind::InvalidRequest,
        ),
        ("event: error\ndata: {\"message\":\"m\",\"status_code\":529}", UpstreamErrorKind::Overloaded),
        (
            r#"data: {"choices":[{"delta":{},"finish_reason":"error"}],"error":{"code":502,"message":"m"}}"#,
            UpstreamErrorKind::Unavailable,
        ),
    ] {
        let stream = format!("data: {{\"choices\":[]}}\n\n{event}\n\ndata: [DONE]\n\n");
        let (chunks, error) = decode(Quirks::NONE, [stream.as_bytes()]);
        let error = error.unwrap();
        assert_eq!((chunks.len(), error.kind, error.message.as_str()), (1, kind, "m"), "{event}");
    }
    assert_eq!(kind_after("data: {\"choices\":[],\"error\":null}\n\ndata: [DONE]\n\n", Quirks::NONE), None);
}

#[test]
fn what_is_no_chunk_is_a_protocol_error() {
    for data in ["{", "5", "\"text\"", "[]", "{\"choices\":5}", "\u{7f}"] {
        let stream = format!("data: {data}\n\n");
        assert_eq!(kind_after(&stream, Quirks::NONE), Some(UpstreamErrorKind::Protocol), "{data}");
    }
    let (_, error) = decode(Quirks::NONE, [&b"data: \"\xff\"\n\n"[..]]);
    assert_eq!(error.unwrap().kind, UpstreamErrorKind::Protocol);
}

#[test]
fn an_oversized_event_is_an_error() {
    let piece = vec![b'x'; crate::sse::DEFAULT_MAX_EVENT_BYTES / 4];
    let (_, error) = decode(Quirks::NONE, std::iter::repeat_n(&piece[..], 5));
    assert_eq!(error.unwrap().kind, UpstreamErrorKind::TooLarge);
}

#[test]
fn where_the_marker_may_be_missing_every_choice_must_have_finished() {
    let choice = |index: u32, reason: &str| {
        format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":{reason}}}]}}\n\n")
    };
    let truncated = Some(UpstreamErrorKind::Truncated);
    let both = choice(0, "\"stop\"") + &choice(1, "\"length\"");
    assert_eq!(kind_after(&both, LENIENT_END), None);
    assert_eq!(kind_after(&both, Quirks::NONE), truncated);
    assert_eq!(kind_after(&(choice(1, "null") + &choice(0, "\"stop\"")), LENIENT_END), truncated);
    assert_eq!(kind_after(&choice(0, "\"\""), LENIENT_END), truncated);
    assert_eq!(kind_after(&choice(0, "\"eos\""), LENIENT_END), None, "a reason of the server's own is a reason");
    assert_eq!(kind_after(&(both.clone() + "data: {\"choi"), LENIENT_END), truncated);
    assert_eq!(kind_after("", LENIENT_END), truncated);
}

#[test]
fn lists_of_models_are_read_in_both_forms() {
    let read = |body: &str| protocol(Quirks::NONE).read_models(body.as_bytes());
    let model = r#"{"id":"a/b","object":"model","created":1,"owned_by":"o","description":"d"}"#;
    for body in [format!(r#"{{"object":"list","data":[{model},{{"x":1}}]}}"#), format!("[{model}]")] {
        let (owned_by, description) = (Some("o".to_owned()), Some("d".to_owned()));
        assert_eq!(read(&body).unwrap(), [ModelInfo { id: "a/b".to_owned(), created: Some(1), owned_by, description }]);
    }
    assert_eq!(read("{}").unwrap_err().kind, UpstreamErrorKind::Protocol);
    assert_eq!(read("<html>").unwrap_err().kind, UpstreamErrorKind::Protocol);
}

#[test]
fn plans_without_our_messages_are_refused() {
    let empty = Arc::new(Plans::compile(&[]).unwrap());
    assert!(matches!(OpenAi::new(empty, Quirks::NONE), Err(SetupError::Message(_))));
}

//! Claims about bad input: the right code, a message that names the field, in the error shape of the surface; never a
//! success, a hang or a dead server. Waiting for anything at all has a limit in these tests.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use prost::Message;
use sabir_proto::v1::{
    ContentPart, ContentParts, FunctionDefinition, NamedTool, NamedToolChoice, ResponseFormat, Tool,
    chat_message::Content, create_chat_completion_request::ToolChoice, named_tool_choice::Choice, tool,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Status};

use crate::support::{
    Call, Protocol, Server, Upstream,
    http::{Exchange, http1, http2},
    soon, world,
};

const CHAT: &str = "/v1/chat/completions";
const GRPC_CHAT: &str = "/sabir.v1.Chat/CreateChatCompletion";

#[tokio::test]
async fn every_protocol_refuses_the_same_requests_and_names_the_field() {
    let (upstream, server) = world().await;
    let say = || Call::say("scripted/echo", "Hi");
    let empty_stop = vec![String::new()];
    let choose = |choice| Some(ToolChoice::NamedToolChoice(NamedToolChoice { choice, ..Default::default() }));
    let missing = NamedTool { name: "missing".to_owned(), ..Default::default() };
    let nothing = Content::Parts(ContentParts { parts: vec![ContentPart::default()] });
    let with_parameters = |parameters: String| {
        let function = FunctionDefinition { name: "f".to_owned(), parameters, ..Default::default() };
        vec![Tool { tool: Some(tool::Tool::Function(function)), ..Default::default() }]
    };
    let deep = nested(110);
    let deep_json: Value = serde_json::from_str(&deep).unwrap();
    let calls = [
        (
            say().with(
                |request| request.messages[0].role = 99,
                json!({"messages": [{"role": "nobody", "content": "Hi"}]}),
            ),
            "INVALID_ARGUMENT",
            "messages[0].role",
        ),
        (
            say().with(
                |request| request.messages[0].content = Some(nothing),
                json!({"messages": [{"role": "user", "content": [{"type": "smell", "smell": "roses"}]}]}),
            ),
            "INVALID_ARGUMENT",
            "messages[0].content[0]",
        ),
        (
            say().with(
                |request| request.tool_choice = Some(ToolChoice::ToolChoiceMode(99)),
                json!({"tool_choice": "perhaps"}),
            ),
            "INVALID_ARGUMENT",
            "tool_choice",
        ),
        (
            say().with(
                |request| request.tool_choice = choose(None),
                json!({"tool_choice": {"type": "magic", "magic": {"name": "f"}}}),
            ),
            "INVALID_ARGUMENT",
            "tool_choice",
        ),
        (
            say().with(
                |request| request.tool_choice = choose(Some(Choice::Function(missing))),
                json!({"tool_choice": {"type": "function", "function": {"name": "missing"}}}),
            ),
            "INVALID_ARGUMENT",
            "tool_choice.function.name",
        ),
        (
            say().with(
                |request| request.response_format = Some(ResponseFormat::default()),
                json!({"response_format": {"type": "yaml"}}),
            ),
            "INVALID_ARGUMENT",
            "response_format",
        ),
        (
            say().with(|request| request.tools = vec![Tool::default()], json!({"tools": [{"type": "magic"}]})),
            "INVALID_ARGUMENT",
            "tools[0]",
        ),
        (
            say().with(
                |request| request.tools = with_parameters("[]".to_owned()),
                json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}),
            ),
            "INVALID_ARGUMENT",
            "tools[0].function.parameters",
        ),
        (
            say().with(
                |request| request.tools = with_parameters(deep),
                json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": deep_json}}]}),
            ),
            "INVALID_ARGUMENT",
            "tools[0].function.parameters",
        ),
        (Call::say("nobody/nothing", "Hi"), "NOT_FOUND", "model"),
        (Call::say("", "Hi"), "INVALID_ARGUMENT", "model"),
        (say().with(|request| request.messages.clear(), json!({"messages": []})), "INVALID_ARGUMENT", "messages"),
        (
            say().with(|request| request.max_tokens = Some(-1), json!({"max_tokens": -1})),
            "INVALID_ARGUMENT",
            "max_tokens",
        ),
        (
            say().with(|request| request.temperature = Some(3.5), json!({"temperature": 3.5})),
            "INVALID_ARGUMENT",
            "temperature",
        ),
        (say().with(|request| request.stop = empty_stop, json!({"stop": ""})), "INVALID_ARGUMENT", "stop[0]"),
        (say().with(|request| request.n = Some(0), json!({"n": 0})), "INVALID_ARGUMENT", "n"),
        (
            say().with(|request| request.messages[0].content = None, json!({"messages": [{"role": "user"}]})),
            "INVALID_ARGUMENT",
            "messages[0].content",
        ),
    ];
    for protocol in Protocol::ALL {
        for (call, code, field) in &calls {
            let unary = protocol.unary(server.address(), call).await.unwrap_err();
            let Err(streamed) = protocol.stream(server.address(), call).await else { panic!("{protocol:?}: {call:?}") };
            for failure in [unary, streamed] {
                assert_eq!(failure.code, *code, "{protocol:?}, {field}: {failure:?}");
                assert_eq!(failure.field.as_deref(), Some(*field), "{protocol:?}: {failure:?}");
                // An unknown model is named itself.
                let named = if *code == "NOT_FOUND" { &call.message.model } else { *field };
                assert!(failure.message.contains(named), "{protocol:?}: {failure:?}");
            }
        }
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
}

/// An object that nests this deep.
fn nested(depth: usize) -> String {
    "{\"a\":".repeat(depth - 1) + "{}" + &"}".repeat(depth - 1)
}

#[tokio::test]
async fn the_bounds_in_the_contract_are_held() {
    let (upstream, server) = world().await;
    let pairs = |count: usize| (0..count).map(|n| (n.to_string(), Value::from(""))).collect::<serde_json::Map<_, _>>();
    let tool = |name: &str| json!([{"type": "function", "function": {"name": name}}]);
    let say = |content: Value| json!([{"role": "user", "content": content}]);
    let cases = [
        (json!({"temperature": 2.1}), "temperature"),
        (json!({"temperature": -0.1}), "temperature"),
        (json!({"top_p": 1.1}), "top_p"),
        (json!({"presence_penalty": 2.1}), "presence_penalty"),
        (json!({"frequency_penalty": -2.1}), "frequency_penalty"),
        (json!({"n": 129}), "n"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_completion_tokens": 0}), "max_completion_tokens"),
        (json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs"),
        (json!({"top_logprobs": 1}), "top_logprobs"),
        (json!({"logit_bias": {"50256": 101}}), "logit_bias[\"50256\"]"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), "stop"),
        (json!({"stop": ["a", ""]}), "stop[1]"),
        (json!({"metadata": pairs(17)}), "metadata"),
        (json!({"metadata": {"k": "v".repeat(513)}}), "metadata[\"k\"]"),
        (json!({"metadata": {"": "v"}}), "metadata[\"\"]"),
        (json!({"model": "m".repeat(257)}), "model"),
        (json!({"tools": tool("get weather")}), "tools[0].function.name"),
        (json!({"tools": tool("")}), "tools[0].function.name"),
        (json!({"tools": tool(&"t".repeat(65))}), "tools[0].function.name"),
        (json!({"functions": [{"name": "a.b"}]}), "functions[0].name"),
        (json!({"tools": [{"type": "custom", "custom": {"name": "t", "format": {}}}]}), "tools[0].custom.format"),
        (json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}}), "json_schema.name"),
        (json!({"messages": say(json!([]))}), "messages[0].content"),
        (
            json!({"messages": say(json!([{"type": "image_url", "image_url": {}}]))}),
            "messages[0].content[0].image_url.url",
        ),
        (json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]}), "messages[0].tool_calls[0]"),
        (
            json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}}),
            "tool_choice.allowed_tools.tools",
        ),
    ];
    let document = |change: &Value| {
        let mut document = json!({"model": "scripted/echo", "messages": say("Hi".into())});
        document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        document.to_string()
    };
    for (change, path) in &cases {
        assert_refused(server.address(), &document(change), path).await;
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
    // The ends belong to the ranges.
    let ends = json!({"temperature": 2, "top_p": 0, "n": 1, "presence_penalty": -2, "frequency_penalty": 2, "max_tokens": 1,
        "stop": ["a", "b", "c", "d"], "metadata": pairs(16), "logprobs": true, "top_logprobs": 0,
        "tools": tool(&"t".repeat(64)), "logit_bias": {"1": -100}});
    for change in [ends, json!({"metadata": {}})] {
        let exchange = post(server.address(), document(&change).into_bytes(), "application/json").await;
        let status = exchange.status();
        let body = exchange.body().await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    }
}

#[tokio::test]
async fn json_that_does_not_fit_is_refused_with_its_path() {
    let (upstream, server) = world().await;
    let messages = json!([{"role": "user", "content": "Hi"}]);
    let cases = [
        (json!({"model": 5, "messages": messages}), "model"),
        (json!({"model": "scripted/echo", "messages": "Hi"}), "messages"),
        (json!({"model": "scripted/echo", "messages": [5]}), "messages[0]"),
        (json!({"model": "scripted/echo", "messages": [{"role": "nobody", "content": "Hi"}]}), "messages[0].role"),
        (json!({"model": "scripted/echo", "messages": [{"role": "user", "content": 5}]}), "messages[0].content"),
        (json!({"model": "scripted/echo", "messages": messages, "stream": "yes"}), "stream"),
        (json!({"model": "scripted/echo", "messages": messages, "max_tokens": "many"}), "max_tokens"),
        (json!({"model": "scripted/echo", "messages": messages, "max_tokens": 1.5}), "max_tokens"),
        (json!({"model": "scripted/echo", "messages": messages, "tool_choice": "perhaps"}), "tool_choice"),
        (json!({"model": "scripted/echo", "messages": messages, "tools": [{"type": "magic"}]}), "tools[0]"),
        (json!({"model": "scripted/echo", "messages": messages, "tools": {}}), "tools"),
        (json!({"model": "scripted/echo", "messages": messages, "stop": {}}), "stop"),
        (json!({"model": "scripted/echo", "messages": messages, "stop": ["a", 1]}), "stop[1]"),
        (json!({"model": "scripted/echo", "messages": messages, "temperature": "warm"}), "temperature"),
        (json!({"model": "scripted/echo", "messages": messages, "max_tokens": 3_000_000_000_u32}), "max_tokens"),
        (json!({"model": "scripted/echo", "messages": messages, "metadata": {"k": 5}}), "metadata"),
        (json!({"model": "scripted/echo", "messages": messages, "logit_bias": {"5": "much"}}), "logit_bias"),
        (json!({"model": "scripted/echo", "messages": messages, "response_format": "json"}), "response_format"),
        (json!({"model": "scripted/echo", "messages": messages, "stream_options": true}), "stream_options"),
        (
            json!({"model": "scripted/echo", "messages": messages,
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "often", "tools": []}}}),
            "tool_choice.allowed_tools.mode",
        ),
        (
            json!({"model": "scripted/echo", "messages": messages,
                "tools": [{"type": "custom", "custom": {"name": "t", "format": {"type": "grammar",
                    "grammar": {"definition": "a", "syntax": "klingon"}}}}]}),
            "tools[0].custom.format.grammar.syntax",
        ),
    ];
    for (document, path) in cases {
        assert_refused(server.address(), &document.to_string(), path).await;
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
}

#[tokio::test]
async fn two_members_of_a_union_are_refused() {
    let (upstream, server) = world().await;
    let content = |part: &str| {
        format!(
            r#"{{"model":"scripted/echo","messages":[{{"role":"user","content":[{{"type":"text","text":"a"}},{part}]}}]}}"#
        )
    };
    let asked = |members: &str| {
        format!(r#"{{"model":"scripted/echo","messages":[{{"role":"user","content":"Hi"}}],{members}}}"#)
    };
    let cases = [
        // Two kinds at once, another kind than the one that is named, and the one that is named missing.
        (content(r#"{"type":"text","text":"a","image_url":{"url":"u"}}"#), "messages[0].content[1]"),
        (content(r#"{"type":"image_url","text":"a"}"#), "messages[0].content[1]"),
        (content(r#"{"type":"text"}"#), "messages[0].content[1]"),
        (asked(r#""tools":[{"type":"function","function":{"name":"f"},"custom":{"name":"g"}}]"#), "tools[0]"),
        (asked(r#""tool_choice":{"type":"function","function":{"name":"f"},"custom":{"name":"g"}}"#), "tool_choice"),
        (
            asked(r#""response_format":{"type":"json_object","json_schema":{"name":"n","schema":{}}}"#),
            "response_format",
        ),
        // The same member twice.
        (asked(r#""tool_choice":"auto","tool_choice":"none""#), ""),
        (asked(r#""stop":"a","stop":["b"]"#), ""),
        (asked(r#""model":"scripted/fixed""#), ""),
    ];
    for (document, path) in cases {
        assert_refused(server.address(), &document, path).await;
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
}

#[tokio::test]
async fn what_nests_too_deep_is_refused_wherever_it_stands() {
    let (upstream, server) = world().await;
    let brackets = "[".repeat(100_000) + &"]".repeat(100_000);
    let user = r#""messages":[{"role":"user","content":"Hi"}]"#;
    for deep in [nested(101), nested(100_000), brackets] {
        let cases = [
            (format!(r#"{{"model":{deep},{user}}}"#), "model"),
            (format!(r#"{{"model":"scripted/echo","messages":{deep}}}"#), "messages"),
            (format!(r#"{{"model":"scripted/echo","messages":[{{"role":"user","content":{deep}}}]}}"#), "messages[0]"),
            (
                format!(
                    r#"{{"model":"scripted/echo",{user},"tools":[{{"type":"function","function":{{"name":"f","parameters":{deep}}}}}]}}"#
                ),
                "tools[0].function.parameters",
            ),
            (format!(r#"{{"model":"scripted/echo",{user},"x_new":{deep}}}"#), "x_new"),
            (
                format!(r#"{{"model":"scripted/echo","messages":[{{"role":"user","content":"Hi","x_new":{deep}}}]}}"#),
                "messages[0]",
            ),
        ];
        for (document, path) in cases {
            assert_refused(server.address(), &document, path).await;
        }
        // Over gRPC such members are texts.
        let call = Call::say("scripted/echo", "Hi")
            .with(|request| drop(request.additional_members.insert("x_new".to_owned(), deep)), json!({}));
        for protocol in [Protocol::Grpc, Protocol::GrpcWeb] {
            let failure = protocol.unary(server.address(), &call).await.unwrap_err();
            assert_eq!(failure.code, "INVALID_ARGUMENT", "{protocol:?}: {failure:?}");
            assert!(failure.message.contains("additional_members"), "{protocol:?}: {failure:?}");
        }
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
    // What is deep, but not too deep, passes; the document itself is the first level.
    let document = format!(r#"{{"model":"scripted/echo",{user},"x_new":{}}}"#, nested(99));
    assert_eq!(post(server.address(), document.into_bytes(), "application/json").await.status(), 200);
}

#[tokio::test]
async fn text_over_grpc_that_is_no_json_where_json_must_be_is_refused() {
    let (upstream, server) = world().await;
    for parameters in ["{", "{}}", "nothing", "{\"a\":\u{7f}}", "{\"a\":1,}"] {
        let function =
            FunctionDefinition { name: "f".to_owned(), parameters: parameters.to_owned(), ..Default::default() };
        let tool = Tool { tool: Some(tool::Tool::Function(function)), ..Default::default() };
        let in_tool = |request: &mut sabir_proto::v1::CreateChatCompletionRequest| request.tools.push(tool);
        let beside = |request: &mut sabir_proto::v1::CreateChatCompletionRequest| {
            request.messages[0].additional_members.insert("x_new".to_owned(), parameters.to_owned());
        };
        let calls = [
            (Call::say("scripted/echo", "Hi").with(in_tool, json!({})), "tools[0].function.parameters"),
            (Call::say("scripted/echo", "Hi").with(beside, json!({})), "messages[0].additional_members"),
        ];
        for protocol in [Protocol::Grpc, Protocol::GrpcWeb] {
            for (call, path) in &calls {
                let failure = protocol.unary(server.address(), call).await.unwrap_err();
                assert_eq!(failure.code, "INVALID_ARGUMENT", "{protocol:?}, {parameters}: {failure:?}");
                let told = failure.field.as_deref().unwrap_or_default();
                assert!(told.starts_with(path) && failure.message.contains(path), "{protocol:?}: {failure:?}");
            }
        }
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
}

#[tokio::test]
async fn every_beginning_of_a_document_is_refused() {
    let (upstream, server) = world().await;
    let document = r#"{"model":"scripted/echo","messages":[{"role":"user","content":"Grüße"}],"n":1,"stop":["a"]}"#;
    for length in 0..document.len() {
        let exchange = post(server.address(), document.as_bytes()[..length].to_vec(), "application/json").await;
        assert_eq!(error_of(exchange).await.0, 400, "the first {length} bytes");
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
    assert_eq!(post(server.address(), document.as_bytes().to_vec(), "application/json").await.status(), 200);
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let (_upstream, server) = world().await;
    let deep = [br#"{"model":"m","x":"#.to_vec(), vec![b'['; 100_000], vec![b']'; 100_000], b"}".to_vec()].concat();
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"not json",
        b"{\"model\": \"\xff\xfe\"}",
        br#"{"model":"scripted/echo","messages":[]} trailing"#,
        &deep,
    ];
    for body in bodies {
        let exchange = post(server.address(), body.to_vec(), "application/json").await;
        let (status, error) = error_of(exchange).await;
        assert_eq!(status, 400, "{}: {error}", String::from_utf8_lossy(&body[..body.len().min(60)]));
    }
}

#[tokio::test]
async fn wrong_paths_methods_and_types_have_their_codes() {
    let (_upstream, server) = world().await;
    let document = br#"{"model":"scripted/echo","messages":[{"role":"user","content":"Hi"}]}"#.to_vec();

    let exchange = post(server.address(), document.clone(), "text/plain").await;
    assert_eq!(error_of(exchange).await.0, 415);
    let types = [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonl",
        "json",
        "",
    ];
    for content_type in types {
        let exchange = post(server.address(), document.clone(), content_type).await;
        assert_eq!(error_of(exchange).await.0, 415, "{content_type}");
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON", "application/problem+json"] {
        assert_eq!(post(server.address(), document.clone(), content_type).await.status(), 200, "{content_type}");
    }
    let request = Request::post(CHAT).header("content-type", "application/json").header("content-encoding", "lzma");
    let exchange = http1(server.address(), request.body(Bytes::from(document.clone())).unwrap()).await;
    assert_eq!(error_of(exchange).await.0, 415, "a body that is compressed in a way nobody knows");

    // The verbs and paths of HTTP are in `routes.rs`; these are their twins.
    let framed = frame(&Call::say("scripted/echo", "Hi").message.encode_to_vec());
    for path in ["/sabir.v1.Chat/Nothing", "/sabir.v1.Nothing/CreateChatCompletion", "/v1/chat/completions", "/"] {
        for web in [false, true] {
            let status = grpc_status(server.address(), web, Method::POST, path, &framed).await;
            assert_eq!(status.code(), Code::Unimplemented, "{path}, web: {web}: {status:?}");
        }
    }
    let status = grpc_status(server.address(), false, Method::GET, GRPC_CHAT, b"").await;
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    // gRPC over HTTP/1.1 has nowhere to put its status.
    let request = Request::post(GRPC_CHAT).header("content-type", "application/grpc");
    let exchange = http1(server.address(), request.body(Bytes::from(framed)).unwrap()).await;
    assert_eq!(error_of(exchange).await.0, 400);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let upstream = Upstream::start();
    let config = format!("{}[server]\nbody_limit = 4096\n", Server::config_for(&upstream.base_url()));
    let server = Server::start(&config).await;
    let call = Call::say("scripted/echo", &"x".repeat(10_000));
    for protocol in Protocol::ALL {
        let failure = protocol.unary(server.address(), &call).await.unwrap_err();
        if protocol == Protocol::Rest {
            assert_eq!(failure.http, Some(413), "{failure:?}");
        } else {
            assert_eq!(failure.code, "RESOURCE_EXHAUSTED", "{protocol:?}: {failure:?}");
        }
    }
    // Of a body in pieces nobody knows the length before it is there.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = "host: h\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(format!("POST {CHAT} HTTP/1.1\r\n{head}").as_bytes()).await.unwrap();
    // The fifth is one too many; a sixth would find the connection closed.
    for _ in 0..5 {
        stream.write_all(format!("3e8\r\n{}\r\n", "x".repeat(1000)).as_bytes()).await.unwrap();
    }
    let mut answer = vec![0; 4096];
    let length = soon("an answer", stream.read(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("{\"error\":{"), "{answer}");
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
}

#[tokio::test]
async fn a_body_that_stops_in_the_middle_is_given_up() {
    let upstream = Upstream::start();
    let config = format!("{}[server]\nbody_timeout = \"200ms\"\n", Server::config_for(&upstream.base_url()));
    let server = Server::start(&config).await;
    for (path, content_type, told) in
        [(CHAT, "application/json", "HTTP/1.1 408 "), (GRPC_CHAT, "application/grpc-web+proto", "grpc-status: 4\r\n")]
    {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: {content_type}\r\ncontent-length: 99\r\n\r\n");
        let began = Instant::now();
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"{\"model\":").await.unwrap();
        let mut answer = vec![0; 4096];
        let length = soon("an answer", stream.read(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert!(answer.contains(told), "{path}: {answer}");
        assert!(began.elapsed() < Duration::from_secs(5), "{path}: {:?}", began.elapsed());
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
}

#[tokio::test]
async fn broken_frames_are_refused() {
    let (upstream, server) = world().await;
    let message = Call::say("scripted/echo", "Hi").message.encode_to_vec();
    let good = frame(&message);
    let model_of_no_text = frame(b"\x0a\x02\xff\xfe");
    let cases: [(&str, Vec<u8>, Code); 10] = [
        ("nothing at all", Vec::new(), Code::Unimplemented),
        ("half a header", b"\0\0\0".to_vec(), Code::InvalidArgument),
        ("too short for its length", b"\0\0\0\0\x20short".to_vec(), Code::InvalidArgument),
        ("a byte missing", good[..good.len() - 1].to_vec(), Code::InvalidArgument),
        ("a length beyond all reason", b"\0\xff\xff\xff\xffx".to_vec(), Code::ResourceExhausted),
        ("bytes that are no message", b"\0\0\0\0\x03\xff\xff\xff".to_vec(), Code::InvalidArgument),
        ("a field of another type", frame(b"\x08\x01"), Code::InvalidArgument),
        ("text that is not UTF-8", model_of_no_text.clone(), Code::InvalidArgument),
        ("two messages", [&good[..], &good].concat(), Code::Unimplemented),
        // Source: https://github.com/grpc/grpc/blob/master/doc/compression.md#test-cases
        ("a mark of compression alone", [&[1], &good[1..]].concat(), Code::Internal),
    ];
    for web in [false, true] {
        for (what, body, code) in &cases {
            let status = grpc_status(server.address(), web, Method::POST, GRPC_CHAT, body).await;
            assert_eq!(status.code(), *code, "{what}, web: {web}: {status:?}");
            assert!(!status.message().is_empty(), "{what}, web: {web}");
        }
        for length in 0..good.len() {
            let status = grpc_status(server.address(), web, Method::POST, GRPC_CHAT, &good[..length]).await;
            assert_ne!(status.code(), Code::Ok, "the first {length} bytes, web: {web}");
        }
        let status = grpc_status(server.address(), web, Method::POST, GRPC_CHAT, &model_of_no_text).await;
        assert!(status.message().starts_with("model: "), "web: {web}: {status:?}");
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
    for protocol in Protocol::ALL {
        protocol.unary(server.address(), &Call::say("scripted/echo", "still there?")).await.unwrap();
    }
}

/// A message as gRPC frames it.
fn frame(message: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// The status of a call with this body, over gRPC or gRPC-Web.
async fn grpc_status(server: SocketAddr, web: bool, method: Method, path: &str, body: &[u8]) -> Status {
    let content_type = if web { "application/grpc-web+proto" } else { "application/grpc" };
    let request = Request::builder().method(method).uri(path).header("content-type", content_type);
    let request = request.header("te", "trailers").body(Bytes::copy_from_slice(body)).unwrap();
    let exchange = if web { http1(server, request).await } else { http2(server, request).await };
    assert_eq!(exchange.status(), 200, "{path}, web: {web}");
    let in_head = Status::from_header_map(&exchange.head.headers);
    let (body, trailers) = exchange.body_and_trailers().await;
    let in_body = || {
        let text = String::from_utf8_lossy(&body).into_owned();
        let lines = text.split("\r\n").filter_map(|line| line[line.find("grpc-")?..].split_once(':'));
        let headers: Vec<_> =
            lines.map(|(name, value)| (name.parse().unwrap(), value.trim().parse().unwrap())).collect();
        Status::from_header_map(&HeaderMap::from_iter(headers))
    };
    let status = in_head.or_else(|| Status::from_header_map(&trailers?)).or_else(in_body);
    status.unwrap_or_else(|| panic!("{path}, web: {web}: no status"))
}

/// Asserts that a document is answered with 400 and that the answer names the path.
async fn assert_refused(server: SocketAddr, document: &str, path: &str) {
    let exchange = post(server, document.as_bytes().to_vec(), "application/json").await;
    let (status, error) = error_of(exchange).await;
    let document: String = document.chars().take(300).collect();
    assert_eq!(status, 400, "{document}: {error}");
    assert_eq!(error["type"], "invalid_request_error", "{document}: {error}");
    let (param, message) = (error["param"].as_str().unwrap_or_default(), error["message"].as_str().unwrap());
    assert!(param.contains(path) && message.contains(param), "{path} in {document}: {error}");
}

async fn post(server: SocketAddr, body: Vec<u8>, content_type: &str) -> Exchange {
    let request = Request::post(CHAT).header("content-type", content_type);
    http1(server, request.body(Bytes::from(body)).unwrap()).await
}

/// Status and error object of an answer, which must have OpenAI's shape.
async fn error_of(exchange: Exchange) -> (u16, Value) {
    let status = exchange.status();
    let body = exchange.body().await;
    let document: Value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| panic!("{status}: an error is JSON, not {:?}", String::from_utf8_lossy(&body)));
    let error = document["error"].clone();
    let members: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(
        members.len() == 4 && members.iter().all(|name| ["message", "type", "param", "code"].contains(name)),
        "{error}"
    );
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{status}: {document}");
    (status, error)
}

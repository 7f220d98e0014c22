//! Claims about answers: what the upstream says reaches the caller whole, and what the caller says reaches the
//! upstream, over every protocol alike.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use sabir_proto::v1::{
    FunctionDefinition, GetModelRequest, ListModelsRequest, Tool, models_client::ModelsClient, tool,
};
use serde_json::{Value, json};

use crate::support::{
    Call, Event, Protocol,
    http::{get, http1},
    protocol::{ToolCall, Usage, next},
    script::{self, ToolDeltas},
    upstream::{Reply, Step},
    world,
};

const USAGE: Usage = Usage { prompt: 11, completion: 7, total: 18, cached: Some(3), reasoning: Some(2) };

#[tokio::test]
async fn a_call_is_answered() {
    let (upstream, server) = world().await;
    for (number, protocol) in Protocol::ALL.into_iter().enumerate() {
        let call = Call::say("scripted/echo", "Hello, Ærøskøbing! 🦀");
        let answer = protocol.unary(server.address(), &call).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some("Hello, Ærøskøbing! 🦀"), "{protocol:?}");
        assert_eq!(answer.finish_reason.as_deref(), Some("stop"), "{protocol:?}");
        assert_eq!((answer.choices, answer.usage), (1, Some(USAGE)), "{protocol:?}");
        assert!(!answer.id.is_empty() && !answer.model.is_empty(), "{protocol:?}: {answer:?}");

        let asked = upstream.request(number).await;
        assert_eq!(asked.header("authorization"), Some("Bearer sk-scripted"), "{protocol:?}");
        let expected = json!({"model": "echo", "messages": [{"role": "user", "content": "Hello, Ærøskøbing! 🦀"}]});
        assert_eq!(asked.json(), expected, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_stream_says_the_same_as_the_whole_answer() {
    let (upstream, server) = world().await;
    for (number, protocol) in Protocol::ALL.into_iter().enumerate() {
        let call = Call::say("scripted/echo", "one two three");
        let streamed = protocol.stream_all(server.address(), &call).await;
        streamed.assert_complete(protocol);
        assert_eq!(streamed.text(), "one two three", "{protocol:?}");
        assert_eq!(streamed.finish_reason(), Some("stop"), "{protocol:?}");
        assert!(streamed.chunks.len() >= 4, "{protocol:?}: the words come one by one: {streamed:?}");
        assert_eq!(upstream.request(number).await.json()["stream"], true, "{protocol:?}");
    }
}

#[tokio::test]
async fn chunks_come_when_they_are_said() {
    let (upstream, server) = world().await;
    upstream.script("paced", script::paced(5, Duration::from_millis(200)));
    for protocol in Protocol::ALL {
        let began = Instant::now();
        let mut events = protocol.stream(server.address(), &Call::say("scripted/paced", "count")).await.unwrap();
        let mut last_word = began;
        for number in 0..5 {
            loop {
                let event = next(&mut events).await;
                let Event::Chunk(chunk) = event else { panic!("{protocol:?}: {event:?}") };
                if chunk.text.as_deref() == Some(&format!("{number} ")) {
                    break;
                }
            }
            let gap = last_word.elapsed();
            last_word = Instant::now();
            // A buffer anywhere would hold words back and then give several at once.
            assert!(gap > Duration::from_millis(100), "{protocol:?}: word {number} came {gap:?} after the one before");
        }
    }
}

#[tokio::test]
async fn usage_is_always_asked_for_and_given_only_to_those_who_asked() {
    let (upstream, server) = world().await;
    for (number, protocol) in Protocol::ALL.into_iter().enumerate() {
        let call = Call::say("scripted/echo", "Hi");
        let unasked = protocol.stream_all(server.address(), &call).await;
        unasked.assert_complete(protocol);
        assert_eq!(unasked.usage(), None, "{protocol:?}");
        assert!(
            unasked.chunks.iter().all(|chunk| chunk.choices == 1),
            "{protocol:?}: no chunk without a choice is left"
        );
        let asked = protocol.stream_all(server.address(), &call.with_usage()).await;
        asked.assert_complete(protocol);
        assert_eq!(asked.usage(), Some(USAGE), "{protocol:?}");
        assert_eq!(asked.chunks.last().unwrap().choices, 0, "{protocol:?}");
        let without_choice = asked.chunks.iter().filter(|chunk| chunk.choices == 0).count();
        assert_eq!(without_choice, 1, "{protocol:?}: {asked:?}");
        for request in [2 * number, 2 * number + 1] {
            let options = &upstream.request(request).await.json()["stream_options"];
            assert_eq!(options["include_usage"], true, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn no_letter_of_usage_is_sent_to_those_who_did_not_ask() {
    let (_upstream, server) = world().await;
    let stream = async |options: Value| {
        let mut document = Call::say("scripted/echo", "Hi").json;
        document["stream"] = json!(true);
        document["stream_options"] = options;
        let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
        let exchange = http1(server.address(), request.body(Bytes::from(document.to_string())).unwrap()).await;
        String::from_utf8(exchange.body().await).unwrap()
    };
    for options in [json!(null), json!({}), json!({"include_usage": false}), json!({"include_usage": null})] {
        let text = stream(options.clone()).await;
        assert!(text.ends_with("data: [DONE]\n\n"), "{options}: {text}");
        assert!(!text.contains("usage") && !text.contains("\"choices\":[]"), "{options}: {text}");
    }
    let asked = stream(json!({"include_usage": true})).await;
    assert_eq!(asked.matches("\"prompt_tokens\":").count(), 1, "{asked}");
    assert_eq!(asked.matches("\"choices\":[]").count(), 1, "{asked}");
    // As OpenAI does it, the chunks before have a usage of null.
    let chunks = asked.matches("data: {").count();
    assert_eq!(asked.matches("\"usage\":null").count(), chunks - 1, "{asked}");
}

#[tokio::test]
async fn characters_split_over_many_writes_arrive_whole() {
    const TEXT: &str = "naïve 日本語 🦀 end";
    let (upstream, server) = world().await;
    upstream.script("split", script::byte_by_byte(TEXT));
    for protocol in Protocol::ALL {
        let streamed = protocol.stream_all(server.address(), &Call::say("scripted/split", "Hi")).await;
        streamed.assert_complete(protocol);
        assert_eq!(streamed.text(), TEXT, "{protocol:?}");
    }
}

#[tokio::test]
async fn tool_calls_arrive_whole_however_they_are_streamed() {
    let calls = [("get_weather", r#"{"city":"Paris"}"#), ("now", "{}"), ("empty", "")];
    let tool = FunctionDefinition { name: "get_weather".to_owned(), parameters: "{}".to_owned(), ..Default::default() };
    let tool = Tool { tool: Some(tool::Tool::Function(tool)), ..Default::default() };
    let (upstream, server) = world().await;
    upstream.script("usual", script::tool_calls(&calls, ToolDeltas::Usual));
    upstream.script("without-index", script::tool_calls(&calls, ToolDeltas::WithoutIndex));
    upstream.script("without-id", script::tool_calls(&calls, ToolDeltas::WithoutId));
    for protocol in Protocol::ALL {
        for model in ["usual", "without-index", "without-id"] {
            let call = Call::say(&format!("scripted/{model}"), "weather?").with(
                |request| request.tools.push(tool.clone()),
                json!({"tools": [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]}),
            );
            let about = (protocol, model);

            let answer = protocol.unary(server.address(), &call).await.unwrap();
            assert_eq!(named(&answer.tool_calls), calls, "{about:?}");
            assert_eq!(answer.finish_reason.as_deref(), Some("tool_calls"), "{about:?}");

            let streamed = protocol.stream_all(server.address(), &call).await;
            streamed.assert_complete(about);
            let tool_calls = streamed.tool_calls();
            assert_eq!(named(&tool_calls), calls, "{about:?}");
            let pieces: Vec<_> = streamed.chunks.iter().flat_map(|chunk| &chunk.tool_calls).collect();
            assert!(pieces.iter().all(|piece| piece.index.is_some()), "{about:?}: clients go by the index: {pieces:?}");
            assert_eq!(streamed.finish_reason(), Some("tool_calls"), "{about:?}");
            let ids: Vec<_> = tool_calls.iter().map(|call| call.id.as_str()).collect();
            let expected = if model == "without-id" { ["", "", ""] } else { ["call_0", "call_1", "call_2"] };
            assert_eq!(ids, expected, "{about:?}");
        }
    }
}

fn named(calls: &[ToolCall]) -> Vec<(&str, &str)> {
    calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect()
}

#[tokio::test]
async fn members_nobody_knows_pass_in_both_directions() {
    let (upstream, server) = world().await;
    upstream.script("tomorrow", |request| {
        let message = json!({"role": "assistant", "content": "Hi", "mood": {"b": 1, "a": [false, null]}});
        let mut answer = script::completion(request, message, "stop");
        answer["x_trace"] = json!("t-1");
        Reply::json(200, &answer)
    });
    for (number, protocol) in Protocol::ALL.into_iter().enumerate() {
        let call = Call::say("scripted/tomorrow", "Hi").with(
            |request| {
                request.additional_members.insert("x_new".to_owned(), r#"{"z":1,"a":12345678901234567890}"#.to_owned());
            },
            json!({"x_new": {"z": 1, "a": 12_345_678_901_234_567_890_u64}}),
        );
        protocol.unary(server.address(), &call).await.unwrap();
        let asked = upstream.request(number).await;
        let body = std::str::from_utf8(&asked.body).unwrap();
        assert!(body.contains("12345678901234567890"), "{protocol:?}: {body}");
    }
    let document = json!({"model": "scripted/tomorrow", "messages": [{"role": "user", "content": "Hi"}]});
    let request = Request::post("/v1/chat/completions").header("content-type", "application/json");
    let exchange = http1(server.address(), request.body(Bytes::from(document.to_string())).unwrap()).await;
    let answer: Value = serde_json::from_slice(&exchange.body().await).unwrap();
    assert_eq!(answer["x_trace"], "t-1");
    assert_eq!(answer["choices"][0]["message"]["mood"], json!({"b": 1, "a": [false, null]}));
    assert_eq!(answer["system_fingerprint"], "fp_scripted");
}

#[tokio::test]
async fn a_finish_reason_nobody_knows_is_kept_for_json_clients() {
    let (upstream, server) = world().await;
    upstream.script("odd", |request| {
        Reply::json(200, &script::completion(request, json!({"role": "assistant", "content": "Hi"}), "went_fishing"))
    });
    let answer = Protocol::Rest.unary(server.address(), &Call::say("scripted/odd", "Hi")).await.unwrap();
    assert_eq!(answer.finish_reason.as_deref(), Some("went_fishing"));
    for protocol in [Protocol::Grpc, Protocol::GrpcWeb] {
        let answer = protocol.unary(server.address(), &Call::say("scripted/odd", "Hi")).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some("Hi"), "{protocol:?}");
    }
}

#[tokio::test]
async fn comments_and_odd_line_ends_of_an_upstream_do_no_harm() {
    let (upstream, server) = world().await;
    upstream.script("odd", |request| {
        let mut steps = vec![Step::Bytes("\u{feff}: a comment\r\n\r\nretry: 10\r\nevent: message\r\nid: 1\r\n".into())];
        let chunk = |text: &str| match script::chunk(request, json!({"content": text}), None) {
            Step::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => String::new(),
        };
        steps.push(Step::Bytes(chunk("one ").replace('\n', "\r\n").into()));
        steps.push(Step::Bytes(chunk("two").replace("data: ", "data:").into()));
        steps.extend(script::ending(request, "stop"));
        Reply::events(steps)
    });
    for protocol in Protocol::ALL {
        let streamed = protocol.stream_all(server.address(), &Call::say("scripted/odd", "Hi")).await;
        streamed.assert_complete(protocol);
        assert_eq!(streamed.text(), "one two", "{protocol:?}");
    }
}

#[tokio::test]
async fn models_are_listed_and_found_by_name() {
    let (_upstream, server) = world().await;
    let (status, body) = get(server.address(), "/v1/models").await;
    assert_eq!(status, 200);
    let list: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(list["object"], "list");
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"scripted/echo") && ids.contains(&"scripted/fixed"), "{ids:?}");

    let (status, body) = get(server.address(), "/v1/models/scripted/echo").await;
    let model: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &model["id"], &model["object"]), (200, &json!("scripted/echo"), &json!("model")));
    assert_eq!(get(server.address(), "/v1/models/scripted/nothing").await.0, 404);

    let mut client = ModelsClient::connect(format!("http://{}", server.address())).await.unwrap();
    let listed = client.list_models(ListModelsRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.data.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ids);
    let found = client.get_model(GetModelRequest { id: "scripted/echo".to_owned() }).await.unwrap().into_inner();
    assert_eq!(found.id, "scripted/echo");
    let missing = client.get_model(GetModelRequest { id: "scripted/nothing".to_owned() }).await.unwrap_err();
    assert_eq!(missing.code(), tonic::Code::NotFound);
}

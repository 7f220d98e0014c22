//! Claims about the model in the process, through the front door. Its weights are noise: what it says means nothing, and
//! everything around what it says is as it would be with a real one.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use sabir_proto::v1::{
    FunctionDefinition, ResponseFormat, Tool,
    response_format::{AnyJsonObject, Format, JsonSchema},
    tool,
};
use sabir_providers::local::fixture;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Call, Event, Failure, Protocol, Server,
    http::get,
    protocol::{Usage, next},
};

/// As many tokens as the context has room for.
const LONG: i32 = 1900;

/// A server that has a model of random weights, found by its variable, and nothing else.
struct World {
    server: Server,
    _folder: TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("tiny.gguf");
    std::fs::write(&path, fixture::tiny_gguf(7)).unwrap();
    // Several servers at a time: threads that spin while they wait for each other would wait for one another's servers.
    let variables = [("SABIR_LOCAL__MODEL", path.to_str().unwrap()), ("CANDLE_NUM_THREADS", "1")];
    let server = Server::start_with("", &variables).await;
    World { server, _folder: folder }
}

/// A question whose answer is always the same.
fn ask(seed: i64, max_tokens: i32) -> Call {
    Call::say("local/tiny", "go").with(
        |request| (request.seed, request.temperature, request.max_tokens) = (Some(seed), Some(1.0), Some(max_tokens)),
        json!({"seed": seed, "temperature": 1.0, "max_tokens": max_tokens}),
    )
}

/// A question whose answer goes on until it is cut.
fn ask_without_end(max_tokens: i32) -> Call {
    let token = fixture::END_OF_TURN.to_string();
    let bias = json!({"logit_bias": {(token.clone()): -100}});
    ask(7, max_tokens).with(|request| request.logit_bias = [(token, -100.0)].into(), bias)
}

fn with_format(call: Call, format: Format, document: Value) -> Call {
    let format = ResponseFormat { format: Some(format), ..Default::default() };
    call.with(|request| request.response_format = Some(format), json!({"response_format": document}))
}

async fn assert_still_well(protocol: Protocol, server: &Server) {
    let answer = protocol.unary(server.address(), &ask_without_end(1)).await.unwrap();
    assert_eq!(answer.usage.unwrap().completion, 1, "{protocol:?}");
}

#[tokio::test]
async fn the_same_question_has_the_same_answer_whole_or_streamed_on_every_protocol() {
    let World { server, .. } = &world().await;
    let call = ask_without_end(40);
    let mut texts = Vec::new();
    for protocol in Protocol::ALL {
        let whole = protocol.unary(server.address(), &call).await.unwrap();
        assert_eq!(whole.finish_reason.as_deref(), Some("length"), "{protocol:?}: {whole:?}");
        let usage = whole.usage.unwrap();
        assert!(usage.prompt > 0, "{protocol:?}: {usage:?}");
        let expected = Usage { prompt: usage.prompt, completion: 40, total: usage.prompt + 40, ..usage };
        assert_eq!(usage, expected, "{protocol:?}");
        texts.push(whole.text.unwrap());

        let streamed = protocol.stream_all(server.address(), &call.clone().with_usage()).await;
        streamed.assert_complete(protocol);
        assert_eq!((streamed.finish_reason(), streamed.usage()), (Some("length"), Some(usage)), "{protocol:?}");
        assert!(streamed.chunks.len() > 20, "{protocol:?}: token by token: {streamed:?}");
        texts.push(streamed.text());

        let unasked = protocol.stream_all(server.address(), &call).await;
        unasked.assert_complete(protocol);
        assert_eq!(unasked.usage(), None, "{protocol:?}");
        assert!(unasked.chunks.iter().all(|chunk| chunk.choices == 1), "{protocol:?}: {unasked:?}");
    }
    assert!(!texts[0].is_empty() && texts.iter().all(|text| *text == texts[0]), "{texts:?}");
}

#[tokio::test]
async fn a_stop_text_ends_the_answer_before_it() {
    let World { server, .. } = &world().await;
    let whole = Protocol::Grpc.unary(server.address(), &ask_without_end(60)).await.unwrap().text.unwrap();
    let stop: String = whole.chars().skip(20).take(3).collect();
    let expected = &whole[..whole.find(&stop).unwrap()];
    let list = vec!["never said".to_owned(), stop.clone()];
    let call = ask_without_end(60).with(|request| request.stop = list.clone(), json!({"stop": list}));
    for protocol in Protocol::ALL {
        let answer = protocol.unary(server.address(), &call).await.unwrap();
        let told = (answer.text.as_deref(), answer.finish_reason.as_deref());
        assert_eq!(told, (Some(expected), Some("stop")), "{protocol:?}");
        assert!(answer.usage.unwrap().completion < 60, "{protocol:?}: {answer:?}");

        let streamed = protocol.stream_all(server.address(), &call).await;
        streamed.assert_complete(protocol);
        assert_eq!((&*streamed.text(), streamed.finish_reason()), (expected, Some("stop")), "{protocol:?}");
    }
}

#[tokio::test]
async fn an_object_that_was_asked_for_is_json() {
    let World { server, .. } = &world().await;
    let mut complete = 0;
    for seed in 0..12 {
        let protocol = Protocol::ALL[seed as usize % 3];
        let call =
            with_format(ask(seed, 1500), Format::JsonObject(AnyJsonObject::default()), json!({"type": "json_object"}));
        let answer = protocol.unary(server.address(), &call).await.unwrap();
        let text = answer.text.unwrap();
        // Noise may never close its object. Then the answer says that it was cut.
        match answer.finish_reason.as_deref() {
            Some("stop") => {
                // Not made into a value: JSON sets no limit to numbers, and noise knows none.
                let document: Result<IgnoredAny, _> = serde_json::from_str(&text);
                assert!(document.is_ok() && text.starts_with('{'), "{document:?}: {text}");
                complete += 1;
            }
            reason => assert_eq!((reason, text.starts_with('{')), (Some("length"), true), "{text}"),
        }
    }
    assert!(complete >= 6, "only {complete} of 12 were complete");
}

#[tokio::test]
async fn an_answer_fits_the_schema_that_was_asked_for() {
    let schema = r#"{"type":"object","additionalProperties":false,"required":["name","age","tags"],"properties":{
        "name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":150},
        "tags":{"type":"array","items":{"enum":["red","grün"]},"minItems":1,"maxItems":3}}}"#;
    let fits = |text: &str| {
        let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let tags = document["tags"].as_array().unwrap();
        assert!(document["name"].as_str().unwrap().chars().count() <= 12, "{text}");
        assert!(document["age"].as_u64().unwrap() <= 150, "{text}");
        assert!((1..=3).contains(&tags.len()) && tags.iter().all(|tag| *tag == "red" || *tag == "grün"), "{text}");
        assert_eq!(document.as_object().unwrap().len(), 3, "{text}");
    };
    let World { server, .. } = &world().await;
    for protocol in Protocol::ALL {
        for seed in 0..5 {
            let format = JsonSchema { name: "entry".to_owned(), schema: schema.to_owned(), ..Default::default() };
            let schema: Value = serde_json::from_str(schema).unwrap();
            let document = json!({"type": "json_schema", "json_schema": {"name": "entry", "schema": schema}});
            let call = with_format(ask(seed, 400), Format::JsonSchema(format), document);
            let answer = protocol.unary(server.address(), &call).await.unwrap();
            assert_eq!(answer.finish_reason.as_deref(), Some("stop"), "{protocol:?}, {seed}: {answer:?}");
            fits(&answer.text.unwrap());
            let streamed = protocol.stream_all(server.address(), &call).await;
            streamed.assert_complete((protocol, seed));
            fits(&streamed.text());
        }
    }
}

/// Both kinds of call must refuse alike.
async fn refusals(protocol: Protocol, server: &Server, call: &Call) -> [Failure; 2] {
    let unary = protocol.unary(server.address(), call).await.unwrap_err();
    let Err(streamed) = protocol.stream(server.address(), call).await else { panic!("{protocol:?}: {call:?}") };
    [unary, streamed]
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_refused_as_openai_does() {
    let World { server, .. } = &world().await;
    let call = Call::say("local/tiny", &"long ".repeat(fixture::CONTEXT_LENGTH));
    for protocol in Protocol::ALL {
        for failure in refusals(protocol, server, &call).await {
            assert_eq!(failure.code, "INVALID_ARGUMENT", "{protocol:?}: {failure:?}");
            assert!(failure.message.contains(&fixture::CONTEXT_LENGTH.to_string()), "{protocol:?}: {failure:?}");
            if let Some(error) = failure.error {
                assert_eq!(failure.http, Some(400), "{error}");
                let told = (&error["type"], &error["code"]);
                assert_eq!(told, (&json!("invalid_request_error"), &json!("context_length_exceeded")), "{error}");
            }
        }
        assert_still_well(protocol, server).await;
    }
}

#[tokio::test]
async fn tools_are_refused_by_name() {
    let World { server, .. } = &world().await;
    let function = FunctionDefinition { name: "now".to_owned(), ..Default::default() };
    let tool = Tool { tool: Some(tool::Tool::Function(function)), ..Default::default() };
    let call = ask(1, 5).with(
        |request| request.tools.push(tool),
        json!({"tools": [{"type": "function", "function": {"name": "now"}}]}),
    );
    for protocol in Protocol::ALL {
        for failure in refusals(protocol, server, &call).await {
            assert_eq!(failure.code, "INVALID_ARGUMENT", "{protocol:?}: {failure:?}");
            assert_eq!(failure.field.as_deref(), Some("tools"), "{protocol:?}: {failure:?}");
        }
    }
}

#[tokio::test]
async fn callers_that_go_away_give_the_model_back() {
    const WAITING: usize = 6;
    let World { server, .. } = &world().await;
    let call = ask_without_end(LONG);
    let began = Instant::now();
    let answer = Protocol::Grpc.unary(server.address(), &call).await.unwrap();
    assert_eq!(answer.usage.unwrap().completion, LONG as u64);
    let whole = began.elapsed();
    for protocol in Protocol::ALL {
        let mut speaking = protocol.stream(server.address(), &call).await.unwrap();
        assert!(matches!(next(&mut speaking).await, Event::Chunk(_)), "{protocol:?}");
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let (address, call) = (server.address(), call.clone());
                tokio::spawn(async move { drop(protocol.stream(address, &call).await) })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let gone = Instant::now();
        drop(speaking);
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        assert_still_well(protocol, server).await;
        // Nobody's answer is worked out to its end, which would take seven times as long as one.
        let served = gone.elapsed();
        assert!(served < whole * 3, "{protocol:?}: served after {served:?}; one whole answer takes {whole:?}");
    }
}

#[tokio::test]
async fn a_deadline_ends_the_answer_in_the_middle() {
    let World { server, .. } = &world().await;
    // Several times as long as the deadline, on the fastest of machines.
    let call = ask_without_end(LONG).within(Duration::from_millis(100));
    for protocol in Protocol::ALL {
        let unary = protocol.unary(server.address(), &call).await.unwrap_err();
        assert_eq!(unary.code, "DEADLINE_EXCEEDED", "{protocol:?}: {unary:?}");
        let streamed = protocol.stream_all(server.address(), &call).await;
        let failure = streamed.assert_failed(protocol);
        if protocol != Protocol::Rest {
            assert_eq!(failure.code, "DEADLINE_EXCEEDED", "{protocol:?}: {failure:?}");
        }
        assert_still_well(protocol, server).await;
    }
}

#[tokio::test]
async fn the_model_is_listed_as_what_it_is() {
    let World { server, .. } = &world().await;
    let (status, body) = get(server.address(), "/v1/models").await;
    let list: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, list["data"].as_array().unwrap().len()), (200, 1), "{list}");
    let model = &list["data"][0];
    assert_eq!((&model["id"], &model["owned_by"]), (&json!("local/tiny"), &json!("local")), "{list}");
    assert!(model["description"].as_str().unwrap().to_lowercase().contains("demo-grade"), "{list}");
    let (status, body) = get(server.address(), "/v1/models/local/tiny").await;
    assert_eq!((status, &serde_json::from_slice::<Value>(&body).unwrap()), (200, model));
    assert_eq!(get(server.address(), "/v1/models/local/other").await.0, 404);
}

//! Claims about answers that have to follow a schema, and about parameters that a model cannot honour, over every protocol
//! alike.

use std::sync::atomic::{AtomicUsize, Ordering};

use sabir_proto::v1::{
    ResponseFormat,
    response_format::{Format, JsonSchema},
};
use serde_json::{Value, json};

use crate::support::{
    Call, Protocol, Server, Upstream,
    http::post,
    script,
    upstream::{ChatRequest, Reply},
    world,
};

const PERSON: &str =
    r#"{"type":"object","properties":{"name":{"type":"string"}},"required":["name"],"additionalProperties":false}"#;

/// A question for a person.
fn ask(model: &str) -> Call {
    let schema: Value = serde_json::from_str(PERSON).unwrap();
    let format = JsonSchema { name: "person".to_owned(), schema: PERSON.to_owned(), ..Default::default() };
    let format = ResponseFormat { format: Some(Format::JsonSchema(format)), ..Default::default() };
    Call::say(model, "Who?").with(
        |request| request.response_format = Some(format),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}}),
    )
}

/// Says one thing the first time, another the second, and so on.
fn changing(first: &'static str, second: &'static str) -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    let (asked, first, second) = (AtomicUsize::new(0), script::text(first), script::text(second));
    move |request| if asked.fetch_add(1, Ordering::Relaxed) % 2 == 0 { first(request) } else { second(request) }
}

#[tokio::test]
async fn models_that_know_no_schemas_are_told_of_them_in_other_words() {
    let upstream = Upstream::start();
    upstream.script("tool", script::tool_calls(&[("person", r#"{"name":"Ada"}"#)], script::ToolDeltas::Usual));
    upstream.script("prose", script::text("Of course!\n```json\n{\"name\": \"Ada\"}\n```"));
    let others = ["tool", "json_object", "instruction"].map(|way| {
        let url = upstream.base_url();
        format!("[providers.{way}]\nvendor = \"openai\"\nbase_url = \"{url}\"\nschemas = \"{way}\"\n")
    });
    let server = Server::start(&format!("{}{}", Server::config_for(&upstream.base_url()), others.concat())).await;
    for protocol in Protocol::ALL {
        for model in ["tool/tool", "json_object/prose", "instruction/prose"] {
            let before = upstream.requests().len();
            let answer = protocol.unary(server.address(), &ask(model)).await.unwrap();
            let text = answer.text.unwrap();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"name": "Ada"}), "{protocol:?}, {model}");
            assert_eq!(
                (answer.finish_reason.as_deref(), answer.tool_calls.len()),
                (Some("stop"), 0),
                "{protocol:?}, {model}"
            );
            let asked = upstream.requests()[before].json();
            let told = asked["messages"][0]["content"].as_str().unwrap().ends_with(PERSON);
            let (tools, format) =
                (asked["tools"].as_array().map_or(0, Vec::len), asked["response_format"]["type"].as_str());
            let expected = match model {
                "tool/tool" => (false, 1, None),
                "json_object/prose" => (true, 0, Some("json_object")),
                _ => (true, 0, None),
            };
            assert_eq!((told, tools, format), expected, "{protocol:?}, {model}: {asked}");
        }
        let streamed = protocol.stream_all(server.address(), &ask("tool/tool")).await;
        streamed.assert_complete(protocol);
        assert_eq!(
            (streamed.text(), streamed.finish_reason()),
            (r#"{"name":"Ada"}"#.to_owned(), Some("stop")),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_follows_its_schema_is_put_right_or_is_an_error() {
    let (upstream, server) = world().await;
    upstream.script("good", script::text(r#"{"name":"Ada"}"#));
    upstream.script("fenced", script::text("Sure:\n```json\n{'name': 'Ada',}\n```"));
    upstream.script("wrong", script::text(r#"{"name":1}"#));
    upstream.script("prose", script::text("I would rather not."));
    for protocol in Protocol::ALL {
        let unary = async |model: &str| protocol.unary(server.address(), &ask(model)).await;
        for model in ["scripted/good", "scripted/fenced"] {
            let text = unary(model).await.unwrap().text.unwrap();
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"name": "Ada"}), "{protocol:?}, {model}");
        }
        for model in ["scripted/wrong", "scripted/prose"] {
            let failure = unary(model).await.unwrap_err();
            assert_eq!(failure.code, "INTERNAL", "{protocol:?}, {model}: {failure:?}");
            assert!(failure.message.contains("does not follow the schema"), "{protocol:?}, {model}: {failure:?}");
            let streamed = protocol.stream_all(server.address(), &ask(model)).await;
            assert!(
                !streamed.ended,
                "{protocol:?}, {model}: a stream that does not follow its schema must not end well"
            );
            let failure = streamed.failure.unwrap();
            assert!(failure.message.contains("does not follow the schema"), "{protocol:?}, {model}: {failure:?}");
        }
        protocol.stream_all(server.address(), &ask("scripted/good")).await.assert_complete(protocol);
        let mut careless = ask("scripted/wrong");
        careless.headers.push(("sabir-structured", "off".to_owned()));
        assert_eq!(protocol.unary(server.address(), &careless).await.unwrap().text.as_deref(), Some(r#"{"name":1}"#));
    }
}

#[tokio::test]
async fn a_model_is_asked_once_more_where_that_is_wanted() {
    let (upstream, server) = world().await;
    for protocol in Protocol::ALL {
        upstream.script("learns", changing(r#"{"name":1}"#, r#"{"name":"Ada"}"#));
        let before = upstream.requests().len();
        let mut call = ask("scripted/learns");
        call.headers.push(("sabir-structured", "reask".to_owned()));
        let answer = protocol.unary(server.address(), &call).await.unwrap();
        assert_eq!(answer.text.as_deref(), Some(r#"{"name":"Ada"}"#), "{protocol:?}");
        assert_eq!(answer.usage.map(|usage| usage.total), Some(36), "{protocol:?}: both questions are paid for");
        let asked = upstream.requests();
        assert_eq!(asked.len() - before, 2, "{protocol:?}");
        let again = asked[before + 1].json();
        let last = again["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
        assert!(last.contains("/name") && last.contains("string"), "it is told what was wrong: {last}");
    }
}

#[tokio::test]
async fn a_schema_that_is_none_or_leads_elsewhere_is_refused_before_anybody_is_asked() {
    let (upstream, server) = world().await;
    for schema in [json!({"type": "nothing"}), json!({"$ref": "https://example.com/s.json"}), json!([1])] {
        let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
        let body = json!({"model": "scripted/echo", "messages": [{"role": "user", "content": "x"}], "response_format": format});
        let told = post(server.address(), "/v1/chat/completions", &body, &[]).await;
        let expected = (400, &json!("response_format.json_schema.schema"));
        assert_eq!((told.status, &told.json["error"]["param"]), expected, "{told:?}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_text_becomes_a_document_or_a_typed_error() {
    let (upstream, server) = world().await;
    upstream.script("learns", changing("{\"name\": 1}", "{\"name\": \"Ada\"}"));
    upstream.script("wrong", script::text(r#"{"name":1}"#));
    let schema: Value = serde_json::from_str(PERSON).unwrap();
    let extract = async |model: &str, more: Value| {
        let mut body = json!({"model": model, "text": "Ada was here.", "schema": schema});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(server.address(), "/v1/extract", &body, &[]).await
    };
    let document = extract("scripted/learns", json!({})).await.json;
    assert_eq!((&document["value"], &document["attempts"]), (&json!({"name": "Ada"}), &json!(2)), "{document}");
    let failed = extract("scripted/wrong", json!({"max_attempts": 1})).await;
    let code = &failed.json["error"]["code"];
    assert_eq!((failed.status, code), (500, &json!("structured_output_invalid")), "{failed:?}");
    let refused = extract("scripted/wrong", json!({"schema": {"type": "nothing"}})).await;
    assert_eq!((refused.status, &refused.json["error"]["param"]), (400, &json!("schema")), "{refused:?}");
}

#[tokio::test]
async fn what_a_model_cannot_honour_is_refused_by_name_or_named_beside_the_answer() {
    let upstream = Upstream::start();
    let config = Server::config_for(&upstream.host_url()).replace("\"openai\"", "\"anthropic\"");
    let server = Server::start(&config).await;
    for protocol in Protocol::ALL {
        let mut call = Call::say("scripted/echo", "Hi").with(|request| request.seed = Some(7), json!({"seed": 7}));
        for streamed in [false, true] {
            let failure = match streamed {
                false => protocol.unary(server.address(), &call).await.unwrap_err(),
                true => protocol.stream(server.address(), &call).await.err().unwrap(),
            };
            assert_eq!(failure.field.as_deref(), Some("seed"), "{protocol:?}: {failure:?}");
        }
        call.headers.push(("sabir-on-unsupported", "drop".to_owned()));
        assert_eq!(protocol.unary(server.address(), &call).await.unwrap().text.as_deref(), Some("Hi"), "{protocol:?}");
    }
    let body = json!({"model": "scripted/echo", "messages": [{"role": "user", "content": "Hi"}], "seed": 7});
    let told = post(server.address(), "/v1/chat/completions", &body, &[("sabir-on-unsupported", "drop")]).await;
    assert_eq!(told.header("sabir-dropped"), Some("seed"));
}

#[tokio::test]
async fn fields_are_told_as_they_are_complete_and_the_document_at_the_end() {
    let (upstream, server) = world().await;
    upstream.script("good", script::text(r#"{"name": "Ada", "tags": ["a b", "c"]}"#));
    upstream.script("fenced", script::text("Sure:\n```json\n{\"name\": \"Ada\",}\n```"));
    upstream.script("wrong", script::text(r#"{"name": 1}"#));
    let schema: Value = serde_json::from_str(r#"{"type":"object","properties":{"name":{"type":"string"}}}"#).unwrap();
    let told = async |model: &str| {
        let body = json!({"model": model, "text": "Ada", "schema": schema, "stream": true}).to_string();
        let request = http::Request::post("/v1/extract").header("content-type", "application/json").body(body.into());
        let bytes = crate::support::http::http1(server.address(), request.unwrap()).await.body().await;
        let text = String::from_utf8(bytes).unwrap();
        let events = text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
        events.map(|data| serde_json::from_str::<Value>(&data).unwrap()).collect::<Vec<_>>()
    };
    let events = told("scripted/good").await;
    let fields: Vec<_> =
        events.iter().filter(|event| event["field"].is_object()).map(|event| &event["field"]).collect();
    assert_eq!(fields[0], &json!({"path": "/name", "value": "Ada"}));
    assert_eq!(fields[1..], [&json!({"path": "/tags/0", "value": "a b"}), &json!({"path": "/tags/1", "value": "c"})]);
    assert_eq!(events[3]["document"]["value"], json!({"name": "Ada", "tags": ["a b", "c"]}), "{events:#?}");
    let events = told("scripted/fenced").await;
    assert_eq!(events[1]["document"]["repaired"], true, "{events:#?}");
    let events = told("scripted/wrong").await;
    assert_eq!(events[1]["error"]["code"], "structured_output_invalid", "{events:#?}");
}

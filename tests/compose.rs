//! Claims about many questions as one call: how long it takes, what is told of it, and what becomes of questions that are no
//! longer needed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use http::Request;
use sabir_proto::v1::{
    ChainEvent, ChainRequest, CreateChatCompletionRequest, FanOutEvent, FanOutRequest, chain_event,
    compose_client::ComposeClient, fan_out_event,
};
use serde_json::{Value, json};

use crate::support::{
    Server, Upstream,
    http::{http1, post},
    script,
    upstream::{Ending, Reply},
};

async fn world() -> (Upstream, Server) {
    let upstream = Upstream::start();
    let server = Server::start(&Server::config_for(&upstream.base_url())).await;
    (upstream, server)
}

fn say(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

/// The events of a call over HTTP; whether they came to their end.
async fn events(server: SocketAddr, path: &str, body: &Value) -> (Vec<Value>, bool) {
    let request = Request::post(path).header("content-type", "application/json").header("accept", "text/event-stream");
    let exchange = http1(server, request.body(body.to_string().into()).unwrap()).await;
    let status = exchange.status();
    let text = String::from_utf8(exchange.body().await).unwrap();
    assert_eq!(status, 200, "{text}");
    let data = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    (data.map(|data| serde_json::from_str(data).unwrap()).collect(), text.contains("event: end\n"))
}

async fn fan_out(server: &Server, body: Value) -> (Vec<Value>, Value) {
    let (mut events, ended) = events(server.address(), "/v1/fanout", &body).await;
    assert!(ended, "{events:#?}");
    let summary = events.pop().unwrap()["summary"].clone();
    (events.into_iter().map(|event| event["branch"].clone()).collect(), summary)
}

fn text_of(branch: &Value) -> &str {
    branch["completion"]["choices"][0]["message"]["content"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn it_takes_as_long_as_the_slowest_question_and_each_answer_comes_when_it_is_there() {
    let (upstream, server) = world().await;
    for (model, delay) in [("quick", 50), ("middling", 300), ("slow", 600)] {
        let answer = script::text(model);
        upstream.script(model, move |request| Reply::after(answer(request), Duration::from_millis(delay)));
    }
    let began = Instant::now();
    let models = ["scripted/slow", "scripted/quick", "scripted/middling"];
    let (branches, summary) = fan_out(&server, json!({"request": {"messages": say("Hi")}, "models": models})).await;
    let took = began.elapsed();
    assert_eq!(branches.iter().map(text_of).collect::<Vec<_>>(), ["quick", "middling", "slow"]);
    assert!((Duration::from_millis(600)..Duration::from_millis(900)).contains(&took), "{took:?}, not 950 ms");
    assert_eq!((&summary["answered"], &summary["failed"]), (&json!(3), &json!(0)), "{summary}");
    assert_eq!(summary["usage"]["total_tokens"], 54, "what all cost together");
}

#[tokio::test]
async fn the_first_answer_wins_and_the_others_are_cancelled_upstream() {
    let (upstream, server) = world().await;
    upstream.script("silent", script::silent());
    upstream.script("broken", script::failing(500, "server_error", None, "The engine broke"));
    let late = script::text("Hi");
    upstream.script("late", move |request| Reply::after(late(request), Duration::from_millis(200)));
    let models = ["scripted/silent", "scripted/broken", "scripted/late"];
    let (branches, summary) =
        fan_out(&server, json!({"mode": "first", "request": {"messages": say("Hi")}, "models": models})).await;
    assert_eq!(summary["winner"], "2", "{summary}");
    assert_eq!([&summary["answered"], &summary["failed"], &summary["cancelled"]], [1, 1, 1], "{summary}");
    let silent = branches.iter().find(|branch| branch["id"] == "0").unwrap();
    assert_eq!(silent["error"]["code"], "CANCELLED");
    let record = upstream.requests().into_iter().find(|record| record.json()["model"] == "silent").unwrap();
    assert_eq!(record.ended().await.0, Ending::Dropped);
}

#[tokio::test]
async fn the_first_valid_answer_is_one_that_follows_its_schema() {
    let (upstream, server) = world().await;
    upstream.script("wrong", script::text(r#"{"n":"x"}"#));
    let right = script::text(r#"{"n":1}"#);
    upstream.script("right", move |request| Reply::after(right(request), Duration::from_millis(100)));
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema}});
    let body = json!({"mode": "first_valid", "models": ["scripted/wrong", "scripted/right"],
        "request": {"messages": say("n?"), "response_format": format}});
    let (_, summary) = fan_out(&server, body).await;
    assert_eq!((&summary["winner"], &summary["failed"]), (&json!("1"), &json!(1)), "{summary}");
}

#[tokio::test]
async fn a_quorum_ends_the_vote_and_one_that_is_out_of_reach_too() {
    let (upstream, server) = world().await;
    for (model, text) in [("a", "Paris."), ("b", " paris"), ("c", "Lyon")] {
        upstream.script(model, script::text(text));
    }
    upstream.script("silent", script::silent());
    let ask = |models: Value, quorum: u32| json!({"mode": "quorum", "quorum": quorum, "models": models, "request": {"messages": say("Capital?")}});
    let (_, summary) = fan_out(&server, ask(json!(["scripted/a", "scripted/b", "scripted/silent"]), 2)).await;
    assert_eq!((&summary["votes"], &summary["cancelled"]), (&json!(2), &json!(1)), "{summary}");
    assert!(summary["winner"].is_string());
    let (_, summary) = fan_out(&server, ask(json!(["scripted/a", "scripted/c", "scripted/silent"]), 3)).await;
    assert_eq!((&summary["winner"], &summary["cancelled"]), (&Value::Null, &json!(1)), "{summary}");
}

#[tokio::test]
async fn a_judge_picks_the_best() {
    let (upstream, server) = world().await;
    upstream.script("a", script::text("Lyon"));
    let late = script::text("Paris");
    upstream.script("b", move |request| Reply::after(late(request), Duration::from_millis(100)));
    upstream.script("judge", script::text(r#"{"reason":"It is right.","best":2}"#));
    let body = json!({"mode": "judge", "judge": {"model": "scripted/judge"}, "models": ["scripted/a", "scripted/b"],
        "request": {"messages": say("Capital of France?")}});
    let (_, summary) = fan_out(&server, body).await;
    assert_eq!((&summary["winner"], &summary["reason"]), (&json!("1"), &json!("It is right.")), "{summary}");
    let judged = upstream.requests().into_iter().find(|record| record.json()["model"] == "judge").unwrap().json();
    let asked = judged["messages"][1]["content"].as_str().unwrap();
    assert!(asked.contains("Capital of France?") && asked.contains("Lyon") && asked.contains("Paris"), "{asked}");
}

#[tokio::test]
async fn a_question_that_takes_too_long_fails_alone() {
    let (upstream, server) = world().await;
    upstream.script("silent", script::silent());
    let body = json!({"branch_timeout_ms": 200, "models": ["scripted/silent", "scripted/echo"], "request": {"messages": say("Hi")}});
    let (branches, summary) = fan_out(&server, body).await;
    assert_eq!(text_of(&branches[0]), "Hi");
    assert_eq!(branches[1]["error"]["code"], "DEADLINE_EXCEEDED", "{branches:#?}");
    assert_eq!((&summary["answered"], &summary["failed"]), (&json!(1), &json!(1)), "{summary}");
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_every_question() {
    let (upstream, server) = world().await;
    upstream.script("silent", script::silent());
    let mut client = ComposeClient::connect(format!("http://{}", server.address())).await.unwrap();
    let request: CreateChatCompletionRequest = crate::support::Call::say("", "Hi").message;
    let models = vec!["scripted/echo".to_owned(), "scripted/silent".to_owned(), "scripted/silent".to_owned()];
    let request = FanOutRequest { request: Some(request), models, ..FanOutRequest::default() };
    let mut events = client.fan_out(request).await.unwrap().into_inner();
    let Some(Ok(FanOutEvent { event: Some(fan_out_event::Event::Branch(first)) })) = events.next().await else {
        panic!("a branch comes first")
    };
    assert_eq!(first.id, "0");
    drop(events);
    // They come in any order.
    for number in 0..3 {
        let request = upstream.request(number).await;
        let expected = if request.json()["model"] == "echo" { Ending::Finished } else { Ending::Dropped };
        assert_eq!(request.ended().await.0, expected);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anybody_is_asked() {
    let (upstream, server) = world().await;
    let message = json!({"messages": say("Hi"), "model": "scripted/echo"});
    for (path, body, param) in [
        ("/v1/fanout", json!({}), "branches"),
        ("/v1/fanout", json!({"mode": "judge", "request": message}), "judge"),
        ("/v1/fanout", json!({"mode": "quorum", "quorum": 3, "request": message}), "quorum"),
        ("/v1/fanout", json!({"request": {"messages": say("Hi"), "model": "x", "max_tokens": -1}}), "max_tokens"),
        ("/v1/chain", json!({"steps": [{"id": "a", "request": message, "after": ["b"]}]}), "steps[0].after[0]"),
        ("/v1/chain", json!({"steps": [{"id": "a b", "request": message}]}), "steps[0].id"),
    ] {
        let told = post(server.address(), path, &body, &[]).await;
        assert_eq!((told.status, &told.json["error"]["param"]), (400, &json!(param)), "{body}: {told:?}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_step_is_asked_as_soon_as_what_it_names_is_there() {
    let (upstream, server) = world().await;
    upstream.script("person", script::text(r#"{"name":"Ada","age":36}"#));
    let step =
        |id: &str, model: &str, text: &str| json!({"id": id, "request": {"model": model, "messages": say(text)}});
    let body = json!({"inputs": {"verb": "greet"}, "steps": [
        step("greeting", "scripted/echo", "{{inputs.verb}} {{steps.person#/name}}, who is {{steps.person#/age}}"),
        step("person", "scripted/person", "Who?"),
        step("lonely", "scripted/echo", "alone"),
        step("loud", "scripted/echo", "{{steps.greeting}}!"),
    ]});
    let (mut told, ended) = events(server.address(), "/v1/chain", &body).await;
    let summary = told.pop().unwrap()["summary"].clone();
    assert!(ended && summary["answered"] == 4, "{summary}");
    let text = |id: &str| {
        let step = told.iter().find(|event| event["step"]["id"] == id).unwrap();
        step["step"]["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(text("greeting"), "greet Ada, who is 36");
    assert_eq!(text("loud"), "greet Ada, who is 36!");
}

#[tokio::test]
async fn steps_that_need_one_that_failed_are_left_out() {
    let (upstream, server) = world().await;
    upstream.script("broken", script::failing(500, "server_error", None, "The engine broke"));
    let step =
        |id: &str, model: &str, text: &str| json!({"id": id, "request": {"model": model, "messages": say(text)}});
    let steps = [
        step("a", "scripted/broken", "x"),
        step("b", "scripted/echo", "{{steps.a}}"),
        step("c", "scripted/echo", "{{steps.b}}"),
        step("d", "scripted/echo", "fine"),
        step("e", "scripted/echo", "{{steps.d#/nothing}}"),
    ];
    let (told, _) = events(server.address(), "/v1/chain", &json!({"steps": steps})).await;
    let code = |id: &str| told.iter().find(|event| event["step"]["id"] == id).unwrap()["step"]["error"]["code"].clone();
    assert_eq!(
        [code("a"), code("b"), code("c"), code("e")],
        ["INTERNAL", "CANCELLED", "CANCELLED", "FAILED_PRECONDITION"]
    );
    let summary = &told.last().unwrap()["summary"];
    assert_eq!([&summary["answered"], &summary["failed"], &summary["skipped"]], [1, 2, 2], "{summary}");
}

#[tokio::test]
async fn grpc_says_the_same_as_http() {
    let (_upstream, server) = world().await;
    let mut client = ComposeClient::connect(format!("http://{}", server.address())).await.unwrap();
    let message = crate::support::Call::say("scripted/echo", "Hi").message;
    let step =
        sabir_proto::v1::chain_request::Step { id: "a".to_owned(), request: Some(message), ..Default::default() };
    let events = client.chain(ChainRequest { steps: vec![step], ..Default::default() }).await.unwrap().into_inner();
    let events: Vec<ChainEvent> = events.map(Result::unwrap).collect().await;
    let [
        ChainEvent { event: Some(chain_event::Event::Step(step)) },
        ChainEvent { event: Some(chain_event::Event::Summary(_)) },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(step.text.as_deref(), Some("Hi"));
}

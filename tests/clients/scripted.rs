//! The upstream that the clients' scripts expect, and OpenAI's SDKs in front of it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use super::process::Client;
use crate::support::{
    Ending, Server, Upstream, script,
    script::ToolDeltas,
    upstream::{ChatRequest, Reply},
    world,
};

/// A server whose models do what the clients' scripts expect of them.
pub(super) async fn scripted_world() -> (Upstream, Server) {
    let upstream = Upstream::start();
    script_models(&upstream);
    let server = Server::start(&Server::config_for(&upstream.base_url())).await;
    (upstream, server)
}

/// The models that the clients' scripts know.
fn script_models(upstream: &Upstream) {
    // A name that contains a slash itself.
    upstream.script("deep/er", script::echo());
    for model in ["weather", "weather-streamed"] {
        let call = script::tool_calls(&[("get_weather", r#"{"city":"Paris"}"#)], ToolDeltas::Usual);
        upstream.script(model, alternating(call, script::text("It is 18 degrees in Paris.")));
    }
    upstream.script("structured", script::text(r#"{"city":"Paris","celsius":18}"#));
    upstream.script("busy", script::rate_limited(7));
    upstream.script("busy-once", alternating(script::rate_limited(2), script::text("Welcome back.")));
    upstream.script("broken", script::failing(500, "server_error", None, "The engine broke"));
    upstream.script("overloaded", script::failing(503, "server_error", None, "Come back later"));
    upstream.script("cut", script::cut_mid_event());
    upstream.script("no-end", script::without_terminator());
    upstream.script("silent", script::silent());
    upstream.script("endless", script::paced(3000, Duration::from_millis(10)));
}

/// Does one thing the first time, the other the second, and so on.
fn alternating(
    first: impl Fn(&ChatRequest) -> Reply + Send + Sync,
    second: impl Fn(&ChatRequest) -> Reply + Send + Sync,
) -> impl Fn(&ChatRequest) -> Reply + Send + Sync {
    let asked = AtomicUsize::new(0);
    move |request| match asked.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => first(request),
        _ => second(request),
    }
}

/// The requests for this model that reached the upstream.
fn asked(upstream: &Upstream, model: &str) -> Vec<Value> {
    upstream.requests().iter().map(|record| record.json()).filter(|request| request["model"] == model).collect()
}

/// A client that leaves in mid-stream must not leave the upstream talking.
pub(super) async fn assert_endless_answers_were_dropped(upstream: &Upstream) {
    let left: Vec<_> = upstream.requests().into_iter().filter(|record| record.json()["model"] == "endless").collect();
    assert_eq!(left.len(), 1, "the client left one stream");
    assert_eq!(left[0].ended().await.0, Ending::Dropped);
}

/// The conversation as an upstream has to get it: what the model called and what came of it, nothing lost on the way.
fn assert_tool_round_trips(upstream: &Upstream) {
    for (model, streamed) in [("weather", false), ("weather-streamed", true)] {
        let requests = asked(upstream, model);
        assert_eq!(requests.len(), 2, "{model}: {requests:#?}");
        for request in &requests {
            assert_eq!(request["tools"][0]["function"]["name"], "get_weather", "{request:#}");
            assert_eq!(request["tools"][0]["function"]["parameters"]["required"], json!(["city"]), "{request:#}");
            assert_eq!(request.get("stream").is_some_and(|stream| stream == true), streamed, "{request:#}");
        }
        let messages = requests[1]["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 3, "{messages:#?}");
        assert_eq!(messages[1]["role"], "assistant");
        let call = &messages[1]["tool_calls"][0];
        assert_eq!((&call["id"], &call["type"]), (&json!("call_0"), &json!("function")), "{call}");
        assert_eq!(call["function"]["name"], "get_weather", "{call}");
        assert_eq!(call["function"]["arguments"], r#"{"city":"Paris"}"#, "{call}");
        assert_eq!((&messages[2]["role"], &messages[2]["tool_call_id"]), (&json!("tool"), &json!("call_0")));
        let result: Value = serde_json::from_str(messages[2]["content"].as_str().unwrap()).unwrap();
        assert_eq!(result, json!({"celsius": 18}));
    }
}

async fn assert_sdk_is_served(client: Client) {
    let (upstream, server) = scripted_world().await;
    client.env("BASE_URL", format!("http://{}/v1", server.address())).succeeds().await;
    assert_tool_round_trips(&upstream);
    assert_endless_answers_were_dropped(&upstream).await;
}

#[tokio::test]
async fn openais_sdk_for_python_is_served() {
    assert_sdk_is_served(Client::python("openai_sdk.py")).await;
}

#[tokio::test]
async fn openais_sdk_for_node_is_served() {
    assert_sdk_is_served(Client::node("openai_sdk.mjs")).await;
}

/// The claims of a script are only worth something if a script can fail.
#[tokio::test]
async fn a_script_whose_claims_do_not_hold_fails() {
    let (_upstream, server) = world().await;
    // None of the scripted models is there.
    let outcome = Client::node("openai_sdk.mjs").env("BASE_URL", format!("http://{}/v1", server.address())).run().await;
    assert!(!outcome.success && outcome.stdout.contains("broken: a tool is called"), "{outcome}");
    assert!(outcome.stdout.contains("held:   a chat is answered"), "{outcome}");
}

/// What an upstream can speak: the vendor whose row says so, and where in the scripted upstream it is.
type Dialect = (&'static str, fn(&Upstream) -> String);

const DIALECTS: [Dialect; 7] = [
    ("openai", Upstream::base_url),
    ("responses", Upstream::base_url),
    ("anthropic", Upstream::host_url),
    ("gemini", Upstream::host_url),
    ("ollama", Upstream::host_url),
    ("cohere", Upstream::host_url),
    ("bedrock", Upstream::host_url),
];

/// A server for each, with the same models behind it.
async fn worlds() -> Vec<(&'static str, Upstream, Server)> {
    let mut worlds = Vec::new();
    for (vendor, base_url) in DIALECTS {
        let upstream = Upstream::start();
        script_models(&upstream);
        let config = Server::config_for(&base_url(&upstream)).replace("\"openai\"", &format!("\"{vendor}\""));
        worlds.push((vendor, upstream, Server::start(&config).await));
    }
    worlds
}

#[tokio::test]
async fn openais_sdks_are_served_whatever_the_upstream_speaks() {
    for (vendor, _upstream, server) in &worlds().await {
        println!("the upstream speaks {vendor}");
        let base_url = format!("http://{}/v1", server.address());
        Client::python("every_dialect.py").env("BASE_URL", &base_url).succeeds().await;
        Client::node("every_dialect.mjs").env("BASE_URL", &base_url).succeeds().await;
    }
}

#[tokio::test]
async fn responses_are_served_to_openais_sdks_whatever_the_upstream_speaks() {
    for (vendor, _upstream, server) in &worlds().await {
        println!("the upstream speaks {vendor}");
        let base_url = format!("http://{}/v1", server.address());
        Client::python("responses_sdk.py").env("BASE_URL", &base_url).succeeds().await;
        Client::node("responses_sdk.mjs").env("BASE_URL", &base_url).succeeds().await;
    }
}

#[tokio::test]
async fn anthropics_sdks_are_served_whatever_the_upstream_speaks() {
    for (vendor, _upstream, server) in &worlds().await {
        println!("the upstream speaks {vendor}");
        let base_url = format!("http://{}", server.address());
        Client::python("anthropic_sdk.py").env("BASE_URL", &base_url).succeeds().await;
        Client::node("anthropic_sdk.mjs").env("BASE_URL", &base_url).succeeds().await;
    }
}

#[tokio::test]
async fn langchain_is_served_by_a_model_that_speaks_another_protocol() {
    let upstream = Upstream::start();
    script_models(&upstream);
    let config = Server::config_for(&upstream.host_url()).replace("\"openai\"", "\"anthropic\"");
    let server = Server::start(&config).await;
    let base_url = format!("http://{}/v1", server.address());
    Client::python("langchain_sdk.py").env("BASE_URL", &base_url).succeeds().await;
}

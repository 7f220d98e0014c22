//! Tools of people who explore: grpcurl and buf, which know the contract by reflection alone.

use serde_json::{Deserializer, Value};

use super::process::Client;
use crate::support::{Server, script, world};

const SAY: &str = r#"{"model": "scripted/echo", "messages": [{"role": "ROLE_USER", "text": "one two three"}]}"#;
const CREATE: &str = "sabir.v1.Chat/CreateChatCompletion";
const STREAM: &str = "sabir.v1.Chat/StreamChatCompletion";

fn grpcurl<const N: usize>(server: &Server, options: [&str; N]) -> Client {
    Client::grpcurl().args(["-plaintext", "-max-time", "60"]).args(options).arg(server.address().to_string())
}

fn buf_curl<const N: usize>(server: &Server, options: [&str; N], method: &str) -> Client {
    Client::buf().args(["curl", "--data", SAY]).args(options).arg(format!("http://{}/{method}", server.address()))
}

/// The messages that a tool printed, one JSON document after the other.
fn messages(printed: &str) -> Vec<Value> {
    Deserializer::from_str(printed).into_iter::<Value>().collect::<Result<_, _>>().unwrap()
}

/// What the chunks say together.
fn text(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

fn assert_answered(printed: &str) {
    let answers = messages(printed);
    assert_eq!(answers.len(), 1, "{printed}");
    assert_eq!(answers[0]["choices"][0]["message"]["content"], "one two three", "{printed}");
}

fn assert_streamed(printed: &str) {
    let chunks = messages(printed);
    assert!(chunks.len() > 3, "{printed}");
    assert_eq!(text(&chunks), "one two three", "{printed}");
}

#[tokio::test]
async fn grpcurl_finds_and_calls_everything_by_reflection() {
    let (upstream, server) = world().await;
    upstream.script("cut", script::cut_mid_event());

    let list = grpcurl(&server, []).arg("list").succeeds().await;
    let expected = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "sabir.v1.Chat", "sabir.v1.Models"];
    for service in expected {
        assert!(list.lines().any(|line| line == service), "{service} is not in\n{list}");
    }

    let described = grpcurl(&server, []).args(["describe", "sabir.v1.Chat"]).succeeds().await;
    assert!(described.contains("rpc CreateChatCompletion ( .sabir.v1.CreateChatCompletionRequest )"), "{described}");
    assert!(described.contains("returns ( stream .sabir.v1.ChatCompletionChunk )"), "{described}");
    assert!(described.contains("post: \"/v1/chat/completions\""), "{described}");

    assert_answered(&grpcurl(&server, ["-d", SAY]).arg(CREATE).succeeds().await);
    assert_streamed(&grpcurl(&server, ["-d", SAY]).arg(STREAM).succeeds().await);
    let models = grpcurl(&server, []).arg("sabir.v1.Models/ListModels").succeeds().await;
    assert!(models.contains("scripted/echo"), "{models}");

    let wrong = SAY.replace("\"messages\"", "\"max_tokens\": -1, \"messages\"");
    let refused = grpcurl(&server, ["-d", &wrong]).arg(CREATE).run().await;
    assert!(!refused.success && refused.stderr.contains("Code: InvalidArgument"), "{refused}");
    assert!(refused.stderr.contains("max_tokens"), "{refused}");
    // The details are there too: grpcurl brings their types along.
    assert!(refused.stderr.contains("google.rpc.BadRequest"), "{refused}");

    let cut = grpcurl(&server, ["-d", &SAY.replace("echo", "cut")]).arg(STREAM).run().await;
    assert!(!cut.success && cut.stderr.contains("Code: Unavailable"), "{cut}");
    assert_eq!(text(&messages(&cut.stdout)), "one two ", "{cut}");
}

#[tokio::test]
async fn buf_calls_over_grpc_web_and_grpc() {
    let (upstream, server) = world().await;
    upstream.script("cut", script::cut_mid_event());
    // From the contract's files over HTTP/1.1, as a browser would; from reflection, either version of it.
    let schema = ["--schema", ".", "--reflect=false"];
    let web = |options, method| buf_curl(&server, options, method).args(["--protocol", "grpcweb"]);
    assert_answered(&web(schema, CREATE).succeeds().await);
    assert_streamed(&web(schema, STREAM).succeeds().await);
    for version in ["grpc-v1", "grpc-v1alpha"] {
        let reflection = ["--reflect", "--reflect-protocol", version];
        assert_answered(&web(reflection, CREATE).succeeds().await);
        assert_streamed(&web(reflection, STREAM).succeeds().await);
        let grpc = buf_curl(&server, reflection, STREAM).args(["--protocol", "grpc", "--http2-prior-knowledge"]);
        assert_streamed(&grpc.succeeds().await);
    }

    let cut = web(schema, STREAM).args(["--data", &SAY.replace("echo", "cut")]).run().await;
    assert!(!cut.success && cut.stderr.contains("unavailable"), "{cut}");
    assert_eq!(text(&messages(&cut.stdout)), "one two ", "{cut}");
    let unknown = web(schema, CREATE).args(["--data", &SAY.replace("scripted/echo", "nobody/nothing")]).run().await;
    assert!(!unknown.success && unknown.stderr.contains("not_found"), "{unknown}");
}

//! The model in the process, seen through OpenAI's SDK: structured output from random weights, and one true answer from
//! real ones.

use super::process::{Client, root};
use crate::support::Server;

/// A server with a local model only.
async fn local_server(model: &std::path::Path) -> Server {
    Server::start(&format!("[local]\nmodel = \"{}\"\n", model.display())).await
}

async fn assert_claims_hold(server: &Server, script: &str, model: &str) {
    let client = Client::python(script).env("BASE_URL", format!("http://{}/v1", server.address()));
    client.env("MODEL", model).succeeds().await;
}

#[tokio::test]
async fn structured_output_of_a_model_that_knows_nothing_fits_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, sabir_providers::local::fixture::tiny_gguf(7)).unwrap();
    let server = local_server(&path).await;
    assert_claims_hold(&server, "openai_local.py", "local/tiny").await;
}

#[tokio::test]
async fn the_real_local_model_knows_the_capital_of_france() {
    let path = root().join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(path.is_file(), "{} is not there; run scripts/fetch-model (make test does)", path.display());
    let server = local_server(&path).await;
    assert_claims_hold(&server, "openai_capital.py", "local/smollm2-135m-instruct").await;
}

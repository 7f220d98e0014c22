//! The model in the process, seen through OpenAI's SDK: structured output from random weights, and one true answer from
//! real ones.

use sabir_proto::v1::embedding::Embedding;
use sabir_proto::v1::embedding_input::Input;
use sabir_proto::v1::embeddings_client::EmbeddingsClient;
use sabir_proto::v1::{CreateEmbeddingRequest, EmbeddingInput, Vector};
use serde_json::json;

use super::process::{Client, root};
use crate::support::{Server, http::post};

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

#[tokio::test]
async fn the_real_local_model_for_embeddings_tells_meanings_apart() {
    let folder = root().join("models/all-MiniLM-L6-v2");
    assert!(folder.is_dir(), "{} is not there; run scripts/fetch-embedder (make test does)", folder.display());
    let server = Server::start(&format!("[local]\nembedding_model = \"{}\"\n", folder.display())).await;
    assert_claims_hold(&server, "embeddings_sdk.py", "local/all-minilm-l6-v2").await;

    // Over gRPC it is the same vector.
    let input = EmbeddingInput { input: Some(Input::Text("A man is eating food.".to_owned())) };
    let model = "local/all-minilm-l6-v2".to_owned();
    let request = CreateEmbeddingRequest { model, input: vec![input], ..CreateEmbeddingRequest::default() };
    let mut client = EmbeddingsClient::connect(format!("http://{}", server.address())).await.unwrap();
    let answer = client.create_embedding(request).await.unwrap().into_inner();
    let Some(Embedding::Vector(Vector { values })) = &answer.data[0].embedding else { panic!("{answer:?}") };
    let body = json!({"model": "local/all-minilm-l6-v2", "input": "A man is eating food."});
    let told = post(server.address(), "/v1/embeddings", &body, &[]).await;
    let over_http = told.json["data"][0]["embedding"].as_array().unwrap();
    let numbers: Vec<f32> = over_http.iter().map(|number| number.as_f64().unwrap() as f32).collect();
    assert_eq!(&numbers, values);
}

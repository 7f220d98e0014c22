//! gRPC from Python, with stubs made from the contract as any other team would make them.

use super::{
    process::Client,
    scripted::{assert_endless_answers_were_dropped, scripted_world},
};

#[tokio::test]
async fn stubs_generated_for_python_are_served() {
    let stubs = tempfile::tempdir().unwrap();
    let output = stubs.path().display();
    Client::python_tool("protoc")
        .args(["-m", "grpc_tools.protoc", "-I", "proto", "-I", "service/transcode/proto"])
        .args([&format!("--python_out={output}"), &format!("--grpc_python_out={output}")])
        // google/api/*.proto is in the package googleapis-common-protos, which every gRPC user of Python has.
        .args([
            "sabir/v1/chat.proto",
            "sabir/v1/models.proto",
            "transcode/v1/options.proto",
            "buf/validate/validate.proto",
        ])
        .succeeds()
        .await;
    let (upstream, server) = scripted_world().await;
    Client::python("grpc_stubs.py")
        .env("GRPC_TARGET", server.address().to_string())
        .env("STUBS", stubs.path())
        .succeeds()
        .await;
    assert_endless_answers_were_dropped(&upstream).await;
}

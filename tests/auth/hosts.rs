//! Claims about an open server on loopback and pages on the web whose names point to it (DNS rebinding).

use bytes::Bytes;
use http::Request;

use crate::support::{Server, Upstream, http::http1, identity::required, world};

/// The status of what a browser sends for a page of this host: to read, to change, and to open a socket.
async fn statuses(server: &Server, host: &str) -> [u16; 3] {
    let origin = format!("http://{host}");
    let reads = Request::get("/v1/admin/keys").header("host", host).body(Bytes::new()).unwrap();
    let changes = Request::post("/v1/admin/teams")
        .header("host", host)
        .header("origin", &origin)
        .header("content-type", "application/json")
        .body(Bytes::from(format!(r#"{{"name": "of {host}"}}"#)))
        .unwrap();
    let socket = Request::get("/v1/chat/completions")
        .header("host", host)
        .header("origin", &origin)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Bytes::new())
        .unwrap();
    let mut found = [0; 3];
    for (status, request) in found.iter_mut().zip([reads, changes, socket]) {
        *status = http1(server.address(), request).await.status();
    }
    found
}

#[tokio::test]
async fn an_open_server_answers_to_no_name_of_the_public_dns() {
    let (_upstream, server) = world().await;
    let port = server.address().port();
    assert_eq!(statuses(&server, &format!("rebound.example:{port}")).await, [403; 3]);
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "host.docker.internal".to_owned()] {
        assert_eq!(statuses(&server, &host).await[..2], [200, 200], "{host}");
    }
    // gRPC clients name the host in the target of HTTP/2.
    let uri = format!("http://{}", server.address());
    let origin = "http://rebound.example".parse().unwrap();
    let channel = tonic::transport::Endpoint::from_shared(uri).unwrap().origin(origin).connect().await.unwrap();
    let mut models = sabir_proto::v1::models_client::ModelsClient::new(channel);
    let refused = models.list_models(sabir_proto::v1::ListModelsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "{refused:?}");
}

#[tokio::test]
async fn a_server_that_asks_who_calls_or_trusts_everybody_answers_to_every_name() {
    let upstream = Upstream::start();
    let config = Server::config_for(&upstream.base_url());
    let server = Server::start(&format!("{config}{}", required())).await;
    assert_eq!(statuses(&server, "llm.example.com").await, [401; 3]);
    let server = Server::start(&format!("{config}[server]\nallow_unauthenticated = true\n")).await;
    assert_eq!(statuses(&server, "llm.example.com").await, [200, 200, 101]);
}

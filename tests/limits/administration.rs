//! Limits as administrators see and change them, over REST and gRPC: the same things, under the same names.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use sabir_proto::v1::limit::SubjectKind;
use sabir_proto::v1::limits_client::LimitsClient;
use sabir_proto::v1::{CreateLimitRequest, DeleteLimitRequest, GetLimitRequest, Limit, ListLimitsRequest};
use serde_json::{Value, json};
use tonic::Code;
use tonic::metadata::MetadataValue;

use super::World;
use crate::support::Protocol;
use crate::support::http::http1;

const LIMITS: &str = "/v1/admin/limits";
const BOTH: [&str; 2] = ["limits.read", "limits.write"];

/// A call of the HTTP surface with a key: its status and what it answers.
async fn rest(server: SocketAddr, key: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json");
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let exchange = http1(server, request.body(body).unwrap()).await;
    let status = exchange.status();
    (status, serde_json::from_slice(&exchange.body().await).unwrap_or(Value::Null))
}

fn request<T>(key: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {key}")).unwrap());
    request
}

#[tokio::test]
async fn a_limit_is_made_seen_changed_and_removed() {
    let world = World::with("").await;
    let (server, admin) = (world.server.address(), world.registrar.key_for(&BOTH).await);
    let (caller, row) = world.registrar.key(|_| ()).await;

    let body = json!({"subject_kind": "key", "subject": row.id.to_string(), "requests_per_minute": 1});
    let (status, made) = rest(server, &admin, "POST", LIMITS, Some(body.clone())).await;
    assert_eq!((status, &made["requests_per_minute"], &made["token_burst"]), (200, &json!(1), &Value::Null), "{made}");
    let (status, refused) = rest(server, &admin, "POST", LIMITS, Some(body)).await;
    assert_eq!(status, 409, "a subject has one limit: {refused}");
    world.ask_until(Protocol::Grpc, &caller, "RESOURCE_EXHAUSTED").await;

    let path = format!("{LIMITS}/{}", made["id"].as_str().unwrap());
    let more = json!({"requests_per_minute": 1000, "concurrent_requests": 5});
    let (status, changed) = rest(server, &admin, "PATCH", &path, Some(more)).await;
    assert_eq!(
        (status, &changed["requests_per_minute"], &changed["concurrent_requests"]),
        (200, &json!(1000), &json!(5))
    );
    world.ask_until(Protocol::GrpcWeb, &caller, "OK").await;
    assert_eq!(rest(server, &admin, "GET", &path, None).await, (200, changed.clone()));

    // What one surface has made, the other sees.
    let mut limits = LimitsClient::connect(format!("http://{server}")).await.unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    let seen = limits.get_limit(request(&admin, GetLimitRequest { id: id.clone() })).await.unwrap().into_inner();
    assert_eq!(
        (seen.subject_kind(), seen.subject, seen.concurrent_requests),
        (SubjectKind::Key, row.id.to_string(), Some(5))
    );
    let everyone = Limit {
        subject_kind: SubjectKind::Everyone.into(),
        tokens_per_minute: Some(1_000_000),
        token_burst: Some(5_000),
        ..Default::default()
    };
    let create = CreateLimitRequest { limit: Some(everyone) };
    let everyone = limits.create_limit(request(&admin, create)).await.unwrap().into_inner();
    let (_, page) = rest(server, &admin, "GET", &format!("{LIMITS}?page_size=1"), None).await;
    assert_eq!(page["limits"][0]["id"], json!(everyone.id), "the latest comes first: {page}");
    let next = format!("{LIMITS}?page_size=1&page_token={}", page["next_page_token"].as_str().unwrap());
    assert_eq!(rest(server, &admin, "GET", &next, None).await.1["limits"][0]["id"], json!(id));

    limits.delete_limit(request(&admin, DeleteLimitRequest { id: id.clone() })).await.unwrap();
    assert_eq!(rest(server, &admin, "GET", &path, None).await.0, 404);
    let again = limits.delete_limit(request(&admin, DeleteLimitRequest { id })).await.unwrap_err();
    assert_eq!(again.code(), Code::NotFound);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_the_field() {
    let world = World::with("").await;
    let (server, admin) = (world.server.address(), world.registrar.key_for(&BOTH).await);
    for (body, field) in [
        (json!({"subject_kind": "everyone"}), "limit"),
        (json!({"subject_kind": "everyone", "request_burst": 5, "concurrent_requests": 1}), "limit.request_burst"),
        (json!({"subject_kind": "team", "subject": "no id", "requests_per_minute": 1}), "limit.subject"),
        (json!({"subject_kind": "everyone", "requests_per_minute": 0}), "limit.requests_per_minute"),
        (json!({"subject_kind": "everyone", "requests_per_minute": 1_000_000_001}), "limit.requests_per_minute"),
        (
            json!({"subject_kind": "key", "subject": "01a20401-b2a4-743d-bbe5-d8e3ff1350cb", "requests_per_minute": 1}),
            "subject",
        ),
    ] {
        let (status, answer) = rest(server, &admin, "POST", LIMITS, Some(body.clone())).await;
        assert_eq!(status, 400, "{body}: {answer}");
        let param = answer["error"]["param"].as_str().unwrap_or_default();
        assert!(param == field || param == field.trim_start_matches("limit."), "{body}: {answer}");
    }
    let unknown = json!({"subject_kind": "everyone", "requests_per_minute": 1, "request_per_second": 1});
    assert_eq!(rest(server, &admin, "POST", LIMITS, Some(unknown)).await.0, 400, "unknown members are refused");
}

#[tokio::test]
async fn scopes_and_teams_confine_administrators() {
    let world = World::with("").await;
    let server = world.server.address();
    let reader = world.registrar.key_for(&["limits.read"]).await;
    let body = json!({"subject_kind": "everyone", "requests_per_minute": 1});
    assert_eq!(rest(server, &reader, "POST", LIMITS, Some(body.clone())).await.0, 403);
    assert_eq!(rest(server, &world.key().await, "GET", LIMITS, None).await.0, 403);
    let mut limits = LimitsClient::connect(format!("http://{server}")).await.unwrap();
    let chat = world.key().await;
    let refused = limits.list_limits(request(&chat, ListLimitsRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let (ours, theirs) = (world.registrar.team("ours", |_| ()).await, world.registrar.team("theirs", |_| ()).await);
    let scopes = || BOTH.map(str::to_owned).to_vec();
    let (confined, _) = world.registrar.key(|key| (key.team_id, key.scopes) = (Some(ours.id), scopes())).await;
    let all = world.registrar.key_for(&BOTH).await;
    let of = |team: &sabir_store::Team| json!({"subject_kind": "team", "subject": team.id.to_string(), "concurrent_requests": 3});
    let (status, foreign) = rest(server, &all, "POST", LIMITS, Some(of(&theirs))).await;
    assert_eq!(status, 200);
    assert_eq!(rest(server, &confined, "POST", LIMITS, Some(body)).await.0, 400, "everyone is not the team's");
    assert_eq!(rest(server, &confined, "POST", LIMITS, Some(of(&ours))).await.0, 200);
    let path = format!("{LIMITS}/{}", foreign["id"].as_str().unwrap());
    for method in ["GET", "DELETE"] {
        assert_eq!(rest(server, &confined, method, &path, None).await.0, 404, "{method}");
    }
    assert_eq!(rest(server, &confined, "PATCH", &path, Some(json!({"concurrent_requests": 9}))).await.0, 404);
    let (_, list) = rest(server, &confined, "GET", LIMITS, None).await;
    assert_eq!(list["limits"].as_array().unwrap().len(), 1, "{list}");
}

#[tokio::test]
async fn a_limit_that_is_too_low_can_still_be_changed() {
    let world = World::with("each_key = { requests_per_minute = 1 }").await;
    let (server, admin) = (world.server.address(), world.registrar.key_for(&BOTH).await);
    for _ in 0..5 {
        assert_eq!(rest(server, &admin, "GET", LIMITS, None).await.0, 200);
    }
}

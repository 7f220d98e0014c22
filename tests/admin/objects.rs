//! Teams and users: made, seen, changed and removed, the same over REST and gRPC, and listed in pages that stay right.

use bytes::Bytes;
use http::Request;
use prost_types::FieldMask;
use sabir_proto::v1::teams_client::TeamsClient;
use sabir_proto::v1::users_client::UsersClient;
use sabir_proto::v1::{
    CreateTeamRequest, DeleteTeamRequest, GetTeamRequest, GetUserRequest, ListUsersRequest, Team, UpdateTeamRequest,
    UpdateUserRequest, User,
};
use serde_json::{Value, json};
use tonic::Code;

use super::{PASSWORD, TEAMS, USERS, World, grpc, text};
use crate::support::http::http1;

#[tokio::test]
async fn a_team_is_made_seen_changed_and_removed() {
    let world = World::new().await;
    let made = world.done("POST", TEAMS, Some(json!({"name": "search", "models": ["scripted/*"]}))).await;
    let id = text(&made, "id");
    let path = format!("{TEAMS}/{id}");
    let twin = CreateTeamRequest { team: Some(Team { name: "search".to_owned(), ..Default::default() }) };
    let twin = grpc!(world, &world.admin, TeamsClient.create_team(twin));
    world.refused(&world.admin, ("POST", TEAMS, Some(json!({"name": "search"}))), 409, twin).await;

    // Only what the body has changes over REST, and only what the mask has over gRPC.
    let changed = world.done("PATCH", &path, Some(json!({"models": ["scripted/echo"]}))).await;
    assert_eq!((&changed["name"], &changed["models"]), (&json!("search"), &json!(["scripted/echo"])));
    let update = |paths: &[&str]| UpdateTeamRequest {
        team: Some(Team { id: id.clone(), name: "find".to_owned(), disabled: true, ..Default::default() }),
        update_mask: Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }),
    };
    let changed = grpc!(world, &world.admin, TeamsClient.update_team(update(&["name"]))).unwrap();
    let expected = Team { name: "find".to_owned(), models: vec!["scripted/echo".to_owned()], ..changed.clone() };
    assert_eq!((&changed, changed.disabled), (&expected, false));
    for paths in [&[][..], &["create_time"], &["name", "nonsense"]] {
        let refused = grpc!(world, &world.admin, TeamsClient.update_team(update(paths))).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{paths:?}");
    }
    assert_eq!(world.rest(&world.admin, "PATCH", &path, Some(json!({"nam": "x"}))).await.0, 400);
    let seen = grpc!(world, &world.admin, TeamsClient.get_team(GetTeamRequest { id: id.clone() })).unwrap();
    assert_eq!((seen.name.as_str(), seen.disabled), ("find", false), "what was refused changed nothing");

    let member = world.done("POST", USERS, Some(json!({"user": {"name": "alice", "team_id": id}}))).await;
    let (status, refused) = world.rest(&world.admin, "DELETE", &path, None).await;
    assert!((400..=409).contains(&status), "somebody is in it: {refused}");
    world.done("DELETE", &format!("{USERS}/{}", text(&member, "id")), None).await;
    world.done("DELETE", &path, None).await;
    let twin = grpc!(world, &world.admin, TeamsClient.delete_team(DeleteTeamRequest { id }));
    world.refused(&world.admin, ("DELETE", &path, None), 404, twin).await;
}

#[tokio::test]
async fn a_user_signs_in_until_disabled() {
    let world = World::new().await;
    let body = json!({"user": {"name": "alice", "scopes": ["models.read", "chat"]}, "password": PASSWORD});
    let made = world.done("POST", USERS, Some(body)).await;
    assert_eq!((&made["has_password"], &made["scopes"]), (&json!(true), &json!(["chat", "models.read"])));
    assert!(!made.to_string().contains("argon2"), "{made}");
    world.server.keep_secret(PASSWORD);
    assert_eq!(sign_in(&world, "alice", PASSWORD).await, 200);

    let id = text(&made, "id");
    let path = format!("{USERS}/{id}");
    let another = "another battery for a horse";
    world.server.keep_secret(another);
    world.done("POST", &format!("{path}/password"), Some(json!({"password": another}))).await;
    assert_eq!(sign_in(&world, "alice", another).await, 200);
    assert_eq!(sign_in(&world, "alice", PASSWORD).await, 400);
    let short = Some(json!({"password": "too short"}));
    assert_eq!(world.rest(&world.admin, "POST", &format!("{path}/password"), short).await.0, 400);

    let update = UpdateUserRequest {
        user: Some(User { id: id.clone(), disabled: true, ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["disabled".to_owned()] }),
    };
    let disabled = grpc!(world, &world.admin, UsersClient.update_user(update)).unwrap();
    assert_eq!((disabled.name.as_str(), disabled.disabled, disabled.has_password), ("alice", true, true));
    assert_eq!(sign_in(&world, "alice", another).await, 400);
    assert_eq!(world.done("GET", &path, None).await["disabled"], json!(true));
    world.done("DELETE", &path, None).await;
    let twin = grpc!(world, &world.admin, UsersClient.get_user(GetUserRequest { id }));
    world.refused(&world.admin, ("GET", &path, None), 404, twin).await;
}

/// The status of a sign-in.
async fn sign_in(world: &World, name: &str, password: &str) -> u16 {
    let form = format!("grant_type=password&username={name}&password={}", password.replace(' ', "+"));
    let request = Request::post("/v1/auth/token").header("content-type", "application/x-www-form-urlencoded");
    http1(world.server.address(), request.body(Bytes::from(form)).unwrap()).await.status()
}

#[tokio::test]
async fn pages_stay_right_while_users_are_added_and_removed() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.insert(0, world.registrar.user(&format!("user {number}"), |_| ()).await.id.to_string());
    }
    let (mut rest, mut grpc) = (Vec::new(), Vec::new());
    let (mut rest_token, mut grpc_token) = (String::new(), String::new());
    for round in 0.. {
        let page = world.done("GET", &format!("{USERS}?page_size=3&page_token={rest_token}"), None).await;
        let users: Vec<Value> = page["users"].as_array().unwrap().clone();
        rest.extend(users.iter().map(|user| text(user, "id")));
        rest_token = text(&page, "next_page_token");
        let list = ListUsersRequest { page_size: 3, page_token: grpc_token, ..Default::default() };
        let page = grpc!(world, &world.admin, UsersClient.list_users(list)).unwrap();
        grpc.extend(page.users.into_iter().map(|user| user.id));
        grpc_token = page.next_page_token;
        assert_eq!(rest_token, grpc_token);
        if rest_token.is_empty() {
            break;
        }
        // The row that the token names may go, too.
        world.registrar.user(&format!("latecomer {round}"), |_| ()).await;
        world.done("DELETE", &format!("{USERS}/{}", rest.last().unwrap()), None).await;
        assert!(round < 5, "the pages do not end");
    }
    assert_eq!((&rest, &grpc), (&expected, &expected));
    for token in ["nonsense", "'; DROP TABLE user_account; --"] {
        let list = ListUsersRequest { page_token: token.to_owned(), ..Default::default() };
        let twin = grpc!(world, &world.admin, UsersClient.list_users(list));
        let path = format!("{USERS}?page_token={}", token.replace(' ', "%20"));
        world.refused(&world.admin, ("GET", &path, None), 400, twin).await;
    }
    for size in ["-1", "1001"] {
        assert_eq!(world.rest(&world.admin, "GET", &format!("{USERS}?page_size={size}"), None).await.0, 400);
    }
}

//! Names are text: what means something to a database is kept as it is, and what means something to a terminal is refused.

use sabir_proto::v1::keys_client::KeysClient;
use sabir_proto::v1::teams_client::TeamsClient;
use sabir_proto::v1::users_client::UsersClient;
use sabir_proto::v1::{CreateKeyRequest, CreateTeamRequest, CreateUserRequest, Key, Team, User};
use serde_json::{Value, json};

use super::{KEYS, TEAMS, USERS, World, grpc, text};

#[tokio::test]
async fn what_means_something_to_a_database_is_only_text() {
    let world = World::new().await;
    let names =
        ["Robert'); DROP TABLE user_account; --", "\" OR \"1\"=\"1", "%_\\", "$1 ?1 :name", "日本 \u{1f512}", "null"];
    for name in names {
        let team = world.done("POST", TEAMS, Some(json!({"name": name}))).await;
        let body = json!({"user": {"name": name, "team_id": team["id"]}});
        let user = world.done("POST", USERS, Some(body)).await;
        let key = world.done("POST", KEYS, Some(json!({"name": name, "user_id": user["id"]}))).await;
        for (path, object) in [(TEAMS, &team), (USERS, &user), (KEYS, &key["key"])] {
            let seen = world.done("GET", &format!("{path}/{}", text(object, "id")), None).await;
            assert_eq!((&seen, &seen["name"]), (object, &json!(name)));
        }
    }
    let named = |entry: &Value, name: &str| entry["detail"]["name"] == json!(name);
    let audit = world.audit().await;
    for name in names {
        assert_eq!(audit.iter().filter(|entry| named(entry, name)).count(), 3, "{name}: {audit:?}");
    }
}

#[tokio::test]
async fn what_means_something_to_a_terminal_is_refused() {
    let world = World::new().await;
    for name in ["a\nb", "a\0b", "\u{1b}[2J", "a\u{7f}", "a\u{85}b", "\t", " "] {
        let owned = || name.to_owned();
        let team = CreateTeamRequest { team: Some(Team { name: owned(), ..Default::default() }) };
        let team = grpc!(world, &world.admin, TeamsClient.create_team(team));
        world.refused(&world.admin, ("POST", TEAMS, Some(json!({"name": name}))), 400, team).await;
        let user = User { name: owned(), ..Default::default() };
        let user = CreateUserRequest { user: Some(user), ..Default::default() };
        let user = grpc!(world, &world.admin, UsersClient.create_user(user));
        world.refused(&world.admin, ("POST", USERS, Some(json!({"user": {"name": name}}))), 400, user).await;
        let key = CreateKeyRequest { key: Some(Key { name: owned(), ..Default::default() }) };
        let key = grpc!(world, &world.admin, KeysClient.create_key(key));
        world.refused(&world.admin, ("POST", KEYS, Some(json!({"name": name}))), 400, key).await;
    }
    assert_eq!(world.audit().await, Vec::<Value>::new());
}

//! Nobody comes by more than they have: not by a key, not by somebody else's password, not by another team.

use prost_types::FieldMask;
use sabir_proto::v1::keys_client::KeysClient;
use sabir_proto::v1::teams_client::TeamsClient;
use sabir_proto::v1::users_client::UsersClient;
use sabir_proto::v1::{
    CreateKeyRequest, CreateTeamRequest, CreateUserRequest, DeleteUserRequest, GetKeyRequest, GetTeamRequest,
    GetUserRequest, Key, RevokeKeyRequest, RotateKeyRequest, SetUserPasswordRequest, Team, UpdateKeyRequest,
    UpdateTeamRequest, UpdateUserRequest, User,
};
use sabir_store::ApiKey;
use serde_json::{Value, json};

use super::{KEYS, PASSWORD, TEAMS, USERS, World, grpc};

/// What somebody may do who keeps keys and users.
const KEEPER: [&str; 7] = ["chat", "models.read", "keys.read", "keys.write", "users.read", "users.write", "teams.read"];

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn mask(path: &str) -> Option<FieldMask> {
    Some(FieldMask { paths: vec![path.to_owned()] })
}

impl World {
    /// A key that may do what a keeper may, changed in this way.
    async fn keeper(&self, change: impl FnOnce(&mut ApiKey)) -> (String, ApiKey) {
        let keeper = |key: &mut ApiKey| {
            key.scopes = owned(&KEEPER);
            change(key);
        };
        self.registrar.key(keeper).await
    }

    /// Refuses to make this key.
    async fn no_key(&self, caller: &str, status: u16, key: Key) {
        let body = json!({
            "name": key.name, "scopes": key.scopes, "models": key.models, "user_id": key.user_id, "team_id": key.team_id
        });
        let twin = grpc!(self, caller, KeysClient.create_key(CreateKeyRequest { key: Some(key) }));
        self.refused(caller, ("POST", KEYS, Some(body)), status, twin).await;
    }

    /// Refuses to change a key, to put another in its place, or to revoke it.
    async fn no_hand_on_key(&self, caller: &str, status: u16, key: &ApiKey) {
        let id = || key.id.to_string();
        let path = format!("{KEYS}/{}", id());
        let update = Key { id: id(), name: "mine".to_owned(), ..Default::default() };
        let update = UpdateKeyRequest { key: Some(update), update_mask: mask("name") };
        let twin = grpc!(self, caller, KeysClient.update_key(update));
        self.refused(caller, ("PATCH", &path, Some(json!({"name": "mine"}))), status, twin).await;
        let twin = grpc!(self, caller, KeysClient.rotate_key(RotateKeyRequest { id: id(), ..Default::default() }));
        self.refused(caller, ("POST", &format!("{path}/rotate"), Some(json!({}))), status, twin).await;
        let twin = grpc!(self, caller, KeysClient.revoke_key(RevokeKeyRequest { id: id() }));
        self.refused(caller, ("POST", &format!("{path}/revoke"), Some(json!({}))), status, twin).await;
    }

    /// Refuses to change a user, to set the user's password, or to remove the user.
    async fn no_hand_on_user(&self, caller: &str, status: u16, user: &sabir_store::User) {
        let id = || user.id.to_string();
        let path = format!("{USERS}/{}", id());
        let update = UpdateUserRequest {
            user: Some(User { id: id(), disabled: true, ..Default::default() }),
            update_mask: mask("disabled"),
        };
        let twin = grpc!(self, caller, UsersClient.update_user(update));
        self.refused(caller, ("PATCH", &path, Some(json!({"disabled": true}))), status, twin).await;
        let password = SetUserPasswordRequest { id: id(), password: PASSWORD.to_owned() };
        let twin = grpc!(self, caller, UsersClient.set_user_password(password));
        let body = Some(json!({"password": PASSWORD}));
        self.refused(caller, ("POST", &format!("{path}/password"), body), status, twin).await;
        let twin = grpc!(self, caller, UsersClient.delete_user(DeleteUserRequest { id: id() }));
        self.refused(caller, ("DELETE", &path, None), status, twin).await;
    }
}

#[tokio::test]
async fn nobody_gives_scopes_that_they_do_not_have() {
    let world = World::new().await;
    let user = world.registrar.user("keeper", |user| user.scopes = owned(&KEEPER)).await;
    let (keeper, own) = world.keeper(|key| key.user_id = Some(user.id)).await;
    let root = world.registrar.user("root", |user| user.scopes = owned(&["admin"])).await;
    let (_, powerful) = world.registrar.key(|key| key.scopes = owned(&["admin"])).await;
    let (_, other) = world.registrar.key(|key| key.scopes = owned(&["chat", "audit.read"])).await;

    for scope in ["admin", "audit.read", "budgets.write"] {
        let scopes = owned(&["chat", scope]);
        world.no_key(&keeper, 403, Key { name: "a".to_owned(), scopes: scopes.clone(), ..Default::default() }).await;
        // Neither for oneself nor for somebody new.
        let path = format!("{KEYS}/{}", own.id);
        let update = Key { id: own.id.to_string(), scopes: scopes.clone(), ..Default::default() };
        let update = UpdateKeyRequest { key: Some(update), update_mask: mask("scopes") };
        let twin = grpc!(world, &keeper, KeysClient.update_key(update));
        world.refused(&keeper, ("PATCH", &path, Some(json!({"scopes": scopes}))), 403, twin).await;
        let path = format!("{USERS}/{}", user.id);
        let update = User { id: user.id.to_string(), scopes: scopes.clone(), ..Default::default() };
        let update = UpdateUserRequest { user: Some(update), update_mask: mask("scopes") };
        let twin = grpc!(world, &keeper, UsersClient.update_user(update));
        world.refused(&keeper, ("PATCH", &path, Some(json!({"scopes": scopes}))), 403, twin).await;
        let new = User { name: "new".to_owned(), scopes: scopes.clone(), ..Default::default() };
        let new = CreateUserRequest { user: Some(new), password: Some(PASSWORD.to_owned()) };
        let twin = grpc!(world, &keeper, UsersClient.create_user(new));
        let body = json!({"user": {"name": "new", "scopes": scopes}, "password": PASSWORD});
        world.refused(&keeper, ("POST", USERS, Some(body)), 403, twin).await;
    }
    // A key of somebody who may do more is as good as their password, whatever it may do itself.
    let for_root = Key { name: "a".to_owned(), user_id: root.id.to_string(), ..Default::default() };
    world.no_key(&keeper, 403, for_root).await;
    world.no_hand_on_user(&keeper, 403, &root).await;
    world.no_hand_on_key(&keeper, 403, &powerful).await;
    world.no_hand_on_key(&keeper, 403, &other).await;
    assert_eq!(world.audit().await, Vec::<Value>::new());

    // Within what they have, they may.
    let body = json!({"user": {"name": "new", "scopes": ["chat", "keys.read"]}, "password": PASSWORD});
    assert_eq!(world.rest(&keeper, "POST", USERS, Some(body)).await.0, 200);
    assert_eq!(world.audit().await.len(), 1);
}

#[tokio::test]
async fn a_team_keeps_to_itself() {
    let world = World::new().await;
    let registrar = &world.registrar;
    let (ours, theirs) = (registrar.team("ours", |_| ()).await, registrar.team("theirs", |_| ()).await);
    let scopes = || owned(&[&KEEPER[..], &["teams.write", "audit.read"]].concat());
    let (keeper, _) = world.keeper(|key| (key.team_id, key.scopes) = (Some(ours.id), scopes())).await;
    let member = registrar.user("member", |user| user.team_id = Some(ours.id)).await;
    let stranger = registrar.user("stranger", |user| user.team_id = Some(theirs.id)).await;
    let alone = registrar.user("alone", |_| ()).await;
    let chat = || owned(&["chat"]);
    let (_, of_them) = registrar.key(|key| (key.team_id, key.scopes) = (Some(theirs.id), chat())).await;
    let (_, of_stranger) = registrar.key(|key| (key.user_id, key.scopes) = (Some(stranger.id), chat())).await;
    let (_, of_nobody) = registrar.key(|key| key.scopes = chat()).await;
    let (_, of_member_there) =
        registrar.key(|key| (key.user_id, key.team_id, key.scopes) = (Some(member.id), Some(theirs.id), chat())).await;

    for key in [&of_them, &of_stranger, &of_nobody, &of_member_there] {
        let twin = grpc!(world, &keeper, KeysClient.get_key(GetKeyRequest { id: key.id.to_string() }));
        world.refused(&keeper, ("GET", &format!("{KEYS}/{}", key.id), None), 404, twin).await;
        world.no_hand_on_key(&keeper, 404, key).await;
    }
    for user in [&stranger, &alone] {
        let twin = grpc!(world, &keeper, UsersClient.get_user(GetUserRequest { id: user.id.to_string() }));
        world.refused(&keeper, ("GET", &format!("{USERS}/{}", user.id), None), 404, twin).await;
        world.no_hand_on_user(&keeper, 404, user).await;
        let key = Key { name: "a".to_owned(), user_id: user.id.to_string(), ..Default::default() };
        world.no_key(&keeper, 400, key).await;
    }
    world
        .no_key(&keeper, 403, Key { name: "a".to_owned(), team_id: theirs.id.to_string(), ..Default::default() })
        .await;
    let moved = User { id: member.id.to_string(), team_id: theirs.id.to_string(), ..Default::default() };
    let moved = UpdateUserRequest { user: Some(moved), update_mask: mask("team_id") };
    let twin = grpc!(world, &keeper, UsersClient.update_user(moved));
    let body = json!({"team_id": theirs.id.to_string()});
    world.refused(&keeper, ("PATCH", &format!("{USERS}/{}", member.id), Some(body)), 403, twin).await;

    // Teams are not made or changed from within one; of the others nothing is seen.
    let team = Team { name: "mine".to_owned(), ..Default::default() };
    let twin = grpc!(world, &keeper, TeamsClient.create_team(CreateTeamRequest { team: Some(team) }));
    world.refused(&keeper, ("POST", TEAMS, Some(json!({"name": "mine"}))), 403, twin).await;
    let update = UpdateTeamRequest {
        team: Some(Team { id: ours.id.to_string(), ..Default::default() }),
        update_mask: mask("models"),
    };
    let twin = grpc!(world, &keeper, TeamsClient.update_team(update));
    world.refused(&keeper, ("PATCH", &format!("{TEAMS}/{}", ours.id), Some(json!({"models": []}))), 403, twin).await;
    let twin = grpc!(world, &keeper, TeamsClient.get_team(GetTeamRequest { id: theirs.id.to_string() }));
    world.refused(&keeper, ("GET", &format!("{TEAMS}/{}", theirs.id), None), 404, twin).await;
    assert_eq!(world.rest(&keeper, "GET", "/v1/admin/audit", None).await.0, 403);

    let list = async |path: &str, member: &str| {
        let (status, list) = world.rest(&keeper, "GET", path, None).await;
        assert_eq!((status, &list["next_page_token"]), (200, &json!("")), "{path}: {list}");
        list[member].as_array().unwrap().len()
    };
    assert_eq!(list(&format!("{TEAMS}?page_size=1"), "teams").await, 1);
    assert_eq!(list(&format!("{TEAMS}?page_size=1&page_token={}", ours.id), "teams").await, 0);
    assert_eq!(list(USERS, "users").await, 1);
    assert_eq!(list(&format!("{USERS}?team_id={}", theirs.id), "users").await, 0);
    assert_eq!(list(KEYS, "keys").await, 1, "its own");
    assert_eq!(list(&format!("{KEYS}?team_id={}", theirs.id), "keys").await, 0);
    assert_eq!(list(&format!("{KEYS}?user_id={}", stranger.id), "keys").await, 0);
    assert_eq!(list(&format!("{KEYS}?user_id={}", member.id), "keys").await, 0);
    assert_eq!(world.audit().await, Vec::<Value>::new());

    // What it makes is the team's.
    let (status, made) = world.rest(&keeper, "POST", KEYS, Some(json!({"name": "a", "scopes": ["chat"]}))).await;
    assert_eq!((status, &made["key"]["team_id"]), (200, &json!(ours.id.to_string())), "{made}");
    let (status, made) = world.rest(&keeper, "POST", USERS, Some(json!({"user": {"name": "a"}}))).await;
    assert_eq!((status, &made["team_id"]), (200, &json!(ours.id.to_string())), "{made}");
}

#[tokio::test]
async fn nobody_gives_models_that_they_may_not_ask() {
    let world = World::new().await;
    let registrar = &world.registrar;
    let models = || owned(&["scripted/echo*"]);
    let (keeper, own) = world.keeper(|key| key.models = models()).await;
    let user = registrar.user("user", |user| user.scopes = owned(&["chat"])).await;
    let narrow = registrar.team("narrow", |team| team.models = owned(&["scripted/echo"])).await;
    let (_, wide) = registrar.key(|key| key.scopes = owned(&["chat"])).await;
    let key = |models: &[&str]| Key { name: "a".to_owned(), models: owned(models), ..Default::default() };

    world.no_key(&keeper, 400, key(&[])).await;
    for pattern in ["*", "scripted/*", "scripted/ech*", "another/model"] {
        world.no_key(&keeper, 403, key(&["scripted/echo", pattern])).await;
        let update = Key { id: own.id.to_string(), ..key(&[pattern]) };
        let update = UpdateKeyRequest { key: Some(update), update_mask: mask("models") };
        let twin = grpc!(world, &keeper, KeysClient.update_key(update));
        let body = Some(json!({"models": [pattern]}));
        world.refused(&keeper, ("PATCH", &format!("{KEYS}/{}", own.id), body), 403, twin).await;
    }
    let rotate = RotateKeyRequest { id: wide.id.to_string(), ..Default::default() };
    let twin = grpc!(world, &keeper, KeysClient.rotate_key(rotate));
    world.refused(&keeper, ("POST", &format!("{KEYS}/{}/rotate", wide.id), Some(json!({}))), 400, twin).await;
    // A user may ask all that the team may, and all there is without a team.
    let new = User { name: "new".to_owned(), scopes: owned(&["chat"]), ..Default::default() };
    let new = CreateUserRequest { user: Some(new), password: Some(PASSWORD.to_owned()) };
    let twin = grpc!(world, &keeper, UsersClient.create_user(new));
    let body = |team: &str| json!({"user": {"name": "new", "scopes": ["chat"], "team_id": team}, "password": PASSWORD});
    world.refused(&keeper, ("POST", USERS, Some(body(""))), 403, twin).await;
    let password = SetUserPasswordRequest { id: user.id.to_string(), password: PASSWORD.to_owned() };
    let twin = grpc!(world, &keeper, UsersClient.set_user_password(password));
    let path = format!("{USERS}/{}/password", user.id);
    world.refused(&keeper, ("POST", &path, Some(json!({"password": PASSWORD}))), 403, twin).await;
    assert_eq!(world.audit().await, Vec::<Value>::new());

    let body_of_key = json!({"name": "a", "models": ["scripted/echo", "scripted/echo-*"], "scopes": ["chat"]});
    let (status, made) = world.rest(&keeper, "POST", KEYS, Some(body_of_key)).await;
    assert_eq!(status, 200, "{made}");
    let (status, made) = world.rest(&keeper, "POST", USERS, Some(body(&narrow.id.to_string()))).await;
    assert_eq!(status, 200, "{made}");
    // And nobody leaves the team for more.
    let moved = User { id: super::text(&made, "id"), ..Default::default() };
    let path = format!("{USERS}/{}", moved.id);
    let moved = UpdateUserRequest { user: Some(moved), update_mask: mask("team_id") };
    let twin = grpc!(world, &keeper, UsersClient.update_user(moved));
    world.refused(&keeper, ("PATCH", &path, Some(json!({"team_id": ""}))), 403, twin).await;
}

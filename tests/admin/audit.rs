//! The audit log: one entry for each act, none for what was refused, and no secret in it.

use serde_json::{Value, json};

use super::{KEYS, PASSWORD, TEAMS, USERS, World, text};

#[tokio::test]
async fn every_act_has_one_entry_with_who_did_what_to_whom_and_no_secret() {
    let world = World::new().await;
    let (admin, row) = world.registrar.key(|key| key.scopes = vec!["admin".to_owned()]).await;
    let act = async |method: &str, path: &str, body: Value| {
        let body = (method != "DELETE").then_some(body);
        let (status, answer) = world.rest(&admin, method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    };
    let team = text(&act("POST", TEAMS, json!({"name": "search"})).await, "id");
    act("PATCH", &format!("{TEAMS}/{team}"), json!({"disabled": true})).await;
    let body = json!({"user": {"name": "alice", "scopes": ["chat"]}, "password": PASSWORD});
    let user = text(&act("POST", USERS, body).await, "id");
    act("PATCH", &format!("{USERS}/{user}"), json!({"name": "bob"})).await;
    let another = "another battery for a horse";
    act("POST", &format!("{USERS}/{user}/password"), json!({"password": another})).await;
    let made = act("POST", KEYS, json!({"name": "batch", "scopes": ["chat"]})).await;
    let key = text(&made["key"], "id");
    act("PATCH", &format!("{KEYS}/{key}"), json!({"name": "night"})).await;
    let rotated = act("POST", &format!("{KEYS}/{key}/rotate"), json!({"overlap_seconds": 60})).await;
    act("POST", &format!("{KEYS}/{key}/revoke"), json!({})).await;
    act("DELETE", &format!("{USERS}/{user}"), Value::Null).await;
    act("DELETE", &format!("{TEAMS}/{team}"), Value::Null).await;

    // What was refused, and what only looked, is not in it.
    let reader = world.registrar.key_for(&["keys.read"]).await;
    for (who, method, path, body, status) in [
        (&reader, "POST", KEYS.to_owned(), Some(json!({"name": "a"})), 403),
        (&admin, "POST", KEYS.to_owned(), Some(json!({"name": ""})), 400),
        (&admin, "DELETE", format!("{TEAMS}/{team}"), None, 404),
        (&admin, "POST", format!("{KEYS}/{key}/rotate"), Some(json!({})), 400),
        (&admin, "GET", KEYS.to_owned(), None, 200),
    ] {
        let (said, answer) = world.rest(who, method, &path, body).await;
        assert_eq!(said, status, "{method} {path}: {answer}");
    }

    let audit = world.audit().await;
    let acts: Vec<(String, String)> =
        audit.iter().rev().map(|entry| (text(entry, "action"), text(entry, "target"))).collect();
    let (team, user, key) = (format!("team {team}"), format!("user {user}"), format!("key {key}"));
    let expected = [
        ("Teams/CreateTeam", &team),
        ("Teams/UpdateTeam", &team),
        ("Users/CreateUser", &user),
        ("Users/UpdateUser", &user),
        ("Users/SetUserPassword", &user),
        ("Keys/CreateKey", &key),
        ("Keys/UpdateKey", &key),
        ("Keys/RotateKey", &key),
        ("Keys/RevokeKey", &key),
        ("Users/DeleteUser", &user),
        ("Teams/DeleteTeam", &team),
    ];
    assert_eq!(acts, expected.map(|(action, target)| (action.to_owned(), target.clone())));
    assert!(audit.iter().all(|entry| entry["actor"] == json!(format!("key {}", row.id))), "{audit:?}");
    let everything = Value::from(audit).to_string();
    for secret in [&admin, &text(&made, "secret"), &text(&rotated, "secret"), PASSWORD, another, "argon2"] {
        assert!(!everything.contains(secret), "{secret} is in the audit log");
    }

    // It can be asked who did something, and what happened to somebody.
    let path = format!("/v1/admin/audit?target={}", user.replace(' ', "%20"));
    assert_eq!(world.done("GET", &path, None).await["entries"].as_array().unwrap().len(), 4);
    assert_eq!(world.rest(&reader, "GET", "/v1/admin/audit", None).await.0, 403);
}

//! Keys: what is made lets in, what is rotated overlaps, what is revoked ends, and lists never have a key itself.

use std::time::Duration;

use prost_types::FieldMask;
use sabir_proto::v1::keys_client::KeysClient;
use sabir_proto::v1::{
    CreateKeyRequest, GetKeyRequest, Key, ListKeysRequest, RevokeKeyRequest, RotateKeyRequest, UpdateKeyRequest,
};
use serde_json::json;
use tonic::Code;

use super::{KEYS, World, grpc, text};
use crate::support::Protocol;

#[tokio::test]
async fn a_key_lets_in_from_when_it_is_made_until_it_is_revoked() {
    let world = World::new().await;
    let body = json!({"name": "batch", "scopes": ["models.read", "chat"]});
    let made = world.done("POST", KEYS, Some(body)).await;
    let (secret, id) = (text(&made, "secret"), text(&made["key"], "id"));
    world.server.keep_secret(&secret);
    assert!(secret.starts_with(made["key"]["prefix"].as_str().unwrap()) && secret.starts_with("sk-sabir-"));
    for protocol in Protocol::ALL {
        assert_eq!(world.chat(protocol, &secret).await, "OK");
    }

    // Only what is said changes, and what a key is does not.
    let path = format!("{KEYS}/{id}");
    let changed = world.done("PATCH", &path, Some(json!({"models": ["another/*"]}))).await;
    assert_eq!((&changed["name"], &changed["scopes"]), (&json!("batch"), &json!(["chat", "models.read"])));
    world.chat_until(&secret, "PERMISSION_DENIED").await;
    let update = |paths: &[&str]| UpdateKeyRequest {
        key: Some(Key { id: id.clone(), name: "night".to_owned(), ..Default::default() }),
        update_mask: Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }),
    };
    let changed = grpc!(world, &world.admin, KeysClient.update_key(update(&["name", "models"]))).unwrap();
    assert_eq!((changed.name.as_str(), changed.models.len(), changed.scopes.len()), ("night", 0, 2));
    world.chat_until(&secret, "OK").await;
    for paths in [&[][..], &["prefix"], &["team_id"], &["revoke_time"], &["lineage_id"]] {
        let refused = grpc!(world, &world.admin, KeysClient.update_key(update(paths))).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{paths:?}");
    }

    let list = grpc!(world, &world.admin, KeysClient.list_keys(ListKeysRequest::default())).unwrap();
    assert!(list.keys.contains(&changed));
    for seen in [world.done("GET", KEYS, None).await, world.done("GET", &path, None).await] {
        assert!(!seen.to_string().contains(&secret) && !seen.to_string().contains("hash"), "{seen}");
    }

    let revoked = world.done("POST", &format!("{path}/revoke"), Some(json!({}))).await;
    world.chat_until(&secret, "UNAUTHENTICATED").await;
    let again = grpc!(world, &world.admin, KeysClient.revoke_key(RevokeKeyRequest { id: id.clone() })).unwrap();
    assert!(again.revoke_time.is_some());
    assert_eq!(world.done("GET", &path, None).await["revoke_time"], revoked["revoke_time"], "it was revoked once");
    let ids = |list: &serde_json::Value| list["keys"].as_array().unwrap().iter().any(|key| key["id"] == json!(id));
    assert!(!ids(&world.done("GET", KEYS, None).await));
    assert!(ids(&world.done("GET", &format!("{KEYS}?include_revoked=true"), None).await));
}

#[tokio::test]
async fn a_rotated_key_and_the_new_one_overlap_and_then_only_the_new_one_is_good() {
    let world = World::new().await;
    let create = Key { name: "batch".to_owned(), scopes: vec!["chat".to_owned()], ..Default::default() };
    let create = CreateKeyRequest { key: Some(create) };
    let old = grpc!(world, &world.admin, KeysClient.create_key(create)).unwrap();
    let id = old.key.as_ref().unwrap().id.clone();
    let path = format!("{KEYS}/{id}/rotate");
    let new = world.done("POST", &path, Some(json!({"overlap_seconds": 3}))).await;
    let rotated = std::time::Instant::now();
    let secret = text(&new, "secret");
    world.server.keep_secret(&secret);
    world.server.keep_secret(&old.secret);
    assert_ne!(secret, old.secret);
    assert_eq!(new["key"]["lineage_id"], json!(id));
    for protocol in Protocol::ALL {
        assert_eq!(world.chat(protocol, &secret).await, "OK");
        assert_eq!(world.chat(protocol, &old.secret).await, "OK", "{protocol:?}: there is time to change over");
    }
    let rotate = RotateKeyRequest { id, ..Default::default() };
    let twice = grpc!(world, &world.admin, KeysClient.rotate_key(rotate)).unwrap_err();
    assert_eq!(twice.code(), Code::FailedPrecondition);
    tokio::time::sleep(Duration::from_millis(3_200).saturating_sub(rotated.elapsed())).await;
    for protocol in Protocol::ALL {
        assert_eq!(world.chat(protocol, &old.secret).await, "UNAUTHENTICATED");
        assert_eq!(world.chat(protocol, &secret).await, "OK");
    }
    // Without an overlap the old one ends at once.
    let rotate = RotateKeyRequest { id: text(&new["key"], "id"), ..Default::default() };
    let third = grpc!(world, &world.admin, KeysClient.rotate_key(rotate)).unwrap();
    world.chat_until(&secret, "UNAUTHENTICATED").await;
    world.chat_until(&third.secret, "OK").await;
}

#[tokio::test]
async fn what_is_no_key_is_not_found_and_what_makes_no_sense_is_refused() {
    let world = World::new().await;
    let nobody = "01a20401-b2a4-743d-bbe5-d8e3ff1350cb";
    let twin = grpc!(world, &world.admin, KeysClient.get_key(GetKeyRequest { id: nobody.to_owned() }));
    world.refused(&world.admin, ("GET", &format!("{KEYS}/{nobody}"), None), 404, twin).await;
    for key in [
        json!({"name": "", "scopes": ["chat"]}),
        json!({"name": "a", "scopes": ["chatt"]}),
        json!({"name": "a", "user_id": nobody}),
        json!({"name": "a", "team_id": "no id"}),
        json!({"name": "a".repeat(129)}),
        json!({"name": "a", "secret": "sk-sabir-of-my-own"}),
        json!({"name": "a", "models": [""]}),
    ] {
        let (status, refused) = world.rest(&world.admin, "POST", KEYS, Some(key.clone())).await;
        assert_eq!(status, 400, "{key}: {refused}");
    }
    assert_eq!(world.audit().await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn who_belongs_to_a_team_sees_what_its_members_have() {
    let world = World::new().await;
    let (ours, theirs) = (world.registrar.team("ours", |_| ()).await, world.registrar.team("theirs", |_| ()).await);
    let member = world.registrar.user("member", |user| user.team_id = Some(ours.id)).await;
    let stranger = world.registrar.user("stranger", |user| user.team_id = Some(theirs.id)).await;
    let belongs = [
        ("reader", None, Some(ours.id)),
        ("member's", Some(member.id), None),
        ("member's for us", Some(member.id), Some(ours.id)),
        ("member's for them", Some(member.id), Some(theirs.id)),
        ("stranger's", Some(stranger.id), None),
        ("stranger's for us", Some(stranger.id), Some(ours.id)),
        ("nobody's", None, None),
    ];
    let mut reader = String::new();
    for (name, user_id, team_id) in belongs {
        let scopes = vec!["keys.read".to_owned()];
        let change = |key: &mut sabir_store::ApiKey| {
            (key.name, key.user_id, key.team_id, key.scopes) = (name.to_owned(), user_id, team_id, scopes);
        };
        let (key, _) = world.registrar.key(change).await;
        if name == "reader" {
            reader = key;
        }
    }
    let all = ["stranger's for us", "member's for us", "member's", "reader"];
    let of_member = format!("user_id={}", member.id);
    let of_team = format!("team_id={}", ours.id);
    let cases =
        [("", &all[..]), (&of_member, &all[1..3]), (&of_team, &["stranger's for us", "member's for us", "reader"])];
    for (query, expected) in cases {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let path = format!("{KEYS}?page_size=1&page_token={token}&{query}");
            let (status, page) = world.rest(&reader, "GET", &path, None).await;
            assert_eq!(status, 200, "{page}");
            seen.extend(page["keys"].as_array().unwrap().iter().map(|key| text(key, "name")));
            token = page["next_page_token"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, expected, "{query}");
        let id = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let list = ListKeysRequest {
            user_id: id(query.strip_prefix("user_id=")),
            team_id: id(query.strip_prefix("team_id=")),
            ..Default::default()
        };
        let list = grpc!(world, &reader, KeysClient.list_keys(list)).unwrap();
        assert_eq!(list.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), expected, "{query}");
    }
}

//! What every database claims about clients, signing keys and refresh tokens.

use std::future::Future;

use uuid::Uuid;

use super::identity::SAMPLE_PASSWORD_HASH;
use super::{sample_audit, sample_team, sample_user};
use crate::{
    AuditFilter, AuditStore, ChangeStore, IdentityStore, OAuthClient, Page, RefreshFamily, Renewal, Revocation,
    SigningKey, StoreErrorKind, TokenStore, Update, User,
};

const ALL: Page = Page { after: None, limit: 1_000 };

/// The time of the tests, in microseconds since the Unix epoch.
const NOW: i64 = 1_790_000_000_000_000;

/// Checks every claim, each on an empty store of its own.
pub async fn token_store<Store, Fresh, Ready>(fresh: Fresh)
where
    Store: TokenStore + IdentityStore + AuditStore + ChangeStore + 'static,
    Fresh: Fn() -> Ready,
    Ready: Future<Output = Store>,
{
    clients_come_back_and_are_changed_with_an_audit_entry(&fresh().await).await;
    of_replicas_that_rotate_the_signing_key_one_succeeds(&fresh().await).await;
    a_refresh_token_is_good_once_and_its_replay_ends_the_family(&fresh().await).await;
    of_two_who_present_a_refresh_token_at_once_one_is_the_second(&fresh().await).await;
    a_refresh_token_is_its_clients_alone_and_ends_with_it(&fresh().await).await;
    what_is_revoked_is_told_until_it_expires(&fresh().await).await;
    a_password_that_changes_and_a_user_who_is_disabled_end_every_sign_in(&fresh().await).await;
}

fn sample_client(name: &str, team_id: Option<Uuid>) -> OAuthClient {
    OAuthClient {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        secret_hash: [7; 32],
        team_id,
        scopes: vec!["chat".to_owned()],
        created_at_micros: NOW,
        disabled_at_micros: None,
    }
}

fn sample_key(id: &str, algorithm: &str, not_before_micros: i64) -> SigningKey {
    SigningKey {
        id: id.to_owned(),
        algorithm: algorithm.to_owned(),
        public_key: "{\"kty\":\"OKP\"}".to_owned(),
        sealed_private_key: vec![0, 1, 255],
        created_at_micros: not_before_micros - 1,
        not_before_micros,
        retired_at_micros: None,
    }
}

async fn sample_family(store: &dyn IdentityStore, client_id: Option<Uuid>) -> RefreshFamily {
    let user = sample_user(&Uuid::now_v7().to_string(), None);
    store.create_user(&user, &sample_audit("user")).await.unwrap();
    RefreshFamily {
        id: Uuid::now_v7(),
        user_id: user.id,
        client_id,
        scopes: vec!["chat".to_owned(), "models.read".to_owned()],
        created_at_micros: NOW,
        expires_at_micros: NOW + 1_000,
        revoked_at_micros: None,
    }
}

async fn clients_come_back_and_are_changed_with_an_audit_entry<S>(store: &S)
where
    S: TokenStore + IdentityStore + AuditStore + ChangeStore,
{
    let team = sample_team("a team");
    store.create_team(&team, &sample_audit("team")).await.unwrap();
    let nowhere = sample_client("lost", Some(Uuid::now_v7()));
    let error = store.create_client(&nowhere, &sample_audit("lost")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Constraint);

    let before = store.generations().await.unwrap();
    let mut ours = sample_client("'; DROP TABLE oauth_client; -- é 日本", Some(team.id));
    let other = sample_client("other", None);
    store.create_client(&ours, &sample_audit("ours")).await.unwrap();
    store.create_client(&other, &sample_audit("other")).await.unwrap();
    assert_eq!(store.client(ours.id).await.unwrap().as_ref(), Some(&ours));
    assert_eq!(store.list_clients(None, ALL).await.unwrap(), [other.clone(), ours.clone()]);
    assert_eq!(store.list_clients(Some(team.id), ALL).await.unwrap(), [ours.clone()]);
    let first = Page { after: None, limit: 1 };
    assert_eq!(store.list_clients(None, first).await.unwrap(), std::slice::from_ref(&other));
    let second = Page { after: Some(other.id), limit: 1 };
    assert_eq!(store.list_clients(None, second).await.unwrap(), [ours.clone()]);

    ours.name = "renamed".to_owned();
    ours.secret_hash = [8; 32];
    ours.team_id = None;
    ours.scopes = Vec::new();
    ours.disabled_at_micros = Some(NOW + 1);
    assert!(store.update_client(&ours, &sample_audit("ours")).await.unwrap());
    assert_eq!(store.client(ours.id).await.unwrap().as_ref(), Some(&ours));
    assert!(store.delete_client(ours.id, &sample_audit("ours")).await.unwrap());
    assert!(!store.delete_client(ours.id, &sample_audit("ours")).await.unwrap());
    assert!(!store.update_client(&ours, &sample_audit("ours")).await.unwrap());
    assert_eq!(store.client(ours.id).await.unwrap(), None);

    let filter = AuditFilter { target: Some("ours".to_owned()), ..AuditFilter::default() };
    assert_eq!(store.list_audit(&filter, ALL).await.unwrap().len(), 3, "what was not done is not audited");
    let after = store.generations().await.unwrap();
    assert_ne!(after.tokens, before.tokens);
    assert_eq!(after.identity, before.identity);
}

async fn of_replicas_that_rotate_the_signing_key_one_succeeds<S: TokenStore + ChangeStore>(store: &S) {
    let before = store.generations().await.unwrap().tokens;
    let first = sample_key("first", "EdDSA", NOW);
    assert!(store.add_signing_key(&first, None, NOW).await.unwrap());
    assert!(!store.add_signing_key(&sample_key("late", "EdDSA", NOW + 1), None, NOW).await.unwrap());
    let one = sample_key("one", "EdDSA", NOW + 10);
    let two = sample_key("two", "EdDSA", NOW + 11);
    let (one_added, two_added) = tokio::join!(
        store.add_signing_key(&one, Some("first"), NOW + 500),
        store.add_signing_key(&two, Some("first"), NOW + 500)
    );
    assert!(one_added.unwrap() != two_added.unwrap());
    let rsa = sample_key("rsa", "RS256", NOW - 5);
    assert!(store.add_signing_key(&rsa, None, NOW).await.unwrap(), "each algorithm has keys of its own");

    let keys = store.signing_keys().await.unwrap();
    assert_eq!(keys.len(), 3);
    assert!(keys[0] == one || keys[0] == two, "the latest comes first");
    let retired = SigningKey { retired_at_micros: Some(NOW + 500), ..first };
    assert_eq!(keys[1..], [retired, rsa]);
    assert_ne!(store.generations().await.unwrap().tokens, before);
    assert_eq!(store.forget_expired_tokens(NOW + 499).await.unwrap(), 0);
    assert_eq!(store.forget_expired_tokens(NOW + 500).await.unwrap(), 1);
    assert_eq!(store.signing_keys().await.unwrap().len(), 2);
}

async fn a_refresh_token_is_good_once_and_its_replay_ends_the_family<S>(store: &S)
where
    S: TokenStore + IdentityStore + ChangeStore,
{
    let family = sample_family(store, None).await;
    assert!(store.begin_family(&family, SAMPLE_PASSWORD_HASH, &[1; 32]).await.unwrap());
    let renew = async |token: u8, next: u8, now| store.renew(&[token; 32], None, &[next; 32], now, NOW + 900).await;
    assert_eq!(renew(9, 10, NOW).await.unwrap(), Renewal::Unknown);
    assert_eq!(renew(1, 2, NOW + 1_000).await.unwrap(), Renewal::Expired);
    assert_eq!(renew(1, 2, NOW).await.unwrap(), Renewal::Renewed(family.clone()));
    assert_eq!(renew(2, 3, NOW).await.unwrap(), Renewal::Renewed(family.clone()));
    let before = store.generations().await.unwrap().tokens;
    assert_eq!(store.revocations(NOW).await.unwrap(), []);
    assert_eq!(renew(1, 4, NOW + 5).await.unwrap(), Renewal::Replayed(family.clone()));
    assert_eq!(renew(3, 5, NOW + 6).await.unwrap(), Renewal::Revoked, "the rightful holder's token ends too");
    assert_eq!(renew(4, 5, NOW + 6).await.unwrap(), Renewal::Unknown, "a replay gives nothing");
    assert_ne!(store.generations().await.unwrap().tokens, before);
    let revocation = Revocation { id: family.id, until_micros: NOW + 900 };
    assert_eq!(store.revocations(NOW).await.unwrap(), [revocation]);
    let revoked = RefreshFamily { revoked_at_micros: Some(NOW + 5), ..family };
    assert_eq!(store.family_of(&[2; 32]).await.unwrap(), Some(revoked));
}

async fn of_two_who_present_a_refresh_token_at_once_one_is_the_second<S: TokenStore + IdentityStore>(store: &S) {
    let family = sample_family(store, None).await;
    assert!(store.begin_family(&family, SAMPLE_PASSWORD_HASH, &[1; 32]).await.unwrap());
    let (one, two) = tokio::join!(
        store.renew(&[1; 32], None, &[2; 32], NOW, NOW + 900),
        store.renew(&[1; 32], None, &[3; 32], NOW, NOW + 900)
    );
    let outcomes = [one.unwrap(), two.unwrap()];
    assert!(outcomes.contains(&Renewal::Renewed(family.clone())), "{outcomes:?}");
    assert!(outcomes.contains(&Renewal::Replayed(family)), "{outcomes:?}");
}

async fn a_refresh_token_is_its_clients_alone_and_ends_with_it<S: TokenStore + IdentityStore>(store: &S) {
    let client = sample_client("app", None);
    store.create_client(&client, &sample_audit("client")).await.unwrap();
    let family = sample_family(store, Some(client.id)).await;
    assert!(store.begin_family(&family, SAMPLE_PASSWORD_HASH, &[1; 32]).await.unwrap());
    for other in [None, Some(Uuid::now_v7())] {
        assert_eq!(store.renew(&[1; 32], other, &[2; 32], NOW, NOW).await.unwrap(), Renewal::Unknown);
    }
    let renewed = store.renew(&[1; 32], Some(client.id), &[2; 32], NOW, NOW).await.unwrap();
    assert_eq!(renewed, Renewal::Renewed(family.clone()));
    store.delete_client(client.id, &sample_audit("client")).await.unwrap();
    assert_eq!(store.family_of(&[2; 32]).await.unwrap(), None);

    let family = sample_family(store, None).await;
    assert!(store.begin_family(&family, SAMPLE_PASSWORD_HASH, &[3; 32]).await.unwrap());
    store.delete_user(family.user_id, &sample_audit("user")).await.unwrap();
    assert_eq!(store.family_of(&[3; 32]).await.unwrap(), None);
}

async fn what_is_revoked_is_told_until_it_expires<S: TokenStore + IdentityStore>(store: &S) {
    let family = sample_family(store, None).await;
    assert!(store.begin_family(&family, SAMPLE_PASSWORD_HASH, &[1; 32]).await.unwrap());
    let of_family = Revocation { id: family.id, until_micros: NOW + 20 };
    let alone = Revocation { id: Uuid::now_v7(), until_micros: NOW + 10 };
    for revocation in [of_family, alone, of_family] {
        store.revoke(revocation, NOW + 1).await.unwrap();
    }
    assert_eq!(store.renew(&[1; 32], None, &[2; 32], NOW, NOW).await.unwrap(), Renewal::Revoked);
    assert_eq!(store.revocations(NOW).await.unwrap().len(), 2);
    assert_eq!(store.revocations(NOW + 10).await.unwrap(), [of_family]);
    assert_eq!(store.forget_expired_tokens(NOW + 10).await.unwrap(), 1);
    assert_eq!(store.forget_expired_tokens(NOW + 1_000).await.unwrap(), 2, "the family and its revocation");
    assert_eq!(store.family_of(&[1; 32]).await.unwrap(), None);
}

async fn a_password_that_changes_and_a_user_who_is_disabled_end_every_sign_in<S>(store: &S)
where
    S: TokenStore + IdentityStore + ChangeStore,
{
    let user = sample_user("alice", None);
    store.create_user(&user, &sample_audit("user")).await.unwrap();
    let family = || RefreshFamily {
        id: Uuid::now_v7(),
        user_id: user.id,
        client_id: None,
        scopes: vec!["chat".to_owned()],
        created_at_micros: NOW,
        expires_at_micros: NOW + 1_000,
        revoked_at_micros: None,
    };
    let others = sample_family(store, None).await;
    assert!(store.begin_family(&others, SAMPLE_PASSWORD_HASH, &[99; 32]).await.unwrap());

    let renamed = User { name: "carol".to_owned(), scopes: Vec::new(), ..user.clone() };
    let disabled = User { disabled_at_micros: Some(NOW), ..renamed.clone() };
    let changed = User { password_hash: Some("another".to_owned()), ..renamed.clone() };
    let steps = [
        // What was, what is to be, whether that ends sign-ins, and the password afterwards if one can sign in.
        (&user, &renamed, false, Some(SAMPLE_PASSWORD_HASH)),
        (&renamed, &disabled, true, None),
        (&disabled, &renamed, false, Some(SAMPLE_PASSWORD_HASH)),
        (&renamed, &changed, true, Some("another")),
    ];
    let mut ended = Vec::new();
    for (number, (was, is, ends, password)) in (1..).zip(steps) {
        let families = [family(), family()];
        for (half, family) in (0..).zip(&families) {
            let hash = [number * 4 + half; 32];
            let began = store.begin_family(family, SAMPLE_PASSWORD_HASH, &hash).await.unwrap();
            assert_eq!(began, was.disabled_at_micros.is_none(), "step {number}");
        }
        let before = store.generations().await.unwrap();
        let updated = store.update_user(was, is, NOW + 5, NOW + 900, &sample_audit("user")).await.unwrap();
        assert_eq!(updated, Update::Done);
        let after = store.generations().await.unwrap();
        assert_ne!(after.identity, before.identity);
        assert_eq!(after.tokens != before.tokens, ends, "step {number}");
        if was.disabled_at_micros.is_none() {
            ended.extend(families.iter().map(|family| family.id));
        }
        let told: Vec<Uuid> = store.revocations(NOW + 899).await.unwrap().iter().map(|told| told.id).collect();
        if ends {
            assert_eq!(told, ended, "every family, once");
        }
        for half in 0..2 {
            let renewal = store.renew(&[number * 4 + half; 32], None, &[200 + number * 4 + half; 32], NOW, NOW).await;
            match (ends, was.disabled_at_micros) {
                (true, _) => assert_eq!(renewal.unwrap(), Renewal::Revoked, "step {number}"),
                (false, None) => assert!(matches!(renewal.unwrap(), Renewal::Renewed(_)), "step {number}"),
                (false, Some(_)) => assert_eq!(renewal.unwrap(), Renewal::Unknown, "it never began"),
            }
        }
        // Whoever checked another password a moment ago, or this one of a user who is disabled, does not get in.
        for checked in [SAMPLE_PASSWORD_HASH, "another"] {
            let late = family();
            let hash = [100 + number * 2 + u8::from(checked == "another"); 32];
            let began = store.begin_family(&late, checked, &hash).await.unwrap();
            assert_eq!(began, password == Some(checked), "step {number}");
            if began {
                ended.push(late.id);
            }
        }
    }
    let renewed = store.renew(&[99; 32], None, &[98; 32], NOW, NOW).await.unwrap();
    assert_eq!(renewed, Renewal::Renewed(others), "of another user");
}

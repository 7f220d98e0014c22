//! What every database claims about teams, users, keys, the audit log and the generations.

use std::future::Future;

use uuid::Uuid;

use crate::{
    ApiKey, AuditEntry, AuditFilter, AuditStore, ChangeStore, Generations, IdentityStore, KeyFilter, Page, StoreError,
    StoreErrorKind, Team, Update, User,
};

const ALL: Page = Page { after: None, limit: 1_000 };

/// Checks every claim, each on an empty store of its own.
pub async fn identity_store<Store, Fresh, Ready>(fresh: Fresh)
where
    Store: IdentityStore + AuditStore + ChangeStore + 'static,
    Fresh: Fn() -> Ready,
    Ready: Future<Output = Store>,
{
    an_empty_store_knows_nobody(&fresh().await).await;
    everything_comes_back_as_it_was_written(&fresh().await).await;
    a_key_is_found_by_its_hash_with_whom_it_belongs_to(&fresh().await).await;
    names_are_taken_once(&fresh().await).await;
    what_is_referred_to_must_be_there_and_stays(&fresh().await).await;
    lists_come_in_pages_latest_first(&fresh().await).await;
    updates_change_what_may_change(&fresh().await).await;
    a_user_comes_with_a_key_or_not_at_all(&fresh().await).await;
    a_key_is_rotated_once(&fresh().await).await;
    every_change_is_audited_and_moves_the_generation(&fresh().await).await;
    text_of_every_kind_is_only_text(&fresh().await).await;
    the_first_hash_secret_stays(&fresh().await).await;
}

/// An audit entry of an act on `target`.
pub fn sample_audit(target: &str) -> AuditEntry {
    AuditEntry {
        id: Uuid::now_v7(),
        at_micros: 1_790_000_000_000_000,
        actor: "command line".to_owned(),
        action: "Keys/CreateKey".to_owned(),
        target: target.to_owned(),
        detail: "{}".to_owned(),
    }
}

/// A team of this name that may ask every model.
pub fn sample_team(name: &str) -> Team {
    Team {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        models: Vec::new(),
        created_at_micros: 1_790_000_000_000_001,
        disabled_at_micros: None,
    }
}

/// The password of every sample user.
pub(super) const SAMPLE_PASSWORD_HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA";

/// A user of this name who may ask.
pub fn sample_user(name: &str, team_id: Option<Uuid>) -> User {
    User {
        id: Uuid::now_v7(),
        name: name.to_owned(),
        team_id,
        scopes: vec!["chat".to_owned(), "models.read".to_owned()],
        password_hash: Some(SAMPLE_PASSWORD_HASH.to_owned()),
        created_at_micros: 1_790_000_000_000_002,
        disabled_at_micros: None,
    }
}

/// A key with a hash of 32 times this byte.
pub fn sample_key(byte: u8, user_id: Option<Uuid>, team_id: Option<Uuid>) -> ApiKey {
    let id = Uuid::now_v7();
    ApiKey {
        id,
        name: format!("key {byte}"),
        prefix: "sk-sabir-AbCd".to_owned(),
        hash: [byte; 32],
        user_id,
        team_id,
        scopes: vec!["chat".to_owned()],
        models: vec!["openai/*".to_owned(), "local/*".to_owned()],
        created_at_micros: 1_790_000_000_000_003,
        expires_at_micros: Some(i64::MAX),
        revoked_at_micros: None,
        lineage_id: id,
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.unwrap_err().kind()
}

async fn an_empty_store_knows_nobody(store: &impl IdentityStore) {
    let id = Uuid::now_v7();
    assert_eq!(store.team(id).await.unwrap(), None);
    assert_eq!(store.user(id).await.unwrap(), None);
    assert_eq!(store.user_named("alice").await.unwrap(), None);
    assert_eq!(store.key(id).await.unwrap(), None);
    assert_eq!(store.key_by_hash(&[0; 32]).await.unwrap(), None);
    assert_eq!(store.list_teams(ALL).await.unwrap(), []);
    assert_eq!(store.list_users(None, ALL).await.unwrap(), []);
    assert_eq!(store.list_keys(&KeyFilter::default(), ALL).await.unwrap(), []);
    assert!(!store.has_user_with_scope("admin").await.unwrap());
}

async fn everything_comes_back_as_it_was_written(store: &impl IdentityStore) {
    let audit = || sample_audit("it");
    let mut team = sample_team("harbour");
    team.models = vec!["local/*".to_owned()];
    team.disabled_at_micros = Some(-1);
    store.create_team(&team, &audit()).await.unwrap();
    assert_eq!(store.team(team.id).await.unwrap(), Some(team.clone()));

    let user = sample_user("alice", Some(team.id));
    store.create_user(&user, &audit()).await.unwrap();
    let mut bare = sample_user("bob", None);
    bare.scopes.clear();
    bare.password_hash = None;
    bare.disabled_at_micros = Some(i64::MAX);
    store.create_user(&bare, &audit()).await.unwrap();
    assert_eq!(store.user(user.id).await.unwrap(), Some(user.clone()));
    assert_eq!(store.user_named("bob").await.unwrap(), Some(bare));
    assert_eq!(store.user_named("Bob").await.unwrap(), None, "names differ by case");

    let key = sample_key(7, Some(user.id), Some(team.id));
    let mut bare = sample_key(8, None, None);
    (bare.scopes, bare.models) = (Vec::new(), Vec::new());
    (bare.expires_at_micros, bare.revoked_at_micros) = (None, Some(5));
    for key in [&key, &bare] {
        store.create_key(key, &audit()).await.unwrap();
        assert_eq!(store.key(key.id).await.unwrap().as_ref(), Some(key));
    }
}

async fn a_key_is_found_by_its_hash_with_whom_it_belongs_to(store: &impl IdentityStore) {
    let (owners, own) = (sample_team("the owner's"), sample_team("the key's"));
    let user = sample_user("alice", Some(owners.id));
    store.create_team(&owners, &sample_audit("team")).await.unwrap();
    store.create_team(&own, &sample_audit("team")).await.unwrap();
    store.create_user(&user, &sample_audit("user")).await.unwrap();
    let belongings = [
        (None, None, None),
        (None, Some(own.id), Some(&own)),
        (Some(user.id), None, Some(&owners)),
        (Some(user.id), Some(own.id), Some(&own)),
    ];
    for (byte, (user_id, team_id, team)) in (1..).zip(belongings) {
        let key = sample_key(byte, user_id, team_id);
        store.create_key(&key, &sample_audit("key")).await.unwrap();
        let found = store.key_by_hash(&[byte; 32]).await.unwrap().unwrap();
        assert_eq!(found.key, key);
        assert_eq!(found.user, user_id.map(|_| user.clone()));
        assert_eq!(found.team.as_ref(), team);
    }
    assert_eq!(store.key_by_hash(&[0; 32]).await.unwrap(), None);
}

async fn names_are_taken_once(store: &impl IdentityStore) {
    let audit = || sample_audit("it");
    let (first, second) = (sample_team("harbour"), sample_team("quay"));
    store.create_team(&first, &audit()).await.unwrap();
    store.create_team(&second, &audit()).await.unwrap();
    assert_eq!(kind(store.create_team(&sample_team("harbour"), &audit()).await), StoreErrorKind::Taken);
    let renamed = Team { name: "harbour".to_owned(), ..second.clone() };
    assert_eq!(kind(store.update_team(&second, &renamed, &audit()).await), StoreErrorKind::Taken);
    store.create_user(&sample_user("alice", None), &audit()).await.unwrap();
    assert_eq!(kind(store.create_user(&sample_user("alice", None), &audit()).await), StoreErrorKind::Taken);
}

async fn what_is_referred_to_must_be_there_and_stays(store: &impl IdentityStore) {
    let audit = || sample_audit("it");
    let nobody = Some(Uuid::now_v7());
    assert_eq!(kind(store.create_user(&sample_user("alice", nobody), &audit()).await), StoreErrorKind::Constraint);
    assert_eq!(kind(store.create_key(&sample_key(1, nobody, None), &audit()).await), StoreErrorKind::Constraint);
    assert_eq!(kind(store.create_key(&sample_key(1, None, nobody), &audit()).await), StoreErrorKind::Constraint);

    let team = sample_team("harbour");
    let user = sample_user("alice", Some(team.id));
    let (of_user, of_team) = (sample_key(1, Some(user.id), None), sample_key(2, None, Some(team.id)));
    store.create_team(&team, &audit()).await.unwrap();
    store.create_user(&user, &audit()).await.unwrap();
    store.create_key(&of_user, &audit()).await.unwrap();
    store.create_key(&of_team, &audit()).await.unwrap();
    assert_eq!(kind(store.delete_team(team.id, &audit()).await), StoreErrorKind::Constraint);

    assert!(store.delete_user(user.id, &audit()).await.unwrap());
    assert_eq!(store.key(of_user.id).await.unwrap(), None, "a user's keys go with the user");
    assert_eq!(store.key(of_team.id).await.unwrap(), Some(of_team.clone()));
    assert_eq!(kind(store.delete_team(team.id, &audit()).await), StoreErrorKind::Constraint);
    assert_eq!(store.team(team.id).await.unwrap(), Some(team));
}

async fn lists_come_in_pages_latest_first(store: &impl IdentityStore) {
    let audit = || sample_audit("it");
    let team = sample_team("harbour");
    store.create_team(&team, &audit()).await.unwrap();
    let user = sample_user("alice", Some(team.id));
    store.create_user(&user, &audit()).await.unwrap();
    store.create_user(&sample_user("bob", None), &audit()).await.unwrap();
    let mut keys: Vec<ApiKey> = (0..10).map(|byte| sample_key(byte, None, None)).collect();
    keys[2].user_id = Some(user.id);
    keys[3].team_id = Some(team.id);
    keys[4].revoked_at_micros = Some(1);
    keys[5].revoked_at_micros = Some(i64::MAX);
    for key in &keys {
        store.create_key(key, &audit()).await.unwrap();
    }
    keys.reverse();

    let everything = KeyFilter { revoked: true, ..KeyFilter::default() };
    let mut paged = Vec::new();
    let mut page = Page { after: None, limit: 3 };
    loop {
        let next = store.list_keys(&everything, page).await.unwrap();
        let Some(last) = next.last() else { break };
        page.after = Some(last.id);
        paged.extend(next);
    }
    assert_eq!(paged, keys);
    let names = async |filter: KeyFilter| {
        let keys = store.list_keys(&filter, ALL).await.unwrap();
        keys.into_iter().map(|key| key.name).collect::<Vec<_>>()
    };
    assert_eq!(names(KeyFilter::default()).await.len(), 9, "a key that is revoked later is not revoked yet");
    assert_eq!(names(KeyFilter { user_id: Some(user.id), ..KeyFilter::default() }).await, ["key 2"]);
    assert_eq!(names(KeyFilter { team_id: Some(team.id), ..KeyFilter::default() }).await, ["key 3"]);
    let within = KeyFilter { within_team: Some(team.id), ..KeyFilter::default() };
    assert_eq!(
        names(within).await,
        ["key 3", "key 2"],
        "a member's key that is for no other team is the team's affair"
    );
    assert_eq!(store.list_users(None, ALL).await.unwrap().len(), 2);
    assert_eq!(store.list_users(Some(team.id), ALL).await.unwrap(), std::slice::from_ref(&user));
    assert_eq!(store.list_users(None, Page { after: Some(user.id), limit: 5 }).await.unwrap(), []);
    assert_eq!(store.list_teams(ALL).await.unwrap(), [team]);
}

async fn updates_change_what_may_change(store: &impl IdentityStore) {
    let audit = || sample_audit("it");
    let mut team = sample_team("harbour");
    let mut user = sample_user("alice", None);
    let mut key = sample_key(1, None, None);
    store.create_team(&team, &audit()).await.unwrap();
    store.create_user(&user, &audit()).await.unwrap();
    store.create_key(&key, &audit()).await.unwrap();

    let (old_team, old_user) = (team.clone(), user.clone());
    team.name = "quay".to_owned();
    team.models = vec!["a".to_owned()];
    team.disabled_at_micros = Some(1);
    user.name = "carol".to_owned();
    user.team_id = Some(team.id);
    user.scopes = vec!["admin".to_owned()];
    user.password_hash = None;
    key.name = "renamed".to_owned();
    (key.scopes, key.models) = (vec!["keys.read".to_owned()], Vec::new());
    (key.expires_at_micros, key.revoked_at_micros) = (None, Some(9));
    assert_eq!(store.update_team(&old_team, &team, &audit()).await.unwrap(), Update::Done);
    assert_eq!(store.update_user(&old_user, &user, 5, 6, &audit()).await.unwrap(), Update::Done);
    // Whoever read them before that would undo it.
    assert_eq!(store.update_team(&old_team, &old_team, &audit()).await.unwrap(), Update::Outdated);
    assert_eq!(store.update_user(&old_user, &old_user, 5, 6, &audit()).await.unwrap(), Update::Outdated);
    assert!(store.update_key(&key, &audit()).await.unwrap());
    assert_eq!(store.team(team.id).await.unwrap().as_ref(), Some(&team));
    assert_eq!(store.user(user.id).await.unwrap().as_ref(), Some(&user));
    assert_eq!(store.key(key.id).await.unwrap().as_ref(), Some(&key));

    for later in [None, Some(10)] {
        let stale = ApiKey { revoked_at_micros: later, ..key.clone() };
        assert!(store.update_key(&stale, &audit()).await.unwrap());
        assert_eq!(store.key(key.id).await.unwrap().as_ref(), Some(&key), "a revocation is not undone");
    }
    let others = ApiKey { hash: [9; 32], created_at_micros: 0, prefix: "other".to_owned(), ..key.clone() };
    assert!(store.update_key(&others, &audit()).await.unwrap());
    assert_eq!(store.key(key.id).await.unwrap(), Some(key), "what a key is does not change");

    assert!(store.has_user_with_scope("admin").await.unwrap());
    assert!(!store.has_user_with_scope("adm").await.unwrap());
    let disabled = User { disabled_at_micros: Some(1), ..user.clone() };
    assert_eq!(store.update_user(&user, &disabled, 5, 6, &audit()).await.unwrap(), Update::Done);
    assert!(!store.has_user_with_scope("admin").await.unwrap());
}

async fn a_user_comes_with_a_key_or_not_at_all(store: &impl IdentityStore) {
    let user = sample_user("with a key", None);
    let key = sample_key(11, Some(user.id), None);
    store.create_user_with_key(&user, &key, &sample_audit("user")).await.unwrap();
    assert_eq!(store.user(user.id).await.unwrap().as_ref(), Some(&user));
    assert_eq!(store.key(key.id).await.unwrap().as_ref(), Some(&key));
    let other = sample_user("without a key", None);
    let same = ApiKey { id: Uuid::now_v7(), user_id: Some(other.id), ..key };
    store.create_user_with_key(&other, &same, &sample_audit("user")).await.unwrap_err();
    assert_eq!(store.user(other.id).await.unwrap(), None, "the hash of the key is another's");
}

async fn a_key_is_rotated_once(store: &impl IdentityStore) {
    let old = sample_key(1, None, None);
    store.create_key(&old, &sample_audit("key")).await.unwrap();
    let new = ApiKey { lineage_id: old.id, ..sample_key(2, None, None) };
    assert!(store.rotate_key(old.id, 77, &new, &sample_audit("key")).await.unwrap());
    assert_eq!(store.key(old.id).await.unwrap().unwrap().revoked_at_micros, Some(77));
    assert_eq!(store.key(new.id).await.unwrap(), Some(new));
    let another = sample_key(3, None, None);
    assert!(!store.rotate_key(old.id, 78, &another, &sample_audit("key")).await.unwrap());
    assert!(!store.rotate_key(Uuid::now_v7(), 78, &another, &sample_audit("key")).await.unwrap());
    assert_eq!(store.key(another.id).await.unwrap(), None);
    assert_eq!(store.key(old.id).await.unwrap().unwrap().revoked_at_micros, Some(77));
}

async fn every_change_is_audited_and_moves_the_generation<Store>(store: &Store)
where
    Store: IdentityStore + AuditStore + ChangeStore,
{
    let all = async || store.list_audit(&AuditFilter::default(), ALL).await.unwrap();
    let mut before: Generations = store.generations().await.unwrap();
    let mut written: Vec<AuditEntry> = Vec::new();
    let (team, user, key) = (sample_team("harbour"), sample_user("alice", None), sample_key(1, None, None));
    let next = sample_key(2, None, None);
    macro_rules! changes {
        ($target:literal, |$audit:ident| $call:expr) => {
            let $audit = &sample_audit($target);
            $call.await.unwrap();
            let after = store.generations().await.unwrap();
            assert_ne!(after.identity, before.identity, $target);
            assert_eq!(after, Generations { identity: after.identity, ..before }, $target);
            before = after;
            written.insert(0, $audit.clone());
            assert_eq!(all().await, written, $target);
        };
    }
    changes!("team 1", |audit| store.create_team(&team, audit));
    changes!("team 2", |audit| store.update_team(&team, &team, audit));
    changes!("user 1", |audit| store.create_user(&user, audit));
    changes!("user 2", |audit| store.update_user(&user, &user, 5, 6, audit));
    changes!("key 1", |audit| store.create_key(&key, audit));
    changes!("key 2", |audit| store.update_key(&key, audit));
    changes!("key 3", |audit| store.rotate_key(key.id, 1, &next, audit));
    changes!("user 3", |audit| store.delete_user(user.id, audit));
    changes!("team 3", |audit| store.delete_team(team.id, audit));

    // What changes nothing is not written down, nor is what fails.
    let audit = sample_audit("nothing");
    assert_eq!(store.update_team(&team, &team, &audit).await.unwrap(), Update::Outdated);
    assert!(!store.delete_team(team.id, &audit).await.unwrap());
    assert_eq!(store.update_user(&user, &user, 5, 6, &audit).await.unwrap(), Update::Outdated);
    assert!(!store.delete_user(user.id, &audit).await.unwrap());
    assert!(!store.update_key(&sample_key(9, None, None), &audit).await.unwrap());
    assert!(!store.rotate_key(key.id, 1, &sample_key(9, None, None), &audit).await.unwrap());
    store.create_key(&next, &audit).await.unwrap_err();
    assert_eq!(all().await, written);
    assert_eq!(store.generations().await.unwrap(), before);

    let filter = AuditFilter { target: Some("key 2".to_owned()), ..AuditFilter::default() };
    assert_eq!(store.list_audit(&filter, ALL).await.unwrap(), written[3..4]);
    let filter = AuditFilter { since_micros: Some(i64::MAX), ..AuditFilter::default() };
    assert_eq!(store.list_audit(&filter, ALL).await.unwrap(), []);
    let filter =
        AuditFilter { until_micros: Some(i64::MAX), actor: Some("command line".to_owned()), ..AuditFilter::default() };
    let page = Page { after: Some(written[1].id), limit: 2 };
    assert_eq!(store.list_audit(&filter, page).await.unwrap(), written[2..4]);
}

async fn text_of_every_kind_is_only_text<Store: IdentityStore + AuditStore>(store: &Store) {
    for text in ["'; DROP TABLE team; --", "\" OR 1=1", "$1", "%_\\", "日本 🦀 é", "{\"a\":[]}"] {
        let team = Team { models: vec![text.to_owned(), String::new()], ..sample_team(text) };
        let user = User { scopes: vec![text.to_owned()], ..sample_user(text, Some(team.id)) };
        store.create_team(&team, &AuditEntry { detail: text.to_owned(), ..sample_audit(text) }).await.unwrap();
        store.create_user(&user, &sample_audit(text)).await.unwrap();
        assert_eq!(store.team(team.id).await.unwrap(), Some(team));
        assert_eq!(store.user_named(text).await.unwrap(), Some(user));
        assert!(store.has_user_with_scope(text).await.unwrap());
        let filter = AuditFilter { target: Some(text.to_owned()), ..AuditFilter::default() };
        assert_eq!(store.list_audit(&filter, ALL).await.unwrap().len(), 2);
    }
}

async fn the_first_hash_secret_stays(store: &impl IdentityStore) {
    assert_eq!(store.hash_secret(&[1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(store.hash_secret(&[2; 32]).await.unwrap(), [1; 32]);
}

//! Claims about looking keys up: what is asked of the database shows in that nobody can be let in when it is closed.

use sabir_store::conformance::{sample_audit, sample_key, sample_team, sample_user};
use sabir_store::{ApiKey, Store, Team, Update, User};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::auth::NewKey;

struct World {
    store: Arc<dyn Store>,
    mint: Arc<KeyMint>,
    changes: ChangeWatch,
    keys: Keys,
    _folder: TempDir,
}

impl World {
    async fn change_user(&self, user: &User) {
        let was = self.store.user(user.id).await.unwrap().unwrap();
        let updated = self.store.update_user(&was, user, micros(0), micros(0), &sample_audit("user")).await;
        assert_eq!(updated.unwrap(), Update::Done);
    }

    async fn change_team(&self, team: &Team) {
        let was = self.store.team(team.id).await.unwrap().unwrap();
        let updated = self.store.update_team(&was, team, &sample_audit("team")).await;
        assert_eq!(updated.unwrap(), Update::Done);
    }

    async fn new(stale_for: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sabir.db");
        let store: Arc<dyn Store> =
            Arc::new(sabir_store_sqlite::open(path.to_str().unwrap(), Default::default()).await.unwrap());
        let changes = ChangeWatch::start(store.clone() as _).await.unwrap();
        let mint = Arc::new(KeyMint::new(&[7; 32]));
        let keys = Keys::new(mint.clone(), store.clone() as _, changes.clone(), stale_for);
        Self { store, mint, changes, keys, _folder: folder }
    }

    /// Adds a key, changed in this way.
    async fn key(&self, change: impl FnOnce(&mut ApiKey)) -> (NewKey, ApiKey) {
        let new = self.mint.make().unwrap();
        let mut row = ApiKey { hash: new.hash, ..sample_key(0, None, None) };
        change(&mut row);
        self.store.create_key(&row, &sample_audit("key")).await.unwrap();
        self.noticed().await;
        (new, row)
    }

    /// Waits until the change before this has been noticed.
    async fn noticed(&self) {
        let now = self.store.generations().await.unwrap();
        self.changes.subscribe().wait_for(|seen| *seen == now).await.unwrap();
    }

    async fn ask(&self, key: &NewKey) -> Result<Arc<Principal>, Refusal> {
        match self.keys.recall(key.secret.expose()) {
            Some(known) => known,
            None => self.keys.look_up(key.secret.expose()).await,
        }
    }
}

fn micros(from_now: i64) -> i64 {
    unix_micros(SystemTime::now()) + from_now * 1_000_000
}

#[tokio::test]
async fn a_key_is_looked_up_once_and_a_text_that_is_none_never() {
    let world = World::new(Duration::from_secs(60)).await;
    let (key, row) = world.key(|_| {}).await;
    let gone = world.mint.make().unwrap();
    assert!(world.keys.recall(key.secret.expose()).is_none(), "nobody has asked yet");
    let principal = world.ask(&key).await.unwrap();
    assert_eq!(principal.identity, Identity::Key { id: row.id, lineage_id: row.lineage_id });
    assert_eq!(world.ask(&gone).await, Err(Refusal::Invalid));

    world.store.close().await.unwrap();
    assert!(Arc::ptr_eq(&world.ask(&key).await.unwrap(), &principal));
    assert_eq!(world.ask(&gone).await, Err(Refusal::Invalid), "that it is not there is remembered too");
    let unseen = world.mint.make().unwrap();
    assert_eq!(world.ask(&unseen).await, Err(Refusal::Unavailable), "only the database could tell");
    let foreign = KeyMint::new(&[8; 32]).make().unwrap();
    assert_eq!(world.ask(&foreign).await, Err(Refusal::Invalid), "no database is needed to tell");
    for text in ["sk-sabir-", "sk-sabir-\0", "sk-sabir-' OR 1=1 --", &"sk-sabir-".repeat(100_000)] {
        assert_eq!(world.keys.recall(text), Some(Err(Refusal::Invalid)));
    }
}

#[tokio::test]
async fn those_who_ask_at_once_share_one_look_up() {
    let world = Arc::new(World::new(Duration::from_secs(60)).await);
    let (key, _) = world.key(|_| {}).await;
    let key = Arc::new(key);
    let asked = (0..200).map(|_| {
        let (world, key) = (world.clone(), key.clone());
        tokio::spawn(async move { world.keys.look_up(key.secret.expose()).await.unwrap() })
    });
    let found = futures_util::future::join_all(asked.collect::<Vec<_>>()).await;
    let first = found[0].as_ref().unwrap();
    assert!(found.iter().all(|found| Arc::ptr_eq(found.as_ref().unwrap(), first)), "all have the same");
    assert!(world.keys.flights.lock().unwrap().is_empty());
}

#[tokio::test]
async fn memory_counts_for_a_while_without_a_database() {
    let world = World::new(Duration::from_secs(5)).await;
    let (key, _) = world.key(|_| {}).await;
    world.ask(&key).await.unwrap();
    world.store.close().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    world.ask(&key).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    assert_eq!(world.ask(&key).await, Err(Refusal::Unavailable));
}

#[tokio::test]
async fn a_change_that_cannot_be_looked_up_shuts_nobody_out_who_was_known() {
    let world = World::new(Duration::from_secs(3)).await;
    let (key, _) = world.key(|_| {}).await;
    let stranger = world.mint.make().unwrap();
    world.ask(&key).await.unwrap();
    assert_eq!(world.ask(&stranger).await, Err(Refusal::Invalid));
    world.key(|_| {}).await;
    world.store.close().await.unwrap();
    world.ask(&key).await.unwrap();
    assert_eq!(world.ask(&stranger).await, Err(Refusal::Unavailable), "the key may have been made since");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(world.keys.recall(key.secret.expose()).is_some(), "the database is not asked in vain again");
    tokio::time::sleep(Duration::from_millis(3_200)).await;
    assert_eq!(world.ask(&key).await, Err(Refusal::Unavailable));
}

#[tokio::test]
async fn times_count_to_the_second_although_the_key_is_remembered() {
    let world = World::new(Duration::from_secs(60)).await;
    let (expiring, _) = world.key(|key| key.expires_at_micros = Some(micros(5))).await;
    let (ending, _) = world.key(|key| key.revoked_at_micros = Some(micros(5))).await;
    let (expired, _) = world.key(|key| key.expires_at_micros = Some(micros(-1))).await;
    let (both, _) =
        world.key(|key| (key.expires_at_micros, key.revoked_at_micros) = (Some(micros(-1)), Some(micros(-1)))).await;
    world.ask(&expiring).await.unwrap();
    world.ask(&ending).await.unwrap();
    assert_eq!(world.ask(&expired).await, Err(Refusal::Expired));
    assert_eq!(world.ask(&both).await, Err(Refusal::Invalid), "of a revoked key nothing else is said");
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(world.ask(&expiring).await, Err(Refusal::Expired));
    assert_eq!(world.ask(&ending).await, Err(Refusal::Invalid));
}

#[tokio::test]
async fn a_key_may_do_what_its_user_may_and_asks_what_its_team_asks() {
    let world = World::new(Duration::from_secs(60)).await;
    let mut team = Team { models: vec!["local/*".to_owned()], ..sample_team("harbour") };
    let mut user = User { scopes: vec!["chat".to_owned()], ..sample_user("alice", Some(team.id)) };
    world.store.create_team(&team, &sample_audit("team")).await.unwrap();
    world.store.create_user(&user, &sample_audit("user")).await.unwrap();
    let (key, row) = world
        .key(|key| {
            key.user_id = Some(user.id);
            key.scopes = ["chat", "keys.write", "unknown"].map(str::to_owned).to_vec();
        })
        .await;
    let principal = world.ask(&key).await.unwrap();
    assert_eq!((principal.user_id, principal.team_id), (Some(user.id), Some(team.id)));
    assert_eq!(principal.scopes.to_string(), "chat");
    assert_eq!(principal.models, [row.models, team.models.clone()]);

    user.scopes.push("keys.write".to_owned());
    world.change_user(&user).await;
    world.noticed().await;
    assert_eq!(world.ask(&key).await.unwrap().scopes.to_string(), "chat keys.write");
    team.disabled_at_micros = Some(micros(0));
    world.change_team(&team).await;
    world.noticed().await;
    assert_eq!(world.ask(&key).await, Err(Refusal::Invalid));
    team.disabled_at_micros = None;
    user.disabled_at_micros = Some(micros(0));
    world.change_team(&team).await;
    world.change_user(&user).await;
    world.noticed().await;
    assert_eq!(world.ask(&key).await, Err(Refusal::Invalid));
}

#[tokio::test]
async fn a_remembered_key_costs_microseconds() {
    let world = World::new(Duration::from_secs(60)).await;
    let (key, _) = world.key(|key| key.lineage_id = Uuid::nil()).await;
    world.ask(&key).await.unwrap();
    let begun = std::time::Instant::now();
    for _ in 0..1_000 {
        world.keys.recall(key.secret.expose()).unwrap().unwrap();
    }
    // An unoptimised build on a busy machine takes some 10 us for each, a round trip to a database more than 100.
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?} for 1000", begun.elapsed());
}

//! What was found out about credentials lately, by their hashes, and for how long it counts.
//!
//! What is remembered holds until identities change. Then it is looked up anew, which takes the database; while that is
//! away, what held before the change still counts for a while. It must not know what a credential is.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sabir_store::{ChangeWatch, Generations};
use tokio::time::Instant;

use super::recent::Recent;

/// The hash of a credential. What is kept of it could not be used as one.
pub(super) type Hash = [u8; 32];

/// How old memory may be in any case: that of a database which is there is up to a quarter of a second old.
const ALWAYS: Duration = Duration::from_secs(1);

/// How many credentials are remembered at least; at most twice as many.
const REMEMBERED: usize = 10_000;

/// The counters that move when what is remembered may no longer hold.
type Concern = fn(Generations) -> [i64; 2];

/// What is remembered.
#[derive(Debug)]
pub(super) struct Memory<V> {
    changes: ChangeWatch,
    concern: Concern,
    stale_for: Duration,
    entries: Mutex<Entries<V>>,
}

#[derive(Debug)]
struct Entries<V> {
    /// The counters with which the current entries hold.
    generation: [i64; 2],
    /// When the generation was last seen to be this.
    seen: Instant,
    recent: Recent<Hash, Entry<V>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    /// When this was last known to be right, if identities have changed since.
    superseded: Option<Instant>,
}

impl<V: Clone> Memory<V> {
    /// An empty memory that follows those changes that concern it, and counts for `stale_for` while they cannot be
    /// followed.
    pub(super) fn new(changes: ChangeWatch, concern: Concern, stale_for: Duration) -> Self {
        let generation = concern(changes.generations());
        let entries = Entries { generation, seen: Instant::now(), recent: Recent::new(REMEMBERED) };
        Self { changes, concern, stale_for: stale_for.max(ALWAYS), entries: Mutex::new(entries) }
    }

    /// What is known and holds.
    pub(super) fn current(&self, hash: &Hash) -> Option<V> {
        if self.changes.age() > self.stale_for {
            return None;
        }
        self.with(|entries| {
            let entry = entries.recent.get_mut(hash)?;
            entry.superseded.is_none().then(|| entry.value.clone())
        })
    }

    /// What held when identities were last known, if that is not too long ago. It counts only where the database cannot
    /// be asked.
    pub(super) fn superseded(&self, hash: &Hash) -> Option<V> {
        if self.changes.age() > self.stale_for {
            return None;
        }
        self.with(|entries| {
            let entry = entries.recent.get_mut(hash)?;
            let age = entry.superseded.map_or(Duration::ZERO, |superseded| superseded.elapsed());
            (age <= self.stale_for).then(|| entry.value.clone())
        })
    }

    /// Whether the database has not answered for so long that asking it would only keep the caller waiting.
    pub(super) fn is_cut_off(&self) -> bool {
        self.changes.age() > ALWAYS
    }

    /// What a look-up that begins now has to be remembered with.
    pub(super) fn generations(&self) -> Generations {
        self.changes.generations()
    }

    /// Remembers what a look-up found that began in these generations. It is at least as new as they are; if there has
    /// been a change since, nobody can tell whether it is newer than that, so it is not kept.
    pub(super) fn insert(&self, generations: Generations, hash: Hash, value: V) {
        self.with(|entries| {
            if entries.generation == (self.concern)(generations) {
                entries.recent.insert(hash, Entry { value, superseded: None });
            }
        });
    }

    /// Does something with entries that are marked as what they are now.
    fn with<T>(&self, act: impl FnOnce(&mut Entries<V>) -> T) -> T {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.turn_to((self.concern)(self.changes.generations()));
        act(&mut entries)
    }
}

impl<V> Entries<V> {
    fn turn_to(&mut self, generation: [i64; 2]) {
        if self.generation != generation {
            self.generation = generation;
            for entry in self.recent.values_mut() {
                entry.superseded.get_or_insert(self.seen);
            }
        }
        self.seen = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sabir_store::{ChangeStore, StoreError, StoreErrorKind, StoreFuture};

    use super::*;

    const STALE_FOR: Duration = Duration::from_secs(60);

    /// Generations as a test has them; `None` while the database is away.
    struct Scripted(Mutex<Option<Generations>>);

    impl ChangeStore for Scripted {
        fn generations(&self) -> StoreFuture<'_, Generations> {
            let answer = self.0.lock().unwrap().ok_or_else(|| StoreError::new(StoreErrorKind::Unavailable, "away"));
            Box::pin(std::future::ready(answer))
        }
    }

    impl Scripted {
        async fn set(&self, generations: Option<i64>) {
            *self.0.lock().unwrap() = generations.map(|identity| Generations { identity, ..Generations::default() });
            // Until it has been noticed.
            tokio::time::sleep(ALWAYS / 2).await;
        }
    }

    async fn world() -> (Arc<Scripted>, Memory<&'static str>) {
        let store = Arc::new(Scripted(Mutex::new(Some(Generations::default()))));
        let changes = ChangeWatch::start(store.clone()).await.unwrap();
        (store, Memory::new(changes, |now| [now.identity, 0], STALE_FOR))
    }

    const KEY: Hash = [1; 32];

    #[tokio::test(start_paused = true)]
    async fn what_a_change_superseded_counts_only_as_such() {
        let (store, memory) = world().await;
        memory.insert(memory.generations(), KEY, "before");
        assert_eq!((memory.current(&KEY), memory.superseded(&KEY)), (Some("before"), Some("before")));
        let begun = memory.generations();
        store.set(Some(1)).await;
        assert_eq!((memory.current(&KEY), memory.superseded(&KEY)), (None, Some("before")));
        memory.insert(begun, KEY, "too old");
        assert_eq!(memory.superseded(&KEY), Some("before"));
        memory.insert(memory.generations(), KEY, "after");
        assert_eq!(memory.current(&KEY), Some("after"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_superseded_is_given_up_although_changes_are_followed() {
        let (store, memory) = world().await;
        memory.insert(memory.generations(), KEY, "before");
        // Every change that follows leaves the time of the first.
        for generation in 1..=59 {
            store.set(Some(generation)).await;
            assert_eq!(memory.superseded(&KEY), Some("before"), "{generation}");
            tokio::time::sleep(ALWAYS / 2).await;
        }
        tokio::time::sleep(ALWAYS * 2).await;
        assert_eq!(memory.superseded(&KEY), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_that_nobody_saw_is_as_old_as_the_last_look() {
        let (store, memory) = world().await;
        memory.insert(memory.generations(), KEY, "before");
        store.set(Some(1)).await;
        tokio::time::sleep(STALE_FOR).await;
        assert_eq!(memory.superseded(&KEY), None);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_counts_for_ever_while_the_database_is_away() {
        let (store, memory) = world().await;
        memory.insert(memory.generations(), KEY, "before");
        assert!(!memory.is_cut_off());
        store.set(None).await;
        tokio::time::sleep(ALWAYS).await;
        assert!(memory.is_cut_off());
        assert_eq!(memory.current(&KEY), Some("before"));
        tokio::time::sleep(STALE_FOR).await;
        assert_eq!((memory.current(&KEY), memory.superseded(&KEY)), (None, None));
        store.set(Some(0)).await;
        assert_eq!(memory.current(&KEY), Some("before"), "nothing has changed meanwhile");
    }
}

//! How many calls are open at once, and how their places are shared out when there are not enough for everybody.
//!
//! A call is turned away by its head alone, before anything of its body is read. As long as there is room, anybody may have
//! it. Beyond half of the places nobody gets more than an equal share, and a few places are for those who have none, so that
//! one client with many calls shuts nobody out.

mod layer;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::layer::OverloadLayer;

/// How many maps the clients are spread over, so that calls seldom wait for each other.
const SHARDS: usize = 16;

/// One of so many places is for clients that have none.
const RESERVED: usize = 16;

/// The places. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: usize,
    taken: AtomicUsize,
    clients: AtomicUsize,
    hasher: RandomState,
    held: [Mutex<HashMap<u64, usize>>; SHARDS],
}

/// A client, by whatever tells it from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client(u64);

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    client: Client,
}

impl Places {
    /// So many.
    pub(crate) fn new(most: usize) -> Self {
        let (taken, clients, held) = Default::default();
        Self(Arc::new(Shared { most, taken, clients, hasher: RandomState::new(), held }))
    }

    /// The client that this tells from others.
    pub(crate) fn client(&self, name: impl std::hash::Hash) -> Client {
        Client(self.0.hasher.hash_one(name))
    }

    /// Takes a place for a call of this client, if there is one for it.
    pub(crate) fn take(&self, client: Client) -> Option<Place> {
        let Shared { most, taken, clients, .. } = &*self.0;
        let mut held = self.held(client);
        let own = held.get(&client.0).copied().unwrap_or(0);
        // Others count at the same time: this may be off by as many as there are processors.
        let all = taken.load(Ordering::Relaxed);
        let has_room = match own {
            0 => all < most + most.div_ceil(RESERVED),
            _ if all < *most / 2 => true,
            _ => all < *most && own < most.div_ceil(clients.load(Ordering::Relaxed).max(1)),
        };
        if !has_room {
            return None;
        }
        taken.fetch_add(1, Ordering::Relaxed);
        if own == 0 {
            clients.fetch_add(1, Ordering::Relaxed);
        }
        held.insert(client.0, own + 1);
        drop(held);
        Some(Place { places: self.clone(), client })
    }

    fn held(&self, client: Client) -> MutexGuard<'_, HashMap<u64, usize>> {
        let shard = usize::try_from(client.0 % SHARDS as u64).unwrap_or(0);
        self.0.held[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Shared { taken, clients, .. } = &*self.places.0;
        let mut held = self.places.held(self.client);
        taken.fetch_sub(1, Ordering::Relaxed);
        match held.get_mut(&self.client.0) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                held.remove(&self.client.0);
                clients.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Places, client: &str, count: usize) -> Vec<Place> {
        let client = places.client(client);
        (0..count).map_while(|_| places.take(client)).collect()
    }

    #[test]
    fn who_is_alone_may_have_everything() {
        let places = Places::new(100);
        let all = take(&places, "a", 1_000);
        assert_eq!(all.len(), 100);
        drop(all);
        assert_eq!(take(&places, "a", 1_000).len(), 100);
        assert_eq!(places.0.clients.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_with_many_calls_shuts_nobody_out() {
        let places = Places::new(96);
        let mut greedy = take(&places, "greedy", 1_000);
        let mut others: Vec<_> = (0..6).flat_map(|number| take(&places, &format!("other {number}"), 1)).collect();
        assert_eq!((greedy.len(), others.len()), (96, 6), "a sixteenth is for those who have none");
        assert!(take(&places, "one more", 1).is_empty());
        // What it gives back goes to the others, until everybody has as much.
        greedy.truncate(40);
        assert!(take(&places, "greedy", 1).len() <= 2);
        others.extend(take(&places, "other 0", 1_000));
        let other = places.client("other 0");
        assert_eq!(places.held(other)[&other.0], 96_usize.div_ceil(7));
    }

    #[test]
    fn while_there_is_room_nobody_is_counted() {
        let places = Places::new(100);
        let _few = [take(&places, "a", 1), take(&places, "b", 1), take(&places, "c", 1)];
        assert_eq!(take(&places, "d", 47).len(), 47);
    }
}

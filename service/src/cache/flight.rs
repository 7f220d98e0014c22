//! Questions that somebody is asking right now.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::key::Key;

type Open = HashMap<Key, watch::Receiver<()>>;

/// The questions that are being asked. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Flights(Arc<Mutex<Open>>);

/// A question that is being asked, until this is dropped.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Flights,
    key: Key,
    /// Dropped last, so that those who wait find the place free.
    _end: watch::Sender<()>,
}

/// Who asks a question.
pub(super) enum Join {
    /// Whoever gets this.
    Lead(Flight),
    /// Somebody else. This says when they are done.
    Wait(watch::Receiver<()>),
}

impl Flights {
    /// Asks a question, unless somebody does so already.
    pub(super) fn join(&self, key: Key) -> Join {
        match self.open().entry(key) {
            Entry::Occupied(open) => Join::Wait(open.get().clone()),
            Entry::Vacant(place) => {
                let (sender, receiver) = watch::channel(());
                place.insert(receiver);
                Join::Lead(Flight { flights: self.clone(), key, _end: sender })
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.open().remove(&self.key);
    }
}

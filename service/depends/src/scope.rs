//! What one request has resolved, who waits for whom in it, and what is to be done at its end.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::OnceCell;

use crate::Error;
use crate::dependency::{Key, Value};
use crate::head::{Arrival, Head};
use crate::hook::{Hook, Outcome};
use crate::waits::Waits;

/// Where one dependency's value will be. Whoever comes first fills it, and the others wait.
pub(crate) type Slot = OnceCell<Result<Value, Error>>;

/// One request.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) arrival: Arrival,
    pub(crate) head: OnceLock<Head>,
    state: Mutex<State>,
    hooks: Hooks,
}

#[derive(Debug, Default)]
struct State {
    /// So few that a list is faster than a table.
    slots: Vec<(Key, Arc<Slot>)>,
    waits: Waits,
}

impl Scope {
    pub(crate) fn new(arrival: Arrival) -> Self {
        Self { arrival, head: OnceLock::new(), state: Mutex::default(), hooks: Hooks::default() }
    }

    /// The place of a value.
    pub(crate) fn slot(&self, key: Key) -> Arc<Slot> {
        let mut state = lock(&self.state);
        if let Some((_, slot)) = state.slots.iter().find(|(other, _)| *other == key) {
            return Arc::clone(slot);
        }
        let slot = Arc::default();
        state.slots.push((key, Arc::clone(&slot)));
        slot
    }

    /// Notes that `asker` waits for `asked` for as long as the answer lives. A handler is waited for by nobody, and is
    /// not noted.
    ///
    /// # Errors
    /// When that closes a circle.
    pub(crate) fn wait(&self, asker: Option<Key>, asked: Key) -> Result<Option<Waiting<'_>>, Error> {
        let Some(asker) = asker else { return Ok(None) };
        lock(&self.state).waits.begin(asker, asked)?;
        Ok(Some(Waiting { scope: self, asker, asked }))
    }

    pub(crate) fn hooks(&self) -> &Hooks {
        &self.hooks
    }
}

/// A wait that is going on.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    scope: &'a Scope,
    asker: Key,
    asked: Key,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.scope.state).waits.end(self.asker, self.asked);
    }
}

/// Hooks that wait for an end.
#[derive(Debug, Default)]
pub(crate) struct Hooks(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    hooks: Vec<Hook>,
    ended: Option<Outcome>,
}

impl Hooks {
    /// Adds one. If the end has come already, it is given back with what the end was like.
    pub(crate) fn add(&self, hook: Hook) -> Result<(), (Hook, Outcome)> {
        let mut pending = lock(&self.0);
        match pending.ended {
            Some(outcome) => Err((hook, outcome)),
            None => {
                pending.hooks.push(hook);
                Ok(())
            }
        }
    }

    /// The end has come: takes every hook, in the order in which they came.
    pub(crate) fn end(&self, outcome: Outcome) -> Vec<Hook> {
        let mut pending = lock(&self.0);
        pending.ended.get_or_insert(outcome);
        std::mem::take(&mut pending.hooks)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).hooks.is_empty()
    }

    /// Whether the end has come.
    pub(crate) fn ended(&self) -> bool {
        lock(&self.0).ended.is_some()
    }
}

/// Nothing that is done under these locks leaves something half done, so that a panic elsewhere does not matter.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

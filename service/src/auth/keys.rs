//! Whose key it is: from memory where it can be, else from the database, once for however many ask.
//!
//! What is in memory holds until identities change, so that a key that is revoked is refused everywhere as soon as the
//! replicas have noticed. While the database is away, nobody can notice anything, and what has changed cannot be looked
//! up: memory then counts for a while longer, and after that nobody is let in whose key would have to be looked up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sabir_store::{ChangeWatch, IdentityStore, KeyIdentity, unix_micros};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::memory::{Hash, Memory};
use super::{Identity, KeyMint, Principal, Refusal, Scope, Scopes, key};

use crate::telemetry::event;

/// How many keys may be looked up at once.
const LOOKUPS: usize = 16;

/// How long a call waits for a look-up, its turn included.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tells whose key it is.
pub(crate) struct Keys {
    mint: Arc<KeyMint>,
    store: Arc<dyn IdentityStore>,
    /// `None` for a key that was ours once.
    memory: Memory<Option<Known>>,
    /// The look-ups that are under way; whoever asks for the same waits for its turn.
    flights: Mutex<HashMap<Hash, Arc<tokio::sync::Mutex<()>>>>,
    lookups: Semaphore,
}

/// What is known of a key.
#[derive(Debug, Clone)]
struct Known {
    principal: Arc<Principal>,
    /// From when it is refused as invalid, in microseconds since the Unix epoch.
    refused_from: i64,
    /// From when it is refused as expired, likewise.
    expires_at: i64,
}

impl Keys {
    pub(super) fn new(
        mint: Arc<KeyMint>,
        store: Arc<dyn IdentityStore>,
        changes: ChangeWatch,
        stale_for: Duration,
    ) -> Self {
        Self {
            mint,
            store,
            memory: Memory::new(changes, |now| [now.identity, 0], stale_for),
            flights: Mutex::default(),
            lookups: Semaphore::new(LOOKUPS),
        }
    }

    /// What memory says of a key; `None` if the database has to be asked.
    pub(super) fn recall(&self, key: &str) -> Option<Result<Arc<Principal>, Refusal>> {
        if !key::is_formed(key) {
            return Some(Err(Refusal::Invalid));
        }
        if let Some(known) = self.remembered(&self.mint.hash(key)) {
            return Some(judge(known));
        }
        // A key of ours that is not known any more and a text that never was one are refused alike.
        (!self.mint.has_made(key)).then_some(Err(Refusal::Invalid))
    }

    /// Asks the database, unless somebody else has by the time it is this call's turn.
    pub(super) async fn look_up(&self, key: &str) -> Result<Arc<Principal>, Refusal> {
        let hash = self.mint.hash(key);
        let found = match timeout(PATIENCE, self.fetch(hash)).await {
            Ok(found) => found,
            Err(_) => {
                tracing::warn!(
                    event = event::IDENTITY_UNAVAILABLE, limit = ?PATIENCE,
                    "the database does not say in time whose key it is"
                );
                Err(Refusal::Unavailable)
            }
        };
        match found {
            Err(Refusal::Unavailable) => judge(self.superseded(&hash).ok_or(Refusal::Unavailable)?),
            found => found.and_then(judge),
        }
    }

    fn remembered(&self, hash: &Hash) -> Option<Option<Known>> {
        let cut_off = || self.memory.is_cut_off().then(|| self.superseded(hash)).flatten();
        self.memory.current(hash).or_else(cut_off)
    }

    /// Whose key it was before a change. That it was nobody's says nothing: keys are made all the time.
    fn superseded(&self, hash: &Hash) -> Option<Option<Known>> {
        self.memory.superseded(hash).filter(Option::is_some)
    }

    async fn fetch(&self, hash: Hash) -> Result<Option<Known>, Refusal> {
        let flight = Flight::join(self, hash);
        let _turn = flight.turn.lock().await;
        if let Some(known) = self.remembered(&hash) {
            return Ok(known);
        }
        let _place = self.lookups.acquire().await.map_err(|_| Refusal::Unavailable)?;
        let generations = self.memory.generations();
        let found = self.store.key_by_hash(&hash).await.map_err(|error| {
            tracing::warn!(event = event::IDENTITY_UNAVAILABLE, %error, "the database does not say whose key it is");
            Refusal::Unavailable
        })?;
        let known = found.map(|found| Known::of(&found));
        self.memory.insert(generations, hash, known.clone());
        Ok(known)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Keys(..)")
    }
}

/// A look-up that is under way. The last who waits for it clears it away.
struct Flight<'k> {
    keys: &'k Keys,
    hash: Hash,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl<'k> Flight<'k> {
    fn join(keys: &'k Keys, hash: Hash) -> Self {
        let mut flights = keys.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = Arc::clone(flights.entry(hash).or_default());
        Self { keys, hash, turn }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.keys.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // One is ours, one is the map's.
        if Arc::strong_count(&self.turn) <= 2 {
            flights.remove(&self.hash);
        }
    }
}

impl Known {
    fn of(found: &KeyIdentity) -> Self {
        let KeyIdentity { key, user, team } = found;
        let mut scopes = known_scopes(&key.scopes);
        if let Some(user) = user {
            // What a user may no longer do, the user's keys may not either.
            scopes = scopes.both(known_scopes(&user.scopes));
        }
        let lists = [Some(&key.models), team.as_ref().map(|team| &team.models)];
        let models = lists.into_iter().flatten().filter(|patterns| !patterns.is_empty()).cloned().collect();
        let identity = Identity::Key { id: key.id, lineage_id: key.lineage_id };
        let principal = Principal::new(identity, key.user_id, team.as_ref().map(|team| team.id), scopes, models);
        let disabled = [
            key.revoked_at_micros,
            user.as_ref().and_then(|user| user.disabled_at_micros),
            team.as_ref().and_then(|team| team.disabled_at_micros),
        ];
        Self {
            principal: Arc::new(principal),
            refused_from: disabled.into_iter().flatten().min().unwrap_or(i64::MAX),
            expires_at: key.expires_at_micros.unwrap_or(i64::MAX),
        }
    }
}

/// The scopes of these names. A name that this version does not know grants nothing.
fn known_scopes(names: &[String]) -> Scopes {
    names.iter().filter_map(|name| Scope::parse(name)).collect()
}

/// Whether a key lets in now.
fn judge(known: Option<Known>) -> Result<Arc<Principal>, Refusal> {
    let known = known.ok_or(Refusal::Invalid)?;
    let now = unix_micros(SystemTime::now());
    if now >= known.refused_from {
        return Err(Refusal::Invalid);
    }
    if now >= known.expires_at {
        return Err(Refusal::Expired);
    }
    Ok(known.principal)
}

#[cfg(test)]
mod tests;

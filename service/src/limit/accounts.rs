//! The accounts of all subjects that are not idle. Their number is bounded, whoever calls: an account that nothing is
//! owed on is dropped, since a new one is no different.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sabir_store::Subject;

use super::account::Account;

/// Locks are for a part of the accounts, so that calls of different callers rarely meet.
const SHARDS: usize = 64;

type Shard = HashMap<Subject, Arc<Account>>;

/// All accounts.
#[derive(Debug)]
pub(crate) struct Accounts {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    shard_capacity: usize,
}

impl Accounts {
    /// At most about so many.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            shard_capacity: capacity.div_ceil(SHARDS).max(1),
        }
    }

    /// The account of a subject, made if need be. The clock is read only where room has to be made.
    pub(crate) fn get(&self, subject: &Subject, now: impl FnOnce() -> u64) -> Arc<Account> {
        let shard = usize::try_from(self.hasher.hash_one(subject) % SHARDS as u64).unwrap_or(0);
        let mut shard = lock(&self.shards[shard]);
        if let Some(account) = shard.get(subject) {
            return Arc::clone(account);
        }
        if shard.len() >= self.shard_capacity {
            make_room(&mut shard, now());
        }
        let account = Arc::new(Account::new(subject.clone()));
        shard.insert(subject.clone(), Arc::clone(&account));
        account
    }

    /// Drops the accounts that are idle and shows the others.
    pub(crate) fn sweep(&self, now: u64, mut visit: impl FnMut(&Arc<Account>)) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.retain(|_, account| {
                // While somebody holds it, a second account of the same subject must not come up beside it.
                let keep = Arc::strong_count(account) > 1 || !account.state().is_idle(now);
                if keep {
                    visit(account);
                }
                keep
            });
            if shard.capacity() > 4 * shard.len().max(16) {
                shard.shrink_to_fit();
            }
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }
}

/// Drops what is idle; if nothing is, the account that soonest would be, of those with no open call.
fn make_room(shard: &mut Shard, now: u64) {
    shard.retain(|_, account| Arc::strong_count(account) > 1 || !account.state().is_idle(now));
    let free = shard.values().filter(|account| Arc::strong_count(account) == 1);
    let soonest = free
        .filter_map(|account| Some((account.state().idle_after(now)?, account)))
        .min_by_key(|(after, _)| *after)
        .map(|(_, account)| account.subject.clone());
    if let Some(subject) = soonest {
        shard.remove(&subject);
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A bounded memory of what keys turned out to be, all of one generation: when identities change, it is empty again.

use std::collections::HashMap;

/// The hash of a key.
pub(super) type Hash = [u8; 32];

/// What is remembered, in two halves. When the newer one is full it becomes the older one, and what was in that is
/// forgotten; what is asked for moves to the newer one. So whatever was asked for lately is there, for a constant price.
#[derive(Debug)]
pub(super) struct Cache<V> {
    generation: i64,
    half: usize,
    newer: HashMap<Hash, V>,
    older: HashMap<Hash, V>,
}

impl<V: Clone> Cache<V> {
    /// A memory of at most this many.
    pub(super) fn new(capacity: usize) -> Self {
        Self { generation: 0, half: (capacity / 2).max(1), newer: HashMap::new(), older: HashMap::new() }
    }

    /// What is remembered of a key, if it is of this generation.
    pub(super) fn get(&mut self, generation: i64, hash: &Hash) -> Option<V> {
        self.turn_to(generation);
        if let Some(value) = self.newer.get(hash) {
            return Some(value.clone());
        }
        let value = self.older.remove(hash)?;
        self.keep(*hash, value.clone());
        Some(value)
    }

    /// Remembers what was found out when identities were of this generation.
    pub(super) fn insert(&mut self, generation: i64, hash: Hash, value: V) {
        self.turn_to(generation);
        self.keep(hash, value);
    }

    fn keep(&mut self, hash: Hash, value: V) {
        if self.newer.len() >= self.half {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(hash, value);
    }

    fn turn_to(&mut self, generation: i64) {
        if self.generation != generation {
            self.generation = generation;
            self.newer.clear();
            self.older.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u32) -> Hash {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        hash
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_is_bounded() {
        let mut cache = Cache::new(100);
        cache.insert(1, hash(0), 0);
        for number in 1..10_000 {
            cache.insert(1, hash(number), number);
            assert_eq!(cache.get(1, &hash(0)), Some(0), "after {number}");
            assert!(cache.newer.len() + cache.older.len() <= 100);
        }
        assert_eq!(cache.get(1, &hash(9_999)), Some(9_999));
        assert_eq!(cache.get(1, &hash(1)), None);
    }

    #[test]
    fn a_new_generation_begins_with_nothing() {
        let mut cache = Cache::new(100);
        cache.insert(1, hash(0), 0);
        assert_eq!(cache.get(2, &hash(0)), None);
        assert_eq!(cache.get(1, &hash(0)), None);
    }
}

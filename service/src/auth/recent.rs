//! A map of what was used lately, of bounded size: two halves, of which the older is forgotten when the newer is full.
//! Every step takes the same time, however full it is. It must not know what is in it.

use std::collections::HashMap;
use std::hash::Hash;

/// A map that holds from `half` to twice `half` of the entries used last.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    half: usize,
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    /// An empty map.
    pub(crate) fn new(half: usize) -> Self {
        Self { half: half.max(1), newer: HashMap::new(), older: HashMap::new() }
    }

    /// The entry of the key, which counts as used.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        if let Some((key, value)) = self.older.remove_entry(key) {
            self.insert(key, value);
        }
        self.newer.get_mut(key)
    }

    /// Puts an entry in, in place of the key's own if there is one.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.older.remove(&key);
        if self.newer.len() >= self.half && !self.newer.contains_key(&key) {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, value);
    }

    /// All there is, which does not count as use.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.newer.values_mut().chain(self.older.values_mut())
    }

    /// Takes the entry of the key out.
    pub(crate) fn remove(&mut self, key: &K) {
        self.newer.remove(key);
        self.older.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut recent = Recent::new(10);
        recent.insert(0, "kept");
        recent.insert(1, "forgotten");
        for number in 2..1_000 {
            assert_eq!(recent.get_mut(&0).copied(), Some("kept"), "{number}");
            recent.insert(number, "new");
            assert!(recent.newer.len() + recent.older.len() <= 20);
        }
        assert_eq!(recent.get_mut(&1), None);
        assert!(recent.get_mut(&999).is_some());
        recent.remove(&0);
        assert_eq!(recent.get_mut(&0), None);
    }
}

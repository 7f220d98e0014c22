//! A hash of path segments: a few nanoseconds for the few bytes that they have.
//!
//! The tables that use it hold the literals of rules, which are ours; a stranger can look up, and not put in, so that a
//! segment made to collide costs one comparison. It must not be used where strangers' keys are kept.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds the hashers of a table.
pub(super) type SegmentHash = BuildHasherDefault<Words>;

/// Mixes eight bytes at a time by a multiplication whose two halves are folded into one.
#[derive(Debug, Default)]
pub(super) struct Words(u64);

/// Two numbers without a pattern in their bits (of π).
const START: u64 = 0x243f_6a88_85a3_08d3;
const FACTOR: u64 = 0x1319_8a2e_0370_7345;

impl Words {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ START ^ word) * u128::from(FACTOR);
        let low = product as u64;
        self.0 = low ^ (product >> 64) as u64;
    }
}

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            self.mix(rest.iter().fold(rest.len() as u64, |word, byte| (word << 8) | u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher as _;

    use super::*;

    #[test]
    fn segments_that_differ_a_little_differ_in_the_bits_that_count() {
        let hash = SegmentHash::default();
        let segments: Vec<String> = (0..1000).map(|at| format!("kind{at}s")).collect();
        let slots: HashSet<u64> = segments.iter().map(|segment| hash.hash_one(segment.as_str()) % 4096).collect();
        // A thousand balls into 4,096 slots leave 887 of them taken on average.
        assert!(slots.len() > 800, "{}", slots.len());
    }
}

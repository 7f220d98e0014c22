//! A small read-only table from JSON member names to what they mean: the lookup made once for every member read.

/// A name and what it means, or nothing.
type Slot<T> = Option<(Box<str>, T)>;

/// Names to values; linear probing over a power-of-two table at most half full.
#[derive(Debug)]
pub(crate) struct Names<T> {
    slots: Box<[Slot<T>]>,
}

impl<T: Copy> Names<T> {
    /// A later entry of the same name does not replace an earlier one.
    pub(crate) fn new(entries: impl IntoIterator<Item = (String, T)>) -> Self {
        let entries: Vec<_> = entries.into_iter().collect();
        let size = (entries.len() * 2).next_power_of_two().max(2);
        let mut slots: Vec<Slot<T>> = (0..size).map(|_| None).collect();
        'entries: for (name, value) in entries {
            let mut at = hash(name.as_bytes()) & (size - 1);
            while let Some((taken, _)) = &slots[at] {
                if **taken == *name {
                    continue 'entries;
                }
                at = (at + 1) & (size - 1);
            }
            slots[at] = Some((name.into_boxed_str(), value));
        }
        Self { slots: slots.into_boxed_slice() }
    }

    #[inline]
    pub(crate) fn get(&self, name: &str) -> Option<T> {
        let mask = self.slots.len() - 1;
        let mut at = hash(name.as_bytes()) & mask;
        while let Some((taken, value)) = &self.slots[at] {
            if **taken == *name {
                return Some(*value);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

/// Mixes the length with the first and last eight bytes. The names come from the schema, never from a caller, so that
/// collisions cannot be provoked.
#[inline]
fn hash(name: &[u8]) -> usize {
    let length = name.len();
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            (Some(first), Some(last)) => (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last))),
            _ => (name.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte)), 0),
        },
    };
    let mixed = (first ^ last.rotate_left(23) ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        let names: Vec<String> = (0..300).map(|n| format!("member_{n}_of_a_message")).collect();
        let table = Names::new(names.iter().cloned().zip(0..));
        for (index, name) in names.iter().enumerate() {
            assert_eq!(table.get(name), Some(index));
        }
        assert_eq!(table.get("member_300_of_a_message"), None);
        assert_eq!(table.get(""), None);
    }
}

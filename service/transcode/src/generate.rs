//! Schemas and messages made from bytes, for property tests and fuzzing: any bytes give a valid schema and messages of it,
//! fewer bytes give smaller ones, and bytes that have run out give the simplest choice.

mod message;
mod schema;

pub(crate) use self::message::message;
pub(crate) use self::schema::{Shape, descriptors, pool, source};

/// Choices, taken from bytes from first to last.
pub(crate) struct Entropy<'b> {
    bytes: std::slice::Iter<'b, u8>,
}

impl<'b> Entropy<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or_default()
    }

    /// A number below `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// True once in `often` times; false when the bytes have run out.
    pub(crate) fn once_in(&mut self, often: u8) -> bool {
        self.byte() % often == often - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Any 64 bits; mostly few of them.
    pub(crate) fn bits(&mut self) -> u64 {
        let length = self.below(9);
        (0..length).fold(0, |bits, _| bits << 8 | u64::from(self.byte()))
    }
}

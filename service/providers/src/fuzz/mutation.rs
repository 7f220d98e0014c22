//! Spoils recorded bytes, the same way for the same seed.

/// Texts that have bitten readers before.
const TOKENS: [&[u8]; 32] = [
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\n\n",
    b":",
    b"data: ",
    b"data: [DONE]\n\n",
    b"event: error\n",
    b"id: \0\n",
    b"\xEF\xBB\xBF",
    b"\0",
    b"\xFF",
    b"\xF0\x9F\x98",
    b"\"",
    b"\\",
    b"\\ud83d",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"-1",
    b"0.5",
    b"4294967296",
    b"1e999",
    b"\"index\":4294967295,",
];

/// The longest input that is made, in bytes.
const LONGEST: usize = 16 * 1024;

/// A generator of numbers: Marsaglia's xorshift with 64 bits.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Zero is the one state that it does not leave.
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap() % bound
    }

    /// One of these.
    pub(super) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A stretch of bytes of this length, mostly a short one.
    fn stretch(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let longest = if self.below(4) == 0 { length } else { 40 };
        start..(start + self.below(longest + 1)).min(length)
    }

    /// Cuts bytes into pieces of any length, empty ones among them.
    pub(super) fn pieces<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let range = self.stretch(bytes.len());
            let (piece, rest) = bytes.split_at(range.len());
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }

    /// One of the recorded inputs, spoilt in a few places.
    pub(super) fn spoilt(&mut self, recorded: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.one_of(recorded).clone();
        for _ in 0..self.below(5) {
            self.spoil(&mut bytes, recorded);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>, recorded: &[Vec<u8>]) {
        let range = self.stretch(bytes.len());
        match self.below(8) {
            0 => {
                let bit = self.below(8);
                if let Some(byte) = bytes.get_mut(range.start) {
                    *byte ^= 1 << bit;
                }
            }
            1 => {
                let byte = self.next().to_le_bytes()[0];
                bytes[range].fill(byte);
            }
            2 => drop(bytes.drain(range)),
            3 => {
                let again = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, again);
            }
            4 => {
                let other = self.one_of(recorded).clone();
                let from = self.stretch(other.len());
                bytes.splice(range, other[from].iter().copied());
            }
            5 => bytes.truncate(range.start),
            6 => drop(bytes.splice(range.start..range.start, self.one_of(&TOKENS).iter().copied())),
            _ => {
                let end = range.end.min(range.start + 4);
                bytes.splice(range.start..end, self.one_of(&TOKENS).iter().copied());
            }
        }
    }
}

//! How long callers wait for a connection to the database, as figures. It must not know where connections come from.

use std::time::Duration;

/// What the waits are counted by: each is at most as long as its bound, and longer than the one before.
pub const WAIT_BOUNDS: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_millis(2500),
];

/// The waits for a connection since the database was opened. Those that ended without one are counted like the others: it
/// is they that say that there are too few.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionWaits {
    /// How many waits ended within each of [`WAIT_BOUNDS`] and not within the one before; the last are longer than all.
    pub counts: [u64; WAIT_BOUNDS.len() + 1],
    /// How many ended without a connection: none was free in time, none could be opened, or the caller had gone.
    pub in_vain: u64,
    /// All of them together.
    pub total: Duration,
    /// The longest.
    pub longest: Duration,
    /// The latest.
    pub last: Duration,
}

impl ConnectionWaits {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many were longer than this, which is one of [`WAIT_BOUNDS`].
    pub fn longer_than(&self, bound: Duration) -> u64 {
        let within = WAIT_BOUNDS.iter().filter(|known| **known <= bound).count();
        self.counts.iter().skip(within).sum()
    }
}

//! How many calls are open at once: this replica's own count, or places leased from those that all replicas share. Pure.

use super::bucket::{IDLE, Mode};

/// How long the answer that no place is free is believed, in nanoseconds.
const BELIEVED: u64 = 100_000_000;

/// What came of taking a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It is taken. `low` tells that it is time to lease more.
    Yes { low: bool },
    /// None is free.
    No,
    /// The database must be asked.
    Ask,
}

/// The places of one account.
#[derive(Debug)]
pub(crate) struct Slots {
    limit: u32,
    in_use: u32,
    /// How many are leased.
    held: u32,
    needed: bool,
    full_until: u64,
    used_at: u64,
}

impl Slots {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, in_use: 0, held: 0, needed: false, full_until: 0, used_at: 0 }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Holds from now on to another limit. Open calls stay open.
    pub(crate) fn change(&mut self, limit: u32) {
        self.limit = limit;
        self.full_until = 0;
    }

    /// Takes a place.
    pub(crate) fn take(&mut self, now: u64, mode: Mode) -> Placed {
        self.used_at = now;
        if self.in_use >= self.limit {
            return Placed::No;
        }
        if mode == Mode::Alone || self.in_use < self.held {
            self.in_use += 1;
            return Placed::Yes { low: mode == Mode::Leased && self.wanted(now) > self.held };
        }
        if now < self.full_until {
            return Placed::No;
        }
        self.needed = true;
        Placed::Ask
    }

    /// Frees a place.
    pub(crate) fn free(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// How many places this replica should have, if that is more than it has.
    pub(crate) fn wish(&mut self, now: u64) -> Option<u32> {
        let wanted = self.wanted(now);
        let more = wanted > self.held && (self.needed || now >= self.full_until);
        self.needed = false;
        more.then_some(wanted)
    }

    /// How many places this replica should have, if that is less than it has. Those that go are not used from now on.
    pub(crate) fn tick(&mut self, now: u64) -> Option<u32> {
        let wanted = self.wanted(now);
        if wanted >= self.held {
            return None;
        }
        self.held = wanted;
        Some(wanted)
    }

    /// The database has answered: this replica has so many places.
    pub(crate) fn leased(&mut self, now: u64, held: u32) {
        self.held = held;
        if held <= self.in_use {
            self.full_until = now.saturating_add(BELIEVED);
        }
    }

    /// The lease has run out.
    pub(crate) fn lost(&mut self) {
        self.held = 0;
        self.needed = self.in_use > 0;
    }

    /// Whether a new one would be no different.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_use == 0 && self.held == 0 && !self.needed
    }

    /// Whether any place is taken.
    pub(crate) fn is_used(&self) -> bool {
        self.in_use > 0
    }

    /// Those in use, and one more for the next call while there are calls. Few places are leased one by one: a spare one
    /// here could be the one that another replica lacks.
    fn wanted(&self, now: u64) -> u32 {
        let recent = now.saturating_sub(self.used_at) <= IDLE;
        let spare = u32::from(self.needed || (recent && self.limit >= 8));
        self.in_use.saturating_add(spare).min(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_it_counts_for_itself() {
        let mut slots = Slots::new(2);
        assert_eq!(slots.take(1, Mode::Alone), Placed::Yes { low: false });
        assert_eq!(slots.take(1, Mode::Alone), Placed::Yes { low: false });
        assert_eq!(slots.take(1, Mode::Alone), Placed::No);
        slots.free();
        assert_eq!(slots.take(1, Mode::Alone), Placed::Yes { low: false });
    }

    #[test]
    fn a_place_is_leased_used_and_returned() {
        let mut slots = Slots::new(10);
        assert_eq!(slots.take(1, Mode::Leased), Placed::Ask);
        assert_eq!(slots.wish(1), Some(1));
        slots.leased(1, 1);
        assert_eq!(slots.take(1, Mode::Leased), Placed::Yes { low: true });
        assert_eq!(slots.wish(1), Some(2), "one for the next call");
        slots.leased(1, 2);
        slots.free();
        assert_eq!(slots.tick(2), Some(1));
        assert_eq!(slots.tick(2 + IDLE), Some(0));
        assert!(slots.is_idle());
    }

    #[test]
    fn the_last_place_is_refused_without_asking_again_at_once() {
        let mut slots = Slots::new(2);
        assert_eq!(slots.take(1, Mode::Leased), Placed::Ask);
        assert_eq!(slots.wish(1), Some(1));
        slots.leased(1, 0);
        assert_eq!(slots.take(2, Mode::Leased), Placed::No);
        assert_eq!(slots.take(2 + BELIEVED, Mode::Leased), Placed::Ask);
    }
}

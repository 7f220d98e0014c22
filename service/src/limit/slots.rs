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

/// Of how many places on some are leased ahead of need. Fewer are leased one by one: a spare one here could be the one
/// that another replica lacks.
const MANY: u32 = 8;

/// What part of all places a replica may hold that it does not need.
const SPARE: u32 = 16;

/// How long the most that were taken at once stay leased, in nanoseconds; up to twice as long, since it is looked at
/// from one such time to the next.
const KEPT: u64 = 1_000_000_000;

/// The places of one account.
#[derive(Debug)]
pub(crate) struct Slots {
    limit: u32,
    in_use: u32,
    /// How many are leased.
    held: u32,
    /// How many calls have asked for a place since the database was asked.
    asked: u32,
    /// The most in use at once since `turned_at`, and in the time before that.
    peaks: [u32; 2],
    turned_at: u64,
    full_until: u64,
    used_at: u64,
}

impl Slots {
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, in_use: 0, held: 0, asked: 0, peaks: [0; 2], turned_at: 0, full_until: 0, used_at: 0 }
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
            self.peaks[0] = self.peaks[0].max(self.in_use);
            let few = || self.in_use + self.ahead(now) / 2 >= self.held;
            let low = mode == Mode::Leased && now >= self.full_until && few() && self.wanted(now) > self.held;
            return Placed::Yes { low };
        }
        if now < self.full_until {
            return Placed::No;
        }
        self.asked = self.asked.saturating_add(1);
        Placed::Ask
    }

    /// Frees a place.
    pub(crate) fn free(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// How many places this replica should have, if that is more than it has.
    pub(crate) fn wish(&mut self, now: u64) -> Option<u32> {
        let wanted = self.wanted(now);
        let more = wanted > self.held && (self.asked > 0 || now >= self.full_until);
        self.asked = 0;
        more.then_some(wanted)
    }

    /// How many places this replica should have, if that is less than it has. Those that go are not used from now on.
    pub(crate) fn tick(&mut self, now: u64) -> Option<u32> {
        if now.saturating_sub(self.turned_at) > KEPT {
            self.turned_at = now;
            self.peaks = [self.in_use, self.peaks[0]];
        }
        let wanted = self.wanted(now);
        // A few more than are needed, of many, are not worth a question.
        let idle = now.saturating_sub(self.used_at) > IDLE;
        let spare = if idle { 0 } else { self.limit / SPARE };
        if self.held <= wanted.saturating_add(spare) {
            return None;
        }
        self.held = wanted;
        Some(wanted)
    }

    /// The database has answered: of the places that were wanted, this replica has so many.
    pub(crate) fn leased(&mut self, now: u64, wanted: u32, held: u32) {
        self.held = held;
        self.full_until = if held < wanted { now.saturating_add(BELIEVED) } else { 0 };
    }

    /// The lease has run out.
    pub(crate) fn lost(&mut self) {
        self.held = 0;
        self.asked = u32::from(self.in_use > 0);
    }

    /// Whether a new one would be no different.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_use == 0 && self.held == 0 && self.asked == 0
    }

    /// Whether any place is taken.
    pub(crate) fn is_used(&self) -> bool {
        self.in_use > 0
    }

    /// Those in use and asked for, or as many as there were lately and some ahead.
    fn wanted(&self, now: u64) -> u32 {
        let lately = if self.limit >= MANY { self.peaks[0].max(self.peaks[1]) } else { 0 };
        let needed = self.in_use.saturating_add(self.asked);
        needed.max(lately.saturating_add(self.ahead(now))).min(self.limit)
    }

    /// How many are leased ahead of need while there are calls: a quarter of what is needed, or a few, and little of the
    /// limit, so that no replica keeps from others what it may not need.
    fn ahead(&self, now: u64) -> u32 {
        let recent = now.saturating_sub(self.used_at) <= IDLE;
        if self.limit < MANY || !recent { 0 } else { (self.in_use / 4).max(4).min(self.limit / SPARE).max(1) }
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
        slots.leased(1, 1, 1);
        assert_eq!(slots.take(1, Mode::Leased), Placed::Yes { low: true });
        assert_eq!(slots.wish(1), Some(2), "one for the next call");
        slots.leased(1, 2, 2);
        slots.free();
        assert_eq!(slots.tick(2), None, "there may be as many again soon");
        assert_eq!(slots.tick(2 + KEPT), None);
        assert_eq!(slots.tick(4 + 2 * KEPT), Some(1));
        assert_eq!(slots.tick(4 + IDLE), Some(0));
        assert!(slots.is_idle());
    }

    #[test]
    fn those_who_ask_at_once_are_served_at_once() {
        let mut slots = Slots::new(1_000);
        for _ in 0..200 {
            assert_eq!(slots.take(1, Mode::Leased), Placed::Ask);
        }
        assert_eq!(slots.wish(1), Some(200));
        slots.leased(1, 200, 200);
        let low = (0..200).filter(|_| slots.take(1, Mode::Leased) == Placed::Yes { low: true }).count();
        assert!(low > 0, "more are asked for before none is left");
        assert_eq!(slots.wish(1), Some(250));
    }

    #[test]
    fn calls_that_come_and_go_ask_for_nothing() {
        let mut slots = Slots::new(1_000);
        for _ in 0..32 {
            slots.take(1, Mode::Leased);
        }
        let wanted = slots.wish(1).unwrap();
        slots.leased(1, wanted, wanted);
        for _ in 0..32 {
            slots.take(1, Mode::Leased);
        }
        let wanted = slots.wish(1).unwrap();
        slots.leased(1, wanted, wanted);
        for step in 0..10_000 {
            let now = 2 + step * KEPT / 1_000;
            for _ in 0..step % 32 {
                slots.free();
            }
            for _ in 0..step % 32 {
                assert_eq!(slots.take(now, Mode::Leased), Placed::Yes { low: false });
            }
            assert_eq!((slots.wish(now), slots.tick(now)), (None, None), "{step}");
        }
    }

    #[test]
    fn places_that_were_taken_while_more_were_asked_for_are_no_reason_to_refuse() {
        let mut slots = Slots::new(10);
        slots.take(1, Mode::Leased);
        slots.leased(1, 1, 1);
        assert_eq!(slots.take(1, Mode::Leased), Placed::Yes { low: true });
        assert_eq!(slots.wish(1), Some(2));
        assert_eq!(slots.take(1, Mode::Leased), Placed::Ask);
        slots.leased(1, 2, 2);
        assert_eq!(slots.take(1, Mode::Leased), Placed::Yes { low: true });
        assert_eq!(slots.take(1, Mode::Leased), Placed::Ask, "nothing said that there is none");
    }

    #[test]
    fn the_last_place_is_refused_without_asking_again_at_once() {
        let mut slots = Slots::new(2);
        assert_eq!(slots.take(1, Mode::Leased), Placed::Ask);
        assert_eq!(slots.wish(1), Some(1));
        slots.leased(1, 1, 0);
        assert_eq!(slots.take(2, Mode::Leased), Placed::No);
        assert_eq!(slots.take(2 + BELIEVED, Mode::Leased), Placed::Ask);
    }
}

//! One rate of one account: either this replica's own count, or a slice of what all replicas share. Pure: it is told the
//! time and says what it wants of the database.
//!
//! A slice is leased from the database and spent here. How much may lie here unspent follows what is being spent, up to a
//! quarter of what is left, and goes back after [`IDLE`]. Over any stretch of time all replicas together therefore let pass
//! what the rate allows for that stretch, and at most what lay in their slices when it began.

use std::time::Duration;

use super::gcra::{Arrival, Pace};

/// How many ticks' use should lie in a slice, so that neither calls wait nor the database is asked all the time.
const AHEAD: u64 = 8;

/// After this long without use a slice is given back, in nanoseconds.
pub(crate) const IDLE: u64 = 10_000_000_000;

/// How long the answer that there is nothing left is believed, in nanoseconds, although another replica may give
/// something back: it spares the database a caller who does not stop asking.
const BELIEVED: u64 = 250_000_000;

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// This replica alone, at the full rate.
    Alone,
    /// All replicas, through what each has leased.
    Leased,
}

/// What came of taking cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// They are taken. `low` tells that it is time to lease more.
    Yes { low: bool },
    /// They are not there; they will be after this long.
    No(Duration),
    /// The slice is too small; the database must be asked.
    Ask,
}

/// What is wanted of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// At least `least` cells or none, at most `most`.
    Lease { least: u64, most: u64 },
    /// Cells that were used beyond what was leased.
    Charge(u64),
    /// Cells that are not needed.
    GiveBack(u64),
}

/// A rate and where it stands.
#[derive(Debug)]
pub(crate) struct Bucket {
    pace: Pace,
    /// Where the count stands; with a slice, as the database was last known to have it.
    arrival: Arrival,
    slice: Slice,
}

#[derive(Debug, Default)]
struct Slice {
    /// What is left to spend. Below zero after a call that used more than it had reserved.
    cells: i64,
    /// What was spent since the last tick, and in a usual tick.
    spent: u64,
    per_tick: u64,
    /// What the last call took.
    usual: u64,
    /// What a call is waiting for: the most of one, and all of them together.
    need: u64,
    asked: u64,
    /// Until when there are no `dry_for` cells.
    dry_until: u64,
    dry_for: u64,
    used_at: u64,
}

impl Bucket {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, arrival: Arrival::default(), slice: Slice::default() }
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Holds from now on to another pace. What was taken stays taken.
    pub(crate) fn change(&mut self, now: u64, pace: Pace) {
        // Counted in cells: those that a call gives back after the change were taken before it, and a cell may now be worth
        // a hundred times the time it was, with which the calls of others would be forgotten too.
        self.arrival.convert(now, self.pace, pace);
        self.pace = pace;
        let slice = &mut self.slice;
        // What lies here was leased at the old pace. It is not given back at the new one, but comes back there with time.
        slice.cells = slice.cells.min(0);
        slice.dry_until = 0;
    }

    /// Takes cells, all or none.
    pub(crate) fn take(&mut self, now: u64, cells: u64, mode: Mode) -> Taken {
        if mode == Mode::Alone {
            return match self.arrival.take(self.pace, now, cells) {
                Ok(()) => Taken::Yes { low: false },
                Err(wait) => Taken::No(wait),
            };
        }
        let slice = &mut self.slice;
        slice.used_at = now;
        let short = i64::try_from(cells).unwrap_or(i64::MAX).saturating_sub(slice.cells);
        if short <= 0 {
            slice.cells = short.saturating_neg();
            slice.spent = slice.spent.saturating_add(cells);
            slice.usual = cells;
            return Taken::Yes { low: self.is_low(now) };
        }
        let short = short.unsigned_abs();
        if now < slice.dry_until && short >= slice.dry_for {
            return Taken::No(
                self.arrival.wait(self.pace, now, short).max(Duration::from_nanos(slice.dry_until - now)),
            );
        }
        slice.need = slice.need.max(short);
        slice.asked = slice.asked.saturating_add(cells);
        Taken::Ask
    }

    /// Settles what was reserved with what was used.
    pub(crate) fn settle(&mut self, now: u64, reserved: u64, used: u64, mode: Mode) {
        match mode {
            Mode::Alone if used > reserved => self.arrival.charge(self.pace, now, used - reserved),
            Mode::Alone => self.arrival.give_back(self.pace, reserved - used),
            Mode::Leased => {
                let signed = |cells: u64| i64::try_from(cells).unwrap_or(i64::MAX);
                self.slice.cells = self.slice.cells.saturating_add(signed(reserved)).saturating_sub(signed(used));
                self.slice.usual = used.max(1);
            }
        }
    }

    /// What is wanted of the database now, if anything. It counts as done; see [`Bucket::failed`].
    pub(crate) fn wish(&mut self, now: u64) -> Option<Wish> {
        if self.slice.cells < 0 {
            let debt = self.slice.cells.unsigned_abs();
            self.slice.cells = 0;
            return Some(Wish::Charge(debt));
        }
        let missing = self.aim(now).saturating_sub(self.slice.cells.unsigned_abs());
        if self.slice.need > 0 {
            let least = std::mem::take(&mut self.slice.need);
            let asked = std::mem::take(&mut self.slice.asked).saturating_sub(self.slice.cells.unsigned_abs());
            return Some(Wish::Lease { least, most: asked.max(least).saturating_add(missing) });
        }
        (self.is_low(now) && missing > 0).then_some(Wish::Lease { least: 1, most: missing })
    }

    /// A period has passed: what is not needed goes back. A little more than needed is not worth a question.
    pub(crate) fn tick(&mut self, now: u64) -> Option<Wish> {
        let slice = &mut self.slice;
        slice.per_tick = (slice.per_tick + std::mem::take(&mut slice.spent)).div_ceil(2);
        if now.saturating_sub(slice.used_at) > IDLE {
            slice.per_tick = 0;
            slice.usual = 0;
        }
        let aim = i64::try_from(self.aim(now)).unwrap_or(i64::MAX);
        let excess = self.slice.cells.saturating_sub(aim);
        if excess <= aim {
            return None;
        }
        self.slice.cells = aim;
        Some(Wish::GiveBack(excess.unsigned_abs()))
    }

    /// Everything that is left, at the end.
    pub(crate) fn all(&mut self) -> Option<Wish> {
        let cells = std::mem::take(&mut self.slice.cells);
        match cells {
            0 => None,
            1.. => Some(Wish::GiveBack(cells.unsigned_abs())),
            _ => Some(Wish::Charge(cells.unsigned_abs())),
        }
    }

    /// The database has answered: so many cells, and what is still behind the limit, in nanoseconds.
    pub(crate) fn leased(&mut self, now: u64, least: u64, cells: u64, backlog: u64) {
        self.arrival = Arrival::after(now, backlog);
        self.slice.cells = self.slice.cells.saturating_add(i64::try_from(cells).unwrap_or(i64::MAX));
        if cells == 0 {
            let wait = u64::try_from(self.arrival.wait(self.pace, now, least).as_nanos()).unwrap_or(u64::MAX);
            self.slice.dry_until = now.saturating_add(wait.min(BELIEVED));
            self.slice.dry_for = least;
        } else {
            self.slice.dry_until = 0;
        }
    }

    /// The database has not done what was wanted. What was to be given back is lost here, and comes back there with time.
    pub(crate) fn failed(&mut self, wish: Wish) {
        if let Wish::Charge(cells) = wish {
            self.slice.cells = self.slice.cells.saturating_sub(i64::try_from(cells).unwrap_or(i64::MAX));
        }
    }

    /// How many cells can be taken, as far as is known here.
    pub(crate) fn remaining(&self, now: u64) -> u64 {
        let here = self.slice.cells;
        let there = self.arrival.remaining(self.pace, now);
        there.saturating_add_signed(here).min(self.pace.burst().into())
    }

    /// How long until everything is there again, as far as is known here.
    pub(crate) fn full_after(&self, now: u64) -> Duration {
        Duration::from_nanos(self.arrival.backlog(now))
    }

    /// Whether a new bucket would be no different.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        self.arrival.backlog(now) == 0 && self.slice.cells == 0 && self.slice.need == 0
    }

    /// How much should lie here unspent: no more than a quarter of what is left for all, so that the last cells go to
    /// whoever calls.
    fn aim(&self, now: u64) -> u64 {
        let left = self.arrival.remaining(self.pace, now).saturating_add_signed(self.slice.cells.max(0));
        // What the present tick has seen so far counts too: use that begins at once must not wait for the next tick.
        let used = self.slice.per_tick.max(self.slice.spent).saturating_mul(AHEAD);
        used.max(self.slice.usual).min(left.min(self.pace.burst().into()) / 4)
    }

    fn is_low(&self, now: u64) -> bool {
        let aim = self.aim(now);
        aim > 0 && self.slice.cells <= i64::try_from(aim / 2).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn bucket(rate: u32) -> Bucket {
        Bucket::new(Pace::per_minute(rate, None))
    }

    #[test]
    fn alone_it_counts_for_itself() {
        let mut bucket = bucket(2);
        assert_eq!(bucket.take(SECOND, 2, Mode::Alone), Taken::Yes { low: false });
        assert_eq!(bucket.take(SECOND, 1, Mode::Alone), Taken::No(Duration::from_secs(30)));
        bucket.settle(SECOND, 2, 1, Mode::Alone);
        assert_eq!(bucket.take(SECOND, 1, Mode::Alone), Taken::Yes { low: false });
        assert_eq!(bucket.remaining(SECOND), 0);
    }

    #[test]
    fn a_slice_is_asked_for_spent_and_given_back() {
        let mut bucket = bucket(100);
        assert_eq!(bucket.take(SECOND, 1, Mode::Leased), Taken::Ask);
        assert_eq!(bucket.wish(SECOND), Some(Wish::Lease { least: 1, most: 1 }));
        bucket.leased(SECOND, 1, 1, 600_000_000);
        assert_eq!(bucket.take(SECOND, 1, Mode::Leased), Taken::Yes { low: true });
        assert_eq!(bucket.wish(SECOND), Some(Wish::Lease { least: 1, most: 8 }), "the next calls do not wait");
        bucket.leased(SECOND, 1, 1, 1_200_000_000);
        assert_eq!(bucket.tick(2 * SECOND), None);
        assert_eq!(bucket.tick(2 * SECOND + IDLE), Some(Wish::GiveBack(1)));
        assert!(bucket.is_idle(3 * SECOND + IDLE));
    }

    #[test]
    fn a_slice_grows_with_use_up_to_a_quarter_of_the_burst() {
        let mut bucket = bucket(1_000);
        bucket.leased(SECOND, 1, 1_000, 0);
        for _ in 0..400 {
            assert!(matches!(bucket.take(SECOND, 1, Mode::Leased), Taken::Yes { .. }));
        }
        assert_eq!(bucket.tick(SECOND), Some(Wish::GiveBack(350)));
        bucket.take(SECOND, 150, Mode::Leased);
        assert_eq!(bucket.wish(SECOND), Some(Wish::Lease { least: 1, most: 150 }));
    }

    #[test]
    fn those_who_ask_at_once_are_served_at_once() {
        let mut bucket = bucket(1_000_000);
        for _ in 0..32 {
            assert_eq!(bucket.take(SECOND, 10, Mode::Leased), Taken::Ask);
        }
        assert_eq!(bucket.wish(SECOND), Some(Wish::Lease { least: 10, most: 320 }));
        bucket.leased(SECOND, 10, 320, 0);
        assert!((0..32).all(|_| matches!(bucket.take(SECOND, 10, Mode::Leased), Taken::Yes { .. })));
    }

    #[test]
    fn calls_that_begin_all_of_a_sudden_ask_seldom() {
        let mut bucket = bucket(1_000_000);
        let mut questions = 0;
        for _ in 0..4_000 {
            let (mut answer, mut is_low) = (bucket.take(SECOND, 1, Mode::Leased), false);
            if let Taken::Yes { low } = answer {
                is_low = low;
            }
            if is_low || answer == Taken::Ask {
                if let Some(Wish::Lease { least, most }) = bucket.wish(SECOND) {
                    questions += 1;
                    bucket.leased(SECOND, least, most, 0);
                }
                if answer == Taken::Ask {
                    answer = bucket.take(SECOND, 1, Mode::Leased);
                }
            }
            assert!(matches!(answer, Taken::Yes { .. }));
        }
        assert!(questions < 20, "{questions}");
    }

    #[test]
    fn a_call_that_is_open_while_the_pace_changes_gives_back_only_its_own() {
        let mut bucket = bucket(1_000);
        assert_eq!(bucket.take(SECOND, 400, Mode::Alone), Taken::Yes { low: false });
        bucket.change(SECOND, Pace::per_minute(500, None));
        assert_eq!(bucket.take(SECOND, 100, Mode::Alone), Taken::Yes { low: false });
        assert!(matches!(bucket.take(SECOND, 1, Mode::Alone), Taken::No(_)));
        bucket.settle(SECOND, 400, 10, Mode::Alone);
        assert_eq!(bucket.remaining(SECOND), 390, "110 are spent");
    }

    #[test]
    fn a_slice_of_the_old_pace_is_not_spent_at_the_new_one() {
        let mut bucket = bucket(1_000);
        bucket.leased(SECOND, 1, 250, 0);
        assert!(matches!(bucket.take(SECOND, 1, Mode::Leased), Taken::Yes { .. }));
        bucket.change(SECOND, Pace::per_minute(1, None));
        assert_eq!(bucket.take(SECOND, 1, Mode::Leased), Taken::Ask);
        assert_eq!(bucket.tick(SECOND), None, "nothing goes back at another price");
        // What is owed is owed at any pace.
        bucket.settle(SECOND, 0, 5, Mode::Leased);
        bucket.change(SECOND, Pace::per_minute(10, None));
        assert_eq!(bucket.wish(SECOND), Some(Wish::Charge(5)));
    }

    #[test]
    fn what_was_used_beyond_the_slice_is_charged_once() {
        let mut bucket = bucket(1_000);
        bucket.leased(SECOND, 10, 10, 0);
        bucket.take(SECOND, 10, Mode::Leased);
        bucket.settle(SECOND, 10, 250, Mode::Leased);
        assert_eq!(bucket.wish(SECOND), Some(Wish::Charge(240)));
        bucket.failed(Wish::Charge(240));
        assert_eq!(bucket.wish(SECOND), Some(Wish::Charge(240)));
        assert!(!matches!(bucket.wish(SECOND), Some(Wish::Charge(_))));
    }

    #[test]
    fn that_nothing_is_left_is_believed_for_a_moment() {
        let mut bucket = bucket(1);
        assert_eq!(bucket.take(SECOND, 1, Mode::Leased), Taken::Ask);
        bucket.wish(SECOND);
        bucket.leased(SECOND, 1, 0, 60 * SECOND);
        assert_eq!(bucket.take(SECOND, 1, Mode::Leased), Taken::No(Duration::from_secs(60)));
        assert_eq!(bucket.take(SECOND + BELIEVED, 1, Mode::Leased), Taken::Ask, "another replica may have given back");
    }
}

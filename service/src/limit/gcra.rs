//! The generic cell rate algorithm in its form of virtual scheduling: one number for each limit, the theoretical time at
//! which the next cell would arrive if all came evenly. Pure: it is told the time, in nanoseconds of any clock that does
//! not go back.
//!
//! Source: ITU-T Recommendation I.371 (03/2004), annex A; ATM Forum TM 4.0, section 4.4.2. A request for several cells at
//! once conforms if its last cell does.

use std::time::Duration;

const MINUTE: u64 = 60_000_000_000;

/// How many cells a minute, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    per_minute: u32,
    burst: u32,
    /// Nanoseconds between two cells that come evenly. Rounded up, so that a minute never has a cell too many; the burst
    /// is counted in the same unit and therefore exact.
    emission: u64,
}

impl Pace {
    /// So many cells a minute; at once as many, if nothing else is said.
    pub(crate) fn per_minute(cells: u32, burst: Option<u32>) -> Self {
        let per_minute = cells.max(1);
        let burst = burst.unwrap_or(per_minute).max(1);
        Self { per_minute, burst, emission: MINUTE.div_ceil(per_minute.into()) }
    }

    /// Cells a minute.
    pub(crate) fn rate(self) -> u32 {
        self.per_minute
    }

    /// Cells at once.
    pub(crate) fn burst(self) -> u32 {
        self.burst
    }

    /// Nanoseconds between two cells.
    pub(crate) fn emission(self) -> u64 {
        self.emission
    }

    /// How long nothing must have been taken for the whole burst to be there again.
    pub(crate) fn window(self) -> u64 {
        self.span(self.burst.into())
    }

    fn span(self, cells: u64) -> u64 {
        cells.saturating_mul(self.emission)
    }
}

/// The theoretical arrival time of the next cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Arrival(u64);

impl Arrival {
    /// What lies this far behind its limit at `now`.
    pub(crate) fn after(now: u64, backlog: u64) -> Self {
        Self(now.saturating_add(backlog))
    }

    /// Takes cells, all or none.
    ///
    /// # Errors
    /// How long to wait until they are there.
    pub(crate) fn take(&mut self, pace: Pace, now: u64, cells: u64) -> Result<(), Duration> {
        let wait = self.wait(pace, now, cells);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.charge(pace, now, cells);
        Ok(())
    }

    /// Takes cells that have been used already, whether they were there or not.
    pub(crate) fn charge(&mut self, pace: Pace, now: u64, cells: u64) {
        self.0 = self.0.max(now).saturating_add(pace.span(cells));
    }

    /// Gives back cells that were taken and not used. There are never more than the burst.
    pub(crate) fn give_back(&mut self, pace: Pace, cells: u64) {
        self.0 = self.0.saturating_sub(pace.span(cells));
    }

    /// The same number of cells taken, at another pace; no more than its whole burst.
    pub(crate) fn convert(&mut self, now: u64, from: Pace, to: Pace) {
        let cells_in_nanos = u128::from(self.backlog(now)) * u128::from(to.emission) / u128::from(from.emission.max(1));
        let backlog = u64::try_from(cells_in_nanos).unwrap_or(u64::MAX).min(to.window());
        self.0 = now.saturating_add(backlog);
    }

    /// How many cells can be taken now.
    pub(crate) fn remaining(self, pace: Pace, now: u64) -> u64 {
        pace.window().saturating_sub(self.backlog(now)) / pace.emission
    }

    /// How long until so many cells can be taken; zero if they can be now.
    pub(crate) fn wait(self, pace: Pace, now: u64, cells: u64) -> Duration {
        let needed = self.backlog(now).saturating_add(pace.span(cells));
        Duration::from_nanos(needed.saturating_sub(pace.window()))
    }

    /// How long until the whole burst is there again, in nanoseconds.
    pub(crate) fn backlog(self, now: u64) -> u64 {
        self.0.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let pace = Pace::per_minute(60, Some(3));
        let mut arrival = Arrival::default();
        let now = 1_000_000_000_000;
        for left in [2, 1, 0] {
            arrival.take(pace, now, 1).unwrap();
            assert_eq!(arrival.remaining(pace, now), left);
        }
        assert_eq!(arrival.take(pace, now, 1), Err(Duration::from_secs(1)));
        assert_eq!(arrival.take(pace, now + 999_999_999, 1), Err(Duration::from_nanos(1)));
        arrival.take(pace, now + 1_000_000_000, 1).unwrap();
        assert_eq!(arrival.take(pace, now + 1_000_000_000, 2), Err(Duration::from_secs(2)));
    }

    #[test]
    fn what_was_taken_stays_taken_at_another_pace() {
        let (slow, fast, now) = (Pace::per_minute(10, None), Pace::per_minute(1_000, None), 9);
        let mut arrival = Arrival::default();
        arrival.take(slow, now, 4).unwrap();
        arrival.convert(now, slow, fast);
        assert_eq!(arrival.remaining(fast, now), 996, "a limit that is raised has room at once");
        arrival.convert(now, fast, slow);
        assert_eq!(arrival.remaining(slow, now), 6);
        arrival.convert(now, slow, fast);
        arrival.take(fast, now, 500).unwrap();
        arrival.convert(now, fast, slow);
        assert_eq!(
            (arrival.remaining(slow, now), arrival.backlog(now)),
            (0, slow.window()),
            "and not more than all of it"
        );
    }

    #[test]
    fn a_burst_is_exact_for_rates_that_do_not_divide_a_minute() {
        for rate in [1, 7, 11, 999, 7_777, 1_000_003, 999_999_937] {
            let pace = Pace::per_minute(rate, None);
            let mut arrival = Arrival::default();
            arrival.take(pace, 5, (rate - 1).into()).unwrap();
            arrival.take(pace, 5, 1).unwrap();
            assert!(arrival.take(pace, 5, 1).is_err(), "{rate}");
        }
    }

    /// The same algorithm as a leaky bucket of continuous state, which the Recommendation shows to be equivalent.
    struct LeakyBucket {
        content: u64,
        last: u64,
    }

    impl LeakyBucket {
        fn drained(&self, now: u64) -> u64 {
            self.content.saturating_sub(now - self.last)
        }

        fn take(&mut self, pace: Pace, now: u64, cells: u64) -> bool {
            let content = self.drained(now) + cells * pace.emission();
            let conforms = content <= pace.window();
            if conforms {
                (self.content, self.last) = (content, now);
            }
            conforms
        }
    }

    proptest! {
        #[test]
        fn it_decides_as_the_leaky_bucket_does(
            rate in 1_u32..100_000,
            burst in 1_u32..1_000,
            steps in prop::collection::vec((0_u64..5_000_000_000, 0_u64..40), 1..200),
        ) {
            let pace = Pace::per_minute(rate, Some(burst));
            let mut arrival = Arrival::default();
            let mut now = 1;
            let mut bucket = LeakyBucket { content: 0, last: now };
            for (pause, cells) in steps {
                now += pause;
                let wait = arrival.wait(pace, now, cells);
                prop_assert_eq!(arrival.take(pace, now, cells).is_ok(), bucket.take(pace, now, cells));
                prop_assert_eq!(arrival.backlog(now), bucket.drained(now));
                if wait > Duration::ZERO && cells <= burst.into() {
                    let then = now + u64::try_from(wait.as_nanos()).unwrap();
                    prop_assert!(arrival.wait(pace, then, cells).is_zero());
                    prop_assert!(!arrival.wait(pace, then - 1, cells).is_zero());
                }
            }
        }

        #[test]
        fn no_stretch_of_time_has_more_than_burst_and_rate(
            rate in 1_u32..10_000,
            burst in 1_u32..50,
            pauses in prop::collection::vec(0_u64..500_000_000, 1..300),
        ) {
            let pace = Pace::per_minute(rate, Some(burst));
            let mut arrival = Arrival::default();
            let mut now = 1;
            let mut taken = Vec::new();
            for pause in pauses {
                now += pause;
                if arrival.take(pace, now, 1).is_ok() {
                    taken.push(now);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, until) in taken.iter().enumerate().skip(first) {
                    let most = u64::from(burst) + (until - from) / pace.emission();
                    prop_assert!((last - first + 1) as u64 <= most);
                }
            }
        }

        #[test]
        fn what_is_given_back_can_be_taken_again(rate in 1_u32..10_000, cells in 1_u64..100) {
            let pace = Pace::per_minute(rate, Some(100));
            let mut arrival = Arrival::default();
            arrival.charge(pace, 9, cells);
            let after = arrival;
            arrival.charge(pace, 9, 250);
            arrival.give_back(pace, 250);
            prop_assert_eq!(arrival, after);
        }
    }
}

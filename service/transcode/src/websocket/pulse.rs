//! When a socket is pinged, and when it is given up. Knows nothing of sockets: it is told the time and what was heard.

use std::time::{Duration, Instant};

/// What configuration may ask for at the extremes: never, in effect, and as often as makes sense.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const SHORTEST: Duration = Duration::from_millis(1);

/// When to ping, and when to give up.
pub(super) struct Pulse {
    period: Duration,
    idle: Duration,
    /// When the last message went either way.
    pub(super) message: Instant,
    /// When the next ping is due.
    ping: Instant,
    /// Whether a ping was sent that is to be answered.
    pinged: bool,
    /// Whether anything was heard of the client since then.
    pub(super) heard: bool,
}

pub(super) enum Beat {
    Fine,
    Ping,
    /// The last ping was not answered.
    Dead,
    Idle(Duration),
}

impl Pulse {
    /// Pings every `period`, and gives up after `idle` without a message.
    pub(super) fn new(period: Duration, idle: Duration) -> Self {
        let now = Instant::now();
        let (period, idle) = (period.clamp(SHORTEST, LONGEST), idle.clamp(SHORTEST, LONGEST));
        Self { period, idle, message: now, ping: now + period, pinged: false, heard: false }
    }

    /// Counts from now on.
    pub(super) fn begin(&mut self) {
        *self = Self::new(self.period, self.idle);
    }

    /// When to look again.
    pub(super) fn due(&self) -> Instant {
        self.ping.min(self.message + self.idle)
    }

    /// What is to be done now.
    pub(super) fn beat(&mut self, now: Instant) -> Beat {
        if now >= self.message + self.idle {
            return Beat::Idle(self.idle);
        }
        if now < self.ping {
            return Beat::Fine;
        }
        if self.pinged && !self.heard {
            return Beat::Dead;
        }
        self.ping = now + self.period;
        (self.pinged, self.heard) = (true, false);
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(15);
    const IDLE: Duration = Duration::from_secs(100);

    #[test]
    fn a_ping_that_is_not_answered_by_the_next_is_the_end() {
        let mut pulse = Pulse::new(PERIOD, IDLE);
        let start = pulse.message;
        assert!(matches!(pulse.beat(start + PERIOD / 2), Beat::Fine));
        for round in 1..5 {
            assert!(matches!(pulse.beat(start + PERIOD * round), Beat::Ping), "round {round}");
            assert_eq!(pulse.due(), start + PERIOD * (round + 1));
            pulse.heard = true;
        }
        assert!(matches!(pulse.beat(start + PERIOD * 5), Beat::Ping));
        assert!(matches!(pulse.beat(start + PERIOD * 6), Beat::Dead));
    }

    #[test]
    fn pings_are_no_messages() {
        let mut pulse = Pulse::new(PERIOD, IDLE);
        let start = pulse.message;
        for round in 1..=6 {
            assert!(matches!(pulse.beat(start + PERIOD * round), Beat::Ping));
            pulse.heard = true;
        }
        assert_eq!(pulse.due(), start + IDLE);
        assert!(matches!(pulse.beat(start + IDLE), Beat::Idle(IDLE)));
        pulse.message = start + PERIOD;
        assert!(matches!(pulse.beat(start + IDLE), Beat::Fine));
    }
}

//! Slows down those who guess: after a few failures for a name or from an address, each further one is answered only
//! after a pause that doubles. Memory is bounded, and names that nobody has are treated as all others.
//!
//! Each replica counts for itself. It must not know what is guessed.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::recent::Recent;

/// How many names and how many addresses are remembered at least.
const REMEMBERED: usize = 20_000;

/// How many failures a name has free. People mistype.
const FREE_PER_NAME: u32 = 5;

/// The longest pause of a name: long enough that guessing is hopeless, short enough that nobody can keep others out of
/// their account for long.
const LONGEST_PER_NAME: Duration = Duration::from_secs(60);

/// The longest pause of an address.
const LONGEST_PER_ADDRESS: Duration = Duration::from_secs(15 * 60);

/// After how long without a failure everything is forgiven, counted from the end of the pause.
const FORGIVEN: Duration = Duration::from_secs(15 * 60);

/// Failures of one name or address.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn pause(self, free: u32, longest: Duration) -> Duration {
        match self.count.checked_sub(free) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs(1 << over.min(20)).min(longest),
        }
    }

    /// How much of the pause is left.
    fn left(self, free: u32, longest: Duration) -> Duration {
        self.pause(free, longest).saturating_sub(self.last.elapsed())
    }

    fn is_forgiven(self, free: u32, longest: Duration) -> bool {
        self.last.elapsed() >= self.pause(free, longest) + FORGIVEN
    }
}

/// Who failed lately.
#[derive(Debug)]
pub(crate) struct Attempts {
    names: Mutex<Recent<String, Failures>>,
    addresses: Mutex<Recent<IpAddr, Failures>>,
    /// `None` to count names alone.
    free_per_address: Option<u32>,
}

impl Attempts {
    /// Nobody yet. `free_per_address` failures of an address are free; 0 has addresses not counted, for a server whose
    /// callers all come from the address of one proxy.
    pub(crate) fn new(free_per_address: u32) -> Self {
        Self {
            names: Mutex::new(Recent::new(REMEMBERED)),
            addresses: Mutex::new(Recent::new(REMEMBERED)),
            free_per_address: (free_per_address > 0).then_some(free_per_address),
        }
    }

    /// Counts an attempt for this name from this address as failed until [`succeeded`](Self::succeeded) takes that back:
    /// attempts that are made at once count one by one.
    ///
    /// # Errors
    /// How long to wait, if it comes too early. It does not count then.
    pub(crate) fn begin(&self, name: &str, address: Option<IpAddr>) -> Result<(), Duration> {
        let address = address.map(network).zip(self.free_per_address);
        if let Some((address, free)) = address {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            check(&mut addresses, &address, free, LONGEST_PER_ADDRESS)?;
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name.to_owned();
        check(&mut names, &name, FREE_PER_NAME, LONGEST_PER_NAME)?;
        count(&mut names, name);
        drop(names);
        if let Some((address, _)) = address {
            count(&mut self.addresses.lock().unwrap_or_else(PoisonError::into_inner), address);
        }
        Ok(())
    }

    /// The attempt that was begun succeeded: the name's failures are forgiven, and the address has one less. Its others
    /// stay, so that an account of one's own does not help to guess those of others.
    pub(crate) fn succeeded(&self, name: &str, address: Option<IpAddr>) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&name.to_owned());
        self.abandoned_address(address);
    }

    /// The attempt that was begun came to nothing, neither right nor wrong.
    pub(crate) fn abandoned(&self, name: &str, address: Option<IpAddr>) {
        if let Some(failures) = self.names.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&name.to_owned()) {
            failures.count = failures.count.saturating_sub(1);
        }
        self.abandoned_address(address);
    }

    fn abandoned_address(&self, address: Option<IpAddr>) {
        let Some(address) = address.map(network) else { return };
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failures) = addresses.get_mut(&address) {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

/// What counts as one address: of IPv6, the network that one customer has (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

fn check<K: Eq + std::hash::Hash>(
    recent: &mut Recent<K, Failures>,
    key: &K,
    free: u32,
    longest: Duration,
) -> Result<(), Duration> {
    let Some(failures) = recent.get_mut(key) else { return Ok(()) };
    if failures.is_forgiven(free, longest) {
        recent.remove(key);
        return Ok(());
    }
    match failures.left(free, longest) {
        Duration::ZERO => Ok(()),
        left => Err(left),
    }
}

fn count<K: Eq + std::hash::Hash>(recent: &mut Recent<K, Failures>, key: K) {
    let last = Instant::now();
    let count = recent.get_mut(&key).map_or(0, |failures| failures.count).saturating_add(1);
    recent.insert(key, Failures { count, last });
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V6(Ipv6Addr::LOCALHOST));

    #[tokio::test(start_paused = true)]
    async fn pauses_double_after_the_free_failures() {
        let attempts = Attempts::new(1_000);
        for _ in 0..FREE_PER_NAME {
            assert_eq!(attempts.begin("alice", HERE), Ok(()));
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = Duration::from_secs(seconds);
            assert_eq!(attempts.begin("alice", HERE), Err(pause));
            assert_eq!(attempts.begin("bob", None), Ok(()), "others are let in");
            attempts.succeeded("bob", None);
            tokio::time::advance(pause).await;
            assert_eq!(attempts.begin("alice", HERE), Ok(()));
        }
        attempts.succeeded("alice", HERE);
        assert_eq!(attempts.begin("alice", HERE), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_is_slowed_down_whatever_name_it_guesses() {
        let attempts = Attempts::new(3);
        let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        for name in ["a", "b", "c"] {
            assert_eq!(attempts.begin(name, address("2001:db8::1")), Ok(()));
        }
        for same in ["2001:db8::1", "2001:db8::ffff:1"] {
            assert_eq!(attempts.begin("d", address(same)), Err(Duration::from_secs(1)));
        }
        assert_eq!(attempts.begin("d", address("2001:db8:0:1::1")), Ok(()));
        attempts.succeeded("d", address("2001:db8::1"));
        assert_eq!(attempts.begin("d", address("2001:db8::1")), Ok(()), "a right password takes its own attempt back");
        assert_eq!(attempts.begin("e", address("2001:db8::1")), Err(Duration::from_secs(1)), "and no other");
        let uncounted = Attempts::new(0);
        assert!((0..100).all(|number| uncounted.begin(&number.to_string(), HERE).is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_at_once_count_and_time_forgives() {
        let attempts = Attempts::new(0);
        let begun = (0..100).filter(|_| attempts.begin("alice", None).is_ok()).count();
        assert_eq!(begun, FREE_PER_NAME as usize);
        tokio::time::advance(Duration::from_secs(1) + FORGIVEN).await;
        let begun = (0..100).filter(|_| attempts.begin("alice", None).is_ok()).count();
        assert_eq!(begun, FREE_PER_NAME as usize);
    }
}

//! The order in which a call tries its targets.

use std::cmp::Ordering;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Instant;

use super::Weighted;
use super::health::Outlook;
use crate::upstream::Target;

/// Who is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Strategy {
    /// The first in the list that is not failing.
    #[default]
    Ordered,
    /// Each as often as its weight says.
    Weighted,
    /// Of two drawn at random, the one with fewer calls for its weight.
    LeastLoaded,
    /// Of two drawn at random, the one that promises the quicker answer: by what it took of late, and by how many calls it
    /// has.
    Fastest,
}

/// The targets, first choice first. Those whose breakers are open come last: they are better than nobody.
pub(super) fn order(targets: &[Weighted], strategy: Strategy, streamed: bool) -> Vec<&Target> {
    let now = Instant::now();
    let mut candidates: Vec<(Outlook, &Weighted)> =
        targets.iter().map(|weighted| (weighted.health.outlook(streamed, now), weighted)).collect();
    match strategy {
        Strategy::Ordered => {}
        Strategy::Weighted => shuffle(&mut candidates),
        Strategy::LeastLoaded => prefer(&mut candidates, load),
        Strategy::Fastest => prefer(&mut candidates, cost),
    }
    // Stable: among equals the strategy's order stays. A trial is as good as a closed breaker.
    candidates.sort_by_key(|(outlook, _)| outlook.admission == super::breaker::Admission::Open);
    candidates.into_iter().map(|(_, weighted)| &weighted.target).collect()
}

/// Orders by weight: each place is drawn among those that are left.
fn shuffle(candidates: &mut [(Outlook, &Weighted)]) {
    // Of exponential variates with these rates, each is the smallest with a chance in proportion to its rate.
    // Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
    let mut keyed: Vec<(f64, (Outlook, &Weighted))> = candidates
        .iter()
        .map(|candidate| (-(1.0 - random()).ln() / candidate.1.weight.max(f64::MIN_POSITIVE), *candidate))
        .collect();
    keyed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    for (place, (_, candidate)) in candidates.iter_mut().zip(keyed) {
        *place = candidate;
    }
}

/// Draws two and puts the better one first; the rest follows from better to worse.
/// Source: Mitzenmacher, "The power of two choices in randomized load balancing", 2001.
fn prefer(candidates: &mut [(Outlook, &Weighted)], worse: fn(&Outlook, f64) -> f64) {
    let compare = |one: &(Outlook, &Weighted), other: &(Outlook, &Weighted)| -> Ordering {
        worse(&one.0, one.1.weight).total_cmp(&worse(&other.0, other.1.weight))
    };
    shuffle(candidates);
    if candidates.len() > 1 {
        if compare(&candidates[1], &candidates[0]) == Ordering::Less {
            candidates.swap(0, 1);
        }
        candidates[1..].sort_by(compare);
    }
}

fn load(outlook: &Outlook, weight: f64) -> f64 {
    (outlook.in_flight + 1) as f64 / weight.max(f64::MIN_POSITIVE)
}

fn cost(outlook: &Outlook, weight: f64) -> f64 {
    // One that was never asked is tried.
    outlook.latency * load(outlook, weight)
}

/// A number from 0 up to, but not including, 1.
pub(crate) fn random() -> f64 {
    // The keys of each new state are other ones; the hash spreads them.
    let bits = RandomState::new().hash_one(0u64) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::Health;
    use super::*;
    use crate::upstream::tests::target;

    fn targets(weights: &[f64]) -> Vec<Weighted> {
        let weighted = |(index, weight): (usize, &f64)| {
            let health = Health::new(format!("p/m{index}"));
            let target = Target { health: Some(Arc::clone(&health)), ..target(&format!("m{index}")) };
            Weighted { target, health, weight: *weight }
        };
        weights.iter().enumerate().map(weighted).collect()
    }

    fn names(targets: &[Weighted], strategy: Strategy) -> Vec<String> {
        order(targets, strategy, false).into_iter().map(|target| target.model.clone()).collect()
    }

    /// How often the first target is asked first, of 2000.
    fn share(targets: &[Weighted], strategy: Strategy) -> usize {
        (0..2000).filter(|_| names(targets, strategy)[0] == "m0").count()
    }

    #[test]
    fn in_order_unless_one_fails() {
        let targets = targets(&[1.0, 1.0, 1.0]);
        assert_eq!(names(&targets, Strategy::Ordered), ["m0", "m1", "m2"]);
        targets[0].health.begin().failed(Some(Duration::from_secs(60)));
        assert_eq!(names(&targets, Strategy::Ordered), ["m1", "m2", "m0"]);
    }

    #[test]
    fn by_weight_each_has_its_share() {
        let share = share(&targets(&[3.0, 1.0]), Strategy::Weighted);
        assert!((1380..1620).contains(&share), "{share} of 2000, where 1500 are expected");
    }

    #[test]
    fn the_one_with_fewer_calls_comes_first() {
        let targets = targets(&[1.0, 1.0]);
        let _calls = [targets[0].health.begin(), targets[0].health.begin()];
        assert_eq!(share(&targets, Strategy::LeastLoaded), 0);
        assert_eq!(share(&self::targets(&[1.0, 3.0]), Strategy::LeastLoaded), 0, "a third of the load for each");
    }

    #[test]
    fn the_quicker_one_comes_first() {
        let targets = targets(&[1.0, 1.0]);
        for (index, wait) in [(0, 1), (1, 30)] {
            targets[index].health.begin().took(Duration::from_millis(wait)).succeeded(false);
        }
        assert_eq!(share(&targets, Strategy::Fastest), 2000);
    }

    #[test]
    fn random_numbers_are_spread() {
        let mean = (0..2000).map(|_| random()).sum::<f64>() / 2000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}

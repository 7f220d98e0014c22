//! Who waits for whom, so that a circle is an error instead of a request that never ends.
//!
//! A dependency that asks for another waits for it from its first poll until it has it or gives up. When the one it asks
//! for waits for it already, over however many others and whoever set them off, neither could ever be resolved.

use crate::Error;
use crate::dependency::Key;

/// The edges of the graph: who asks, whom. Few, and short-lived, so that a list beats every table.
#[derive(Debug, Default)]
pub(crate) struct Waits(Vec<(Key, Key)>);

impl Waits {
    /// Notes that `asker` waits for `asked`.
    ///
    /// # Errors
    /// When `asked` waits for `asker`; the error names the way round.
    pub(crate) fn begin(&mut self, asker: Key, asked: Key) -> Result<(), Error> {
        if let Some(mut way) = self.way(asked, asker, &mut Vec::new()) {
            way.push(asker.name);
            way.reverse();
            return Err(Error::cycle(&way));
        }
        self.0.push((asker, asked));
        Ok(())
    }

    /// Notes that a wait is over.
    pub(crate) fn end(&mut self, asker: Key, asked: Key) {
        if let Some(at) = self.0.iter().position(|edge| *edge == (asker, asked)) {
            self.0.swap_remove(at);
        }
    }

    /// The names on the way from `from` to `to`, last first, if waits lead there. What is in `dead` leads nowhere.
    fn way(&self, from: Key, to: Key, dead: &mut Vec<Key>) -> Option<Vec<&'static str>> {
        if from == to {
            return Some(vec![to.name]);
        }
        if dead.contains(&from) {
            return None;
        }
        let mut asks = false;
        for (_, asked) in self.0.iter().filter(|(asker, _)| *asker == from) {
            asks = true;
            if let Some(mut way) = self.way(*asked, to, dead) {
                way.push(from.name);
                return Some(way);
            }
        }
        // One that asks for nobody is looked at as fast as it is found in a list.
        if asks {
            dead.push(from);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct A;
    struct B;
    struct C;
    struct D;

    #[test]
    fn a_circle_is_found_by_whoever_closes_it_and_named() {
        let (a, b, c) = (Key::of::<A>(), Key::of::<B>(), Key::of::<C>());
        let mut waits = Waits::default();
        waits.begin(a, b).unwrap();
        waits.begin(b, c).unwrap();
        let message = waits.begin(c, a).unwrap_err().to_string();
        assert_eq!(message, "the dependencies form a circle: C -> A -> B -> C");
        waits.end(a, b);
        waits.begin(c, a).unwrap();
    }

    #[test]
    fn to_ask_for_oneself_is_the_smallest_circle() {
        let a = Key::of::<A>();
        let message = Waits::default().begin(a, a).unwrap_err().to_string();
        assert_eq!(message, "the dependencies form a circle: A -> A");
    }

    #[test]
    fn two_ways_to_the_same_are_no_circle() {
        let (a, b, c, d) = (Key::of::<A>(), Key::of::<B>(), Key::of::<C>(), Key::of::<D>());
        let mut waits = Waits::default();
        for (asker, asked) in [(a, b), (a, c), (b, d), (c, d)] {
            waits.begin(asker, asked).unwrap();
        }
        assert!(waits.begin(d, a).is_err());
    }
}

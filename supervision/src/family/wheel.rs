//! Whose idle time may be over at which tick of a shard.
//!
//! ```text
//!   tick   7    8    9   10  …   16          a member that is told something is not moved:
//!        ┌────┬────┬────┬────┬─┬────┐        when its tick comes it is looked at, and put
//!        │ b  │    │ ad │ c  │ │    │        where its idle time is over if nothing follows
//!        └────┴────┴────┴────┴─┴────┘
//! ```
//!
//! Each member that is there is on the wheel once, so it is looked at once in its idle time,
//! however many there are; who sleeps is on no wheel. Who ends is taken off at once: a key may be
//! more than a number, and must not be kept.

/// Keys by the tick at which they are due.
pub(super) struct Wheel<K> {
    spokes: [Vec<K>; SPOKES],
    count: usize,
}

/// Where on the wheel a key is: in its low bits the spoke, above them the place there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Spot(pub(super) u32);

impl<K> Wheel<K> {
    pub(super) fn new() -> Self {
        Self {
            spokes: [const { Vec::new() }; SPOKES],
            count: 0,
        }
    }

    /// Puts a key where it is due at this tick, which is fewer than [`SPOKES`] ahead.
    pub(super) fn put(&mut self, tick: u32, key: K) -> Spot {
        let at = tick as usize % SPOKES;
        let spoke = &mut self.spokes[at];
        let spot = Spot((spoke.len() * SPOKES + at) as u32);
        spoke.push(key);
        self.count += 1;
        spot
    }

    /// Takes the key at this spot off; whichever key takes its place there is told.
    pub(super) fn take(&mut self, Spot(spot): Spot) -> Option<&K> {
        let (at, place) = (spot as usize % SPOKES, spot as usize / SPOKES);
        let spoke = &mut self.spokes[at];
        if place >= spoke.len() {
            return None; // it is not there: nobody is moved
        }
        spoke.swap_remove(place);
        self.count -= 1;
        let capacity = spoke.capacity();
        if capacity > SPARE && spoke.len() < capacity / 8 {
            spoke.shrink_to(capacity / 4); // the crowd has left
        }
        self.spokes[at].get(place)
    }

    /// Takes all keys that are due at this tick.
    pub(super) fn due(&mut self, tick: u32) -> Vec<K> {
        let due = std::mem::take(&mut self.spokes[tick as usize % SPOKES]);
        self.count -= due.len();
        due
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Spot {
    /// On no wheel. No wheel has so many keys.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// More than the ticks of an idle time, and a divisor of their range, so that they may wrap.
const SPOKES: usize = 16;

/// Room for so many keys is kept for each tick, however few there are.
const SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        /// Against a map from keys to ticks.
        #[test]
        fn each_key_is_due_once_at_its_tick_unless_it_was_taken_off(
            turns in vec((any::<u8>(), 1_u32..SPOKES as u32), 0..200), from in any::<u32>(),
        ) {
            let (mut wheel, mut spots, mut model) = (Wheel::new(), HashMap::new(), HashMap::new());
            let mut now = from;
            for (key, ahead) in turns {
                match (key % 4, spots.remove(&key)) {
                    (_, Some(spot)) => {
                        model.remove(&key);
                        if let Some(moved) = wheel.take(spot).copied() {
                            spots.insert(moved, spot);
                        }
                    }
                    (0, None) => {
                        now = now.wrapping_add(1);
                        let mut due = wheel.due(now);
                        due.sort_unstable();
                        spots.retain(|key, _| !due.contains(key));
                        let mut expected: Vec<u8> = model.iter()
                            .filter(|due| *due.1 == now).map(|due| *due.0).collect();
                        expected.sort_unstable();
                        model.retain(|_, due| *due != now);
                        prop_assert_eq!(due, expected);
                    }
                    (_, None) => {
                        let due = now.wrapping_add(ahead);
                        spots.insert(key, wheel.put(due, key));
                        model.insert(key, due);
                    }
                }
                prop_assert_eq!(wheel.is_empty(), model.is_empty());
            }
        }
    }

    #[test]
    fn the_room_of_a_crowd_that_has_left_is_given_back() {
        let mut wheel = Wheel::new();
        for key in 0..10_000 {
            wheel.put(9, key);
        }
        while !wheel.is_empty() {
            wheel.take(Spot(9)); // the first one, each time
        }
        assert!(wheel.spokes[9].capacity() <= 2 * SPARE);
    }
}

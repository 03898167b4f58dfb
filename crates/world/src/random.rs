//! Chance: the machine's, for what must not be guessed, and a seeded one, for tests that repeat.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Draws at random. Rooms get an `Arc<dyn Random>`.
pub trait Random: fmt::Debug + Send + Sync {
    /// Sixty-four random bits.
    fn bits(&self) -> u64;

    /// Fills `octets` with random ones.
    fn fill(&self, octets: &mut [u8]) {
        for chunk in octets.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
    }

    /// A hundred and twenty-eight random bits.
    fn wide(&self) -> u128 {
        u128::from(self.bits()) << 64 | u128::from(self.bits())
    }

    /// A number below `end`, each as likely as the others to within 2⁻⁶⁴; 0 if `end` is 0.
    fn below(&self, end: u64) -> u64 {
        let scaled = u128::from(self.bits()) * u128::from(end);
        u64::try_from(scaled >> 64).unwrap_or_default()
    }

    /// A number from 0 up to but not including 1.
    fn unit(&self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The operating system's generator: fit for keys and tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

/// A generator that repeats itself with its seed: for tests only. Clones draw from one sequence.
#[derive(Clone, Debug)]
pub struct SeededRandom(Arc<AtomicU64>);

impl Random for SystemRandom {
    fn bits(&self) -> u64 {
        getrandom::u64().expect("the operating system always has random octets once it has started")
    }

    fn fill(&self, octets: &mut [u8]) {
        getrandom::fill(octets)
            .expect("the operating system always has random octets once it has started");
    }
}

impl SeededRandom {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }
}

/// SplitMix64: a counter, and a mix of it.
impl Random for SeededRandom {
    fn bits(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15_u64;
        let mut z = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence() {
        let draw = |seed| {
            let random = SeededRandom::new(seed);
            (random.wide(), random.below(10), random.unit().to_bits())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn numbers_stay_below_their_end() {
        let random = SeededRandom::new(1);
        assert!((0..1000).all(|_| random.below(3) < 3 && random.unit() < 1.0));
        assert!((0..3).all(|n| (0..100).any(|_| random.below(3) == n)));
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn the_machine_does_not_repeat_itself() {
        assert_ne!(SystemRandom.wide(), SystemRandom.wide());
        let mut octets = [0; 33];
        SystemRandom.fill(&mut octets);
        assert_ne!(octets, [0; 33]);
    }
}

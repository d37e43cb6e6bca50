//! The sources of random numbers.

use std::ops::Range;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The part of a duration that is left of it at random.
const JITTER: Range<f64> = 0.5..1.0;

/// Every random number that a cache draws: lease tokens, jitter and early refreshes. Two caches with the
/// same seed draw the same numbers.
pub(crate) struct Random(Mutex<StdRng>);

/// Random bits for what belongs to no cache. Each thread has a source of its own, so that none waits for
/// another.
pub(crate) fn process_bits() -> u64 {
    rand::random()
}

/// A duration from half of `full` to `full`, for what belongs to no cache.
pub(crate) fn process_jittered(full: Duration) -> Duration {
    full.mul_f64(rand::random_range(JITTER))
}

impl Random {
    /// A source that nobody can predict.
    pub(crate) fn from_system() -> Self {
        Self::from_seed(rand::random())
    }

    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    pub(crate) fn bits(&self) -> u64 {
        self.0.lock().random()
    }

    /// A number greater than zero and at most one.
    pub(crate) fn unit(&self) -> f64 {
        1.0 - self.0.lock().random_range(0.0..1.0)
    }

    /// A duration from half of `full` to `full`.
    pub(crate) fn jittered(&self, full: Duration) -> Duration {
        full.mul_f64(self.0.lock().random_range(JITTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_draw_equal_numbers() {
        let (one, other) = (Random::from_seed(7), Random::from_seed(7));
        assert_eq!(one.bits(), other.bits());
        let full = Duration::from_secs(1);
        let jittered = one.jittered(full);
        assert_eq!(jittered, other.jittered(full));
        assert!(jittered >= full / 2 && jittered < full, "{jittered:?}");
        assert_ne!(one.bits(), Random::from_seed(8).bits());
    }
}

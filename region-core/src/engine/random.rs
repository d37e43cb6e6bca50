//! The source of a cache's random numbers.

use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::store::LeaseToken;

/// Every random number that a cache draws: lease tokens and jitter. Two caches with the same seed
/// draw the same numbers.
pub(crate) struct Random(Mutex<StdRng>);

impl Random {
    /// A source that nobody can predict.
    pub(crate) fn from_system() -> Self {
        Self::from_seed(rand::random())
    }

    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    pub(crate) fn lease_token(&self) -> LeaseToken {
        LeaseToken::from_bits(self.0.lock().random())
    }

    /// A duration from half of `full` to `full`.
    pub(crate) fn jittered(&self, full: Duration) -> Duration {
        full.mul_f64(self.0.lock().random_range(0.5..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_draw_equal_numbers() {
        let (one, other) = (Random::from_seed(7), Random::from_seed(7));
        assert_eq!(one.lease_token(), other.lease_token());
        let full = Duration::from_secs(1);
        let jittered = one.jittered(full);
        assert_eq!(jittered, other.jittered(full));
        assert!(jittered >= full / 2 && jittered < full, "{jittered:?}");
        assert_ne!(one.lease_token(), Random::from_seed(8).lease_token());
    }
}

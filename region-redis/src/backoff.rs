//! The delays between attempts.

use std::time::Duration;

use rand::{Rng, RngExt};
use region_core::{Error, ErrorKind, Result};

/// The longest a delay may be set to: an hour.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// A schedule of delays that double up to a limit, with jitter, so that many processes that lost one
/// server do not come back to it together.
///
/// The delay before the first attempt after a connection is lost lies between zero and `first`. The
/// delay after the `n`th failed attempt, counted from zero, lies between half of
/// `min(first * 2^n, longest)` and that.
///
/// ```
/// use std::time::Duration;
/// use region_redis::Backoff;
///
/// let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5))?;
/// assert_eq!(backoff.longest(), Duration::from_secs(5));
/// # Ok::<(), region_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Makes a schedule that begins with `first` and doubles up to `longest`.
    ///
    /// # Errors
    /// When `first` is zero or exceeds `longest`, or `longest` exceeds an hour.
    pub fn new(first: Duration, longest: Duration) -> Result<Self> {
        if first.is_zero() || first > longest || longest > LONGEST {
            let message = format!(
                "a backoff from {first:?} to {longest:?}: the first delay must not be zero, and not \
                 longer than the longest, which must not exceed {LONGEST:?}"
            );
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        }
        Ok(Self { first, longest })
    }

    /// Returns the delay after the failed attempt number `attempt`, counted from zero.
    pub(crate) fn delay(&self, attempt: u32, rng: &mut impl Rng) -> Duration {
        let doubled = 2_u32.checked_pow(attempt).and_then(|factor| self.first.checked_mul(factor));
        let full = doubled.map_or(self.longest, |delay| delay.min(self.longest));
        full.mul_f64(rng.random_range(0.5..=1.0))
    }

    /// Returns the delay between the loss of a connection that worked and the first attempt to replace it.
    pub(crate) fn first_delay(&self, rng: &mut impl Rng) -> Duration {
        self.first.mul_f64(rng.random_range(0.0..=1.0))
    }

    /// Returns the delay that it begins with.
    #[must_use]
    pub fn first(&self) -> Duration {
        self.first
    }

    /// Returns the longest delay.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }
}

impl Default for Backoff {
    /// Delays from 100 milliseconds to 10 seconds.
    fn default() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn delays_double_up_to_the_longest() {
        let backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(75)).unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        for (attempt, full) in
            [(0, 10), (1, 20), (2, 40), (3, 75), (31, 75), (32, 75), (u32::MAX, 75)]
        {
            let full = Duration::from_millis(full);
            for _ in 0..100 {
                let delay = backoff.delay(attempt, &mut rng);
                assert!(delay >= full / 2 && delay <= full, "{attempt}: {delay:?}");
            }
        }
    }

    #[test]
    fn processes_wait_differently() {
        let backoff = Backoff::default();
        let delays = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..8).map(|attempt| backoff.delay(attempt, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    /// Bug: the first attempt to replace a lost connection was made at once.
    /// Effect: every process of a fleet came back to a restarted server in the same moment.
    /// Fix: it waits for a random part of the first delay.
    #[test]
    fn the_first_reconnect_has_jitter() {
        let backoff = Backoff::default();
        let mut rng = StdRng::seed_from_u64(1);
        let delays: Vec<_> = (0..1000).map(|_| backoff.first_delay(&mut rng)).collect();
        assert!(delays.iter().all(|delay| *delay <= backoff.first));
        assert!(delays.iter().any(|delay| *delay < backoff.first / 10));
        assert!(delays.iter().any(|delay| *delay > backoff.first * 9 / 10));
    }

    #[test]
    fn impossible_schedules_are_refused() {
        let ms = Duration::from_millis;
        assert!(Backoff::new(ms(0), ms(1)).is_err());
        assert!(Backoff::new(ms(2), ms(1)).is_err());
        assert!(Backoff::new(ms(1), LONGEST + ms(1)).is_err());
        assert!(Backoff::new(ms(1), ms(1)).is_ok());
    }
}

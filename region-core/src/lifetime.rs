use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};

/// The longest limited lifetime: a hundred years of 365 days.
pub const MAX_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A time to live: unlimited, or a number of milliseconds that is never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// No limit.
    #[default]
    Unlimited,
    /// A number of milliseconds.
    Millis(NonZeroU64),
}

impl Lifetime {
    /// Creates a limited lifetime. The duration is rounded up to whole milliseconds.
    ///
    /// # Errors
    /// If `duration` is zero or exceeds [`MAX_LIFETIME`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use region_core::Lifetime;
    ///
    /// assert_eq!(Lifetime::of(Duration::from_micros(10))?.duration(), Some(Duration::from_millis(1)));
    /// assert!(Lifetime::of(Duration::ZERO).is_err());
    /// # Ok::<(), region_core::Error>(())
    /// ```
    pub fn of(duration: Duration) -> Result<Self, Error> {
        if duration > MAX_LIFETIME {
            return Err(Error::new(
                ErrorKind::InvalidPolicy,
                format!("a lifetime of {duration:?} exceeds the limit of {MAX_LIFETIME:?}"),
            ));
        }
        // Within the limit, the number of milliseconds fits with room to spare.
        let millis = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        NonZeroU64::new(millis).map(Self::Millis).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidPolicy,
                "a lifetime must not be zero: to store nothing, do not write",
            )
        })
    }

    /// Returns the duration, or `None` if the lifetime is unlimited.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Unlimited => None,
            Self::Millis(millis) => Some(Duration::from_millis(millis.get())),
        }
    }

    /// Returns the shorter of two lifetimes.
    #[must_use]
    pub(crate) fn shorter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unlimited, limit) | (limit, Self::Unlimited) => limit,
            (Self::Millis(mine), Self::Millis(millis)) => Self::Millis(mine.min(millis)),
        }
    }

    /// Returns the time at which a lifetime that begins at `start` ends, or `None` if it is unlimited.
    #[must_use]
    pub fn end(self, start: Timestamp) -> Option<Timestamp> {
        self.duration().map(|duration| start.saturating_add(duration))
    }

    /// Returns the remaining lifetime at `now` of something that expires at `end` (`None`: never), or `None`
    /// if it has expired.
    #[must_use]
    pub fn left(end: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        match end {
            None => Some(Self::Unlimited),
            Some(end) => {
                let millis = end.as_millis().checked_sub(now.as_millis())?;
                NonZeroU64::new(millis).map(Self::Millis)
            }
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.duration() {
            None => f.write_str("unlimited"),
            Some(duration) => write!(f, "{duration:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_rounding() {
        assert!(Lifetime::of(Duration::ZERO).is_err());
        assert!(Lifetime::of(Duration::MAX).is_err());
        assert!(Lifetime::of(MAX_LIFETIME).is_ok());
        assert!(Lifetime::of(MAX_LIFETIME + Duration::from_nanos(1)).is_err());
        let rounded = Lifetime::of(Duration::from_nanos(1_000_001)).unwrap();
        assert_eq!(rounded.duration(), Some(Duration::from_millis(2)));
    }

    #[test]
    fn a_lifetime_ends_exactly_at_its_end() {
        let start = Timestamp::from_millis(1_000);
        let end = Lifetime::of(Duration::from_millis(5)).unwrap().end(start);
        let at = |millis| Lifetime::left(end, Timestamp::from_millis(millis));
        assert_eq!(at(1_004).unwrap().duration(), Some(Duration::from_millis(1)));
        assert_eq!(at(1_005), None);
        assert_eq!(at(2_000), None);
        assert_eq!(Lifetime::left(None, start), Some(Lifetime::Unlimited));
    }
}

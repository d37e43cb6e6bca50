//! The time at which a value was made. An entry has it if the policy says so.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

/// The number of bytes that it takes in an entry.
pub(super) const MADE_BYTES: usize = 6;

/// Says if values are stored with the time at which they were made: see [`Policy::age`](crate::Policy::age).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryAge {
    /// Nothing tells how old a value in the store is.
    #[default]
    Unknown,
    /// Each value is stored with that time.
    Recorded,
}

/// The moment at which the load of a value began, or the call that has set it: milliseconds since 1970, by the
/// system clock of the process that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MadeAt(NonZeroU64);

impl MadeAt {
    /// The moment that lies `time` back.
    pub(crate) fn ago(time: Duration) -> Option<Self> {
        let since = SystemTime::now().checked_sub(time)?.duration_since(UNIX_EPOCH).ok()?;
        Self::of_millis(u64::try_from(since.as_millis()).ok()?)
    }

    /// The time since then by this process's system clock; zero if that lies ahead.
    pub(crate) fn age(self) -> Duration {
        SystemTime::now().duration_since(self.time()).unwrap_or_default()
    }

    pub(super) fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.get())
    }

    /// The least significant byte first.
    pub(super) fn to_bytes(self) -> [u8; MADE_BYTES] {
        let [a, b, c, d, e, f, ..] = self.0.get().to_le_bytes();
        [a, b, c, d, e, f]
    }

    /// `None` if they are no moment.
    pub(super) fn from_bytes([a, b, c, d, e, f]: [u8; MADE_BYTES]) -> Option<Self> {
        Self::of_millis(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    /// `None` for what six bytes cannot tell.
    fn of_millis(millis: u64) -> Option<Self> {
        let is_short = millis >> (MADE_BYTES * 8) == 0;
        NonZeroU64::new(millis).filter(|_| is_short).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn the_age_is_the_time_since_then() {
        let hour_ago = MadeAt::ago(HOUR).unwrap();
        assert_eq!(MadeAt::from_bytes(hour_ago.to_bytes()), Some(hour_ago));
        let age = hour_ago.age();
        assert!(age >= HOUR && age < HOUR + Duration::from_secs(60), "{age:?}");
    }

    /// Clocks differ: what another process has just made may lie ahead.
    #[test]
    fn a_moment_ahead_is_no_age() {
        let now = MadeAt::ago(Duration::ZERO).unwrap();
        let ahead = MadeAt(now.0.saturating_add(3_600_000));
        assert_eq!(ahead.age(), Duration::ZERO);
    }

    #[test]
    fn moments_that_cannot_be_written_are_not_known() {
        assert_eq!(MadeAt::ago(Duration::MAX), None, "before 1970");
        assert_eq!(MadeAt::from_bytes([0; MADE_BYTES]), None);
        assert_eq!(MadeAt::of_millis(1 << 48), None);
        assert!(MadeAt::from_bytes([0xFF; MADE_BYTES]).is_some());
    }
}

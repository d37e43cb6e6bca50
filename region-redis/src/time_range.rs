//! A time that is known to lie within bounds.

use region_core::Timestamp;

/// A range of times that contains the time of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeRange {
    pub(crate) earliest: Timestamp,
    pub(crate) latest: Timestamp,
}

impl TimeRange {
    /// Contains one time.
    pub(crate) fn exactly(time: Timestamp) -> Self {
        Self { earliest: time, latest: time }
    }
}

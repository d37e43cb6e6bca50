//! The clock that all processes of the machine share.

use rustix::time::{ClockId, clock_gettime};

/// A time by the machine's monotonic clock, in microseconds.
pub type Micros = u64;

/// The microseconds of a millisecond.
pub const MS: Micros = 1000;

/// The time now.
#[must_use]
pub fn now() -> Micros {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds * 1_000_000 + nanos / 1000
}

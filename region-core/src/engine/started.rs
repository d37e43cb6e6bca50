//! The time at which an operation began.

use std::time::Duration;

use tokio::time::Instant;

/// The time from which an operation's limit counts, however many calls to the store it makes.
///
/// Most operations make one call, and find their value near or at once: for them the clock is not read. The
/// time is noted when the operation first has to wait, or makes another call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Started(Option<Instant>);

impl Started {
    /// An operation that begins now.
    pub(crate) fn now() -> Self {
        Self(Some(Instant::now()))
    }

    /// An operation that began at this time; `None`: it has not waited yet.
    pub(crate) const fn at(started: Option<Instant>) -> Self {
        Self(started)
    }

    /// The time, if it was noted: for the terms of a call. Without it the limit counts from the call.
    pub(crate) const fn noted(self) -> Option<Instant> {
        self.0
    }

    /// Returns the time; the present one is noted if none was.
    pub(crate) fn note(&mut self) -> Instant {
        *self.0.get_or_insert_with(Instant::now)
    }

    /// As [`note`](Self::note), for a caller that knows the present time.
    pub(crate) fn note_at(&mut self, now: Instant) -> Instant {
        *self.0.get_or_insert(now)
    }

    /// The end of the operation's limit; `None`: it has none.
    pub(crate) fn deadline(&mut self, limit: Option<Duration>) -> Option<Instant> {
        self.note().checked_add(limit?)
    }
}

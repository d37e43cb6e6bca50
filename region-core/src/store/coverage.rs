//! The time until which a store's pushes are known to tell of every change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Never.
const NEVER: u64 = u64::MAX;

/// The time until which the pushes of a store may be relied on.
///
/// A store that receives pushes in a task of its own moves this on each time that it knows it has received
/// all pushes up to some moment. If the task stands still, because its runtime is not polled or the process
/// was stopped, nobody moves it on: then nothing that was read is trusted, although no connection is known
/// to be lost. A cache compares it with the clock at every hit. See [`Listening::covered_by`].
///
/// [`Listening::covered_by`]: super::Listening::covered_by
///
/// ```
/// use std::time::Duration;
/// use region_core::Coverage;
/// use tokio::time::Instant;
///
/// let coverage = Coverage::new();
/// assert!(!coverage.is_over());
/// coverage.ends_at(Some(Instant::now() + Duration::from_secs(1)));
/// assert!(!coverage.is_over());
/// coverage.ends_at(Some(Instant::now()));
/// assert!(coverage.is_over());
/// ```
#[derive(Debug)]
pub struct Coverage {
    start: Instant,
    /// In nanoseconds since `start`.
    end: AtomicU64,
}

impl Coverage {
    /// Coverage without an end.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now(), end: AtomicU64::new(NEVER) }
    }

    /// Sets the end; `None`: there is none, as for a store whose pushes come without a task.
    pub fn ends_at(&self, end: Option<Instant>) {
        let nanos = |end: Instant| {
            let nanos = end.saturating_duration_since(self.start).as_nanos();
            u64::try_from(nanos).unwrap_or(NEVER)
        };
        self.end.store(end.map_or(NEVER, nanos), Ordering::Release);
    }

    /// Returns the end; `None`: there is none.
    #[must_use]
    pub fn end(&self) -> Option<Instant> {
        match self.end.load(Ordering::Acquire) {
            NEVER => None,
            nanos => self.start.checked_add(Duration::from_nanos(nanos)),
        }
    }

    /// Returns true if the end has come.
    #[must_use]
    #[inline]
    pub fn is_over(&self) -> bool {
        match self.end.load(Ordering::Acquire) {
            // The clock is not read where it does not matter.
            NEVER => false,
            nanos => self.start.elapsed() >= Duration::from_nanos(nanos),
        }
    }
}

impl Default for Coverage {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_its_time_has_come_and_begins_again_when_it_is_moved_on() {
        let coverage = Coverage::new();
        assert_eq!(coverage.end(), None);
        let end = Instant::now() + Duration::from_millis(10);
        coverage.ends_at(Some(end));
        assert_eq!(coverage.end(), Some(end));
        tokio::time::advance(Duration::from_millis(9)).await;
        assert!(!coverage.is_over());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(coverage.is_over());
        coverage.ends_at(Some(end + Duration::from_millis(1)));
        assert!(!coverage.is_over());
        coverage.ends_at(None);
        tokio::time::advance(Duration::from_secs(1_000_000)).await;
        assert!(!coverage.is_over());
    }
}

//! The pace of the reclaimer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// With less work than this left the server rests after each trip, for as long as the trip took. With more, work
/// comes faster than it is done so.
const CALM: u64 = 512;

/// The shortest and the longest rest of the server.
const SHORTEST_REST: Duration = Duration::from_millis(1);
const LONGEST_REST: Duration = Duration::from_millis(20);

/// While work heaps up there is a worker for so many calls of this process that are under way: a trip takes the
/// longer the more of them are ahead of it, and they make the work.
const CALLS_PER_WORKER: usize = 32;

/// The most workers.
const MOST_WORKERS: usize = 16;

/// How fast the work under one hash tag is done.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The number of pieces of work that were due and left when some were taken last.
    left: AtomicU64,
}

impl Pace {
    pub(super) fn note_left(&self, left: u64) {
        self.left.store(left, Ordering::Relaxed);
    }

    fn is_calm(&self) -> bool {
        self.left.load(Ordering::Relaxed) < CALM
    }

    /// Returns the number of workers, while so many calls of this process are under way.
    pub(super) fn workers(&self, in_flight: usize) -> usize {
        if self.is_calm() { 1 } else { (1 + in_flight / CALLS_PER_WORKER).min(MOST_WORKERS) }
    }

    /// Lets the server rest after a trip that took so long.
    pub(super) async fn rest(&self, trip: Duration) {
        if self.is_calm() {
            tokio::time::sleep(trip.clamp(SHORTEST_REST, LONGEST_REST)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_server_rests_unless_work_heaps_up() {
        let (pace, millis) = (Pace::default(), Duration::from_millis);
        for (trip, rest) in [(0, 1), (5, 5), (500, 20)] {
            let start = tokio::time::Instant::now();
            pace.rest(millis(trip)).await;
            assert_eq!(start.elapsed(), millis(rest));
        }
        pace.note_left(CALM);
        let start = tokio::time::Instant::now();
        pace.rest(millis(5)).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[test]
    fn there_are_more_workers_while_work_heaps_up_beside_many_calls() {
        let pace = Pace::default();
        assert_eq!([0, 1000].map(|calls| pace.workers(calls)), [1, 1]);
        pace.note_left(CALM);
        assert_eq!([0, 31, 64, 100_000].map(|calls| pace.workers(calls)), [1, 1, 3, MOST_WORKERS]);
        pace.note_left(0);
        assert_eq!(pace.workers(1000), 1);
    }
}

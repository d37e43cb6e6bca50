//! The lag of replicas behind their primary.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::net::identity::Position;
use crate::session::clock::PrimaryClock;

/// The number of the primary's positions that are kept.
const SAMPLES: usize = 1024;

/// The primary's replication offsets of late, each with the time at which it was asked for.
#[derive(Debug)]
pub(crate) struct PrimaryProgress {
    history: Mutex<History>,
    max_lag: Duration,
    /// Rises when the primary's replication id changes.
    generation: AtomicU64,
    pub(crate) clock: PrimaryClock,
}

/// One replication history. Offsets of different ones say nothing about each other.
#[derive(Debug, Default)]
struct History {
    id: String,
    /// Moments at which the history was at least so long.
    offsets: VecDeque<(Instant, u64)>,
}

/// The point in the primary's history that a replica is known to have reached.
#[derive(Debug, Default)]
pub(crate) struct ReplicaProgress(Mutex<Option<Reached>>);

/// Everything that the primary had at `moment`, in the history of `generation`.
#[derive(Clone, Copy, Debug)]
struct Reached {
    generation: u64,
    moment: Instant,
}

impl PrimaryProgress {
    /// Keeps what tells whether a replica lags no longer than `max_lag`.
    pub(crate) fn new(max_lag: Duration) -> Self {
        Self {
            history: Mutex::default(),
            max_lag,
            generation: AtomicU64::new(0),
            clock: PrimaryClock::default(),
        }
    }

    /// Notes a position of the primary that was asked for at `asked`.
    pub(crate) fn note(&self, asked: Instant, position: &Position) {
        let mut history = self.history.lock();
        let last = history.offsets.back().map_or(0, |(_, offset)| *offset);
        if history.id != position.history || last > position.offset {
            *history = History { id: position.history.clone(), offsets: VecDeque::new() };
            self.generation.fetch_add(1, Ordering::Release);
        }
        // A replica that has reached no more than these is not read from.
        let is_old = |(at, _): &(Instant, u64)| at.elapsed() > self.max_lag;
        while history.offsets.len() >= SAMPLES
            || history.offsets.len() > 1 && history.offsets.front().is_some_and(is_old)
        {
            history.offsets.pop_front();
        }
        history.offsets.push_back((asked, position.offset));
    }

    /// Returns the point that a replica at `position` has reached; `None` if it is of another history, or
    /// not known.
    fn reached(&self, position: &Position) -> Option<Reached> {
        let history = self.history.lock();
        let mut offsets = history.offsets.iter().rev();
        let (moment, _) = offsets
            .find(|(_, offset)| *offset <= position.offset)
            .filter(|_| history.id == position.history)?;
        let generation = self.generation.load(Ordering::Acquire);
        Some(Reached { generation, moment: *moment })
    }
}

impl ReplicaProgress {
    /// Notes the position of a replica.
    pub(crate) fn note(&self, primary: &PrimaryProgress, position: &Position) {
        if let Some(reached) = primary.reached(position) {
            *self.0.lock() = Some(reached);
        }
    }

    /// Forgets what was known.
    pub(crate) fn forget(&self) {
        *self.0.lock() = None;
    }

    /// Returns whether the replica has everything in the primary's present history that is older than `lag`.
    pub(crate) fn is_within(&self, primary: &PrimaryProgress, lag: Duration) -> bool {
        let generation = primary.generation.load(Ordering::Acquire);
        self.0.lock().is_some_and(|reached| {
            reached.generation == generation && reached.moment.elapsed() <= lag
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(5);

    fn at(history: &str, offset: u64) -> Position {
        Position { history: history.to_owned(), offset }
    }

    fn is_recent(primary: &PrimaryProgress, position: &Position) -> bool {
        let replica = ReplicaProgress::default();
        replica.note(primary, position);
        replica.is_within(primary, LAG)
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_is_as_recent_as_what_it_has() {
        let primary = PrimaryProgress::new(LAG);
        assert!(!is_recent(&primary, &at("a", 100)), "nothing is known of the primary");
        primary.note(Instant::now(), &at("a", 100));
        tokio::time::advance(LAG).await;
        primary.note(Instant::now(), &at("a", 200));
        assert!(!is_recent(&primary, &at("a", 99)));
        assert!(is_recent(&primary, &at("a", 199)));
        tokio::time::advance(LAG).await;
        assert!(!is_recent(&primary, &at("a", 199)));
        assert!(is_recent(&primary, &at("a", 200)));
    }

    /// Bug: offsets of replicas were compared with the primary's whatever their history. Effect: after
    /// a failover a replica that still followed the former primary, whose offset was higher, was believed to
    /// have all. Fix: a position names its history.
    #[tokio::test(start_paused = true)]
    async fn a_replica_of_another_history_is_not_recent() {
        let primary = PrimaryProgress::new(LAG);
        primary.note(Instant::now(), &at("a", 100));
        let replica = ReplicaProgress::default();
        replica.note(&primary, &at("a", 1000));
        assert!(replica.is_within(&primary, LAG));
        primary.note(Instant::now(), &at("b", 110));
        assert!(!replica.is_within(&primary, LAG), "known from before the failover");
        replica.note(&primary, &at("a", 1000));
        assert!(!replica.is_within(&primary, LAG));
        replica.note(&primary, &at("b", 110));
        assert!(replica.is_within(&primary, LAG));
        replica.forget();
        assert!(!replica.is_within(&primary, LAG));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_history_of_the_same_name_is_another_one() {
        let primary = PrimaryProgress::new(LAG);
        primary.note(Instant::now(), &at("a", 100));
        tokio::time::advance(LAG).await;
        primary.note(Instant::now(), &at("a", 50));
        assert!(!is_recent(&primary, &at("a", 49)));
        assert!(is_recent(&primary, &at("a", 100)));
    }
}

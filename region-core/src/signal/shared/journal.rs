//! The values that this process has sent lately.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::record::{Letter, Record};
use super::{MAX_SIGNAL_BYTES, MAX_SIGNALS_KEPT, SHARED_SIGNAL_TTL};
use crate::signal::Sent;

/// The values that this process has sent lately, as the store is to keep them.
pub(super) struct Journal<T> {
    /// The oldest first.
    kept: VecDeque<Kept<T>>,
    bytes: usize,
    /// The number of the next value.
    next: u64,
    /// The last value that the store is known to have kept.
    acknowledged: u64,
    /// The last value that was delivered to the handlers of this process.
    delivered: u64,
    /// The time at which the last value was sent of those that were dropped early.
    dropped_early: Option<Instant>,
}

struct Kept<T> {
    sent: Sent<T>,
    bytes: usize,
    at: Instant,
}

/// Values to be delivered to the handlers of this process.
pub(super) struct Own<T> {
    /// Values were dropped before they could be delivered.
    pub(super) has_missed: bool,
    pub(super) values: Vec<Sent<T>>,
}

impl<T> Journal<T> {
    pub(super) fn new() -> Self {
        let (kept, dropped_early) = (VecDeque::new(), None);
        Self { kept, bytes: 0, next: 1, acknowledged: 0, delivered: 0, dropped_early }
    }

    /// Adds a value. Older ones are dropped if there are too many.
    pub(super) fn add(&mut self, sent: Sent<T>, bytes: usize) {
        self.kept.push_back(Kept { sent, bytes, at: Instant::now() });
        self.bytes += bytes;
        self.next += 1;
        while self.kept.len() > MAX_SIGNALS_KEPT
            || (self.bytes > MAX_SIGNAL_BYTES && self.kept.len() > 1)
        {
            if let Some(dropped) = self.drop_first() {
                self.dropped_early = Some(dropped.at);
            }
        }
    }

    /// Takes back the last values, which the store does not have.
    pub(super) fn take_back(&mut self, values: usize) {
        for _ in 0..values {
            if let Some(kept) = self.kept.pop_back() {
                self.bytes -= kept.bytes;
                self.next -= 1;
            }
        }
    }

    /// Forgets the values that are over.
    pub(super) fn expire(&mut self) {
        while self.kept.front().is_some_and(|kept| kept.at.elapsed() >= SHARED_SIGNAL_TTL) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) -> Option<Kept<T>> {
        let dropped = self.kept.pop_front()?;
        self.bytes -= dropped.bytes;
        Some(dropped)
    }

    /// The record for the store; `None`: there is nothing to keep.
    pub(super) fn record(&self) -> Option<Record<T>> {
        let is_recent = |at: Instant| at.elapsed() < SHARED_SIGNAL_TTL;
        (!self.kept.is_empty()).then(|| Record {
            first: self.first(),
            has_dropped_early: self.dropped_early.is_some_and(is_recent),
            values: self.kept.iter().map(|kept| Letter::new(&kept.sent)).collect(),
        })
    }

    /// The number of the first value that is kept.
    fn first(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    /// The number of the last value.
    pub(super) fn last(&self) -> u64 {
        self.next - 1
    }

    /// Returns true if the store is not known to have kept all values.
    pub(super) fn is_unsure(&self) -> bool {
        !self.kept.is_empty() && self.acknowledged < self.last()
    }

    /// Notes that the store has kept all values; returns those that were not delivered here yet.
    pub(super) fn acknowledge(&mut self) -> Own<T> {
        self.acknowledged = self.last();
        let first = self.first();
        let has_missed = first > self.delivered + 1;
        // At most as many as are kept.
        let known = self.delivered.saturating_sub(first - 1) as usize;
        let values = self.kept.iter().skip(known).map(|kept| kept.sent.clone()).collect();
        self.delivered = self.last();
        Own { has_missed, values }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn sent(value: u64) -> Sent<u64> {
        Sent::new(Arc::new(value), None)
    }

    fn values(own: &Own<u64>) -> Vec<u64> {
        own.values.iter().map(|sent| **sent).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn values_are_numbered_and_kept_for_their_time() {
        let mut journal = Journal::new();
        assert!(journal.record().is_none() && !journal.is_unsure());
        for value in 1..=3 {
            journal.add(sent(value), 1);
        }
        let record = journal.record().unwrap();
        assert_eq!((record.first, record.last(), record.has_dropped_early), (1, 3, false));
        assert!(journal.is_unsure());
        assert_eq!(values(&journal.acknowledge()), [1, 2, 3]);
        assert!(!journal.is_unsure() && values(&journal.acknowledge()).is_empty());
        tokio::time::advance(SHARED_SIGNAL_TTL / 2).await;
        journal.add(sent(4), 1);
        tokio::time::advance(SHARED_SIGNAL_TTL / 2).await;
        journal.expire();
        let record = journal.record().unwrap();
        assert_eq!((record.first, record.last(), record.has_dropped_early), (4, 4, false));
        tokio::time::advance(SHARED_SIGNAL_TTL).await;
        journal.expire();
        assert!(journal.record().is_none() && !journal.is_unsure());
        journal.add(sent(5), 1);
        assert_eq!(journal.record().unwrap().first, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_values_are_dropped_early_and_it_is_said() {
        let mut journal = Journal::new();
        for value in 0..MAX_SIGNALS_KEPT as u64 + 5 {
            journal.add(sent(value), 1);
        }
        let record = journal.record().unwrap();
        assert_eq!((record.first, record.values.len()), (6, MAX_SIGNALS_KEPT));
        assert!(record.has_dropped_early);
        let own = journal.acknowledge();
        assert!(own.has_missed && own.values.len() == MAX_SIGNALS_KEPT);
        tokio::time::advance(SHARED_SIGNAL_TTL + Duration::from_secs(1)).await;
        journal.expire();
        journal.add(sent(1), MAX_SIGNAL_BYTES);
        assert!(!journal.record().unwrap().has_dropped_early);
        journal.add(sent(2), 1);
        let record = journal.record().unwrap();
        assert!(record.has_dropped_early && record.values.len() == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_store_does_not_have_is_taken_back() {
        let mut journal = Journal::new();
        journal.add(sent(1), 1);
        journal.acknowledge();
        journal.add(sent(2), 1);
        journal.add(sent(3), 1);
        journal.take_back(2);
        assert!(!journal.is_unsure());
        journal.add(sent(4), 1);
        assert_eq!(values(&journal.acknowledge()), [4]);
        assert_eq!(journal.record().unwrap().last(), 2);
    }
}

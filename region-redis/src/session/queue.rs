//! Invalidations that wait for the server.

use std::collections::{HashMap, VecDeque};

use region_core::{RegionPath, Verb};

use crate::session::recent_writes::Verbs;
use crate::session::recovery::Queued;

/// Regions that have to be ended, in the order in which they came in, each once. When it is full a
/// region that is not in it is refused: nothing that was taken is ever dropped.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: usize,
    order: VecDeque<RegionPath>,
    verbs: HashMap<RegionPath, Verbs>,
    pushed: u64,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, order: VecDeque::new(), verbs: HashMap::new(), pushed: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Adds an invalidation; whether there was room.
    pub(crate) fn push(&mut self, region: &RegionPath, verb: Verb) -> bool {
        if let Some(verbs) = self.verbs.get_mut(region) {
            verbs.add(verb);
            self.pushed += 1;
            return true;
        }
        if self.order.len() >= self.capacity {
            return false;
        }
        self.pushed += 1;
        self.order.push_back(region.clone());
        self.verbs.entry(region.clone()).or_default().add(verb);
        true
    }

    /// How many invalidations were added so far.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// The first `limit` regions.
    pub(crate) fn first(&self, limit: usize) -> Vec<Queued> {
        let verbs = |region: &RegionPath| self.verbs.get(region).copied().unwrap_or_default();
        self.order.iter().take(limit).map(|region| (region.clone(), verbs(region))).collect()
    }

    /// Removes what was done. What a region was asked for meanwhile stays.
    pub(crate) fn remove(&mut self, done: &[Queued]) {
        for (region, verbs) in done {
            if self.verbs.get(region) != Some(verbs) {
                continue;
            }
            self.verbs.remove(region);
            self.order.retain(|queued| queued != region);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RegionPath {
        RegionPath::parse(text).unwrap()
    }

    #[test]
    fn a_region_is_queued_once_with_all_that_is_asked_of_it() {
        let mut queue = Queue::new(2);
        assert!(queue.push(&path("a"), Verb::Expire));
        assert!(queue.push(&path("b"), Verb::Touch));
        assert!(queue.push(&path("a"), Verb::Invalidate));
        let first = queue.first(9);
        assert_eq!(first[0].0, path("a"));
        assert_eq!(first[0].1.needed(), [Verb::Invalidate]);
        assert_eq!(first.len(), 2);
    }

    #[test]
    fn a_full_queue_refuses_and_keeps_what_it_has() {
        let mut queue = Queue::new(1);
        assert!(queue.push(&path("a"), Verb::Touch));
        assert!(!queue.push(&path("b"), Verb::Touch));
        assert!(queue.push(&path("a"), Verb::Expire));
        assert_eq!(queue.first(9).len(), 1);
    }

    #[test]
    fn what_is_asked_during_a_replay_stays() {
        let mut queue = Queue::new(9);
        queue.push(&path("a"), Verb::Touch);
        queue.push(&path("b"), Verb::Touch);
        let batch = queue.first(9);
        queue.push(&path("a"), Verb::Invalidate);
        queue.remove(&batch);
        assert_eq!(queue.first(9).len(), 1);
        assert_eq!(queue.first(9)[0].0, path("a"));
        assert!(!queue.is_empty());
    }
}

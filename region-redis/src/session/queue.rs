//! The queue of invalidations that wait for the server.

use std::collections::{BTreeMap, HashMap};

use region_core::{RegionPath, Verb};

use crate::session::recent_writes::Verbs;

/// The regions to invalidate, each once, in the order of their last invalidation. A full queue refuses
/// regions that are not in it, and never drops one that is.
///
/// Each invalidation has a number. One that comes while the region is being replayed gives it a new number,
/// so that the end of that replay does not remove it.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: usize,
    regions: BTreeMap<u64, Queued>,
    numbers: HashMap<RegionPath, u64>,
    pushed: u64,
}

/// A queued region and the verbs to apply to it.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) number: u64,
    pub(crate) region: RegionPath,
    pub(crate) verbs: Verbs,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, regions: BTreeMap::new(), numbers: HashMap::new(), pushed: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    /// Adds an invalidation. Returns whether there was room.
    pub(crate) fn push(&mut self, region: &RegionPath, verb: Verb) -> bool {
        let earlier = self.numbers.get(region).and_then(|number| self.regions.remove(number));
        if earlier.is_none() && self.regions.len() >= self.capacity {
            return false;
        }
        self.pushed += 1;
        let number = self.pushed;
        let mut verbs = earlier.map(|earlier| earlier.verbs).unwrap_or_default();
        verbs.add(verb);
        self.numbers.insert(region.clone(), number);
        self.regions.insert(number, Queued { number, region: region.clone(), verbs });
        true
    }

    /// Returns the number of invalidations that were added so far.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Returns the first `limit` regions.
    pub(crate) fn first(&self, limit: usize) -> Vec<Queued> {
        self.regions.values().take(limit).cloned().collect()
    }

    /// Removes regions that were replayed. A region that was invalidated again meanwhile stays.
    pub(crate) fn remove(&mut self, done: &[Queued]) {
        for Queued { number, region, .. } in done {
            if self.regions.remove(number).is_some() {
                self.numbers.remove(region);
            }
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
        assert_eq!(first.len(), 2);
        assert_eq!((&first[0].region, &first[1].region), (&path("b"), &path("a")));
        assert_eq!(first[1].verbs.needed(), [Verb::Invalidate]);
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
        assert_eq!(queue.first(9)[0].region, path("a"));
        queue.remove(&queue.first(9));
        assert!(queue.is_empty() && queue.numbers.is_empty());
    }

    /// Bug: whether a queued region was asked for again during its replay was told by its verbs. Effect:
    /// the same verb asked for again was dropped, and what had been filled since the replayed one
    /// survived. Fix: each invalidation has a number.
    #[test]
    fn the_same_invalidation_asked_for_during_its_replay_is_done_again() {
        let mut queue = Queue::new(1);
        queue.push(&path("a"), Verb::Invalidate);
        let batch = queue.first(9);
        assert!(queue.push(&path("a"), Verb::Invalidate), "it has its place");
        queue.remove(&batch);
        let again = queue.first(9);
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].verbs.needed(), [Verb::Invalidate]);
        queue.remove(&again);
        assert!(queue.is_empty());
    }
}

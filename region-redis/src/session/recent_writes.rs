//! What this process changed lately: what it must see, and what a failover must not undo.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use region_core::{RegionPath, Verb};
use tokio::time::Instant;

use crate::net::identity::Identity;

/// How long a change is remembered: longer than any replica that is read from may lag.
const MEMORY: Duration = Duration::from_secs(60);

/// The most regions whose changes are remembered; the oldest are forgotten.
const MOST_REGIONS: usize = 20_000;

/// The most keys of one region that are remembered; beyond that the region as a whole is.
const MOST_KEYS: usize = 128;

/// The most keys of all regions together; the oldest regions are forgotten.
const MOST_KEYS_OF_ALL: usize = 100_000;

/// The changes of one process. Counts are those of the writes over the present channel.
#[derive(Debug, Default)]
pub(crate) struct OwnChanges {
    channel: u128,
    /// What a replica must show for what has been forgotten.
    floor: u64,
    changes: HashMap<Box<str>, Change>,
    /// The number of keys in all of them.
    keys: usize,
    /// In the order they came in, once each.
    order: VecDeque<(Instant, Box<str>)>,
    pub(crate) identity: Option<Identity>,
}

/// What was done to one region.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) region: RegionPath,
    pub(crate) verbs: Verbs,
    /// Keys that were put or removed.
    pub(crate) keys: HashSet<Box<str>>,
    /// The count of the last write that concerned its own entries.
    entries: u64,
    /// The count of the last that concerned all below it.
    subtree: u64,
    at: Instant,
}

/// Verbs that ended a region, once or more often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verbs {
    invalidate: bool,
    touch: bool,
    expire: bool,
}

impl Verbs {
    pub(crate) fn add(&mut self, verb: Verb) {
        match verb {
            Verb::Invalidate => self.invalidate = true,
            Verb::Touch => self.touch = true,
            Verb::Expire => self.expire = true,
        }
    }

    /// The verbs that have the effect of all: what is gone need not become stale.
    pub(crate) fn needed(self) -> Vec<Verb> {
        let verbs = [
            (Verb::Invalidate, self.invalidate),
            (Verb::Touch, self.touch),
            (Verb::Expire, self.expire && !self.invalidate),
        ];
        verbs.into_iter().filter_map(|(verb, is_set)| is_set.then_some(verb)).collect()
    }
}

impl OwnChanges {
    /// Begins to count anew on a channel whose first count is one.
    pub(crate) fn start(&mut self, channel: u128) {
        self.channel = channel;
        self.floor = self.floor.min(1);
        for change in self.changes.values_mut() {
            (change.entries, change.subtree) = (1, 1);
        }
    }

    /// The count that the primary must show to answer a read of `region`, and whose count; zero if this
    /// process has not changed anything there lately.
    pub(crate) fn needed(&self, region: &RegionPath) -> (u128, u64) {
        let mut needed = 0;
        if !self.changes.is_empty() {
            let own = self.changes.get(region.as_str());
            needed = needed.max(own.map_or(0, |change| change.entries));
            for prefix in region.prefixes() {
                let change = self.changes.get(prefix);
                needed = needed.max(change.map_or(0, |change| change.subtree));
            }
        }
        (self.channel, needed)
    }

    /// As [`needed`](Self::needed), of a replica: it may lag longer than changes are remembered.
    pub(crate) fn needed_of_replica(&self, region: &RegionPath) -> (u128, u64) {
        let (channel, needed) = self.needed(region);
        (channel, needed.max(self.floor))
    }

    /// Remembers, before it is tried, that a region is to be ended.
    pub(crate) fn intend_end(&mut self, region: &RegionPath, verb: Verb) {
        self.change(region).verbs.add(verb);
    }

    /// Remembers, before it is tried, that keys are to be changed.
    pub(crate) fn intend_write<'k>(
        &mut self,
        region: &RegionPath,
        keys: impl IntoIterator<Item = &'k str>,
    ) {
        let change = self.change(region);
        let before = change.keys.len();
        for key in keys {
            if change.keys.len() == MOST_KEYS && !change.keys.contains(key) {
                change.verbs.add(Verb::Invalidate);
                break;
            }
            change.keys.insert(key.into());
        }
        let added = change.keys.len() - before;
        self.keys += added;
    }

    /// Counts an ended region.
    pub(crate) fn ended(&mut self, region: &RegionPath, verb: Verb, channel: u128, count: u64) {
        let count = self.count_here(channel, count);
        match verb {
            Verb::Invalidate | Verb::Expire => {
                let change = self.change(region);
                change.subtree = change.subtree.max(count);
            }
            Verb::Touch => {
                let mut next = Some(region.clone());
                while let Some(region) = next {
                    let change = self.change(&region);
                    change.entries = change.entries.max(count);
                    next = region.parent();
                }
            }
        }
    }

    /// Counts a change of a region's own entries.
    pub(crate) fn written(&mut self, region: &RegionPath, channel: u128, count: u64) {
        if count > 0 {
            let count = self.count_here(channel, count);
            let change = self.change(region);
            change.entries = change.entries.max(count);
        }
    }

    /// What was done over a channel that is gone, the first count on this one covers.
    fn count_here(&self, channel: u128, count: u64) -> u64 {
        if channel == self.channel { count } else { 1 }
    }

    /// What has been changed lately.
    pub(crate) fn recent(&self) -> Vec<Change> {
        let now = Instant::now();
        let recent = self.changes.values().filter(|change| now - change.at <= MEMORY);
        recent.cloned().collect()
    }

    fn change(&mut self, region: &RegionPath) -> &mut Change {
        let now = Instant::now();
        self.forget(now);
        let name = region.as_str();
        if !self.changes.contains_key(name) {
            self.order.push_back((now, name.into()));
        }
        let change = self.changes.entry(name.into()).or_insert_with(|| Change {
            region: region.clone(),
            verbs: Verbs::default(),
            keys: HashSet::new(),
            entries: 0,
            subtree: 0,
            at: now,
        });
        change.at = now;
        change
    }

    /// Forgets what is old, a few at a time, and whatever is too much. What is forgotten still has to be
    /// shown.
    fn forget(&mut self, now: Instant) {
        const STEPS: usize = 2;
        let mut steps = 0;
        loop {
            let is_full = self.order.len() >= MOST_REGIONS || self.keys >= MOST_KEYS_OF_ALL;
            let Some((at, _)) = self.order.front() else { return };
            if !is_full && (steps == STEPS || now - *at <= MEMORY) {
                return;
            }
            steps += 1;
            let Some((_, name)) = self.order.pop_front() else { return };
            let Some(change) = self.changes.get(&name) else { continue };
            if !is_full && now - change.at <= MEMORY {
                self.order.push_back((change.at, name));
                continue;
            }
            self.floor = self.floor.max(change.entries).max(change.subtree);
            self.keys -= change.keys.len();
            self.changes.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RegionPath {
        RegionPath::parse(text).unwrap()
    }

    fn own() -> OwnChanges {
        let mut own = OwnChanges::default();
        own.start(7);
        own
    }

    fn needed(own: &OwnChanges, region: &str) -> u64 {
        own.needed_of_replica(&path(region)).1
    }

    #[tokio::test]
    async fn what_was_changed_must_be_shown_where_it_concerns() {
        let mut own = own();
        own.written(&path("r.a"), 7, 5);
        assert_eq!((needed(&own, "r.a"), needed(&own, "r.a.b"), needed(&own, "r")), (5, 0, 0));
        own.ended(&path("r.a"), Verb::Invalidate, 7, 6);
        assert_eq!((needed(&own, "r.a"), needed(&own, "r.a.b"), needed(&own, "r")), (6, 6, 0));
        own.ended(&path("r.a.b"), Verb::Touch, 7, 9);
        assert_eq!((needed(&own, "r.a.b"), needed(&own, "r.a"), needed(&own, "r")), (9, 9, 9));
        assert_eq!((needed(&own, "r.a.b.c"), needed(&own, "r.x")), (6, 0));
    }

    #[tokio::test]
    async fn a_new_channel_counts_anew() {
        let mut own = own();
        own.written(&path("r"), 7, 5);
        own.start(8);
        assert_eq!(own.needed(&path("r")), (8, 1));
        own.written(&path("r"), 7, 6);
        assert_eq!(own.needed(&path("r")), (8, 1), "a late answer over the old channel");
    }

    #[tokio::test(start_paused = true)]
    async fn old_changes_are_forgotten_but_not_unseen() {
        let mut own = own();
        own.intend_end(&path("r.a"), Verb::Invalidate);
        own.ended(&path("r.a"), Verb::Invalidate, 7, 5);
        tokio::time::advance(MEMORY + Duration::from_secs(1)).await;
        assert!(own.recent().is_empty());
        own.written(&path("r.b"), 7, 6);
        assert_eq!(needed(&own, "r.a"), 5);
        assert_eq!(own.needed(&path("r.a")).1, 0, "of the primary");
        assert_eq!(own.changes.len(), 1);
    }

    #[tokio::test]
    async fn many_keys_become_the_region() {
        let mut own = own();
        let keys: Vec<_> = (0..MOST_KEYS + 1).map(|n| n.to_string()).collect();
        own.intend_write(&path("r"), keys.iter().map(String::as_str));
        assert_eq!(own.recent()[0].verbs.needed(), [Verb::Invalidate]);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let mut own = own();
        let keys: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        for n in 0..3000 {
            own.intend_write(&path(&format!("r.n:{n}")), keys.iter().map(String::as_str));
        }
        assert!(own.keys <= MOST_KEYS_OF_ALL + MOST_KEYS, "{}", own.keys);
        assert_eq!(own.keys, own.changes.values().map(|change| change.keys.len()).sum::<usize>());
        for n in 0..MOST_REGIONS + 100 {
            own.intend_end(&path(&format!("r.m:{n}")), Verb::Touch);
        }
        assert!(own.changes.len() <= MOST_REGIONS);
        assert_eq!(own.changes.len(), own.order.len());
    }

    #[test]
    fn what_is_gone_need_not_become_stale() {
        let mut verbs = Verbs::default();
        [Verb::Expire, Verb::Touch].into_iter().for_each(|verb| verbs.add(verb));
        assert_eq!(verbs.needed(), [Verb::Touch, Verb::Expire]);
        verbs.add(Verb::Invalidate);
        assert_eq!(verbs.needed(), [Verb::Invalidate, Verb::Touch]);
    }
}

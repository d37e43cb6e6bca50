//! The recent changes of this process: its own reads must show them, and a failover must not undo them.

use std::time::Duration;

use hashbrown::HashSet;
use hashlink::LinkedHashMap;
use hashlink::linked_hash_map::RawEntryMut;
use region_core::{RegionPath, Verb};
use tokio::time::Instant;

use crate::net::identity::Identity;
use crate::protocol::layout::Anchor;
use crate::session::recent_writes::verbs::Ended;

pub(crate) use crate::session::recent_writes::verbs::Verbs;

mod verbs;

/// The least time that a change is remembered: longer than any replica that is read from may lag.
const MEMORY: Duration = Duration::from_secs(60);

/// The most regions below a root whose changes are remembered one by one. When there are more, the
/// region that was changed longest ago is remembered as a change of all that its parent holds.
const MOST_REGIONS: usize = 20_000;

/// The most keys of one region that are remembered. When there are more, the region is remembered as
/// changed as a whole.
const MOST_KEYS: usize = 128;

/// The most keys of all regions together. When there are more, the region whose keys were changed
/// longest ago is remembered as changed as a whole.
const MOST_KEYS_OF_ALL: usize = 100_000;

/// The most bytes of all remembered paths, and of all remembered keys.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// The number of old changes that are forgotten with each new one.
const FORGET_STEPS: usize = 2;

/// The regions that this process changed, in the order of their last change. Counts are those of the
/// present connections.
///
/// When there are too many, they are remembered more coarsely: the keys of a region as a change of the whole
/// region, a region as a change of its parent's subtree, and so on up to the root, or the anchor below which all lies
/// in this slot. These have nothing coarser, so there are as many of them as were changed within the memory's duration.
#[derive(Debug)]
pub(crate) struct RecentWrites {
    memory: Duration,
    anchor: Anchor,
    count_id: u128,
    /// The count at which the connections were ready. Everything done over earlier connections comes before
    /// it.
    first_count: u64,
    /// The count that a replica must show because of changes that have been forgotten.
    forgotten: u64,
    /// Those without a parent in this slot.
    outermost: Records,
    below: Records,
    below_bytes: usize,
    keys: LinkedHashMap<Box<str>, ChangedKeys>,
    key_count: usize,
    key_bytes: usize,
    pub(crate) identity: Option<Identity>,
}

type Records = LinkedHashMap<Box<str>, Record>;

/// The changes of one region.
#[derive(Debug)]
struct Record {
    region: RegionPath,
    ended: Ended,
    /// The count of the last write that concerned its own entries.
    entries: u64,
    /// The count of the last write that concerned all below it.
    subtree: u64,
    at: Instant,
}

/// Keys of one region that were put or removed.
#[derive(Debug)]
struct ChangedKeys {
    recent: HashSet<Box<str>>,
    /// The keys last changed before `since`.
    older: HashSet<Box<str>>,
    since: Instant,
    at: Instant,
}

/// The changes of one region that have to be repeated after its server lost data.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) region: RegionPath,
    pub(crate) verbs: Verbs,
    /// Keys that were put or removed.
    pub(crate) keys: Vec<Box<str>>,
}

impl ChangedKeys {
    fn new(now: Instant) -> Self {
        Self { recent: HashSet::new(), older: HashSet::new(), since: now, at: now }
    }

    fn len(&self) -> usize {
        self.recent.len() + self.older.len()
    }

    fn bytes(&self) -> usize {
        self.recent.iter().chain(&self.older).map(|key| key.len()).sum()
    }
}

impl Default for RecentWrites {
    fn default() -> Self {
        Self::remembering(MEMORY, Anchor::ROOT)
    }
}

impl RecentWrites {
    /// Remembers changes for `max_lag`, and for a minute at least.
    pub(crate) fn new(max_lag: Duration, anchor: Anchor) -> Self {
        Self::remembering(max_lag.max(MEMORY), anchor)
    }

    fn remembering(memory: Duration, anchor: Anchor) -> Self {
        Self {
            memory,
            anchor,
            count_id: 0,
            first_count: 1,
            forgotten: 0,
            outermost: Records::new(),
            below: Records::new(),
            below_bytes: 0,
            keys: LinkedHashMap::new(),
            key_count: 0,
            key_bytes: 0,
            identity: None,
        }
    }

    /// Starts a new count, on connections whose count is `count` after all that had to be repeated was
    /// repeated.
    pub(crate) fn start(&mut self, count_id: u128, count: u64) {
        self.count_id = count_id;
        self.first_count = count;
        self.forgotten = if self.forgotten == 0 { 0 } else { count };
        for record in self.outermost.values_mut().chain(self.below.values_mut()) {
            (record.entries, record.subtree) = (count, count);
        }
    }

    /// Goes on without counting, on connections to a server that has no change of this process left to show.
    pub(crate) fn start_without_count(&mut self, count_id: u128) {
        let forgotten = self.forgotten;
        self.start(count_id, 0);
        // No replica can show what was forgotten.
        self.forgotten = if forgotten == 0 { 0 } else { u64::MAX };
    }

    /// Returns the id of the present count.
    pub(crate) fn count_id(&self) -> u128 {
        self.count_id
    }

    /// Returns the id of the present count, and the value that the primary must show to answer a read of
    /// `region`: zero if this process has not changed anything there lately.
    pub(crate) fn needed(&self, region: &RegionPath) -> (u128, u64) {
        let mut needed = 0;
        if !(self.outermost.is_empty() && self.below.is_empty()) {
            needed = self.record(region.as_str()).map_or(0, |record| record.entries);
            for prefix in region.prefixes() {
                needed = needed.max(self.record(prefix).map_or(0, |record| record.subtree));
            }
        }
        (self.count_id, needed)
    }

    /// As [`needed`](Self::needed), of a replica: it may lag longer than changes are remembered.
    pub(crate) fn needed_of_replica(&self, region: &RegionPath) -> (u128, u64) {
        let (count_id, needed) = self.needed(region);
        (count_id, needed.max(self.forgotten))
    }

    /// Remembers, before it is tried, that a region is to be ended.
    pub(crate) fn intend_end(&mut self, region: &RegionPath, verb: Verb) {
        let now = Instant::now();
        self.change(region, now).ended.note(verb, now);
    }

    /// Remembers, before it is tried, that keys are to be changed.
    pub(crate) fn intend_write<'k>(
        &mut self,
        region: &RegionPath,
        keys: impl IntoIterator<Item = &'k str>,
    ) {
        let now = Instant::now();
        self.change(region, now);
        for key in keys {
            self.change_key(region, key, now);
        }
        while self.key_count > MOST_KEYS_OF_ALL || self.key_bytes > MOST_BYTES {
            let Some((name, keys)) = self.keys.pop_front() else { return };
            self.end_instead(&name, &keys);
        }
    }

    /// Counts an ended region.
    pub(crate) fn ended(&mut self, region: &RegionPath, verb: Verb, count_id: u128, count: u64) {
        let (count, now) = (self.count_here(count_id, count), Instant::now());
        match verb {
            Verb::Invalidate | Verb::Expire => {
                let record = self.change(region, now);
                record.subtree = record.subtree.max(count);
            }
            Verb::InvalidateAndTouch => {
                self.ended(region, Verb::Invalidate, count_id, count);
                self.ended(region, Verb::Touch, count_id, count);
            }
            Verb::Touch => {
                let mut next = Some(region.clone());
                while let Some(region) = next {
                    let record = self.change(&region, now);
                    record.entries = record.entries.max(count);
                    next = self.parent_of(&region);
                }
            }
        }
    }

    /// Counts a change of a region's own entries.
    pub(crate) fn written(&mut self, region: &RegionPath, count_id: u128, count: u64) {
        if count > 0 {
            let count = self.count_here(count_id, count);
            let record = self.change(region, Instant::now());
            record.entries = record.entries.max(count);
        }
    }

    /// The count to remember for a write: writes over earlier connections come before the first count of the
    /// present ones.
    fn count_here(&self, count_id: u128, count: u64) -> u64 {
        if count_id == self.count_id { count } else { self.first_count }
    }

    /// Returns the changes to repeat on a server that lost recent ones.
    pub(crate) fn recent(&self) -> Vec<Change> {
        let oldest = Instant::now().checked_sub(self.memory);
        let records = self.outermost.values().chain(self.below.values());
        let change = |record: &Record| {
            let mut verbs = record.ended.verbs_since(oldest);
            let mut keys = Vec::new();
            if self.is_covered(&record.region, oldest) {
                // The ancestor's invalidation covers all but the entries further up.
                verbs = Verbs { touch: verbs.touch, ..Verbs::default() };
            } else if !verbs.invalidate {
                keys = self.keys_since(record.region.as_str(), oldest);
            }
            let is_empty = verbs == Verbs::default() && keys.is_empty();
            (!is_empty).then(|| Change { region: record.region.clone(), verbs, keys })
        };
        records.filter_map(change).collect()
    }

    /// Returns whether an ancestor of `region` was invalidated lately.
    fn is_covered(&self, region: &RegionPath, oldest: Option<Instant>) -> bool {
        region.prefixes().rev().skip(1).any(|prefix| {
            self.record(prefix).is_some_and(|record| record.ended.verbs_since(oldest).invalidate)
        })
    }

    fn keys_since(&self, name: &str, oldest: Option<Instant>) -> Vec<Box<str>> {
        let Some(keys) = self.keys.get(name) else { return Vec::new() };
        let of = |set: &HashSet<Box<str>>, at: Instant| {
            if Some(at) >= oldest { set.iter().cloned().collect() } else { Vec::new() }
        };
        // In an order that no hasher chooses.
        let mut keys = [of(&keys.recent, keys.at), of(&keys.older, keys.since)].concat();
        keys.sort_unstable();
        keys
    }

    /// The parent of a region, if it lies in the same slot.
    fn parent_of(&self, region: &RegionPath) -> Option<RegionPath> {
        (!self.anchor.is_outermost(region.as_str())).then(|| region.parent())?
    }

    fn record(&self, name: &str) -> Option<&Record> {
        if self.anchor.is_outermost(name) { self.outermost.get(name) } else { self.below.get(name) }
    }

    /// The record of a region that is changed now.
    fn change(&mut self, region: &RegionPath, now: Instant) -> &mut Record {
        self.forget(now);
        while self.below.len() >= MOST_REGIONS || self.below_bytes > MOST_BYTES {
            self.coarsen_oldest(now);
        }
        self.renew(region, now)
    }

    fn renew(&mut self, region: &RegionPath, now: Instant) -> &mut Record {
        let name = region.as_str();
        let is_outermost = self.anchor.is_outermost(name);
        let records = if is_outermost { &mut self.outermost } else { &mut self.below };
        match records.raw_entry_mut().from_key(name) {
            RawEntryMut::Occupied(mut entry) => {
                entry.to_back();
                let record = entry.into_mut();
                record.at = now;
                record
            }
            RawEntryMut::Vacant(entry) => {
                if !is_outermost {
                    self.below_bytes += name.len();
                }
                let ended = Ended::default();
                let record =
                    Record { region: region.clone(), ended, entries: 0, subtree: 0, at: now };
                entry.insert(name.into(), record).1
            }
        }
    }

    fn change_key(&mut self, region: &RegionPath, key: &str, now: Instant) {
        let name = region.as_str();
        let keys = match self.keys.raw_entry_mut().from_key(name) {
            RawEntryMut::Occupied(mut entry) => {
                entry.to_back();
                entry.into_mut()
            }
            RawEntryMut::Vacant(entry) => entry.insert(name.into(), ChangedKeys::new(now)).1,
        };
        keys.at = now;
        if now - keys.since > self.memory {
            self.key_count -= keys.older.len();
            self.key_bytes -= keys.older.iter().map(|key| key.len()).sum::<usize>();
            keys.older = std::mem::take(&mut keys.recent);
            keys.since = now;
        }
        if keys.recent.contains(key) {
            return;
        }
        keys.recent.insert(key.into());
        if !keys.older.remove(key) {
            self.key_count += 1;
            self.key_bytes += key.len();
        }
        if keys.len() > MOST_KEYS
            && let Some((name, keys)) = self.keys.remove_entry(name)
        {
            self.end_instead(&name, &keys);
        }
    }

    /// Remembers a region as ended in the place of its keys, which have been taken out.
    fn end_instead(&mut self, name: &str, keys: &ChangedKeys) {
        self.key_count -= keys.len();
        self.key_bytes -= keys.bytes();
        let is_outermost = self.anchor.is_outermost(name);
        let records = if is_outermost { &mut self.outermost } else { &mut self.below };
        if let Some(record) = records.get_mut(name) {
            record.ended.invalidated = record.ended.invalidated.max(Some(keys.at));
        }
    }

    /// Remembers the region that was changed longest ago as a change of all that its parent holds.
    fn coarsen_oldest(&mut self, now: Instant) {
        let Some((name, record)) = self.below.pop_front() else { return };
        self.below_bytes -= name.len();
        let keys_at = self.forget_keys(&name);
        let Some(parent) = self.parent_of(&record.region) else { return };
        let Ended { invalidated, touched, expired } = record.ended;
        let coarse = self.renew(&parent, now);
        coarse.subtree = coarse.subtree.max(record.subtree).max(record.entries);
        let ended = &mut coarse.ended;
        ended.invalidated =
            ended.invalidated.max(invalidated.max(touched).max(expired)).max(keys_at);
        // A touch concerns the entries of the ancestors too.
        ended.touched = ended.touched.max(touched);
    }

    /// When the keys of a region, which are forgotten, were last changed.
    fn forget_keys(&mut self, name: &str) -> Option<Instant> {
        let keys = self.keys.remove(name)?;
        self.key_count -= keys.len();
        self.key_bytes -= keys.bytes();
        Some(keys.at)
    }

    /// Forgets what is old, a few regions at a time. A replica still has to show it.
    fn forget(&mut self, now: Instant) {
        for _ in 0..FORGET_STEPS {
            let is_old = |record: &Record| now - record.at > self.memory;
            let popped = if self.below.front().is_some_and(|(_, record)| is_old(record)) {
                self.below.pop_front()
            } else if self.outermost.front().is_some_and(|(_, record)| is_old(record)) {
                self.outermost.pop_front()
            } else {
                return;
            };
            let Some((name, record)) = popped else { return };
            if !self.anchor.is_outermost(&name) {
                self.below_bytes -= name.len();
            }
            self.forget_keys(&name);
            self.forgotten = self.forgotten.max(record.entries).max(record.subtree);
        }
    }
}

#[cfg(test)]
mod tests;

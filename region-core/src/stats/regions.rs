//! The counters of each region. The total is their sum, so each event is counted once.

use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, OnceLock};

use crate::sync::Mutex;

use super::table::Counters;
use super::{RegionStats, Stats};
use crate::path::{Prehashed, RegionPath};
use crate::striped::Striped;

/// The default of [`RegionCacheBuilder::max_region_stats`](crate::RegionCacheBuilder::max_region_stats).
pub(crate) const DEFAULT_REGIONS: usize = 100;

/// The number of maps that the regions are spread over, so that handles of different regions rarely meet.
const SHARDS: usize = 16;

/// The number of counts from which on a region counts as busy: then its counters are spread over threads.
const BUSY: u32 = 1024;

/// The most regions whose counters are spread at the same time. Each takes some kilobytes.
const MAX_SPREAD: usize = 256;

/// The counters of all regions of a cache.
///
/// Regions with handles have counters of their own. Those without keep them if they are among the busiest of
/// their map; the others are added up.
#[derive(Debug)]
pub(crate) struct CountersByRegion {
    shards: [Mutex<Shard>; SHARDS],
    /// The most regions that are told apart in an answer, and kept in each map without a handle.
    max: usize,
    /// The number of regions whose counters are spread.
    spread: Arc<AtomicUsize>,
}

/// The counters of one region, which all its handles share.
#[derive(Debug)]
pub(crate) struct RegionCounters {
    /// Those of a region that is not busy.
    compact: Counters,
    /// About the number of uses of `compact`.
    uses: AtomicU32,
    striped: OnceLock<Box<Striped<Counters>>>,
    spread: Arc<AtomicUsize>,
    /// The most that the region can have counted before it got these counters.
    before: u64,
}

#[derive(Debug, Default)]
struct Shard {
    regions: HashMap<RegionPath, Arc<RegionCounters>, BuildHasherDefault<Prehashed>>,
    /// The sum of the regions that are not in the map any more.
    other: Stats,
    /// The most that one of them can have counted.
    most_before: u64,
    /// The number of handles closed since idle regions were last looked for.
    closed: usize,
}

impl CountersByRegion {
    /// No counters yet, of which answers tell `max` regions apart.
    pub(crate) fn new(max: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { shards, max, spread: Arc::default() }
    }

    /// The counters of the region at `path`. Whoever drops them calls [`closed`](Self::closed).
    pub(crate) fn open(&self, path: &RegionPath) -> Arc<RegionCounters> {
        let mut shard = self.shard(path).lock();
        let before = shard.most_before;
        let new = || Arc::new(RegionCounters::new(&self.spread, before));
        Arc::clone(shard.regions.entry(path.clone()).or_insert_with(new))
    }

    /// Says that somebody is about to drop the counters of the region at `path`.
    pub(crate) fn closed(&self, path: &RegionPath) {
        let mut shard = self.shard(path).lock();
        shard.closed += 1;
        // So the cost is constant on average, and there are about as many idle regions as are kept or used.
        if shard.closed > self.max.max(shard.regions.len() / 2) {
            shard.drop_idle(self.max);
        }
    }

    /// Counts for the region at `path`, whether it has a handle or not.
    pub(crate) fn count(&self, path: &RegionPath, count: impl FnOnce(&Counters)) {
        count(self.open(path).here());
        self.closed(path);
    }

    /// The sum of all regions.
    pub(crate) fn total(&self) -> Stats {
        let mut total = Stats::default();
        for shard in &self.shards {
            let shard = shard.lock();
            total += &shard.other;
            shard.regions.values().for_each(|counters| total += &counters.get());
        }
        total
    }

    /// The counts of the region at `path` since it was last forgotten.
    pub(crate) fn of(&self, path: &RegionPath) -> Stats {
        let counters = self.shard(path).lock().regions.get(path).cloned();
        counters.map(|counters| counters.get()).unwrap_or_default()
    }

    /// The busiest regions, and the sum of all others.
    pub(crate) fn by_region(&self) -> RegionStats {
        let mut stats = RegionStats::default();
        for shard in &self.shards {
            let shard = shard.lock();
            stats.other += &shard.other;
            let regions = shard.regions.iter();
            stats.regions.extend(regions.map(|(path, counters)| (path.clone(), counters.get())));
        }
        stats.regions.retain(|(_, stats)| *stats != Stats::default());
        stats.regions.sort_by(|(path, stats), (other, others)| {
            others.activity().cmp(&stats.activity()).then_with(|| path.as_str().cmp(other.as_str()))
        });
        let rest = stats.regions.split_off(self.max.min(stats.regions.len()));
        rest.iter().for_each(|(_, rest)| stats.other += rest);
        stats
    }

    fn shard(&self, path: &RegionPath) -> &Mutex<Shard> {
        // The map uses the hash's upper and lower bits; the shard is chosen by bits between.
        &self.shards[(path.hash_bits() >> 32) as usize % SHARDS]
    }
}

impl Shard {
    /// Adds up the regions that nobody uses, but for the busiest `kept` of them.
    ///
    /// A region that comes again may have counted as much as any that was dropped. It is ranked as if it had:
    /// so the kept ones are not always the same, and a region that is busy for long is among them although
    /// no handle of it stays open.
    fn drop_idle(&mut self, kept: usize) {
        self.closed = 0;
        let ranked = self.regions.iter_mut().filter_map(|(path, counters)| {
            // Nobody else has it, nor can get it while the map is locked.
            let counters = Arc::get_mut(counters)?;
            Some((counters.rank(), path.clone()))
        });
        let mut idle: Vec<(u64, RegionPath)> = ranked.collect();
        if idle.len() <= kept {
            return;
        }
        idle.sort_by(|(rank, _), (other, _)| other.cmp(rank));
        for (rank, path) in idle.drain(kept..) {
            if let Some(counters) = self.regions.remove(&path) {
                self.other += &counters.get();
                self.most_before = self.most_before.max(rank);
            }
        }
        if self.regions.len() < self.regions.capacity() / 4 {
            self.regions.shrink_to_fit();
        }
    }
}

impl RegionCounters {
    pub(super) fn new(spread: &Arc<AtomicUsize>, before: u64) -> Self {
        Self {
            compact: Counters::default(),
            uses: AtomicU32::new(0),
            striped: OnceLock::new(),
            spread: Arc::clone(spread),
            before,
        }
    }

    /// The counters that the calling thread adds to.
    #[inline]
    pub(crate) fn here(&self) -> &Counters {
        match self.striped.get() {
            Some(striped) => striped.here(),
            None => self.compact(),
        }
    }

    fn compact(&self) -> &Counters {
        // Threads that meet here lose some uses, which does not matter.
        let uses = self.uses.load(Ordering::Relaxed) + 1;
        if uses < BUSY {
            self.uses.store(uses, Ordering::Relaxed);
        } else {
            self.spread_if_room();
        }
        &self.compact
    }

    #[cold]
    pub(super) fn spread_if_room(&self) {
        self.uses.store(0, Ordering::Relaxed);
        let has_room = |count| (count < MAX_SPREAD).then_some(count + 1);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.spread.fetch_update(set, get, has_room).is_err() {
            return;
        }
        if self.striped.set(Box::default()).is_err() {
            self.spread.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> Stats {
        let mut stats = self.compact.get();
        if let Some(striped) = self.striped.get() {
            striped.iter().for_each(|counters| stats += &counters.get());
        }
        stats
    }

    fn rank(&self) -> u64 {
        self.before + self.get().activity()
    }
}

impl Drop for RegionCounters {
    fn drop(&mut self) {
        if self.striped.get().is_some() {
            self.spread.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RegionPath {
        RegionPath::parse(text).unwrap()
    }

    fn region(n: usize) -> RegionPath {
        path(&format!("r.a:{n}"))
    }

    fn hit(all: &CountersByRegion, path: &RegionPath, hits: usize) {
        let counters = all.open(path);
        (0..hits).for_each(|_| counters.here().near_hits.add(1));
        all.closed(path);
    }

    fn held(all: &CountersByRegion) -> usize {
        all.shards.iter().map(|shard| shard.lock().regions.len()).sum()
    }

    #[test]
    fn the_busiest_are_told_apart_and_the_rest_is_added_up() {
        let all = CountersByRegion::new(3);
        for n in 1..=10 {
            hit(&all, &region(n), n);
        }
        let stats = all.by_region();
        let busiest: Vec<_> =
            stats.regions.iter().map(|(path, it)| (path.clone(), it.hits)).collect();
        assert_eq!(busiest, [(region(10), 10), (region(9), 9), (region(8), 8)]);
        assert_eq!(stats.other.hits, 28);
        assert_eq!(stats.total(), all.total());
    }

    #[test]
    fn memory_is_bounded_whatever_the_number_of_regions() {
        let all = CountersByRegion::new(DEFAULT_REGIONS);
        for n in 0..100_000 {
            hit(&all, &region(n), 1);
            if n % 10 == 0 {
                hit(&all, &path("r.busy"), 1);
            }
        }
        assert!(held(&all) <= SHARDS * (2 * DEFAULT_REGIONS + 2), "{}", held(&all));
        assert_eq!(all.total().hits, 110_000);
        let stats = all.by_region();
        assert_eq!(stats.total(), all.total());
        assert_eq!(stats.regions.len(), DEFAULT_REGIONS);
        // Although none of its handles stayed open, it is not lost among the others.
        assert_eq!((&stats.regions[0].0, stats.regions[0].1.hits), (&path("r.busy"), 10_000));
    }

    #[test]
    fn regions_that_were_held_are_forgotten_when_they_are_closed() {
        let all = CountersByRegion::new(2);
        let regions: Vec<_> = (0..10_000).map(region).collect();
        let held_open: Vec<_> = regions.iter().map(|path| all.open(path)).collect();
        held_open.iter().for_each(|counters| counters.here().loads.add(1));
        assert_eq!(held(&all), 10_000);
        assert_eq!(all.total().loads, 10_000);
        for (path, counters) in regions.iter().zip(held_open) {
            all.closed(path);
            drop(counters);
        }
        assert!(held(&all) <= SHARDS * 8, "{}", held(&all));
        assert_eq!(all.total().loads, 10_000);
    }

    #[test]
    fn a_busy_region_is_spread_and_counts_on() {
        let all = CountersByRegion::new(1);
        let counters = all.open(&path("r"));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| counters.here().store_hits.add(1)));
            }
        });
        assert!(counters.striped.get().is_some());
        assert_eq!(all.spread.load(Ordering::Relaxed), 1);
        assert_eq!((all.total().hits, all.of(&path("r")).hits), (40_000, 40_000));
        drop(counters);
        all.closed(&path("r"));
        drop(all);
    }

    #[test]
    fn no_more_than_so_many_are_spread() {
        let all = CountersByRegion::new(1);
        for n in 0..2 * MAX_SPREAD {
            hit(&all, &region(n), 2 * BUSY as usize);
            assert!(all.spread.load(Ordering::Relaxed) <= MAX_SPREAD);
        }
        assert_eq!(all.total().hits, (2 * MAX_SPREAD * 2 * BUSY as usize) as u64);
    }

    #[test]
    fn totals_stay_whole_while_regions_come_and_go() {
        let all = CountersByRegion::new(1);
        let (least, all) = (std::sync::atomic::AtomicU64::new(0), &all);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                scope.spawn(move || {
                    (0..3_000).for_each(|n| hit(all, &region(n % 50 + 40 * thread), 1));
                });
            }
            scope.spawn(|| {
                for _ in 0..200 {
                    let total = all.by_region().total().hits;
                    assert!(total >= least.swap(total, Ordering::Relaxed), "a total went back");
                }
            });
        });
        assert_eq!(all.total().hits, 9_000);
    }
}

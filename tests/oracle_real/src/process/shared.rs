use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use region_cache::{BoxError, RegionCache, RegionHandle, Stats};

use crate::event::{Place, Verb};
use crate::item::{ValueId, id_of};
use crate::log::Log;
use crate::setup::{KEYS, ProcessSetup, REGIONS};
use crate::truth::Truth;

/// What the tasks of a process share.
pub(super) struct Shared {
    pub(super) caches: Vec<RegionCache>,
    pub(super) log: Log,
    pub(super) truth: Truth,
    /// The clients shall end.
    pub(super) rests: AtomicBool,
    number: usize,
    next: AtomicU64,
}

impl Shared {
    pub(super) async fn open(setup: ProcessSetup) -> Result<Self, BoxError> {
        Ok(Self {
            caches: setup.open().await?,
            log: Log::create(&setup.events, setup.number)?,
            truth: Truth::open(&setup.truth)?,
            rests: AtomicBool::new(false),
            number: setup.number,
            next: AtomicU64::new(1),
        })
    }

    /// A name that nothing else in the run has: of a value, an operation or a load.
    pub(super) fn new_id(&self) -> ValueId {
        id_of(self.number, self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn region(&self, cache: usize, region: usize) -> RegionHandle {
        let cache = &self.caches[cache];
        match REGIONS[region] {
            "" => cache.root(),
            path => cache.region(path).expect("it is a path"),
        }
    }

    /// Changes the truth about a key.
    pub(super) fn change(&self, place: Place) {
        self.truth.change(place).expect("the truth can be written");
    }

    /// Changes the truth about all keys that the verb covers.
    pub(super) fn change_covered(&self, ended: usize, verb: Verb) {
        for (region, path) in REGIONS.iter().enumerate() {
            if oracle::check::reach(verb.into(), REGIONS[ended], path).is_some() {
                (0..KEYS).for_each(|key| self.change(Place { region, key }));
            }
        }
    }

    /// The counts of all caches together.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for cache in &self.caches {
            for (name, count) in named(&cache.stats()) {
                *counts.entry(name.to_owned()).or_insert(0) += count;
            }
        }
        counts
    }
}

/// The statistics that the report shows.
fn named(stats: &Stats) -> [(&'static str, u64); 24] {
    [
        ("hits near", stats.near_hits),
        ("hits store", stats.store_hits),
        ("hits stale", stats.stale_hits),
        ("hits absent", stats.absent_hits),
        ("hits near absences", stats.near_absences),
        ("hits near, unverified", stats.near_unverified_hits),
        ("misses absent", stats.absent_misses),
        ("misses expired", stats.expired_misses),
        ("misses fenced", stats.fenced_misses),
        ("misses bad bytes", stats.bad_bytes_misses),
        ("misses other type", stats.other_type_misses),
        ("misses dependency", stats.dependency_misses),
        ("misses unavailable", stats.unavailable_misses),
        ("near verifications", stats.near_verifications),
        ("near retrusted", stats.near_retrusted),
        ("loads", stats.loads),
        ("loads failed", stats.load_failures),
        ("loads joined", stats.joined_loads),
        ("loads in background", stats.background_loads),
        ("loads early", stats.early_refreshes),
        ("lease waits", stats.lease_waits),
        ("fills", stats.fills),
        ("fills fenced", stats.fenced_fills),
        ("store failures", stats.store_failures),
    ]
}

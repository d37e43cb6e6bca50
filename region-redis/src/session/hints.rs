//! Hints about entries and regions. A right hint saves work; a wrong one costs work, and has no other
//! effect.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use region_core::RegionPath;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The number of hints of a kind that are kept; a power of two.
const PLACES: usize = 4096;

/// A set of hashes of bounded size: a new member may replace another.
#[derive(Debug)]
struct LossySet(Box<[AtomicU64]>);

impl LossySet {
    fn new() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    fn has(&self, hash: u64) -> bool {
        self.place(hash).load(Ordering::Relaxed) == hash
    }

    fn add(&self, hash: u64) {
        self.place(hash).store(hash, Ordering::Relaxed);
    }

    fn remove(&self, hash: u64) {
        // It is as good if another hash took the place meanwhile.
        let _ = self.place(hash).compare_exchange(hash, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.0[hash as usize % PLACES]
    }
}

/// Entries that were large when they were last read or written, or may have been: they are read over
/// another connection, so that small ones need not wait behind them.
#[derive(Debug)]
pub(crate) struct LargeEntries {
    hashes: LossySet,
    at_least: usize,
    /// True once there has been one.
    has_any: AtomicBool,
}

impl LargeEntries {
    pub(crate) fn new(at_least: usize) -> Self {
        Self { hashes: LossySet::new(), at_least, has_any: AtomicBool::new(false) }
    }

    /// Returns whether one of `keys` was large.
    pub(crate) fn any(&self, region: &RegionPath, keys: &[&str]) -> bool {
        if !self.has_any.load(Ordering::Relaxed) {
            return false;
        }
        let seed = hash_of(region);
        keys.iter().any(|key| self.hashes.has(xxh3_64_with_seed(key.as_bytes(), seed)))
    }

    /// Notes the size of an entry.
    pub(crate) fn note(&self, region: &RegionPath, key: &str, len: usize) {
        if self.is_large(len) {
            self.suspect(region, &[key]);
        } else if self.has_any.load(Ordering::Relaxed) {
            self.hashes.remove(xxh3_64_with_seed(key.as_bytes(), hash_of(region)));
        }
    }

    /// Treats these as large until their sizes are noted.
    pub(crate) fn suspect(&self, region: &RegionPath, keys: &[&str]) {
        self.has_any.store(true, Ordering::Relaxed);
        let seed = hash_of(region);
        keys.iter().for_each(|key| self.hashes.add(xxh3_64_with_seed(key.as_bytes(), seed)));
    }

    pub(crate) fn is_large(&self, len: usize) -> bool {
        len >= self.at_least
    }
}

/// Regions that are likely to exist on the server, for this process has put entries into them.
#[derive(Debug)]
pub(crate) struct ExistingRegions(LossySet);

impl ExistingRegions {
    pub(crate) fn new() -> Self {
        Self(LossySet::new())
    }

    pub(crate) fn has(&self, region: &RegionPath) -> bool {
        self.0.has(hash_of(region))
    }

    pub(crate) fn add(&self, region: &RegionPath) {
        self.0.add(hash_of(region));
    }

    pub(crate) fn remove(&self, region: &RegionPath) {
        self.0.remove(hash_of(region));
    }
}

fn hash_of(region: &RegionPath) -> u64 {
    xxh3_64_with_seed(region.as_str().as_bytes(), 0)
}

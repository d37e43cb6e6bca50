//! What this process believes of entries and regions: hashes that save work when they are right, and
//! are of no other consequence.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use region_core::RegionPath;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many hashes of a kind are kept; a power of two.
const PLACES: usize = 4096;

/// A set that forgets.
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
        // That another took the place meanwhile is as good.
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
    /// Whether there has ever been one.
    has_any: AtomicBool,
}

impl LargeEntries {
    pub(crate) fn new(at_least: usize) -> Self {
        Self { hashes: LossySet::new(), at_least, has_any: AtomicBool::new(false) }
    }

    /// Whether one of `keys` was large.
    pub(crate) fn any(&self, region: &RegionPath, keys: &[&str]) -> bool {
        if !self.has_any.load(Ordering::Relaxed) {
            return false;
        }
        let seed = hash_of(region);
        keys.iter().any(|key| self.hashes.has(xxh3_64_with_seed(key.as_bytes(), seed)))
    }

    /// Takes note of how large an entry is.
    pub(crate) fn note(&self, region: &RegionPath, key: &str, len: usize) {
        if self.is_large(len) {
            self.suspect(region, &[key]);
        } else if self.has_any.load(Ordering::Relaxed) {
            self.hashes.remove(xxh3_64_with_seed(key.as_bytes(), hash_of(region)));
        }
    }

    /// Takes these for large until they turn out not to be.
    pub(crate) fn suspect(&self, region: &RegionPath, keys: &[&str]) {
        self.has_any.store(true, Ordering::Relaxed);
        let seed = hash_of(region);
        keys.iter().for_each(|key| self.hashes.add(xxh3_64_with_seed(key.as_bytes(), seed)));
    }

    pub(crate) fn is_large(&self, len: usize) -> bool {
        len >= self.at_least
    }
}

/// Regions that have been put to: the next put is likely to be an ordinary one.
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

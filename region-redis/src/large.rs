//! Which entries are large, as far as is known.

use std::sync::atomic::{AtomicU64, Ordering};

use region_core::RegionPath;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many entries are remembered; a power of two.
const PLACES: usize = 4096;

/// Entries that were large when they were last read or written: they are read over another
/// connection, so that small ones need not wait behind them. A guess, and of no consequence if wrong.
#[derive(Debug)]
pub(crate) struct LargeEntries {
    places: Box<[AtomicU64]>,
    at_least: usize,
}

impl LargeEntries {
    pub(crate) fn new(at_least: usize) -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), at_least }
    }

    /// Whether one of `keys` was large.
    pub(crate) fn any(&self, region: &RegionPath, keys: &[&str]) -> bool {
        let seed = seed(region);
        keys.iter().any(|key| {
            let hash = hash(seed, key);
            self.place(hash).load(Ordering::Relaxed) == hash
        })
    }

    /// Takes note of how large an entry is.
    pub(crate) fn note(&self, region: &RegionPath, key: &str, len: usize) {
        if len >= self.at_least {
            let hash = hash(seed(region), key);
            self.place(hash).store(hash, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_large(&self, len: usize) -> bool {
        len >= self.at_least
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.places[hash as usize % PLACES]
    }
}

fn seed(region: &RegionPath) -> u64 {
    xxh3_64_with_seed(region.as_str().as_bytes(), 0)
}

fn hash(seed: u64, key: &str) -> u64 {
    xxh3_64_with_seed(key.as_bytes(), seed)
}

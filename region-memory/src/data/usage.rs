use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

/// The approximate number of bytes that an entry takes beside its key and bytes: the slot, the hash table's
/// place and the key's and bytes' allocations.
const ENTRY_OVERHEAD: u64 = 128;

/// Returns the approximate number of bytes that an entry takes.
pub(crate) fn entry_bytes(key: &str, bytes: &Bytes) -> u64 {
    key.len() as u64 + bytes.len() as u64 + ENTRY_OVERHEAD
}

/// The memory that a [`MemoryStore`](crate::MemoryStore) uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUse {
    /// Bytes of entries, keys and bookkeeping included. Entries that were invalidated and are not freed
    /// yet count too.
    pub bytes: u64,
    /// Number of entries, those that are not freed yet included.
    pub entries: u64,
    /// Number of regions.
    pub regions: u64,
    /// Number of entries evicted so far to keep the bound on bytes.
    pub evicted: u64,
}

/// Counts the memory of one store's entries, beside its bound.
pub(crate) struct Usage {
    max_bytes: Option<NonZeroU64>,
    bytes: AtomicU64,
    entries: AtomicU64,
    evicted: AtomicU64,
}

impl Usage {
    pub(crate) fn new(max_bytes: Option<NonZeroU64>) -> Self {
        Self {
            max_bytes,
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    pub(crate) fn max_bytes(&self) -> Option<u64> {
        self.max_bytes.map(NonZeroU64::get)
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.max_bytes.is_some()
    }

    pub(crate) fn is_over_bound(&self) -> bool {
        self.max_bytes().is_some_and(|max| self.bytes.load(Ordering::Relaxed) > max)
    }

    pub(crate) fn added(&self, key: &str, bytes: &Bytes) {
        self.bytes.fetch_add(entry_bytes(key, bytes), Ordering::Relaxed);
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn removed(&self, key: &str, bytes: &Bytes) {
        self.bytes.fetch_sub(entry_bytes(key, bytes), Ordering::Relaxed);
        self.entries.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn evicted(&self) {
        self.evicted.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts, for a store of `regions` regions.
    pub(crate) fn snapshot(&self, regions: u64) -> MemoryUse {
        MemoryUse {
            bytes: self.bytes.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
            regions,
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }
}

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use region_core::{Entry, Freshness, Lifetime, Put, Timestamp};

/// One entry as it is kept.
pub(crate) struct Slot {
    pub(crate) bytes: Bytes,
    fresh_until: Option<Timestamp>,
    stale_for: Duration,
    soft_mark: u64,
    /// Read since the sweep last came by: not the first to be evicted.
    pub(crate) used: AtomicBool,
}

/// What the freshness of a region's entries is judged by.
#[derive(Clone, Copy)]
pub(crate) struct Freshly {
    pub(crate) now: Timestamp,
    pub(crate) soft_mark: u64,
    /// When something on the region's path was last expired.
    pub(crate) expired_at: Timestamp,
}

impl Slot {
    pub(crate) fn new(put: &Put<'_>, at: Freshly) -> Self {
        Self {
            bytes: put.bytes.clone(),
            fresh_until: put.fresh_for.end(at.now),
            stale_for: put.stale_for,
            soft_mark: at.soft_mark,
            used: AtomicBool::new(false),
        }
    }

    /// Whether the entry is fresh or stale, and for how long; `None` if it is over.
    pub(crate) fn freshness(&self, at: Freshly) -> Option<Freshness> {
        let unexpired = self.soft_mark == at.soft_mark;
        if unexpired && let Some(left) = Lifetime::left(self.fresh_until, at.now) {
            return Some(Freshness::Fresh { left });
        }
        let expired_at = (!unexpired).then_some(at.expired_at);
        let stale_since = match (self.fresh_until, expired_at) {
            (Some(until), Some(expired)) => until.min(expired),
            (until, expired) => until.or(expired)?,
        };
        let gone_at = stale_since.saturating_add(self.stale_for);
        Some(Freshness::Stale { left: Lifetime::left(Some(gone_at), at.now)? })
    }

    /// The entry as a reader gets it, if it is not over.
    pub(crate) fn entry(&self, at: Freshly) -> Option<Entry> {
        let freshness = self.freshness(at)?;
        Some(Entry { bytes: self.bytes.clone(), freshness })
    }

    pub(crate) fn is_fresh(&self, at: Freshly) -> bool {
        matches!(self.freshness(at), Some(Freshness::Fresh { .. }))
    }

    pub(crate) fn mark_used(&self) {
        // Most reads find it marked: a load alone keeps the cache line shared between readers.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// A copy for a replica.
    pub(crate) fn copy(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            used: AtomicBool::new(false),
            fresh_until: self.fresh_until,
            stale_for: self.stale_for,
            soft_mark: self.soft_mark,
        }
    }
}

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use region_core::{Entry, Freshness, Lifetime, Put, Timestamp};

use super::node::Node;

/// One entry as it is kept.
pub(crate) struct Slot {
    pub(crate) bytes: Bytes,
    /// In milliseconds by the store's clock; `None`: for ever. A lifetime is never zero, so neither
    /// is its end.
    fresh_until: Option<NonZeroU64>,
    stale_millis: u64,
    soft_mark: u64,
    /// The store's number of expirations when this was put.
    expirations: u64,
    /// True if the entry was read since the last visit for eviction. Such an entry is kept once more.
    pub(crate) used: AtomicBool,
}

/// The facts that the freshness of a region's entries depends on, at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Conditions<'n> {
    pub(crate) now: Timestamp,
    pub(crate) soft_mark: u64,
    /// The number of expirations that the store had counted before the mark was read: one that the mark does
    /// not show has a higher number.
    pub(crate) expirations: u64,
    /// When all of the region's entries are gone.
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) node: &'n Node,
}

impl Conditions<'_> {
    /// Returns the time until `end`, or until the region's deadline if that is sooner.
    fn left(&self, end: Option<Timestamp>) -> Option<Lifetime> {
        let end = match (end, self.deadline) {
            (Some(end), Some(deadline)) => Some(end.min(deadline)),
            (end, deadline) => end.or(deadline),
        };
        Lifetime::left(end, self.now)
    }
}

impl Slot {
    pub(crate) fn new(put: &Put<'_>, at: Conditions<'_>) -> Self {
        let fresh_until = put.fresh_for.end(at.now);
        Self {
            bytes: put.bytes.clone(),
            fresh_until: fresh_until.and_then(|end| NonZeroU64::new(end.as_millis())),
            stale_millis: u64::try_from(put.stale_for.as_millis()).unwrap_or(u64::MAX),
            soft_mark: at.soft_mark,
            expirations: at.expirations,
            used: AtomicBool::new(false),
        }
    }

    /// Returns fresh or stale, with the remaining time, or `None` if the entry has expired.
    pub(crate) fn freshness(&self, at: Conditions<'_>) -> Option<Freshness> {
        let fresh_until = self.fresh_until.map(|end| Timestamp::from_millis(end.get()));
        let is_expired = self.is_expired_by_verb(at);
        if !is_expired && let Some(left) = at.left(fresh_until) {
            return Some(Freshness::Fresh { left });
        }
        // An expiration that is not noted yet is under way: now.
        let expired = is_expired.then(|| at.node.expired_after(self.expirations).unwrap_or(at.now));
        let stale_since = match (fresh_until, expired) {
            (Some(until), Some(expired)) => until.min(expired),
            (until, expired) => until.or(expired)?,
        };
        let gone_at = stale_since.saturating_add(Duration::from_millis(self.stale_millis));
        Some(Freshness::Stale { left: at.left(Some(gone_at))? })
    }

    /// Returns true if the region or one around it was expired since the entry was put.
    pub(crate) fn is_expired_by_verb(&self, at: Conditions<'_>) -> bool {
        self.soft_mark != at.soft_mark
    }

    /// The entry as a reader gets it, if it is not over.
    pub(crate) fn entry(&self, at: Conditions<'_>) -> Option<Entry> {
        let freshness = self.freshness(at)?;
        Some(Entry { bytes: self.bytes.clone(), freshness })
    }

    pub(crate) fn is_fresh(&self, at: Conditions<'_>) -> bool {
        matches!(self.freshness(at), Some(Freshness::Fresh { .. }))
    }

    pub(crate) fn mark_used(&self) {
        // Most reads find it marked: a load alone keeps the cache line shared between readers.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// A copy for a replica.
    #[cfg(feature = "testing")]
    pub(crate) fn copy(&self) -> Self {
        Self { bytes: self.bytes.clone(), used: AtomicBool::new(false), ..*self }
    }
}

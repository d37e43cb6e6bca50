use bytes::Bytes;

use super::{ChangeRing, Source};
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;

/// What [`Store::read`](super::Store::read) found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Read {
    /// The region's lineage; `None` if it or an ancestor is missing, and where a store leaves it out
    /// for a caller that keeps no trust.
    pub lineage: Option<Lineage>,
    /// The last changes of the region's entries; `None` if it holds none, or the store leaves them
    /// out.
    pub changes: Option<ChangeRing>,
    /// The connection that will tell of changes; `None`: nobody will.
    pub source: Option<Source>,
    /// The valid entries, one place for each key that was asked for, in the same order.
    pub entries: Vec<Option<Entry>>,
}

impl Read {
    /// These entries; no lineage, changes or source.
    #[must_use]
    pub const fn new(entries: Vec<Option<Entry>>) -> Self {
        Self { lineage: None, changes: None, source: None, entries }
    }

    /// None of `keys` entries.
    #[must_use]
    pub fn nothing(keys: usize) -> Self {
        Self::new(vec![None; keys])
    }

    setters!(lineage, changes, source);
}

/// A valid entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bytes that were put.
    pub bytes: Bytes,
    /// How long they stay as they are.
    pub freshness: Freshness,
}

impl Entry {
    /// The entry with these bytes.
    #[must_use]
    pub const fn new(bytes: Bytes, freshness: Freshness) -> Self {
        Self { bytes, freshness }
    }

    /// Whether the entry is fresh, not stale.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.freshness.is_fresh()
    }
}

/// Whether a valid entry is fresh, and how long it stays so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Fresh, until `left` is over.
    Fresh {
        /// The time left until the entry turns stale or is gone.
        left: Lifetime,
    },
    /// Stale: for callers that would rather have an old value than none.
    Stale {
        /// The time left until the entry is gone.
        left: Lifetime,
    },
}

impl Freshness {
    /// Whether it is fresh, not stale.
    #[must_use]
    pub const fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh { .. })
    }
}

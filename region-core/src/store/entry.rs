use bytes::Bytes;

use crate::lifetime::Lifetime;
use crate::lineage::Lineage;

/// What [`Store::read`](super::Store::read) found.
#[derive(Clone, Debug)]
pub struct Read {
    /// The region's lineage; `None` if it or an ancestor is not born.
    pub lineage: Option<Lineage>,
    /// The valid entries, one place for each key that was asked for, in the same order.
    pub entries: Vec<Option<Entry>>,
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
    /// Whether the entry is fresh, not stale.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        matches!(self.freshness, Freshness::Fresh { .. })
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

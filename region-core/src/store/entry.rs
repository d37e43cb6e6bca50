use bytes::Bytes;

use super::{ChangeRing, Source};
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;

/// The answer of [`Store::read`](super::Store::read).
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
    /// The valid entries, in the order of the keys; `None` for a key without one.
    pub entries: Vec<Option<Entry>>,
    /// The entries that are still stored at keys without a valid one, each with the position of its key, the
    /// first key first.
    ///
    /// They tell statistics why a read was a miss, and nothing else hangs on them. A store names those that
    /// it has before it in any case, and may leave all of them out: such a miss then counts as
    /// [`Absent`](crate::MissReason::Absent).
    pub leftovers: Vec<(usize, Leftover)>,
}

impl Read {
    /// Creates an answer with these entries, and without lineage, changes and source.
    #[must_use]
    #[inline]
    pub const fn new(entries: Vec<Option<Entry>>) -> Self {
        Self { lineage: None, changes: None, source: None, entries, leftovers: Vec::new() }
    }

    /// Creates an answer without an entry for any of `keys` keys.
    #[must_use]
    #[inline]
    pub fn nothing(keys: usize) -> Self {
        Self::new(vec![None; keys])
    }

    setters!(lineage, changes, source);

    /// Sets the entries that are still stored at keys without a valid one.
    #[must_use]
    #[inline]
    pub fn leftovers(mut self, leftovers: Vec<(usize, Leftover)>) -> Self {
        self.leftovers = leftovers;
        self
    }
}

/// The reason for which an entry that is still stored is not valid any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Leftover {
    /// Its lifetime is over, the time for which it is stale included, or the region's TTL is.
    Expired,
    /// It was put under another lineage: before an `invalidate` that covers it, or before an `expire`, and
    /// the time for which it is stale is over. The same holds if the store has lost the region's ids since.
    ///
    /// Where the lifetime is over too, this is what a store says.
    Fenced,
}

/// A valid entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bytes that were put.
    pub bytes: Bytes,
    /// Fresh or stale, and the remaining time.
    pub freshness: Freshness,
}

impl Entry {
    /// Creates an entry with these bytes.
    #[must_use]
    #[inline]
    pub const fn new(bytes: Bytes, freshness: Freshness) -> Self {
        Self { bytes, freshness }
    }

    /// Returns true if the entry is fresh, not stale.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.freshness.is_fresh()
    }
}

/// The state of a valid entry, fresh or stale, with the remaining time.
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
    /// Returns true for [`Fresh`](Self::Fresh).
    #[must_use]
    pub const fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh { .. })
    }
}

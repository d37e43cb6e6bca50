use std::time::Duration;

use bytes::Bytes;

use super::{ChangeRing, Entry, LeaseToken, Source, Trust};
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;

/// What [`Store::write`](super::Store::write) is to do.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Write<'a> {
    /// The operations, applied in this order. A later one sees what an earlier one did.
    pub ops: &'a [Op<'a>],
    /// What must hold for anything to be applied; `None`: nothing.
    pub guard: Option<Guard<'a>>,
    /// What happens to the region's TTL.
    pub region_ttl: RegionTtl,
    /// Whether the caller keeps trust.
    pub trust: Trust,
}

impl<'a> Write<'a> {
    /// These operations, without a guard; the region's TTL stays as it is.
    #[must_use]
    pub const fn new(ops: &'a [Op<'a>]) -> Self {
        Self { ops, guard: None, region_ttl: RegionTtl::Leave, trust: Trust::NotKept }
    }

    /// What must hold for anything to be applied.
    #[must_use]
    pub const fn guard(mut self, guard: Guard<'a>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// What happens to the region's TTL.
    #[must_use]
    pub const fn region_ttl(mut self, region_ttl: RegionTtl) -> Self {
        self.region_ttl = region_ttl;
        self
    }

    setters!(trust);
}

/// The fence of a fill: what was true before the load began and must still be.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Guard<'a> {
    /// The lineage that [`begin`](super::Store::begin) returned; compared with the soft mark.
    pub lineage: &'a Lineage,
    /// The keys that must still be leased to this token.
    pub keys: &'a [&'a str],
    /// The token that took their leases.
    pub token: LeaseToken,
}

impl<'a> Guard<'a> {
    /// Holds under this lineage, while `token` holds the leases of `keys`.
    #[must_use]
    pub const fn new(lineage: &'a Lineage, keys: &'a [&'a str], token: LeaseToken) -> Self {
        Self { lineage, keys, token }
    }
}

/// One change of one key.
#[derive(Clone, Debug)]
pub enum Op<'a> {
    /// Stores an entry. Voids the key's lease if it does.
    Put(Put<'a>),
    /// Removes the entry and voids the key's lease.
    Remove {
        /// The key.
        key: &'a str,
    },
    /// As `Remove`, and returns the entry.
    Take {
        /// The key.
        key: &'a str,
    },
}

impl<'a> Op<'a> {
    /// The key that is changed.
    #[must_use]
    pub fn key(&self) -> &'a str {
        match self {
            Self::Put(put) => put.key,
            Self::Remove { key } | Self::Take { key } => key,
        }
    }
}

/// An entry to be stored.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Put<'a> {
    /// The key.
    pub key: &'a str,
    /// The bytes.
    pub bytes: Bytes,
    /// Whether what is there already stands in the way.
    pub when: When,
    /// How long the entry is fresh, from now by the store's clock.
    pub fresh_for: Lifetime,
    /// How long it is kept as stale after that, in whole milliseconds; zero: it is not.
    pub stale_for: Duration,
}

impl<'a> Put<'a> {
    /// Stores `bytes` at `key`, whatever is there, for ever.
    #[must_use]
    pub fn new(key: &'a str, bytes: impl Into<Bytes>) -> Self {
        let (when, fresh_for) = (When::Always, Lifetime::Unlimited);
        Self { key, bytes: bytes.into(), when, fresh_for, stale_for: Duration::ZERO }
    }

    /// Whether what is there already stands in the way.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// How long the entry is fresh.
    #[must_use]
    pub fn fresh_for(mut self, fresh_for: Lifetime) -> Self {
        self.fresh_for = fresh_for;
        self
    }

    /// How long it is kept as stale after that.
    #[must_use]
    pub fn stale_for(mut self, stale_for: Duration) -> Self {
        self.stale_for = stale_for;
        self
    }
}

/// When a [`Put`] is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Whatever is there.
    #[default]
    Always,
    /// If there is no fresh entry.
    Absent,
    /// If there is no fresh entry, or one with exactly these bytes: bytes that the caller found to
    /// be of no use.
    AbsentOrHolding(Bytes),
}

/// What a write does to the time that a region's own entries have together, beside the lifetime of
/// each. When it is over they are gone. Whether it still runs once none of them is left is for the
/// store to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegionTtl {
    /// Leave it as it is: running, or none.
    #[default]
    Leave,
    /// Start it unless it is running, in whole milliseconds, at least one.
    Start(Duration),
    /// Start it again, whether it is running or not.
    Restart(Duration),
}

/// What became of a [`Write`].
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are applied, and none is kept")]
pub enum Written {
    /// It was applied.
    Applied(Applied),
    /// Its guard does not hold. Nothing has changed.
    Fenced,
}

impl Written {
    /// What each operation did, in order; `None` if the guard does not hold.
    #[must_use]
    pub fn outcomes(self) -> Option<Vec<OpOutcome>> {
        match self {
            Self::Applied(applied) => Some(applied.outcomes),
            Self::Fenced => None,
        }
    }

    /// Whether the guard does not hold, and nothing has changed.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced)
    }
}

/// A write that was applied.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Applied {
    /// What each operation did, in order.
    pub outcomes: Vec<OpOutcome>,
    /// The region's lineage after the write; `None` if it does not exist, or the store leaves it out.
    pub lineage: Option<Lineage>,
    /// The last changes of the region's entries, this write's included; `None` if it holds none, or
    /// the store leaves them out.
    pub changes: Option<ChangeRing>,
    /// The connection that will tell of changes; `None`: nobody will.
    pub source: Option<Source>,
}

impl Applied {
    /// These outcomes; no lineage, changes or source.
    #[must_use]
    pub const fn new(outcomes: Vec<OpOutcome>) -> Self {
        Self { outcomes, lineage: None, changes: None, source: None }
    }

    setters!(lineage, changes, source);
}

/// The answer of [`Store::end`](super::Store::end).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Ended {
    /// The region's lineage after the end; `None` if it does not exist, or the store leaves it out.
    pub lineage: Option<Lineage>,
    /// The last changes of the region's entries; `None` if it holds none, or the store leaves them
    /// out.
    pub changes: Option<ChangeRing>,
    /// The connection that will tell of changes; `None`: nobody will.
    pub source: Option<Source>,
}

impl Ended {
    /// Neither lineage nor changes nor source.
    #[must_use]
    pub const fn new() -> Self {
        Self { lineage: None, changes: None, source: None }
    }

    setters!(lineage, changes, source);
}

/// What one [`Op`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpOutcome {
    /// The entry was stored.
    Stored,
    /// The entry was not stored: this fresh one stands in the way.
    Exists(Entry),
    /// The key was removed; whether a fresh entry was there.
    Removed(bool),
    /// The key was removed; the valid entry that was there, fresh or stale.
    Taken(Option<Entry>),
}

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{ChangeRing, Entry, LeaseToken, Source, Trust};
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;

/// The argument of [`Store::write`](super::Store::write): operations, and a guard that may forbid them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Write<'a> {
    /// The operations, applied in this order. A later one sees the effects of an earlier one.
    pub ops: &'a [Op<'a>],
    /// The condition for applying the operations; `None`: they are always applied.
    pub guard: Option<Guard<'a>>,
    /// The effect on the region's TTL.
    pub region_ttl: RegionTtl,
    /// Says if the caller keeps the answer and trusts it later.
    pub trust: Trust,
    /// The time at which the operation began that this call is a part of; `None`: it begins with this call.
    pub started: Option<Instant>,
}

impl<'a> Write<'a> {
    /// Creates a write of these operations, without a guard. The region's TTL stays as it is.
    #[must_use]
    pub const fn new(ops: &'a [Op<'a>]) -> Self {
        let (region_ttl, trust) = (RegionTtl::Leave, Trust::NotKept);
        Self { ops, guard: None, region_ttl, trust, started: None }
    }

    /// Sets the condition for applying the operations.
    #[must_use]
    pub const fn guard(mut self, guard: Guard<'a>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Sets the effect on the region's TTL.
    #[must_use]
    pub const fn region_ttl(mut self, region_ttl: RegionTtl) -> Self {
        self.region_ttl = region_ttl;
        self
    }

    setters!(trust, started);
}

/// The fence of a fill: a condition that held before the load began and must still hold.
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
    /// Creates a guard that holds while the region has this lineage and `token` holds the leases of `keys`.
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
    /// Returns the key that is changed.
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
    /// The condition on the present entry under which the put is applied.
    pub when: When,
    /// The time for which the entry is fresh, from now by the store's clock.
    pub fresh_for: Lifetime,
    /// The time for which it is stale after that, in whole milliseconds; zero: it is removed at once.
    pub stale_for: Duration,
}

impl<'a> Put<'a> {
    /// Creates a put that stores `bytes` at `key`, replaces any present entry, and never expires.
    #[must_use]
    pub fn new(key: &'a str, bytes: impl Into<Bytes>) -> Self {
        let (when, fresh_for) = (When::Always, Lifetime::Unlimited);
        Self { key, bytes: bytes.into(), when, fresh_for, stale_for: Duration::ZERO }
    }

    /// Sets the condition on the present entry.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// Sets the time for which the entry is fresh.
    #[must_use]
    pub fn fresh_for(mut self, fresh_for: Lifetime) -> Self {
        self.fresh_for = fresh_for;
        self
    }

    /// Sets the time for which the entry is stale after that.
    #[must_use]
    pub fn stale_for(mut self, stale_for: Duration) -> Self {
        self.stale_for = stale_for;
        self
    }
}

/// The condition on the present entry under which a [`Put`] is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// None: the put replaces any entry.
    #[default]
    Always,
    /// There is no fresh entry.
    Absent,
    /// There is no fresh entry, or one with exactly these bytes. For a caller that could not decode
    /// them.
    AbsentOrHolding(Bytes),
}

/// The effect of a write on the region's TTL: a timeout that all entries of the region share, beside the
/// TTL of each. When it has passed, the entries are gone. A store may stop it when no entry is left.
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

/// The result of a [`Write`].
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all are applied, and none is kept")]
pub enum Written {
    /// It was applied.
    Applied(Applied),
    /// Its guard does not hold. Nothing has changed.
    Fenced,
}

impl Written {
    /// Returns the outcome of each operation, in order, or `None` if the guard does not hold.
    #[must_use]
    pub fn outcomes(self) -> Option<Vec<OpOutcome>> {
        match self {
            Self::Applied(applied) => Some(applied.outcomes),
            Self::Fenced => None,
        }
    }

    /// Returns true if the guard does not hold, so that nothing has changed.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced)
    }
}

/// A write that was applied.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Applied {
    /// The outcome of each operation, in order.
    pub outcomes: Vec<OpOutcome>,
    /// The region's lineage after the write; `None` if it does not exist, or the store leaves it out.
    pub lineage: Option<Lineage>,
    /// The last changes of the region's entries, this write's included; `None` if it holds none, or
    /// the store leaves them out.
    pub changes: Option<ChangeRing>,
    /// The connection that will tell of changes; `None`: nobody will.
    pub source: Option<Source>,
    /// The time left until the region's TTL is over, at the write or later; `None`: it is not known.
    /// An entry put without it is not kept near, unless the write restarts the TTL.
    pub region_ttl_left: Option<Lifetime>,
}

impl Applied {
    /// Creates the answer with these outcomes, and without lineage, changes, source and the region's TTL.
    #[must_use]
    pub const fn new(outcomes: Vec<OpOutcome>) -> Self {
        Self { outcomes, lineage: None, changes: None, source: None, region_ttl_left: None }
    }

    setters!(lineage, changes, source);

    /// Sets the time left until the region's TTL is over.
    #[must_use]
    pub const fn region_ttl_left(mut self, left: Option<Lifetime>) -> Self {
        self.region_ttl_left = left;
        self
    }
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
    /// Creates an answer without lineage, changes and source.
    #[must_use]
    pub const fn new() -> Self {
        Self { lineage: None, changes: None, source: None }
    }

    setters!(lineage, changes, source);
}

/// The outcome of one [`Op`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpOutcome {
    /// The entry was stored.
    Stored,
    /// The entry was not stored, because of this fresh entry.
    Exists(Entry),
    /// The key was removed; true if it had a fresh entry.
    Removed(bool),
    /// The key was removed; the valid entry that it had, fresh or stale.
    Taken(Option<Entry>),
}

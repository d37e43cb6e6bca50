use std::time::Duration;

use bytes::Bytes;

use super::{Entry, LeaseToken};
use crate::lifetime::Lifetime;
use crate::lineage::Lineage;

/// What [`Store::write`](super::Store::write) is to do.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The operations, applied in this order. A later one sees what an earlier one did.
    pub ops: &'a [Op<'a>],
    /// What must hold for anything to be applied; `None`: nothing.
    pub guard: Option<Guard<'a>>,
    /// What becomes of the region's timeout.
    pub timeout: RegionTimeout,
}

/// The fence of a fill: what was true before the load began and must still be.
#[derive(Clone, Copy, Debug)]
pub struct Guard<'a> {
    /// The lineage that [`begin`](super::Store::begin) returned; compared with the soft mark.
    pub lineage: &'a Lineage,
    /// The keys that must still be leased to this token.
    pub keys: &'a [&'a str],
    /// The token that took their leases.
    pub token: LeaseToken,
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
    /// Gives the key's lease back without storing anything: a load failed.
    Release {
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
            Self::Remove { key } | Self::Take { key } | Self::Release { key } => key,
        }
    }
}

/// An entry to be stored.
#[derive(Clone, Debug)]
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

/// The timeout that a region's own entries share, beside the lifetime of each. Whether it still runs
/// once none of them is left is for the store to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegionTimeout {
    /// Leave it as it is: running, or none.
    #[default]
    Leave,
    /// Start it unless it is running, in whole milliseconds, at least one. When it is over the
    /// region's own entries are gone.
    Start(Duration),
    /// Start it again, whether it is running or not.
    Restart(Duration),
}

/// What became of a [`Write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was applied; what each operation did, in order.
    Applied(Vec<OpOutcome>),
    /// Its guard does not hold. Nothing has changed.
    Fenced,
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
    /// The lease was given back.
    Released,
}

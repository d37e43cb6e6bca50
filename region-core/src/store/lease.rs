use std::time::Duration;

use tokio::time::Instant;

use super::{ChangeRing, Entry, Source, Trust};
use crate::lineage::Lineage;

/// Names the holder of a lease: one load.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(u64);

impl LeaseToken {
    /// A new token, different from all others for all that chance can do.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::random::process_random().bits())
    }
}

bits!(LeaseToken(u64), "LeaseToken({:016x})");

/// How [`Store::begin`](super::Store::begin) takes leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseTerms {
    /// Who asks.
    pub token: LeaseToken,
    /// How long the lease lasts unless it is extended, in whole milliseconds, at least one.
    pub duration: Duration,
    /// Whether a fresh entry needs a lease at all.
    pub take: TakeLease,
    /// Whether the caller keeps trust.
    pub trust: Trust,
    /// When the operation of which this call is a part began; `None`: with this call.
    pub started: Option<Instant>,
}

impl LeaseTerms {
    /// The terms of an ordinary miss: a lease for what has no fresh entry.
    #[must_use]
    pub const fn new(token: LeaseToken, duration: Duration) -> Self {
        let (take, trust) = (TakeLease::UnlessFresh, Trust::NotKept);
        Self { token, duration, take, trust, started: None }
    }

    /// For which keys a lease is taken.
    #[must_use]
    pub const fn take(mut self, take: TakeLease) -> Self {
        self.take = take;
        self
    }

    setters!(trust, started);
}

/// For which keys a lease is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TakeLease {
    /// For those without a fresh entry: the ordinary miss.
    #[default]
    UnlessFresh,
    /// For all: the caller cannot use the entry that is there, or refreshes it early.
    Always,
    /// For none: a lease that the token still holds is extended, one that it lost stays lost. What a
    /// load that takes long calls: to take a voided lease anew would let it store what it must not.
    Extend,
}

/// What [`Store::begin`](super::Store::begin) found and did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Begun {
    /// The region's lineage: what a fill has to show again.
    pub lineage: Lineage,
    /// The last changes of the region's entries; `None` if it holds none, or the store leaves them
    /// out.
    pub changes: Option<ChangeRing>,
    /// The connection that will tell of changes; `None`: nobody will.
    pub source: Option<Source>,
    /// One for each key that was asked for, in the same order.
    pub keys: Vec<BegunKey>,
}

impl Begun {
    /// These keys under this lineage; no changes or source.
    #[must_use]
    pub const fn new(lineage: Lineage, keys: Vec<BegunKey>) -> Self {
        Self { lineage, changes: None, source: None, keys }
    }

    setters!(changes, source);
}

/// What [`Store::begin`](super::Store::begin) found and did for one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BegunKey {
    /// The valid entry, fresh or stale.
    pub entry: Option<Entry>,
    /// Who may load.
    pub lease: Lease,
}

impl BegunKey {
    /// This entry, and who may load.
    #[must_use]
    pub const fn new(entry: Option<Entry>, lease: Lease) -> Self {
        Self { entry, lease }
    }
}

/// Who may load a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// The caller did not ask for the lease (see [`TakeLease`]), or asked to extend one that is lost.
    NotTaken,
    /// The caller: its token holds the lease.
    Granted,
    /// Another, for at most so long.
    Held {
        /// The holder.
        by: LeaseToken,
        /// The time until the lease is over, if it is not extended.
        left: Duration,
    },
}

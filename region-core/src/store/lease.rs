use std::time::Duration;

use tokio::time::Instant;

use super::{ChangeRing, Entry, Source, Trust};
use crate::lineage::Lineage;

/// Identifies the holder of a lease, which is one load.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(u64);

impl LeaseToken {
    /// Creates a random token. Two tokens are equal only by an improbable chance.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::random::process_bits())
    }
}

bits!(LeaseToken(u64), "LeaseToken({:016x})");

/// The options of [`Store::begin`](super::Store::begin).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseTerms {
    /// The token of the load that asks for the leases.
    pub token: LeaseToken,
    /// The time until a lease expires unless it is extended, in whole milliseconds, at least one.
    pub duration: Duration,
    /// The keys for which a lease is taken.
    pub take: TakeLease,
    /// Says if the caller keeps the answer and trusts it later.
    pub trust: Trust,
    /// The time at which the operation began that this call is a part of; `None`: it begins with this call.
    pub started: Option<Instant>,
}

impl LeaseTerms {
    /// Creates the terms of an ordinary miss: a lease for each key without a fresh entry.
    #[must_use]
    pub const fn new(token: LeaseToken, duration: Duration) -> Self {
        let (take, trust) = (TakeLease::UnlessFresh, Trust::NotKept);
        Self { token, duration, take, trust, started: None }
    }

    /// Sets the keys for which a lease is taken.
    #[must_use]
    pub const fn take(mut self, take: TakeLease) -> Self {
        self.take = take;
        self
    }

    setters!(trust, started);
}

/// The keys for which a lease is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TakeLease {
    /// Keys without a fresh entry: the ordinary miss.
    #[default]
    UnlessFresh,
    /// All keys: the caller cannot decode the present entry, or refreshes it early.
    Always,
    /// None: a lease that the token still holds is extended, a lost one stays lost. A long load calls it.
    /// Taking a voided lease again would let the load store a value that was invalidated.
    Extend,
}

/// The answer of [`Store::begin`](super::Store::begin).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Begun {
    /// The region's lineage, which the [`Guard`](super::Guard) of the fill has to contain.
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
    /// Creates an answer with this lineage and these keys, and without changes and source.
    #[must_use]
    pub const fn new(lineage: Lineage, keys: Vec<BegunKey>) -> Self {
        Self { lineage, changes: None, source: None, keys }
    }

    setters!(changes, source);
}

/// The part of the answer of [`Store::begin`](super::Store::begin) for one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BegunKey {
    /// The valid entry, fresh or stale.
    pub entry: Option<Entry>,
    /// The state of the key's lease.
    pub lease: Lease,
}

impl BegunKey {
    /// Creates the answer with this entry and lease.
    #[must_use]
    pub const fn new(entry: Option<Entry>, lease: Lease) -> Self {
        Self { entry, lease }
    }
}

/// The state of a key's lease: it says who may load the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Nobody's: the caller did not ask for it (see [`TakeLease`]), or asked to extend one that is lost.
    NotTaken,
    /// The caller's token holds the lease: the caller may load.
    Granted,
    /// Another token holds the lease.
    Held {
        /// The holder.
        by: LeaseToken,
        /// The time until the lease expires, if it is not extended.
        left: Duration,
    },
}

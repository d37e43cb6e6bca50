use std::fmt;
use std::time::Duration;

use super::Entry;
use crate::lineage::Lineage;

/// Names the holder of a lease: one load.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseToken(u64);

impl LeaseToken {
    /// A new token, different from all others for all that chance can do.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The token with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The token's bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseToken({:016x})", self.0)
    }
}

/// How [`Store::begin`](super::Store::begin) takes leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// Who asks.
    pub token: LeaseToken,
    /// How long the lease lasts unless it is extended, in whole milliseconds, at least one.
    pub duration: Duration,
    /// Whether a fresh entry needs a lease at all.
    pub take: TakeLease,
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
pub struct Begun {
    /// The region's lineage: what a fill has to show again.
    pub lineage: Lineage,
    /// One for each key that was asked for, in the same order.
    pub keys: Vec<BegunKey>,
}

/// What [`Store::begin`](super::Store::begin) found and did for one key.
#[derive(Clone, Debug)]
pub struct BegunKey {
    /// The valid entry, fresh or stale.
    pub entry: Option<Entry>,
    /// Who may load.
    pub lease: Lease,
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

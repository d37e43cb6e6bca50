//! What lookups find, and what it is counted as.

use std::sync::Arc;

use super::depends::Depending;
use crate::error::Error;
use crate::lifetime::Lifetime;
use crate::stats::MissReason;

/// The value that a lookup found at one key, with the time left until it stops being so.
pub(crate) enum Found<V> {
    Fresh(Arc<V>, Lifetime),
    Stale(Arc<V>, Lifetime),
    /// The record that there is no value.
    Absent,
    /// A value that depends on other regions. No lookup returns it before it is resolved.
    Depending(Box<Depending<V>>),
    Nothing(MissReason),
}

/// The values that a lookup returns. Other entries are not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    Fresh,
    FreshOrStale,
    /// A fresh record that there is no value counts too.
    FreshStaleOrAbsent,
}

/// The value that a lookup found at one key.
pub(crate) struct FoundOne<V> {
    pub(crate) found: Found<V>,
    /// The outage that the policy turned into a miss, or that left only values near.
    pub(crate) outage: Option<Error>,
    pub(crate) counts_as: CountsAs,
}

/// What a lookup of one key is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountsAs {
    NearHit,
    NearUnverifiedHit,
    /// A hit in the store.
    Hit,
    AbsentHit,
    Miss(MissReason),
}

/// The counts of a lookup of several keys.
pub(super) struct Tally {
    pub(super) near: usize,
    pub(super) unverified: usize,
    pub(super) hits: usize,
    pub(super) absent: usize,
}

impl<V> Found<V> {
    /// The reason for which a read that found this is a miss; `None`: it is none.
    pub(super) fn miss_reason(&self) -> Option<MissReason> {
        match self {
            Self::Fresh(..) | Self::Absent => None,
            Self::Stale(..) => Some(MissReason::Expired),
            Self::Depending(_) => Some(MissReason::Dependency),
            Self::Nothing(reason) => Some(*reason),
        }
    }

    pub(crate) fn fresh(self) -> Option<Arc<V>> {
        match self {
            Self::Fresh(value, _) => Some(value),
            Self::Stale(..) | Self::Absent | Self::Depending(_) | Self::Nothing(_) => None,
        }
    }
}

impl CountsAs {
    /// What the store has shown.
    #[inline]
    pub(super) fn of<V>(found: &Found<V>) -> Self {
        match found {
            Found::Fresh(..) => Self::Hit,
            Found::Absent => Self::AbsentHit,
            missed => Self::Miss(missed.miss_reason().unwrap_or(MissReason::Absent)),
        }
    }
}

impl<V> FoundOne<V> {
    /// What the store has shown.
    pub(super) fn stored(found: Found<V>, outage: Option<Error>) -> Self {
        let counts_as = CountsAs::of(&found);
        Self { found, outage, counts_as }
    }

    /// Nothing, which the store has shown to another caller.
    pub(crate) fn missing() -> Self {
        Self::stored(Found::Nothing(MissReason::Absent), None)
    }

    /// Returns true if the store was asked and has no value.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.found, Found::Nothing(_)) && self.outage.is_none()
    }

    /// A copy for another caller that shares the lookup.
    pub(crate) fn share(&self) -> Self {
        let found = match &self.found {
            Found::Fresh(value, left) => Found::Fresh(Arc::clone(value), *left),
            Found::Stale(value, left) => Found::Stale(Arc::clone(value), *left),
            Found::Absent => Found::Absent,
            Found::Depending(_) => Found::Nothing(MissReason::Dependency),
            Found::Nothing(reason) => Found::Nothing(*reason),
        };
        Self { found, outage: self.outage.clone(), counts_as: self.counts_as }
    }
}

impl Tally {
    /// What the only key is counted as.
    pub(super) fn of_one<V>(&self, found: &Found<V>) -> CountsAs {
        match self {
            Self { unverified: 1.., .. } => CountsAs::NearUnverifiedHit,
            Self { near: 1.., .. } => CountsAs::NearHit,
            _ => CountsAs::of(found),
        }
    }
}

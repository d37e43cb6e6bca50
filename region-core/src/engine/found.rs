//! The results of lookups, and how they are counted.

use std::sync::Arc;

use super::Looked;
use super::depends::Depending;
use crate::error::Error;
use crate::lifetime::Lifetime;
use crate::region::{Answer, Outcome};
use crate::stats::MissReason;
use crate::value::made::MadeAt;

/// The value that a lookup found at one key, with its times.
pub(crate) enum Found<V> {
    Fresh(Arc<V>, Times),
    Stale(Arc<V>, Times),
    /// The record that there is no value.
    Absent,
    /// A value that depends on other regions. No lookup returns it before it is resolved.
    Depending(Box<Depending<V>>),
    Nothing(MissReason),
}

/// The times of a value that a lookup found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The time until it stops being fresh, or stale.
    pub(crate) left: Lifetime,
    /// The time at which it was made, if it was recorded.
    pub(crate) made: Option<MadeAt>,
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

/// The way in which a lookup of one key is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountsAs {
    NearHit,
    NearUnverifiedHit,
    /// A hit in the store.
    Hit,
    AbsentHit,
    NearAbsence(NearAbsence),
    Miss(MissReason),
}

/// An answer by the record, held near, that there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NearAbsence {
    /// The read accepts such a record. To another read it is a miss.
    pub(super) is_hit: bool,
    pub(super) is_unverified: bool,
}

/// The counts of a lookup of several keys.
pub(super) struct Tally {
    /// The values that were held near.
    pub(super) near: usize,
    /// The records, held near, that there is no value.
    pub(super) near_absences: usize,
    /// The number of both that were neither trusted nor verified.
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

    /// The times of a value, fresh or stale.
    pub(crate) fn times(&self) -> Option<Times> {
        match self {
            Self::Fresh(_, times) | Self::Stale(_, times) => Some(*times),
            Self::Absent | Self::Depending(_) | Self::Nothing(_) => None,
        }
    }

    pub(crate) fn fresh(self) -> Option<Arc<V>> {
        match self {
            Self::Fresh(value, _) => Some(value),
            Self::Stale(..) | Self::Absent | Self::Depending(_) | Self::Nothing(_) => None,
        }
    }
}

impl Times {
    /// The times of a value of which no more is known than the time left.
    pub(crate) fn of(left: Lifetime) -> Self {
        Self { left, made: None }
    }

    /// Adds them to an answer.
    pub(crate) fn tell<T>(self, answer: Answer<T>) -> Answer<T> {
        answer.with_left(self.left).with_age_since(self.made)
    }
}

impl Accept {
    /// The record that there is no value, to a read that returns what this says.
    #[inline]
    pub(super) fn absence<V>(self) -> Found<V> {
        match self {
            Self::FreshStaleOrAbsent => Found::Absent,
            Self::Fresh | Self::FreshOrStale => Found::Nothing(MissReason::Absent),
        }
    }
}

impl CountsAs {
    /// Counts an answer of the near cache by the record that there is no value.
    #[inline]
    pub(super) fn absence<V>(looked: &Looked<V>, accept: Accept) -> Self {
        let is_hit = accept == Accept::FreshStaleOrAbsent;
        Self::NearAbsence(NearAbsence { is_hit, is_unverified: looked.is_unverified() })
    }

    /// The outcome of a read that is counted in this way.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::NearHit => Outcome::NearHit,
            Self::NearUnverifiedHit => Outcome::UnverifiedNearHit,
            Self::Hit | Self::AbsentHit => Outcome::Hit,
            Self::NearAbsence(NearAbsence { is_hit: false, .. }) => {
                Outcome::Miss(MissReason::Absent)
            }
            Self::NearAbsence(NearAbsence { is_unverified: true, .. }) => {
                Outcome::UnverifiedNearHit
            }
            Self::NearAbsence(_) => Outcome::NearHit,
            Self::Miss(reason) => Outcome::Miss(reason),
        }
    }

    /// Counts what the store has shown.
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
    /// Returns what was found near, or by another lookup, and counts in this way.
    pub(super) fn found(found: Found<V>, counts_as: CountsAs) -> Self {
        Self { found, outage: None, counts_as }
    }

    /// Returns what the store has shown.
    pub(super) fn stored(found: Found<V>, outage: Option<Error>) -> Self {
        let counts_as = CountsAs::of(&found);
        Self { found, outage, counts_as }
    }

    /// Nothing, which the store has shown to another caller, for this reason.
    pub(crate) fn missing(reason: MissReason) -> Self {
        let found = match reason {
            // This caller has not seen it: what the value depends on may have been loaded again since.
            MissReason::Dependency => MissReason::Absent,
            reason => reason,
        };
        Self { found: Found::Nothing(found), outage: None, counts_as: CountsAs::Miss(reason) }
    }

    /// The answer of a read that returns fresh values alone.
    pub(crate) fn answer(self) -> Answer<Option<Arc<V>>> {
        let (outcome, times) = (self.counts_as.outcome(), self.found.times());
        let answer = Answer::new(self.found.fresh(), outcome);
        match times.filter(|_| answer.value().is_some()) {
            Some(times) => times.tell(answer),
            None => answer,
        }
    }

    /// The reason for which there is no value, if the store was asked.
    pub(crate) fn missed(&self) -> Option<MissReason> {
        match self.found {
            Found::Nothing(reason) if self.outage.is_none() => Some(reason),
            _ => None,
        }
    }

    /// A copy for another caller that shares the lookup.
    pub(crate) fn share(&self) -> Self {
        let found = match &self.found {
            Found::Fresh(value, times) => Found::Fresh(Arc::clone(value), *times),
            Found::Stale(value, times) => Found::Stale(Arc::clone(value), *times),
            Found::Absent => Found::Absent,
            Found::Depending(_) => Found::Nothing(MissReason::Dependency),
            Found::Nothing(reason) => Found::Nothing(*reason),
        };
        Self { found, outage: self.outage.clone(), counts_as: self.counts_as }
    }
}

impl Tally {
    /// The way in which the only key is counted.
    pub(super) fn of_one<V>(&self, found: &Found<V>) -> CountsAs {
        match self {
            Self { near_absences: 1.., unverified, .. } => {
                let is_hit = matches!(found, Found::Absent);
                CountsAs::NearAbsence(NearAbsence { is_hit, is_unverified: *unverified > 0 })
            }
            Self { unverified: 1.., .. } => CountsAs::NearUnverifiedHit,
            Self { near: 1.., .. } => CountsAs::NearHit,
            _ => CountsAs::of(found),
        }
    }
}

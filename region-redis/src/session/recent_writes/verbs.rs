//! The verbs that ended a region, and when.

use region_core::Verb;
use tokio::time::Instant;

/// Verbs that ended a region, once or more often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verbs {
    pub(super) invalidate: bool,
    pub(super) touch: bool,
    pub(super) expire: bool,
}

/// When a region was last ended by each verb.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ended {
    pub(super) invalidated: Option<Instant>,
    pub(super) touched: Option<Instant>,
    pub(super) expired: Option<Instant>,
}

impl Verbs {
    pub(crate) fn add(&mut self, verb: Verb) {
        match verb {
            Verb::Invalidate => self.invalidate = true,
            Verb::Touch => self.touch = true,
            Verb::Expire => self.expire = true,
            Verb::InvalidateAndTouch => (self.invalidate, self.touch) = (true, true),
        }
    }

    /// The verbs that have the effect of all: entries that are gone need not become stale.
    pub(crate) fn needed(self) -> Vec<Verb> {
        match self {
            Self { invalidate: true, touch: true, .. } => vec![Verb::InvalidateAndTouch],
            Self { invalidate: true, .. } => vec![Verb::Invalidate],
            Self { touch, expire, .. } => {
                let verbs = [(Verb::Touch, touch), (Verb::Expire, expire)];
                verbs.into_iter().filter_map(|(verb, is_set)| is_set.then_some(verb)).collect()
            }
        }
    }
}

impl Ended {
    pub(super) fn note(&mut self, verb: Verb, at: Instant) {
        match verb {
            Verb::Invalidate => self.invalidated = Some(at),
            Verb::Touch => self.touched = Some(at),
            Verb::Expire => self.expired = Some(at),
            Verb::InvalidateAndTouch => {
                (self.invalidated, self.touched) = (Some(at), Some(at));
            }
        }
    }

    /// The verbs of the changes that were made at `oldest` or later.
    pub(super) fn verbs_since(&self, oldest: Option<Instant>) -> Verbs {
        let is_recent = |at: Option<Instant>| at.is_some() && at >= oldest;
        Verbs {
            invalidate: is_recent(self.invalidated),
            touch: is_recent(self.touched),
            expire: is_recent(self.expired),
        }
    }
}

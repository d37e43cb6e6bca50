//! Flights that have not landed, and what becomes of them.

use std::sync::Arc;

use tokio::time::Instant;

use super::flight::{Leg, Outcome};
use crate::error::{Error, ErrorKind};
use crate::handle::RegionHandle;
use crate::lifetime::Lifetime;
use crate::serializer::Value;
use crate::store::{Freshness, TakeLease};

/// What is known of a flight that has not landed.
pub(super) struct Pending<V> {
    pub(super) leg: Leg,
    pub(super) take: TakeLease,
    pub(super) stale: Option<Stale<V>>,
}

/// A value to make do with if the load fails.
pub(super) struct Stale<V> {
    value: Arc<V>,
    until: Option<Instant>,
}

/// Flights in the air. Dropping them lands them, so that no waiter waits for ever.
pub(super) struct Legs<V> {
    region: RegionHandle,
    pub(super) legs: Vec<Pending<V>>,
}

impl<V> Legs<V> {
    pub(super) fn none(region: &RegionHandle) -> Self {
        Self { region: region.clone(), legs: Vec::new() }
    }

    /// The flights of a task that starts.
    pub(super) fn new(region: &RegionHandle, legs: Vec<Leg>) -> Self {
        let pending = |leg| Pending { leg, take: TakeLease::UnlessFresh, stale: None };
        Self { region: region.clone(), legs: legs.into_iter().map(pending).collect() }
    }

    /// Takes the legs out; from here on whoever has them lands them.
    pub(super) fn take(&mut self) -> Vec<Pending<V>> {
        std::mem::take(&mut self.legs)
    }

    pub(super) fn split_off(&mut self, take: TakeLease) -> Self {
        let (asked, rest) = self.take().into_iter().partition(|pending| pending.take == take);
        self.legs = rest;
        Self { region: self.region.clone(), legs: asked }
    }

    pub(super) fn keys(&self) -> Vec<&str> {
        self.legs.iter().map(|pending| pending.leg.key.key()).collect()
    }

    pub(super) fn owned_keys(&self) -> Vec<String> {
        self.legs.iter().map(|pending| pending.leg.key.key().to_owned()).collect()
    }

    pub(super) fn land(&self, pending: &Pending<V>, outcome: Outcome) {
        self.region.shared().flights.land(&pending.leg.key, &pending.leg.flight, outcome);
    }

    pub(super) fn land_all(&mut self, outcome: &Outcome) {
        for pending in self.take() {
            self.land(&pending, outcome.clone());
        }
    }
}

impl<V: Value> Legs<V> {
    /// Lands each flight with its stale value, if it has one that is still good, or the error.
    pub(super) fn fail(mut self, error: &Error) {
        for pending in self.take() {
            let good = |stale: &Stale<V>| stale.until.is_none_or(|until| Instant::now() < until);
            let outcome = match pending.stale.as_ref().filter(|stale| good(stale)) {
                Some(stale) => {
                    self.region.shared().counters.stale_hits.add(1);
                    let key = pending.leg.key.key();
                    tracing::warn!(
                        region = %self.region.region_path(), key, %error, "serving stale"
                    );
                    Ok(Some(Arc::clone(&stale.value) as _))
                }
                None => Err(error.clone()),
            };
            self.land(&pending, outcome);
        }
    }
}

impl<V> Drop for Legs<V> {
    fn drop(&mut self) {
        let gone = Error::new(ErrorKind::LoadPanicked, "the load was dropped before it ended");
        self.land_all(&Err(gone));
    }
}

impl<V> Stale<V> {
    pub(super) fn new(value: Arc<V>, freshness: Option<Freshness>) -> Option<Self> {
        let Some(Freshness::Stale { left }) = freshness else {
            return None;
        };
        let until = match left {
            Lifetime::Unlimited => None,
            Lifetime::Millis(_) => Instant::now().checked_add(left.duration().unwrap_or_default()),
        };
        Some(Self { value, until })
    }
}

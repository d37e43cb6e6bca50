//! A flight that has not landed, and what becomes of it.

use std::sync::Arc;

use tokio::time::Instant;

use super::flight::{Leg, Outcome};
use crate::error::{Error, ErrorKind};
use crate::handle::RegionHandle;
use crate::lifetime::Lifetime;
use crate::store::{Freshness, TakeLease};
use crate::value::serializer::Value;

/// What is known of a flight in the air. Dropping it lands the flight, whatever the reason: so no
/// waiter waits for ever.
pub(super) struct Pending<V> {
    region: RegionHandle,
    pub(super) leg: Leg,
    pub(super) take: TakeLease,
    pub(super) stale: Option<Stale<V>>,
}

/// A value to make do with if the load fails.
pub(super) struct Stale<V> {
    value: Arc<V>,
    until: Option<Instant>,
}

impl<V> Pending<V> {
    pub(super) fn new(region: &RegionHandle, leg: Leg) -> Self {
        Self { region: region.clone(), leg, take: TakeLease::UnlessFresh, stale: None }
    }

    pub(super) fn key(&self) -> &str {
        self.leg.key.key()
    }

    pub(super) fn land(self, outcome: Outcome) {
        self.land_here(outcome);
    }

    /// The first outcome is the one that counts.
    fn land_here(&self, outcome: Outcome) {
        self.region.shared().flights.land(&self.leg.key, &self.leg.flight, outcome);
    }
}

impl<V: Value> Pending<V> {
    /// Lands with the stale value, if there is one that is still good, or the error.
    pub(super) fn fail(self, error: &Error) {
        let is_good = |stale: &&Stale<V>| stale.until.is_none_or(|until| Instant::now() < until);
        match self.stale.as_ref().filter(is_good) {
            None => self.land_here(Err(error.clone())),
            Some(stale) => {
                self.region.shared().counters.stale_hits.add(1);
                let (region, key) = (self.region.region_path(), self.key());
                tracing::warn!(%region, key, %error, "serving stale");
                self.land_here(Ok(Some(Arc::clone(&stale.value) as _)));
            }
        }
    }
}

impl<V> Drop for Pending<V> {
    fn drop(&mut self) {
        let gone = Error::new(ErrorKind::LoadPanicked, "the load was dropped before it ended");
        self.land_here(Err(gone));
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

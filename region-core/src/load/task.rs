//! The task that serves a group of flights: asks the store, loads, fills, and lands each.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use super::fill::Fence;
use super::flight::{Group, Leg, Outcome, Seat};
use super::loader::Loader;
use super::pending::{Pending, Stale};
use crate::error::{Error, ErrorKind, Result};
use crate::handle::RegionHandle;
use crate::store::{BegunKey, Entry, Freshness, Lease, LeaseTerms, LeaseToken, TakeLease};
use crate::value::serializer::Value;

/// The first wait for a load in another process; it grows by half each time.
const FIRST_WAIT: Duration = Duration::from_millis(4);

/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// A load extends its leases this often within their duration.
const EXTENSIONS_PER_LEASE: u32 = 3;

/// Serves the flights that one call started.
pub(super) struct GroupTask<V: Value> {
    region: RegionHandle,
    loader: Loader<V>,
    token: LeaseToken,
    group: Arc<Group>,
    deadline: Option<Instant>,
    /// Flights that are still in the air when the task ends, for whatever reason, land with it.
    pending: Vec<Pending<V>>,
}

/// What to do with a flight after the store was asked.
enum Turn<V> {
    Land(Outcome),
    /// The value is there; the lease that was taken is not needed.
    LandAndRelease(Outcome),
    Load(Option<Stale<V>>),
    Follow(Seat),
    AskAgain(TakeLease),
    WaitFor(Duration),
}

impl<V: Value> GroupTask<V> {
    pub(super) fn spawn(region: RegionHandle, legs: Vec<Leg>, loader: Loader<V>) {
        let Some(group) = legs.first().map(|leg| Arc::clone(leg.flight.group())) else {
            return;
        };
        let limit = region.resolved().load_timeout.duration();
        let task = Self {
            pending: legs.into_iter().map(|leg| Pending::new(&region, leg)).collect(),
            region,
            loader,
            token: LeaseToken::random(),
            group,
            deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
        };
        tokio::spawn(task.run().in_current_span());
    }

    async fn run(mut self) {
        let mut wait = FIRST_WAIT;
        while !self.pending.is_empty() && !self.group.is_abandoned() {
            let mut held = None;
            for take in [TakeLease::UnlessFresh, TakeLease::Always] {
                if let Some(left) = self.turn(take).await {
                    held = Some(held.map_or(left, |held: Duration| held.min(left)));
                }
            }
            let Some(held) = held else { continue };
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return land_all(self.pending, &timed_out());
            }
            // Processes that wait for one load ask at different moments.
            let jitter = wait.mul_f64(rand::random_range(0.5..1.0));
            let nap = jitter.min(held + Duration::from_millis(1));
            tokio::select! {
                () = tokio::time::sleep(nap) => wait = (wait * 3 / 2).min(LONGEST_WAIT),
                () = self.group.abandoned() => return,
            }
        }
    }

    /// Asks the store for the flights that take their lease like `take`, and does what there is to
    /// do; how long the shortest lease that is in the way lasts, if one is.
    async fn turn(&mut self, take: TakeLease) -> Option<Duration> {
        let is_asked = |pending: &Pending<V>| pending.take == take;
        let (asked, rest) = self.pending.drain(..).partition(is_asked);
        self.pending = rest;
        if asked.is_empty() {
            return None;
        }
        let (lineage, found) = match self.ask(&asked, take).await {
            Ok(begun) => begun,
            Err(error) if self.region.tolerates(&error) => {
                self.load_unfenced(asked).await;
                return None;
            }
            Err(error) => {
                land_all(asked, &error);
                return None;
            }
        };
        let fence = Fence { lineage, token: self.token };
        let mut to_load = Vec::new();
        let mut following = Vec::new();
        let mut unneeded = Vec::new();
        let mut held: Option<Duration> = None;
        for (mut pending, found) in asked.into_iter().zip(found) {
            let turn = self.decide(&mut pending, found, &fence);
            match turn {
                Turn::Land(outcome) => pending.land(outcome),
                Turn::LandAndRelease(outcome) => {
                    unneeded.push(pending.key().to_owned());
                    pending.land(outcome);
                }
                Turn::Load(stale) => {
                    pending.leg.flight.set_fence(fence.token, fence.lineage.clone());
                    pending.leg.previous = None;
                    pending.stale = stale;
                    to_load.push(pending);
                }
                Turn::Follow(seat) => following.push((pending, seat)),
                Turn::AskAgain(take) => {
                    pending.leg.flight.wait();
                    pending.take = take;
                    self.pending.push(pending);
                }
                Turn::WaitFor(left) => {
                    pending.leg.flight.wait();
                    self.pending.push(pending);
                    held = Some(held.map_or(left, |held| held.min(left)));
                }
            }
        }
        let unneeded: Vec<_> = unneeded.iter().map(String::as_str).collect();
        fence.release(&self.region, &unneeded);
        self.load_fenced(to_load, &fence).await;
        self.follow(following).await;
        held
    }

    async fn ask(
        &mut self,
        asked: &[Pending<V>],
        take: TakeLease,
    ) -> Result<(crate::lineage::Lineage, Vec<BegunKey>)> {
        let shared = self.region.shared();
        let moment = shared.flights.start();
        for pending in asked {
            pending.leg.flight.begin(moment);
        }
        let terms = LeaseTerms::new(self.token, self.region.resolved().lease).take(take);
        let begun = shared.store.begin(self.region.region_path(), &keys(asked), terms).await?;
        if begun.keys.len() != asked.len() {
            return Err(Error::new(ErrorKind::Protocol, "the store answered for other keys"));
        }
        Ok((begun.lineage, begun.keys))
    }

    fn decide(&self, pending: &mut Pending<V>, found: BegunKey, fence: &Fence) -> Turn<V> {
        let (value, freshness) = match found.entry {
            Some(entry) => (self.decode(pending, &entry), Some(entry.freshness)),
            None => (None, None),
        };
        let is_fresh = matches!(freshness, Some(Freshness::Fresh { .. }));
        match (found.lease, value) {
            (Lease::Granted, Some(value)) if is_fresh => Turn::LandAndRelease(landed(value)),
            (_, Some(value)) if is_fresh => Turn::Land(landed(value)),
            (Lease::Granted, value) => {
                Turn::Load(value.and_then(|value| Stale::new(value, freshness)))
            }
            (Lease::NotTaken, _) => Turn::AskAgain(TakeLease::Always),
            (Lease::Held { by, left }, value) => {
                let previous = pending.leg.previous.take();
                match (previous.filter(|seat| seat.is_fenced_by(by, &fence.lineage)), value) {
                    (Some(seat), _) => Turn::Follow(seat),
                    (None, Some(stale)) => {
                        self.region.shared().counters.stale_hits.add(1);
                        Turn::Land(landed(stale))
                    }
                    (None, None) => Turn::WaitFor(left),
                }
            }
        }
    }

    fn decode(&self, pending: &Pending<V>, entry: &Entry) -> Option<Arc<V>> {
        self.region.decode(pending.key(), entry).map(Arc::new)
    }

    /// Lands flights with what the earlier ones bring that still hold their leases.
    async fn follow(&mut self, following: Vec<(Pending<V>, Seat)>) {
        for (pending, seat) in following {
            self.region.shared().counters.joined_loads.add(1);
            tokio::select! {
                outcome = seat.outcome() => pending.land(outcome),
                // Nobody waits for this flight any more; it lands when the task ends.
                () = self.group.abandoned() => self.pending.push(pending),
            }
        }
    }

    /// Loads and fills; gives up if nobody waits any more.
    async fn load_fenced(&mut self, legs: Vec<Pending<V>>, fence: &Fence) {
        if legs.is_empty() {
            return;
        }
        let counters = &self.region.shared().counters;
        counters.loads.add(1);
        let keys = owned_keys(&legs);
        let lease = self.region.resolved().lease;
        let loaded = {
            let loading = limited(self.deadline, self.loader.load(keys.clone()));
            let group = Arc::clone(&self.group);
            tokio::select! {
                loaded = loading => Some(loaded),
                () = group.abandoned() => None,
                never = extend(&self.region, fence, &keys, lease) => match never {},
            }
        };
        let names: Vec<_> = keys.iter().map(String::as_str).collect();
        match loaded {
            Some(Ok(values)) if values.len() == keys.len() => {
                self.fill(legs, values, fence).await;
            }
            Some(result) => {
                counters.load_failures.add(1);
                fence.release(&self.region, &names);
                let too_few = || Error::new(ErrorKind::Load, "the load answered for other keys");
                let error = result.err().unwrap_or_else(too_few);
                legs.into_iter().for_each(|pending| pending.fail(&error));
            }
            None => {
                fence.release(&self.region, &names);
                tracing::debug!(region = %self.region.region_path(), ?keys, "load abandoned");
            }
        }
    }

    async fn fill(&mut self, legs: Vec<Pending<V>>, values: Vec<Option<V>>, fence: &Fence) {
        let mut encoded = Vec::with_capacity(values.len());
        let mut unfilled = Vec::new();
        let mut outcomes = Vec::with_capacity(values.len());
        for (pending, value) in legs.iter().zip(values) {
            let key = pending.key();
            let bytes = value.as_ref().map(|value| self.region.codec().encode(key, value));
            outcomes.push(match bytes {
                Some(Ok(bytes)) => {
                    encoded.push((key, bytes));
                    value.map_or_else(|| Ok(None), |value| landed(Arc::new(value)))
                }
                Some(Err(error)) => {
                    unfilled.push(key);
                    Err(error)
                }
                None => {
                    unfilled.push(key);
                    Ok(None)
                }
            });
        }
        fence.fill(&self.region, &encoded).await;
        fence.release(&self.region, &unfilled);
        for (pending, outcome) in legs.into_iter().zip(outcomes) {
            pending.land(outcome);
        }
    }

    /// Loads without the store: the values go to their callers alone.
    async fn load_unfenced(&mut self, legs: Vec<Pending<V>>) {
        let counters = &self.region.shared().counters;
        counters.loads.add(1);
        let loading = limited(self.deadline, self.loader.load(owned_keys(&legs)));
        let loaded = tokio::select! {
            loaded = loading => loaded,
            () = self.group.abandoned() => return,
        };
        match loaded {
            Ok(values) => {
                for (pending, value) in legs.into_iter().zip(values) {
                    pending.land(value.map_or(Ok(None), |value| landed(Arc::new(value))));
                }
            }
            Err(error) => {
                counters.load_failures.add(1);
                land_all(legs, &error);
            }
        }
    }
}

fn keys<V>(legs: &[Pending<V>]) -> Vec<&str> {
    legs.iter().map(Pending::key).collect()
}

fn owned_keys<V>(legs: &[Pending<V>]) -> Vec<String> {
    legs.iter().map(|pending| pending.key().to_owned()).collect()
}

fn land_all<V>(legs: Vec<Pending<V>>, error: &Error) {
    legs.into_iter().for_each(|pending| pending.land(Err(error.clone())));
}

fn landed<V: Value>(value: Arc<V>) -> Outcome {
    Ok(Some(value))
}

fn timed_out() -> Error {
    Error::new(ErrorKind::LoadTimeout, "the load took longer than the policy's limit").retryable()
}

async fn limited<T>(deadline: Option<Instant>, load: impl Future<Output = Result<T>>) -> Result<T> {
    match deadline {
        None => load.await,
        Some(deadline) => {
            tokio::time::timeout_at(deadline, load).await.unwrap_or_else(|_| Err(timed_out()))
        }
    }
}

/// Extends the leases of a load for as long as it is polled. A lease that is lost stays lost.
async fn extend(
    region: &RegionHandle,
    fence: &Fence,
    keys: &[String],
    lease: Duration,
) -> std::convert::Infallible {
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let terms = LeaseTerms::new(fence.token, lease).take(TakeLease::Extend);
    loop {
        tokio::time::sleep(lease / EXTENSIONS_PER_LEASE).await;
        if let Err(error) = region.shared().store.begin(region.region_path(), &keys, terms).await {
            tracing::debug!(region = %region.region_path(), %error, "lease not extended");
        }
    }
}

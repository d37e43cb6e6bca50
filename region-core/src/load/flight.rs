//! The loads under way in this process, and who waits for them.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::cache::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::lineage::Lineage;
use crate::path::RegionPath;
use crate::store::LeaseToken;
use crate::value::serializer::Value;

/// How many maps the flights are spread over, so that loads of different keys rarely meet.
const SHARDS: usize = 16;

/// `begun` while the store is still to be asked (again).
const NOT_BEGUN: u64 = u64::MAX;

/// What a load made, without its type.
pub(super) type Outcome = Result<Option<Arc<dyn Any + Send + Sync>>>;

/// Moments of this cache: a count, no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Started(u64);

/// Which load: the same key read as two types is two loads.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct FlightKey {
    region: RegionPath,
    key: Box<str>,
    of: TypeId,
}

/// Every load under way in this process.
pub(crate) struct Flights {
    shards: [Mutex<HashMap<FlightKey, Arc<Flight>>>; SHARDS],
    hasher: RandomState,
    moments: AtomicU64,
}

/// One load under way, for one key.
pub(super) struct Flight {
    group: Arc<Group>,
    begun: AtomicU64,
    /// Under what it loads, once the lease is granted.
    fence: OnceLock<(LeaseToken, Lineage)>,
    outcome: watch::Sender<Option<Outcome>>,
}

/// The flights that one task serves, and how many seats in them are taken. Once nobody sits in any,
/// the task may stop and nobody may join any more.
#[derive(Default)]
pub(super) struct Group {
    seats: AtomicUsize,
    empty: Notify,
}

/// A place among those who wait for a flight.
pub(super) struct Seat {
    flight: Arc<Flight>,
}

/// One flight of a task that is about to start.
pub(super) struct Leg {
    pub(super) key: FlightKey,
    pub(super) flight: Arc<Flight>,
    /// The flight that was under way before, too early for the caller to join unseen.
    pub(super) previous: Option<Seat>,
}

/// A caller looking for seats: those of flights under way, and of the group it starts itself.
pub(super) struct Boarding {
    started: Started,
    group: Arc<Group>,
    legs: Vec<Leg>,
}

impl Flights {
    /// The moment at which a caller starts.
    pub(crate) fn start(&self) -> Started {
        Started(self.moments.fetch_add(1, Ordering::SeqCst))
    }

    fn shard(&self, key: &FlightKey) -> &Mutex<HashMap<FlightKey, Arc<Flight>>> {
        // The remainder is less than the number of shards, so it fits.
        &self.shards[(self.hasher.hash_one(key) % SHARDS as u64) as usize]
    }

    /// Ends a flight: those who sit in it get `outcome`, and nobody joins it any more.
    pub(super) fn land(&self, key: &FlightKey, flight: &Arc<Flight>, outcome: Outcome) {
        flight.outcome.send_if_modified(|landed| {
            let is_first = landed.is_none();
            if is_first {
                *landed = Some(outcome);
            }
            is_first
        });
        if let MapEntry::Occupied(entry) = self.shard(key).lock().entry(key.clone())
            && Arc::ptr_eq(entry.get(), flight)
        {
            entry.remove();
        }
    }
}

impl Default for Flights {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            moments: AtomicU64::new(0),
        }
    }
}

impl FlightKey {
    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

impl Boarding {
    pub(super) fn new(started: Started) -> Self {
        Self { started, group: Arc::default(), legs: Vec::new() }
    }

    /// A seat in the flight under way, if it is not too early, or in one that this caller starts.
    pub(super) fn join_or_start<V: Value>(
        &mut self,
        shared: &Shared,
        region: &RegionPath,
        key: &str,
    ) -> Seat {
        let key = FlightKey { region: region.clone(), key: key.into(), of: TypeId::of::<V>() };
        let mut shard = shared.flights.shard(&key).lock();
        let mut previous = None;
        if let Some(seat) = shard.get(&key).and_then(Seat::in_flight) {
            if seat.flight.begun.load(Ordering::SeqCst) > self.started.0 {
                shared.counters.joined_loads.add(1);
                return seat;
            }
            previous = Some(seat);
        }
        let flight = Flight::new(&self.group);
        shard.insert(key.clone(), Arc::clone(&flight));
        drop(shard);
        self.legs.push(Leg { key, flight: Arc::clone(&flight), previous });
        Seat { flight }
    }

    /// A seat in a flight that this caller starts, unless one is under way already.
    pub(super) fn start_if_none<V: Value>(
        &mut self,
        shared: &Shared,
        region: &RegionPath,
        key: &str,
    ) -> Option<Seat> {
        let key = FlightKey { region: region.clone(), key: key.into(), of: TypeId::of::<V>() };
        let mut shard = shared.flights.shard(&key).lock();
        if shard.get(&key).and_then(Seat::in_flight).is_some() {
            return None;
        }
        let flight = Flight::new(&self.group);
        shard.insert(key.clone(), Arc::clone(&flight));
        drop(shard);
        self.legs.push(Leg { key, flight: Arc::clone(&flight), previous: None });
        Some(Seat { flight })
    }

    /// The flights that this caller started, if any; a task has to serve them.
    pub(super) fn into_legs(self) -> Option<Vec<Leg>> {
        (!self.legs.is_empty()).then_some(self.legs)
    }
}

impl Flight {
    /// A new flight of `group`, with one seat taken.
    fn new(group: &Arc<Group>) -> Arc<Self> {
        group.seats.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self {
            group: Arc::clone(group),
            begun: AtomicU64::new(NOT_BEGUN),
            fence: OnceLock::new(),
            outcome: watch::Sender::new(None),
        })
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// Notes that the store is about to be asked: callers that start after `moment` may not share
    /// the answer unseen.
    pub(super) fn begin(&self, moment: Started) {
        self.begun.store(moment.0, Ordering::SeqCst);
    }

    /// Notes that the store will be asked again.
    pub(super) fn wait(&self) {
        self.begun.store(NOT_BEGUN, Ordering::SeqCst);
    }

    /// Notes under what the flight loads from now on.
    pub(super) fn set_fence(&self, token: LeaseToken, lineage: Lineage) {
        // A flight loads once; were it set twice, the first would still be the one that counts.
        let _ = self.fence.set((token, lineage));
    }
}

impl Group {
    /// Waits until nobody sits in any flight of the group.
    pub(super) async fn abandoned(&self) {
        while self.seats.load(Ordering::SeqCst) > 0 {
            self.empty.notified().await;
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.seats.load(Ordering::SeqCst) == 0
    }
}

impl Seat {
    /// A seat in `flight`, unless everybody has left its group.
    fn in_flight(flight: &Arc<Flight>) -> Option<Self> {
        let seats = &flight.group.seats;
        let add = |taken: usize| (taken > 0).then_some(taken + 1);
        seats.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok()?;
        Some(Self { flight: Arc::clone(flight) })
    }

    /// Whether the flight loads under this very lease.
    pub(super) fn is_fenced_by(&self, token: LeaseToken, lineage: &Lineage) -> bool {
        self.flight.fence.get().is_some_and(|(held, under)| *held == token && under == lineage)
    }

    /// Waits for the flight to land.
    pub(super) async fn outcome(&self) -> Outcome {
        let mut outcome = self.flight.outcome.subscribe();
        // The flight keeps the sender alive, so waiting cannot fail.
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(Error::new(ErrorKind::LoadPanicked, "the load went away")),
        }
    }

    /// Waits for the flight to land and gives what it brought its type back.
    pub(super) async fn value<V: Value>(self) -> Result<Option<Arc<V>>> {
        // The type is part of the flight's key, so it always fits.
        Ok(self.outcome().await?.and_then(|value| value.downcast().ok()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.flight.group.seats.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.flight.group.empty.notify_one();
        }
    }
}

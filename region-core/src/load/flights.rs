//! The loads under way in this process, by key.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::flight::{Fallback, Flight, FlightEnd, Group, Purpose, Stage, Tick, Waiter};
use super::key::{ByKey, FlightKey, KeySpace};
use super::reads::Reads;
use super::recent::{LoadTimes, Recent};
use crate::stats::{Counters, MissReason};
use crate::value::serializer::Value;

/// Every load under way in one cache: for each key the latest flight.
pub(crate) struct Flights {
    flights: ByKey<Arc<Flight>>,
    /// The lookups under way of keys that are loaded if they are not there.
    pub(super) reads: Reads,
    ticks: AtomicU64,
    /// The number of flights, so that callers need not look while there is none.
    count: AtomicUsize,
    /// Keys whose load has failed lately, until it is tried again.
    pub(super) failed: Recent,
    /// Keys that were refreshed early, until they may be again.
    pub(super) refreshed: Recent,
    pub(super) load_times: LoadTimes,
    /// One for each refresh in the background.
    refreshes: Arc<Semaphore>,
}

/// A flight that a task is about to serve.
pub(super) struct NewFlight {
    pub(super) key: FlightKey,
    pub(super) flight: Arc<Flight>,
    /// The flight before it for the same key, which the caller may not take as it is.
    pub(super) previous: Option<Waiter>,
    /// The flight that was under way when the call began. It is kept alive until this one loads.
    pub(super) hold: Option<Waiter>,
    /// Of a refresh in the background, until it ends.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// The way in which a caller that finds no flight for it starts one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Its task asks the store first.
    Asking,
    /// Its task loads at once: the store has just failed.
    Loading,
}

/// Joins flights for one call, or starts them.
pub(super) struct Joining<'a> {
    flights: &'a Flights,
    started: Tick,
    start: Start,
    group: Arc<Group>,
    new: Vec<NewFlight>,
}

impl Flights {
    /// The next tick. The start of a call and each question to the store have one.
    pub(crate) fn tick(&self) -> Tick {
        Tick(self.ticks.fetch_add(1, Ordering::SeqCst))
    }

    /// Keeps the flight for a key alive, if there is one.
    #[inline]
    pub(super) fn hold<V: Value>(&self, within: KeySpace<'_>, key: &str) -> Option<Waiter> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        self.waiter(&FlightKey::new::<V>(within, key))
    }

    fn waiter(&self, key: &FlightKey) -> Option<Waiter> {
        self.flights.of(key).lock().get(key).and_then(Waiter::join_latest)
    }

    /// The reason for which there is no value at `key`, if a load under way shows that.
    pub(super) fn shown_miss(&self, key: &FlightKey) -> Option<MissReason> {
        if self.count.load(Ordering::SeqCst) == 0 {
            return None;
        }
        self.waiter(key)?.flight().shown_miss()
    }

    /// Returns true if a load of the key is under way.
    pub(crate) fn is_loading<V: Value>(&self, within: KeySpace<'_>, key: &str) -> bool {
        let key = FlightKey::new::<V>(within, key);
        self.flights.of(&key).lock().contains_key(&key)
    }

    /// Ends a flight: its waiters get `end`, and nobody joins it any more.
    pub(super) fn finish(&self, key: &FlightKey, flight: &Arc<Flight>, end: FlightEnd) {
        flight.finish(end);
        if let MapEntry::Occupied(entry) = self.flights.of(key).lock().entry(key.clone())
            && Arc::ptr_eq(entry.get(), flight)
        {
            entry.remove();
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Ends a flight that nobody waits for, or whose task is gone. If one before it is under way, later callers
    /// find that one again.
    pub(super) fn give_up(&self, key: &FlightKey, flight: &Arc<Flight>, end: FlightEnd) {
        flight.finish(end);
        if let MapEntry::Occupied(mut entry) = self.flights.of(key).lock().entry(key.clone())
            && Arc::ptr_eq(entry.get(), flight)
        {
            match flight.previous_under_way() {
                Some(previous) => drop(entry.insert(previous)),
                None => {
                    entry.remove();
                    self.count.fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
    }

    /// Lets a flight take its result from `other`, which takes its place for later callers.
    pub(super) fn follow(&self, key: &FlightKey, flight: &Arc<Flight>, other: Waiter) {
        Self::follow_locked(&mut self.flights.of(key).lock(), key, flight, other, &self.count);
    }

    /// As [`follow`](Self::follow), if `other` has yet to ask the store; else gives it back.
    ///
    /// In one step, as seen by those who join: else a caller might join `flight` after `other` has
    /// asked, and get an answer from before it started.
    pub(super) fn follow_if_open(
        &self,
        key: &FlightKey,
        flight: &Arc<Flight>,
        other: Waiter,
    ) -> Result<(), Waiter> {
        let mut shard = self.flights.of(key).lock();
        if !other.flight().is_under_way() || !matches!(other.flight().stage(), Stage::Open) {
            return Err(other);
        }
        Self::follow_locked(&mut shard, key, flight, other, &self.count);
        Ok(())
    }

    fn follow_locked(
        shard: &mut HashMap<FlightKey, Arc<Flight>>,
        key: &FlightKey,
        flight: &Arc<Flight>,
        other: Waiter,
        count: &AtomicUsize,
    ) {
        if let MapEntry::Occupied(mut entry) = shard.entry(key.clone())
            && Arc::ptr_eq(entry.get(), flight)
        {
            // One that has ended has been removed, or will be by whoever ended it.
            if other.flight().is_under_way() {
                entry.insert(Arc::clone(other.flight()));
            } else {
                entry.remove();
                count.fetch_sub(1, Ordering::SeqCst);
            }
        }
        flight.follow(other);
    }
}

impl Flights {
    /// No loads, of which at most `max_refreshes` will be refreshes in the background.
    pub(crate) fn new(max_refreshes: usize) -> Self {
        Self {
            flights: ByKey::default(),
            reads: Reads::default(),
            ticks: AtomicU64::new(0),
            count: AtomicUsize::new(0),
            failed: Recent::default(),
            refreshed: Recent::default(),
            load_times: LoadTimes::default(),
            refreshes: Arc::new(Semaphore::new(max_refreshes.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// The permit for one more refresh in the background, unless too many run.
    pub(super) fn refresh(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.refreshes).try_acquire_owned().ok()
    }
}

impl<'a> Joining<'a> {
    pub(super) fn new(flights: &'a Flights, started: Tick, start: Start, group: Group) -> Self {
        Self { flights, started, start, group: Arc::new(group), new: Vec::new() }
    }

    /// Waits for the flight under way, if its result may be taken, or for a new one.
    pub(super) fn join_or_start<V: Value>(
        &mut self,
        within: KeySpace<'_>,
        key: &str,
        hold: Option<Waiter>,
        (reason, counters): (MissReason, &Counters),
    ) -> Waiter {
        let key = FlightKey::new::<V>(within, key);
        let mut shard = self.flights.flights.of(&key).lock();
        let current = shard.get(&key).and_then(Waiter::join_latest);
        match current {
            Some(waiter) if self.may_take(waiter.flight()) => {
                counters.joined_loads.add(1);
                waiter
            }
            previous => self.start(&mut shard, key, previous, hold, Purpose::Miss(reason)),
        }
    }

    /// Waits for a reload that has yet to load, or for a new one.
    pub(super) fn join_or_start_reload<V: Value>(
        &mut self,
        within: KeySpace<'_>,
        key: &str,
        counters: &Counters,
    ) -> Waiter {
        let key = FlightKey::new::<V>(within, key);
        let mut shard = self.flights.flights.of(&key).lock();
        match shard.get(&key).and_then(Waiter::join_latest) {
            Some(waiter) if waiter.flight().reloads_since(self.started) => {
                counters.joined_loads.add(1);
                waiter
            }
            previous => self.start(&mut shard, key, previous, None, Purpose::Reload),
        }
    }

    /// Returns true if a task is needed.
    pub(super) fn has_started(&self) -> bool {
        !self.new.is_empty()
    }

    /// Waits for a new flight, unless there is one under way.
    pub(super) fn start_if_none<V: Value>(
        &mut self,
        within: KeySpace<'_>,
        key: &str,
        hold: Option<Waiter>,
        purpose: Purpose,
    ) -> Option<Waiter> {
        let key = FlightKey::new::<V>(within, key);
        let mut shard = self.flights.flights.of(&key).lock();
        if shard.get(&key).and_then(Waiter::join_latest).is_some() {
            return None;
        }
        Some(self.start(&mut shard, key, None, hold, purpose))
    }

    /// Starts a load in the background, unless there is one under way or too many refreshes are. Returns true
    /// if it has.
    pub(super) fn refresh_if_none<V: Value>(
        &mut self,
        within: KeySpace<'_>,
        key: &str,
        hold: Option<Waiter>,
        (purpose, counters): (Purpose, &Counters),
    ) -> bool {
        let Some(permit) = self.flights.refresh() else {
            counters.skipped_refreshes.add(1);
            return false;
        };
        let Some(waiter) = self.start_if_none::<V>(within, key, hold, purpose) else {
            return false;
        };
        if let Some(new) = self.new.last_mut() {
            new.permit = Some(permit);
        }
        counters.background_loads.add(1);
        waiter.detach();
        true
    }

    fn may_take(&self, flight: &Flight) -> bool {
        match self.start {
            Start::Asking => flight.serves(self.started),
            // A flight that has yet to hear from the store would wait for the outage once more.
            Start::Loading => {
                flight.serves(self.started) && matches!(flight.stage(), Stage::Loading { .. })
            }
        }
    }

    fn start(
        &mut self,
        shard: &mut HashMap<FlightKey, Arc<Flight>>,
        key: FlightKey,
        previous: Option<Waiter>,
        hold: Option<Waiter>,
        purpose: Purpose,
    ) -> Waiter {
        let stage = match self.start {
            Start::Asking => Stage::Open,
            Start::Loading => {
                let (known, fallback) = (self.flights.tick(), Fallback::Kept);
                Stage::Loading { known, fence: None, fallback }
            }
        };
        let before = previous.as_ref().map(|it| Arc::downgrade(it.flight())).unwrap_or_default();
        let (flight, waiter) = Flight::new(&self.group, stage, purpose, before);
        if shard.insert(key.clone(), Arc::clone(&flight)).is_none() {
            self.flights.count.fetch_add(1, Ordering::SeqCst);
        }
        let is_asking = self.start == Start::Asking;
        let (previous, hold) = (previous.filter(|_| is_asking), hold.filter(|_| is_asking));
        self.new.push(NewFlight { key, flight, previous, hold, permit: None });
        waiter
    }

    /// Lets those who read the same keys keep the flights that this call has started alive.
    pub(super) fn tell_readers(&self) {
        for new in &self.new {
            self.flights.reads.keep_alive(&new.key, &new.flight);
        }
    }

    /// The flights that this call has started, and their group. A task has to serve them.
    pub(super) fn into_new(self) -> (Arc<Group>, Vec<NewFlight>) {
        (self.group, self.new)
    }
}

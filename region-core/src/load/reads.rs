//! Lookups of keys that are loaded if they are not there: for each key one is under way, and the callers that
//! come meanwhile share the next one.
//!
//! A caller may only use what was read after it came, so nobody shares a lookup that has begun. But if that
//! one finds nothing, those who wait need none of their own: they go on to the load, whose question to the
//! store is asked after they came and shows whatever there is by then.

use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(all(test, region_shuttle))]
mod models;

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::{BoxFuture, FutureExt, Shared};
use futures_util::poll;
use tokio::time::Instant;

use super::flight::{Flight, Waiter};
use super::flights::Flights;
use super::key::{ByKey, FlightKey, KeySpace};
use crate::engine::{Accept, Context, FoundOne, Manner, Started};
use crate::error::{ErrorKind, Result};
use crate::policy::NearCache;
use crate::stats::MissReason;
use crate::value::serializer::Value;

/// The result of a lookup, a `Result<FoundOne<V>>` without its type.
type AnyFound = Arc<dyn Any + Send + Sync>;

/// The lookups under way in one cache, by key.
#[derive(Default)]
pub(super) struct Reads {
    readers: ByKey<Readers>,
    /// The number of keys that are read, so that loads need not look while there is none.
    count: AtomicUsize,
}

/// The callers that look up one key.
#[derive(Default)]
struct Readers {
    /// The latest lookup of each manner.
    latest: Vec<Latest>,
    /// The load that was started last while they read. It goes on for as long as they do.
    hold: Option<Waiter>,
}

/// The latest lookup of one manner, and the number of callers that take part in it or in earlier ones.
struct Latest {
    manner: Manner,
    callers: usize,
    round: Round,
}

/// A lookup. Whoever waits for it drives it on, so a caller that is not polled holds up nobody.
#[derive(Clone)]
struct Round {
    /// True once it has begun, or is over: then nobody may join.
    is_closed: Arc<AtomicBool>,
    answer: Shared<BoxFuture<'static, ReadAnswer>>,
}

/// The answer of a lookup.
#[derive(Clone)]
pub(super) enum ReadAnswer {
    /// The store was asked.
    Found(AnyFound),
    /// The lookup before ran into its limit, and the store was not asked again.
    TimedOut(AnyFound),
    /// The store had no value when it was last asked, for this reason, and was not asked again.
    Missing(MissReason),
    Panicked,
}

/// The part of one caller in looking up a key. Dropping it ends that.
pub(super) struct Reader<'a> {
    reads: &'a Reads,
    key: FlightKey,
    manner: Manner,
    round: Round,
}

impl Reads {
    /// Lets those who look up `key` keep `flight` alive, which has just been started for it.
    pub(super) fn keep_alive(&self, key: &FlightKey, flight: &Arc<Flight>) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut hold = Waiter::join(flight);
        if let Some(readers) = self.readers.of(key).lock().get_mut(key) {
            std::mem::swap(&mut readers.hold, &mut hold);
        }
        // What was held before ends after the lock.
    }
}

impl<'a> Reader<'a> {
    /// Joins the lookup of `key` that is to begin, or starts one that begins once the one under way is over.
    pub(super) fn join<V: Value>(
        context: &Arc<Context>,
        flights: &'a Arc<Flights>,
        key: &str,
        accept: Accept,
    ) -> Self {
        let key = FlightKey::new::<V>(KeySpace::of(context), key);
        let (reads, manner) = (&flights.reads, context.manner(accept));
        let mut map = reads.readers.of(&key).lock();
        let readers = map.entry(key.clone()).or_insert_with(|| {
            reads.count.fetch_add(1, Ordering::SeqCst);
            Readers::default()
        });
        let start = |previous| Round::new::<V>(context, flights, &key, accept, previous);
        let round = readers.join_or_start(manner, start);
        drop(map);
        Self { reads, key, manner, round }
    }

    /// The answer of the lookup.
    ///
    /// # Cancel safety
    /// Dropping it ends this caller's wait.
    pub(super) async fn answer(&self) -> ReadAnswer {
        self.round.answer.clone().await
    }

    /// Returns true if others look up the key too.
    pub(super) fn has_company(&self) -> bool {
        let map = self.reads.readers.of(&self.key).lock();
        let latest = map.get(&self.key).map_or(&[][..], |readers| &readers.latest);
        latest.iter().any(|latest| latest.callers > 1)
    }

    /// A waiter for the load that was started last while this caller and others read the key.
    pub(super) fn hold(&self) -> Option<Waiter> {
        let map = self.reads.readers.of(&self.key).lock();
        Waiter::join(map.get(&self.key)?.hold.as_ref()?.flight())
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut map = self.reads.readers.of(&self.key).lock();
        let left = leave(&mut map, &self.key, self.manner);
        self.reads.count.fetch_sub(usize::from(left.is_last), Ordering::SeqCst);
        drop(map);
    }
}

/// Lookups that nobody has a part in any more, to be dropped after the lock.
#[derive(Default)]
struct Left {
    is_last: bool,
    _round: Option<Latest>,
    _readers: Option<Readers>,
}

fn leave(map: &mut HashMap<FlightKey, Readers>, key: &FlightKey, manner: Manner) -> Left {
    let MapEntry::Occupied(mut entry) = map.entry(key.clone()) else { return Left::default() };
    let latest = &mut entry.get_mut().latest;
    let Some(at) = latest.iter().position(|latest| latest.manner == manner) else {
        return Left::default();
    };
    latest[at].callers -= 1;
    if latest[at].callers > 0 {
        return Left::default();
    }
    let round = Some(latest.swap_remove(at));
    let is_last = latest.is_empty();
    Left { is_last, _round: round, _readers: is_last.then(|| entry.remove()) }
}

impl Readers {
    fn join_or_start(
        &mut self,
        manner: Manner,
        start: impl FnOnce(Option<Round>) -> Round,
    ) -> Round {
        let Some(latest) = self.latest.iter_mut().find(|latest| latest.manner == manner) else {
            let round = start(None);
            self.latest.push(Latest { manner, callers: 1, round: round.clone() });
            return round;
        };
        latest.callers += 1;
        if latest.round.is_closed.load(Ordering::SeqCst) {
            latest.round = start(Some(latest.round.clone()));
        }
        latest.round.clone()
    }
}

impl Round {
    fn new<V: Value>(
        context: &Arc<Context>,
        flights: &Arc<Flights>,
        key: &FlightKey,
        accept: Accept,
        previous: Option<Self>,
    ) -> Self {
        let (context, flights, key) = (Arc::clone(context), Arc::clone(flights), key.clone());
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&is_closed);
        let answer = async move {
            let started = Started::at(previous.is_some().then(Instant::now));
            let known = match previous {
                Some(previous) => known_by::<V>(previous.answer.await),
                None => None,
            };
            // From here on nobody joins: what is read now must have been read after its callers came.
            closed.store(true, Ordering::SeqCst);
            if let Some(known) = known {
                return known;
            }
            if let Some(reason) = flights.shown_miss(&key) {
                return ReadAnswer::Missing(reason);
            }
            let read = AssertUnwindSafe(read::<V>(&context, &key, accept, started));
            read.catch_unwind()
                .await
                .map_or(ReadAnswer::Panicked, |found| ReadAnswer::Found(Arc::new(found)))
        };
        Self { is_closed, answer: answer.boxed().shared() }
    }
}

/// Looks up the value, and notes if the store answers at once.
async fn read<V: Value>(
    context: &Context,
    key: &FlightKey,
    accept: Accept,
    started: Started,
) -> Result<FoundOne<V>> {
    let mut find = pin!(context.find_one(key.key(), accept, started));
    let Poll::Ready(found) = poll!(&mut find) else {
        context.engine().saw_wait();
        return find.await;
    };
    // In an outage, and from near, answers come at once from any store.
    let is_of_store = context.policy().near == NearCache::Off;
    if is_of_store && found.as_ref().is_ok_and(|one| one.outage.is_none()) {
        context.engine().saw_no_wait();
    }
    found
}

/// The meaning of the previous lookup's answer for callers that have come since it began.
fn known_by<V: Value>(previous: ReadAnswer) -> Option<ReadAnswer> {
    let ReadAnswer::Found(found) = &previous else { return None };
    let found_one = found.downcast_ref::<Result<FoundOne<V>>>()?;
    if let Some(reason) = found_one.as_ref().ok().and_then(FoundOne::missed) {
        return Some(ReadAnswer::Missing(reason));
    }
    match found_one {
        // Its limit has cost these callers time too, and there is no reason to think that another lookup
        // fares better.
        Ok(FoundOne { outage: Some(error), .. }) | Err(error)
            if error.kind() == ErrorKind::Timeout =>
        {
            Some(ReadAnswer::TimedOut(Arc::clone(found)))
        }
        _ => None,
    }
}

/// A copy of what a shared lookup has found, for one of its callers.
pub(super) fn shared_found<V: Value>(found: &AnyFound) -> Result<FoundOne<V>> {
    // The type is part of the key, so it always fits.
    match found.downcast_ref::<Result<FoundOne<V>>>() {
        Some(Ok(one)) => Ok(one.share()),
        Some(Err(error)) => Err(error.clone()),
        None => Ok(FoundOne::missing(MissReason::Absent)),
    }
}

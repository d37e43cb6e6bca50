//! One key's load in this process, and the callers that wait for it.

use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use crate::sync::Mutex;
use tokio::sync::Notify;

use super::brought::Brought;
use super::plan::Shown;
use crate::error::{Error, ErrorKind, Result};
use crate::lineage::Lineage;
use crate::region::Answer;
use crate::stats::MissReason;
use crate::store::LeaseToken;
use crate::value::serializer::Value;

/// The end of a flight.
pub(super) type FlightEnd = Result<Brought>;

/// A logical time of this cache: what comes later has the greater tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub(super) u64);

/// A key's load under way.
pub(super) struct Flight {
    group: Arc<Group>,
    stage: Mutex<Stage>,
    /// Notified when the stage is not [`Stage::Asking`] any more.
    answered: Notify,
    /// Set once.
    result: OnceLock<FlightResult>,
    /// Notified when there is a result. Its waiters go on in the order in which they came: that of a
    /// `watch` channel is drawn anew in each run.
    ended: Notify,
    /// The load goes on in the background.
    is_detached: AtomicBool,
    purpose: Purpose,
    /// The number of times that late callers have asked if the load holds its lease.
    asked_late: AtomicU32,
    /// The flight before it for the same key. Whoever waits for this one keeps it alive; once nobody does, those
    /// who come may still wait for that one.
    previous: Weak<Flight>,
}

/// The progress of a flight.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The store will be asked, perhaps again. Any caller may join.
    Open,
    /// The store was asked at this tick. Callers that started before may join.
    Asking(Tick),
    /// The load runs. Callers that started before `known` may join: a question sent at that tick
    /// showed that the load began later or still holds its lease. `fallback` is the state of the stale value
    /// that a failure ends with.
    Loading { known: Tick, fence: Option<Fence>, fallback: Fallback },
    /// The load has failed, and a stale value is about to be the result. Who has found no value may not
    /// take it.
    FallingBack,
}

/// The state of the stale value that stands in for a load that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    Kept,
    /// The store has shown to a caller that it has the value no more. Callers that come after that one must
    /// not get it either.
    Lost,
}

/// The reason for a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// There is no value, for this reason.
    Miss(MissReason),
    /// There is a stale value.
    Stale,
    /// There is one, which ends within this time.
    Early(Duration),
    /// A caller wants a value that is loaded after its call.
    Reload,
}

enum FlightResult {
    /// Another flight brings the result. The waiter keeps that one alive.
    From(Waiter),
    End(FlightEnd),
}

/// The lineage and the lease that a load began under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    pub(super) lineage: Lineage,
    pub(super) token: LeaseToken,
}

/// The flights that one task serves, and the number of their waiters. Once there is none the task
/// may stop, and nobody may join any more.
pub(super) struct Group {
    /// The token of the group's leases, which identifies the group.
    pub(super) token: LeaseToken,
    waiters: AtomicUsize,
    none_left: Notify,
    /// The load depends on regions beside its own.
    has_dependencies: AtomicBool,
}

/// Waits for a flight and keeps it alive: for as long as there is one, the flight goes on.
pub(super) struct Waiter {
    flight: Arc<Flight>,
    /// The flight was there before.
    has_joined: bool,
}

impl Group {
    pub(super) fn new(token: LeaseToken) -> Self {
        let (waiters, none_left) = (AtomicUsize::new(0), Notify::new());
        Self { token, waiters, none_left, has_dependencies: AtomicBool::new(false) }
    }

    /// Notes that the load depends on regions beside its own. That its lease holds does not tell that
    /// nothing of these has ended: nobody may follow it on the strength of the lease any more.
    pub(super) fn depends_on_others(&self) {
        self.has_dependencies.store(true, Ordering::SeqCst);
    }

    /// Waits until nobody waits for any flight of the group.
    pub(super) async fn abandoned(&self) {
        while !self.is_abandoned() {
            self.none_left.notified().await;
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.waiters.load(Ordering::SeqCst) == 0
    }
}

impl Flight {
    /// A new flight of `group` that comes after `previous`, and its first waiter.
    pub(super) fn new(
        group: &Arc<Group>,
        stage: Stage,
        purpose: Purpose,
        previous: Weak<Self>,
    ) -> (Arc<Self>, Waiter) {
        group.waiters.fetch_add(1, Ordering::SeqCst);
        let flight = Arc::new(Self {
            group: Arc::clone(group),
            stage: Mutex::new(stage),
            answered: Notify::new(),
            result: OnceLock::new(),
            ended: Notify::new(),
            is_detached: AtomicBool::new(false),
            purpose,
            asked_late: AtomicU32::new(0),
            previous,
        });
        (Arc::clone(&flight), Waiter { flight, has_joined: false })
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.lock().clone()
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Returns true if the load begins after its callers have asked for it.
    pub(super) fn is_reload(&self) -> bool {
        self.purpose == Purpose::Reload
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        *self.stage.lock() = stage;
        self.answered.notify_waiters();
    }

    /// Notes that a question sent at `tick` showed `shown`, and that the load still holds its lease. Returns
    /// false if the result is older than that: a stale value that the store has lost.
    pub(super) fn confirm(&self, tick: Tick, shown: Shown) -> bool {
        match &mut *self.stage.lock() {
            Stage::Loading { known, fallback, .. } => {
                *known = tick.max(*known);
                if shown == Shown::Nothing {
                    *fallback = Fallback::Lost;
                }
                true
            }
            Stage::FallingBack => shown != Shown::Nothing,
            Stage::Open | Stage::Asking(_) => true,
        }
    }

    /// Returns true if the stale value may be the result. Then nobody joins any more who may not get it.
    pub(super) fn falls_back(&self) -> bool {
        let mut stage = self.stage.lock();
        let is_lost = matches!(*stage, Stage::Loading { fallback: Fallback::Lost, .. });
        if !is_lost {
            *stage = Stage::FallingBack;
        }
        !is_lost
    }

    /// Returns true if a caller that started at `started` may take the result as it is.
    pub(super) fn serves(&self, started: Tick) -> bool {
        self.is_under_way()
            && match *self.stage.lock() {
                Stage::Open => true,
                Stage::Asking(known) | Stage::Loading { known, .. } => known > started,
                Stage::FallingBack => false,
            }
    }

    /// The reason for which the store has no value for whoever asks now, as far as is known: that for which
    /// it had none when the flight was started.
    pub(super) fn shown_miss(&self) -> Option<MissReason> {
        let Purpose::Miss(reason) = self.purpose else { return None };
        let is_shown = self.is_under_way()
            && match &*self.stage.lock() {
                Stage::Open | Stage::Asking(_) => true,
                Stage::Loading { fence, .. } => fence.is_some(),
                Stage::FallingBack => false,
            };
        is_shown.then_some(reason)
    }

    /// Returns true if a load will begin that a caller takes who started at `started` and asks for a
    /// later one.
    pub(super) fn reloads_since(&self, started: Tick) -> bool {
        self.is_reload() && self.serves(started) && !matches!(self.stage(), Stage::Loading { .. })
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.result.get().is_none()
    }

    /// Returns true if the load began under `fence` and depends on nothing else.
    pub(super) fn is_loading_under(&self, fence: &Fence) -> bool {
        let has_dependencies = self.group.has_dependencies.load(Ordering::SeqCst);
        match &*self.stage.lock() {
            Stage::Loading { fence: Some(mine), .. } => mine == fence && !has_dependencies,
            _ => false,
        }
    }

    /// The number of times that late callers have asked if the load holds its lease, before this one.
    pub(super) fn ask_late(&self) -> u32 {
        self.asked_late.fetch_add(1, Ordering::Relaxed)
    }

    /// The latest flight before this one that has no result.
    pub(super) fn previous_under_way(&self) -> Option<Arc<Self>> {
        let mut previous = self.previous.upgrade()?;
        while !previous.is_under_way() {
            previous = previous.previous.upgrade()?;
        }
        Some(previous)
    }

    /// Returns true if the load runs under a lease.
    pub(super) fn is_loading(&self) -> bool {
        let is_fenced = |stage: &Stage| matches!(stage, Stage::Loading { fence: Some(_), .. });
        self.is_under_way() && is_fenced(&self.stage.lock())
    }

    /// Waits until the flight has a result.
    pub(super) async fn has_result(&self) {
        self.result().await;
    }

    async fn result(&self) -> &FlightResult {
        loop {
            let mut notified = std::pin::pin!(self.ended.notified());
            // From here on no notification is missed.
            notified.as_mut().enable();
            if let Some(result) = self.result.get() {
                return result;
            }
            notified.await;
        }
    }

    /// Returns true if a caller has left the load to the background.
    pub(super) fn is_detached(&self) -> bool {
        self.is_detached.load(Ordering::Relaxed)
    }

    /// The flight that this one takes its result from.
    pub(super) fn followed(&self) -> Option<Arc<Self>> {
        match self.result.get() {
            Some(FlightResult::From(waiter)) => Some(Arc::clone(&waiter.flight)),
            Some(FlightResult::End(_)) | None => None,
        }
    }

    /// Ends the flight with `end`, unless it has a result already.
    pub(super) fn finish(&self, end: FlightEnd) {
        self.set_result(FlightResult::End(end));
    }

    /// Lets the flight take its result from another, unless it has one already.
    pub(super) fn follow(&self, other: Waiter) {
        self.set_result(FlightResult::From(other));
    }

    fn set_result(&self, new: FlightResult) {
        // A result that is not taken ends here, under no lock: a waiter in it may wake a task.
        if self.result.set(new).is_ok() {
            self.ended.notify_waiters();
        }
        self.answered.notify_waiters();
    }

    /// Waits until no question of this flight is under way.
    async fn answered(&self) {
        loop {
            let mut notified = std::pin::pin!(self.answered.notified());
            // From here on no notification is missed.
            notified.as_mut().enable();
            if !self.is_under_way() || !matches!(*self.stage.lock(), Stage::Asking(_)) {
                return;
            }
            notified.await;
        }
    }
}

impl Waiter {
    /// A waiter for `flight`, unless everybody has left its group.
    pub(super) fn join(flight: &Arc<Flight>) -> Option<Self> {
        let waiters = &flight.group.waiters;
        let add = |waiting: usize| (waiting > 0).then_some(waiting + 1);
        waiters.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).ok()?;
        Some(Self { flight: Arc::clone(flight), has_joined: true })
    }

    /// Does the same for `flight`, or the latest one before it that anybody waits for.
    pub(super) fn join_latest(flight: &Arc<Flight>) -> Option<Self> {
        let mut flight = Arc::clone(flight);
        loop {
            if let Some(waiter) = Self::join(&flight) {
                return Some(waiter);
            }
            flight = flight.previous.upgrade()?;
        }
    }

    /// Leaves the load to the background: it goes on although nobody waits for it.
    pub(super) fn detach(&self) {
        // The count is one too high from here on, so that it never falls to zero.
        self.flight.group.waiters.fetch_add(1, Ordering::SeqCst);
        self.flight.is_detached.store(true, Ordering::Relaxed);
    }

    pub(super) fn flight(&self) -> &Arc<Flight> {
        &self.flight
    }

    /// Waits until the flight, or the one that brings its result, has no question under way; then a
    /// waiter for that flight.
    pub(super) async fn answered(mut self) -> Self {
        loop {
            self.flight.answered().await;
            // The flight itself keeps the one that it follows alive, so joining that succeeds.
            match self.flight.followed().as_ref().and_then(Self::join) {
                Some(followed) => self = followed,
                None => return self,
            }
        }
    }

    /// Waits for the result of the flight.
    pub(super) async fn answer<V: Value>(&self) -> Result<Answer<Option<Arc<V>>>> {
        let (mut flight, mut has_joined) = (Arc::clone(&self.flight), self.has_joined);
        loop {
            let next = match flight.result().await {
                FlightResult::End(end) => return Ok(end.clone()?.answer(has_joined)),
                FlightResult::From(waiter) => Arc::clone(&waiter.flight),
            };
            (flight, has_joined) = (next, true);
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if self.flight.group.waiters.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.flight.group.none_left.notify_one();
        }
    }
}

/// The error of callers whose load's task ended without a result.
pub(super) fn dropped() -> Error {
    Error::new(ErrorKind::LoadPanicked, "the load was dropped before it ended").retryable()
}

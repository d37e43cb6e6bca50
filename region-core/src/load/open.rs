//! A flight without a result, in the hands of its task.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::brought::{Brought, Until};
use super::flight::{Fallback, Fence, FlightEnd, Purpose, Stage, Tick, Waiter, dropped};
use super::flights::{Flights, NewFlight};
use super::loader::ToLoad;
use super::pace::pause_of_late_callers;
use super::plan::Shown;
use super::waits;
use crate::engine::{Context, Times};
use crate::error::Error;
use crate::region::{Answer, Outcome};
use crate::store::TakeLease;
use crate::value::made::MadeAt;
use crate::value::serializer::Value;

/// A flight that its task has to give a result. Dropping it ends the flight with an error, so that
/// no waiter waits for ever.
pub(super) struct OpenFlight<V> {
    flights: Arc<Flights>,
    new: NewFlight,
    pub(super) take: TakeLease,
    /// The tick of the last question to the store.
    asked: Option<Tick>,
    pub(super) fence: Option<Fence>,
    stale: Option<Stale<V>>,
}

/// A value to make do with if the load fails, or to be replaced early.
pub(super) struct Stale<V> {
    value: Arc<V>,
    until: Until,
    made: Option<MadeAt>,
}

impl<V> OpenFlight<V> {
    pub(super) fn new(flights: &Arc<Flights>, new: NewFlight) -> Self {
        let (asked, fence, stale) = (None, None, None);
        let take = take_for(new.flight.purpose());
        Self { flights: Arc::clone(flights), new, take, asked, fence, stale }
    }

    pub(super) fn key(&self) -> &str {
        self.new.key.key()
    }

    /// The way in which a flight takes its lease that has not been asked about yet.
    pub(super) fn take_at_first(&self) -> TakeLease {
        take_for(self.purpose())
    }

    /// Waits until the previous flight has no question under way. If it has to ask again, this
    /// flight takes its result and is done: `None`.
    pub(super) async fn after_previous(mut self) -> Option<Self> {
        while let Some(previous) = self.new.previous.take() {
            if self.purpose() == Purpose::Reload && !previous.flight().is_reload() {
                // Its load may have begun before the reload was asked for.
                break;
            }
            let previous = previous.answered().await;
            let stage = previous.flight().stage();
            if !previous.flight().is_under_way() {
                break;
            }
            match self.flights.follow_if_open(&self.new.key, &self.new.flight, previous) {
                Ok(()) => {
                    waits::now_follows(&self.new.flight);
                    return None;
                }
                Err(previous) => self.new.previous = Some(previous),
            }
            if matches!(stage, Stage::Loading { .. } | Stage::FallingBack) {
                if self.purpose() == Purpose::Reload {
                    self.new.previous = None;
                }
                break;
            }
        }
        Some(self)
    }

    /// Lets more late callers of the load that the previous flight runs come together before they ask, all at
    /// once, if it may be shared.
    pub(super) async fn gather(&self) {
        let previous = self.new.previous.as_ref().map(Waiter::flight);
        if let Some(previous) = previous.filter(|previous| previous.is_loading()) {
            let pause = pause_of_late_callers(previous.ask_late());
            // Once that load has ended there is nothing to wait for.
            let _ = tokio::time::timeout(pause, previous.has_result()).await;
        }
    }

    /// Notes that the store is about to be asked.
    pub(super) fn asking(&mut self, tick: Tick) {
        self.asked = Some(tick);
        self.new.flight.set_stage(Stage::Asking(tick));
    }

    /// Notes that the store will be asked again.
    pub(super) fn ask_again(&mut self, take: TakeLease) {
        self.take = take;
        self.new.flight.set_stage(Stage::Open);
    }

    /// Notes that the load begins, under `fence` if the store has granted the lease.
    pub(super) fn loading(&mut self, fence: Option<Fence>, stale: Option<Stale<V>>) {
        if let Some(known) = self.asked {
            let (fence, fallback) = (fence.clone(), Fallback::Kept);
            self.new.flight.set_stage(Stage::Loading { known, fence, fallback });
        }
        self.new.previous = None;
        self.new.hold = None;
        self.fence = fence;
        self.stale = stale;
    }

    /// The previous flight, if it loads under `fence`.
    pub(super) fn previous_under(&mut self, fence: &Fence) -> Option<Waiter> {
        self.new.previous.take().filter(|previous| previous.flight().is_loading_under(fence))
    }

    /// Returns true if the result of `previous` may be taken, of which the last question showed that it holds
    /// its lease, and `shown`.
    pub(super) fn may_follow(&self, previous: &Waiter, shown: Shown) -> bool {
        self.asked.is_some_and(|asked| previous.flight().confirm(asked, shown))
    }

    /// Takes the result of `previous`.
    pub(super) fn follow(self, previous: Waiter) {
        self.flights.follow(&self.new.key, &self.new.flight, previous);
        waits::now_follows(&self.new.flight);
    }

    /// The value that is there: stale, or to be replaced early.
    pub(super) fn previous_value(&self) -> Option<&Arc<V>> {
        self.stale.as_ref().map(Stale::value)
    }

    pub(super) fn to_load(&self) -> ToLoad<V> {
        ToLoad { key: self.key().to_owned(), previous: self.previous_value().cloned() }
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.new.flight.purpose()
    }

    /// Notes that the load has brought a value. It is not refreshed early for `pause`.
    pub(super) fn loaded(&self, pause: Duration) {
        self.flights.failed.forget(&self.new.key);
        self.pause_refreshes(pause);
    }

    /// Refreshes the key not before `pause` is over.
    pub(super) fn pause_refreshes(&self, pause: Duration) {
        self.flights.refreshed.remember(&self.new.key, Instant::now().checked_add(pause));
    }

    pub(super) fn finish(self, end: FlightEnd) {
        self.finish_here(end);
    }

    /// The first result is the one that counts.
    fn finish_here(&self, end: FlightEnd) {
        self.flights.finish(&self.new.key, &self.new.flight, end);
    }
}

impl<V: Value> OpenFlight<V> {
    /// Ends the flight with the stale value, if there is one whose time is not over, or the error.
    pub(super) fn fail(self, context: &Context, error: &Error) {
        let is_reload = self.purpose() == Purpose::Reload;
        let may_fall_back =
            |stale: &&Stale<V>| stale.lasts() && !is_reload && self.new.flight.falls_back();
        match self.stale.as_ref().filter(may_fall_back) {
            None => self.finish_here(Err(error.clone())),
            Some(stale) => {
                let retry_after = context.policy().load_retry_after;
                let until = Instant::now().checked_add(retry_after);
                self.flights.failed.remember(&self.new.key, until);
                match self.new.flight.is_detached() {
                    true => context.refresh_failed(self.key(), error),
                    false => context.serving_stale(self.key(), error),
                }
                self.finish_here(Ok(Brought::still_stale(stale)));
            }
        }
    }
}

fn take_for(purpose: Purpose) -> TakeLease {
    match purpose {
        Purpose::Miss(_) | Purpose::Stale => TakeLease::UnlessFresh,
        Purpose::Early(_) | Purpose::Reload => TakeLease::Always,
    }
}

impl<V> Drop for OpenFlight<V> {
    fn drop(&mut self) {
        if self.new.flight.is_under_way() {
            self.flights.give_up(&self.new.key, &self.new.flight, Err(dropped()));
        }
    }
}

impl<V> Stale<V> {
    pub(super) fn new(value: Arc<V>, times: Times) -> Self {
        Self { value, until: Until::after(times.left, Instant::now()), made: times.made }
    }

    pub(super) fn value(&self) -> &Arc<V> {
        &self.value
    }

    /// The end of the time for which the value may be returned.
    pub(super) fn until(&self) -> Until {
        self.until
    }

    /// The time at which the value was made, if it was recorded.
    pub(super) fn made(&self) -> Option<MadeAt> {
        self.made
    }

    /// Returns true if the value may still be returned.
    pub(super) fn lasts(&self) -> bool {
        self.until.lasts()
    }

    /// The answer of a call that makes do with the value.
    pub(super) fn answer(&self) -> Answer<Option<Arc<V>>> {
        let answer = Answer::new(Some(Arc::clone(&self.value)), Outcome::Stale);
        self.until.tell(answer).with_age_since(self.made)
    }
}

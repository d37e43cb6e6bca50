//! The task that serves a group of flights: asks the store, loads, fills, and ends each flight.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::Instrument;

use super::brought::Brought;
use super::dependencies::Declared;
use super::flight::{Fence, Group, Purpose, Waiter};
use super::flights::{Flights, Start};
use super::lease::Leases;
use super::loader::Loader;
use super::open::{OpenFlight, Stale};
use super::pace::{Pace, Pause, Told};
use super::plan::{Holder, Shown, Step, decide, is_due};
use super::waits;
use crate::engine::{Accept, Chain, Context, Found, Heard, LoadId, Outages, Started};
use crate::error::{Error, ErrorKind, Result};
use crate::lineage::Lineage;
use crate::region::MAX_STEP_KEYS;
use crate::stats::MissReason;
use crate::store::{Begun, BegunKey, Lease, LeaseTerms, LeaseToken, TakeLease};
use crate::value::serializer::Value;

/// A lease that is over is asked for this much later: the store's clock decides.
const AFTER_LEASE: Duration = Duration::from_millis(1);

/// Serves the flights that one call has started.
pub(super) struct GroupTask<V: Value> {
    pub(super) context: Arc<Context>,
    pub(super) flights: Arc<Flights>,
    pub(super) group: Arc<Group>,
    pub(super) accept: Accept,
    pub(super) id: Arc<LoadId>,
    pub(super) loader: Loader<V>,
    pub(super) declared: Option<Box<Declared>>,
    /// Many callers come at once.
    pub(super) is_crowded: bool,
    pub(super) chain: Option<Arc<Chain>>,
    pub(super) outages: Arc<Outages>,
    pub(super) leases: Leases,
    pub(super) deadline: Option<Instant>,
    /// The start of the call, and once the store was asked, of the turn: the store's limit counts from there.
    pub(super) started: Started,
    /// Flights without a result. Those that are left when the task ends, for whatever reason, end
    /// with it.
    pub(super) open: Vec<OpenFlight<V>>,
}

/// The leases of others that are in the way.
#[derive(Default)]
struct Held {
    by: Vec<LeaseToken>,
    least_left: Option<Duration>,
    /// Some answer did not say over which connection its changes are pushed.
    is_untold: bool,
}

impl<V: Value> GroupTask<V> {
    pub(super) fn spawn(self, runtime: &Handle, start: Start) {
        drop(runtime.spawn(self.run(start).in_current_span()));
    }

    /// Has the flights of `keys` take their leases although the store holds entries that are fresh to it: the
    /// call has seen that what they depend on has ended.
    pub(super) fn insist_on(&mut self, keys: &HashSet<&str>) {
        for flight in self.open.iter_mut().filter(|flight| keys.contains(flight.key())) {
            flight.take = TakeLease::Always;
        }
    }

    async fn run(mut self, start: Start) {
        if start == Start::Loading {
            let open = std::mem::take(&mut self.open);
            return self.load_unfenced(open).await;
        }
        self.wait_for_previous().await;
        if self.is_crowded {
            // Other processes may have such crowds too, and load already. Then this one has to listen: it need
            // not ask again if it does so before it asks.
            self.context.begin_to_listen();
        }
        let (mut pace, mut has_waited) = (Pace::new(), false);
        while !self.open.is_empty() && !self.group.is_abandoned() {
            // Before the question: a push that comes after its answer, and before the wait, counts too.
            let heard = self.context.heard();
            let mut held = Held::default();
            for take in [TakeLease::UnlessFresh, TakeLease::Always] {
                self.turn(take, &mut held).await;
            }
            self.started = Started::default();
            if held.by.is_empty() {
                continue;
            }
            if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return fail_all(self.open, &timed_out());
            }
            if !std::mem::replace(&mut has_waited, true) {
                self.context.counters().lease_waits.add(1);
            }
            if !self.wait(held, heard, &mut pace).await {
                return;
            }
        }
    }

    /// Waits for other loads, until the store pushes that something has happened in the region or it is
    /// time to ask again. Returns false once nobody waits for this load any more.
    async fn wait(&mut self, held: Held, heard: Option<Heard>, pace: &mut Pace) -> bool {
        if heard.is_none() && self.context.begin_to_listen() {
            // What was asked before is not covered.
            return true;
        }
        let _waiting: Vec<_> =
            held.by.iter().map(|holder| waits::wait_for_holder(&self.id, *holder)).collect();
        let heard = heard.filter(|_| !held.is_untold);
        let told = if heard.is_some() { Told::ByPush } else { Told::ByAnswerAlone };
        let Pause { least, most } = pace.next(told);
        // Processes that wait for one load ask at different times.
        let most = self.context.engine().random.jittered(most);
        let left = held.least_left.map_or(most, |left| left + AFTER_LEASE);
        let to_deadline = self.deadline.map(|deadline| deadline - Instant::now());
        let most = most.min(left).min(to_deadline.unwrap_or(most));
        let context = &self.context;
        let pushed = async {
            if !least.is_zero() {
                tokio::time::sleep(least).await;
            }
            match heard {
                Some(heard) => context.heard_since(heard).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = pushed => true,
            () = tokio::time::sleep(most) => true,
            () = self.group.abandoned() => false,
        }
    }

    /// Waits until the previous flights of the same keys have no question under way. So callers that
    /// come one after the other share questions.
    async fn wait_for_previous(&mut self) {
        let mut open = Vec::with_capacity(self.open.len());
        for flight in std::mem::take(&mut self.open) {
            let flight = tokio::select! {
                biased;
                flight = flight.after_previous() => flight,
                () = self.group.abandoned() => return,
            };
            match flight {
                Some(flight) => open.push(flight),
                None => self.context.counters().joined_loads.add(1),
            }
        }
        self.open = open;
        // The keys of a batch are no crowd: they would wait for each other.
        if let [flight] = &self.open[..] {
            tokio::select! {
                biased;
                () = flight.gather() => {}
                () = self.group.abandoned() => {}
            }
        }
    }

    /// Asks the store for the flights that take their lease like `take`, and does what is to do.
    async fn turn(&mut self, take: TakeLease, held: &mut Held) {
        let is_asked = |flight: &OpenFlight<V>| flight.take == take;
        let (mut asked, rest) = std::mem::take(&mut self.open).into_iter().partition(is_asked);
        self.open = rest;
        let mut to_load = Vec::new();
        while !asked.is_empty() {
            let rest: Vec<_> = asked.split_off(MAX_STEP_KEYS.min(asked.len()));
            match self.ask(&mut asked, take).await {
                Ok(begun) => match self.found(&asked, &begun).await {
                    Ok(found) => to_load.extend(self.answered(asked, begun, found, held)),
                    Err(error) => {
                        self.leases.release(asked.iter().map(OpenFlight::key));
                        fail_all(asked, &error);
                    }
                },
                Err(error) if self.context.is_miss(&error) => {
                    self.outages.remember(&self.context.engine().store, &error);
                    asked.extend(rest);
                    self.load_unfenced(asked).await;
                    break;
                }
                Err(error) => fail_all(asked, &error),
            }
            asked = rest;
        }
        self.load_fenced(to_load).await;
    }

    async fn ask(&mut self, asked: &mut [OpenFlight<V>], take: TakeLease) -> Result<Begun> {
        let tick = self.flights.tick();
        asked.iter_mut().for_each(|flight| flight.asking(tick));
        let keys: Vec<_> = asked.iter().map(OpenFlight::key).collect();
        self.leases.asked(keys.iter().copied());
        let (token, duration) = (self.leases.token(), self.context.policy().lease);
        let mut terms = LeaseTerms::new(token, duration).take(take);
        terms.started = Some(self.started.note());
        let begun = self.context.begin(&keys, terms).await;
        match begun {
            Ok(begun) if begun.keys.len() == keys.len() => {
                let of_others = begun.keys.iter().map(|key| key.lease != Lease::Granted);
                for (key, _) in keys.iter().zip(of_others).filter(|(_, of_others)| *of_others) {
                    self.leases.settled(key);
                }
                Ok(begun)
            }
            other => {
                self.leases.release(keys);
                let wrong = "the store answered for other keys";
                Err(other.err().unwrap_or_else(|| Error::new(ErrorKind::Protocol, wrong)))
            }
        }
    }

    /// The values that an answer shows. Markers are read after it, so that callers may share them who
    /// came before it was asked for.
    async fn found(&mut self, asked: &[OpenFlight<V>], begun: &Begun) -> Result<Vec<Found<V>>> {
        let entries = asked.iter().zip(&begun.keys).map(|(flight, answer)| {
            let entry = answer.entry.clone().ok_or(MissReason::Absent);
            self.context.find_in::<V>(flight.key(), entry, self.accept, None)
        });
        let mut found: Vec<_> = entries.collect();
        let resolving = self.context.resolve_all(&mut found, self.accept, None, self.started);
        let resolved = resolving.await?;
        if let Some(outage) = &resolved.outage {
            self.outages.remember(&self.context.engine().store, outage);
        }
        Ok(found)
    }

    /// Does what is to do after an answer; the flights that have to be loaded.
    fn answered(
        &mut self,
        asked: Vec<OpenFlight<V>>,
        begun: Begun,
        found: Vec<Found<V>>,
        held: &mut Held,
    ) -> Vec<OpenFlight<V>> {
        let (lineage, keys) = (begun.lineage, begun.keys);
        held.is_untold |= begun.source.is_none();
        let mut to_load = Vec::new();
        for ((mut flight, answer), found) in asked.into_iter().zip(keys).zip(found) {
            let BegunKey { lease, .. } = answer;
            let times = found.times();
            let (shown, value) = shown(found, flight.purpose());
            let (holder, previous) = holder(&mut flight, lease, &lineage);
            match (decide(shown, holder), previous) {
                (Step::Return, _) => {
                    if let (Shown::Due, Lease::Held { left, .. }) = (shown, lease) {
                        // Another process refreshes it. No need to ask for as long as it lives.
                        flight.pause_refreshes(left);
                    }
                    flight.finish(Ok(Brought::shown(value, times)));
                }
                (Step::ReturnAndRelease, _) => {
                    self.leases.release([flight.key()]);
                    flight.finish(Ok(Brought::shown(value, times)));
                }
                (Step::ReturnStale, _) => flight.finish(Ok(Brought::stale(value, times))),
                (Step::Load, _) => {
                    let token = self.leases.token();
                    let stale = value.zip(times).map(|(value, times)| Stale::new(value, times));
                    flight.loading(Some(Fence { lineage: lineage.clone(), token }), stale);
                    to_load.push(flight);
                }
                (Step::Follow, Some(previous)) if flight.may_follow(&previous, shown) => {
                    self.context.counters().joined_loads.add(1);
                    flight.follow(previous);
                }
                (Step::Follow | Step::InsistOnLease, _) => {
                    flight.ask_again(TakeLease::Always);
                    self.open.push(flight);
                }
                (Step::WaitAtMost(left), _) => {
                    held.add(lease, left);
                    // The other's load may bring what this one insisted on.
                    flight.ask_again(flight.take_at_first());
                    self.open.push(flight);
                }
            }
        }
        to_load
    }
}

impl Held {
    fn add(&mut self, lease: Lease, left: Duration) {
        if let Lease::Held { by, .. } = lease {
            self.by.push(by);
        }
        self.least_left = Some(self.least_left.map_or(left, |least| least.min(left)));
    }
}

/// The value that the store showed, and what it is to a load for this purpose.
fn shown<V>(found: Found<V>, purpose: Purpose) -> (Shown, Option<Arc<V>>) {
    match (found, purpose) {
        (Found::Fresh(value, _) | Found::Stale(value, _), Purpose::Reload) => {
            (Shown::Nothing, Some(value))
        }
        (Found::Absent, Purpose::Reload) => (Shown::Nothing, None),
        (Found::Absent, _) => (Shown::Fresh, None),
        (Found::Fresh(value, times), Purpose::Early(lead)) if is_due(times.left, lead) => {
            (Shown::Due, Some(value))
        }
        (Found::Fresh(value, _), _) => (Shown::Fresh, Some(value)),
        (Found::Stale(value, _), _) => (Shown::Stale, Some(value)),
        (Found::Nothing(_) | Found::Depending(_), _) => (Shown::Nothing, None),
    }
}

/// The holder of the lease of `flight`, and the previous flight if that is the holder.
fn holder<V>(
    flight: &mut OpenFlight<V>,
    lease: Lease,
    lineage: &Lineage,
) -> (Holder, Option<Waiter>) {
    match lease {
        Lease::Granted => (Holder::Us, None),
        Lease::NotTaken => (Holder::Nobody, None),
        Lease::Held { by, left } => {
            match flight.previous_under(&Fence { lineage: lineage.clone(), token: by }) {
                Some(previous) => (Holder::Previous, Some(previous)),
                None => (Holder::Other { left }, None),
            }
        }
    }
}

pub(super) fn fail_all<V>(open: Vec<OpenFlight<V>>, error: &Error) {
    open.into_iter().for_each(|flight| flight.finish(Err(error.clone())));
}

pub(super) fn timed_out() -> Error {
    Error::new(ErrorKind::LoadTimeout, "the load took longer than the policy's limit").retryable()
}

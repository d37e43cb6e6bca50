//! What has to be so once nothing fails: all see the last state, and loads are single again.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::RngExt;

use super::ms;
use super::report::Report;
use super::world::World;
use crate::check::Violation;
use crate::event::{Action, Load, LoadResult, OpId, Outcome, Place, Verb, What};
use crate::item::{Kind, ValueId, id_of};
use crate::message::{Answer, Command};
use crate::setup::{KEYS, LEASE, REGIONS};

/// The longest time until all is as it has to be, on a busy machine.
const CALM_WITHIN: Duration = Duration::from_secs(60);

/// A lifetime in milliseconds that does not end before a calm does.
const LONG: u64 = 600_000;

/// The duration of a load that all ask for at once, in milliseconds.
const LOAD: u64 = 100;

/// The keys whose loads are counted.
const LOADED: usize = 3;

/// Ids of the controller's own values have this as the number of their process.
const OWN: usize = 0xff_fff;

impl World {
    /// Ends all operations and lets everything converge. What does not is a violation.
    pub(super) async fn calm(&mut self, report: &mut Report) {
        let resting = self.slots.iter().map(|slot| slot.worker.try_ask(Command::Rest));
        join_all(resting).await;
        // Leases of processes that were killed end, and with them waits of others.
        tokio::time::sleep(LEASE).await;
        self.sync();
        for (slot, cache) in self.caches() {
            let place = Place { region: 0, key: slot % KEYS };
            for action in [Action::Set(place, self.new_id(), None), Action::Get(place, Kind::Small)]
            {
                self.until_done(report, slot, cache, &action).await;
            }
        }
        if std::mem::take(&mut self.has_killed) & std::mem::take(&mut self.has_lost) {
            // What a failover has lost of a process that is no more nobody else can tell again.
            self.until_done(report, 0, 0, &Action::End(0, Verb::Invalidate)).await;
        }
        self.log.record(What::Calm);
        for region in 0..REGIONS.len() {
            for key in 0..KEYS {
                self.converge(report, Place { region, key }).await;
            }
        }
        for _ in 0..LOADED {
            self.load_once(report).await;
        }
        self.count().await;
    }

    /// One process stores a value, all others have to see it.
    async fn converge(&mut self, report: &mut Report, place: Place) {
        let caches = self.caches();
        let (slot, cache) = caches[self.rng.random_range(0..caches.len())];
        let id = self.new_id();
        let ttl = Some(LONG);
        if !self.until_done(report, slot, cache, &Action::Set(place, id, ttl)).await {
            return;
        }
        let has_region_ttl = self.lifetimes().region_ttl > 0;
        let world = &*self;
        let waiting = caches.into_iter().map(|(slot, cache)| async move {
            let deadline = Instant::now() + CALM_WITHIN;
            loop {
                let found = world.ask(slot, cache, &Action::Get(place, Kind::Small)).await;
                match &found {
                    Some(Outcome::Values(values)) if values[0] == Some(id) => return None,
                    // The region's own lifetime may have ended.
                    Some(Outcome::Values(values)) if values[0].is_none() && has_region_ttl => {
                        return None;
                    }
                    _ if Instant::now() >= deadline => {
                        return Some(format!(
                            "{place:?}: {slot}.{cache} reads {found:?}, not {id}"
                        ));
                    }
                    _ => tokio::time::sleep(ms(10)).await,
                }
            }
        });
        let seen = join_all(waiting).await;
        seen.into_iter().flatten().for_each(|message| found(report, 5, message));
    }

    /// All ask for one key at once, and one load is made.
    async fn load_once(&mut self, report: &mut Report) {
        let region = self.rng.random_range(0..REGIONS.len());
        let place = Place { region, key: self.rng.random_range(0..KEYS) };
        if !self.until_done(report, 0, 0, &Action::End(region, Verb::Invalidate)).await {
            return;
        }
        let load = Load {
            result: LoadResult::Value,
            takes: LOAD,
            ttl: Some(LONG),
            reload: false,
            on: None,
            adds: None,
        };
        let action = &Action::Compute(place, Kind::Small, load);
        let caches = self.caches();
        let asking = caches.iter().map(|(slot, cache)| async {
            self.slots[*slot].worker.try_ask(Command::Do(*cache, action.clone())).await
        });
        let answers: Vec<Answer> = join_all(asking).await.into_iter().flatten().collect();
        let loads: u64 = answers.iter().map(|answer| answer.loads).sum();
        let outcomes: Vec<_> = answers.into_iter().filter_map(|answer| answer.outcome).collect();
        let has_failed = outcomes.iter().any(|outcome| !matches!(outcome, Outcome::Values(_)));
        let has_region_ttl = self.lifetimes().region_ttl > 0;
        if has_failed || loads == 0 || loads > 1 && !has_region_ttl {
            found(report, 7, format!("{place:?}: {loads} loads in a calm: {outcomes:?}"));
        }
    }

    /// Performs an operation until it is done, and returns true if it is.
    async fn until_done(
        &self,
        report: &mut Report,
        slot: usize,
        cache: usize,
        action: &Action,
    ) -> bool {
        let deadline = Instant::now() + CALM_WITHIN;
        loop {
            match self.ask(slot, cache, action).await {
                Some(Outcome::Done | Outcome::Values(_)) => return true,
                outcome if Instant::now() >= deadline => {
                    let what = action.name();
                    let message = format!("{what} by {slot}.{cache} in a calm: {outcome:?}");
                    found(report, 10, message);
                    return false;
                }
                _ => tokio::time::sleep(ms(20)).await,
            }
        }
    }

    async fn ask(&self, slot: usize, cache: usize, action: &Action) -> Option<Outcome> {
        self.slots[slot].worker.try_ask(Command::Do(cache, action.clone())).await?.outcome
    }

    /// A name for a value of the type `Small`.
    fn new_id(&mut self) -> ValueId {
        self.values += 10;
        id_of(OWN, self.values + 1)
    }
}

fn found(report: &mut Report, promise: u32, message: String) {
    const NO_OP: OpId = 0;
    report.violations.push(Violation { promise, op: NO_OP, message, history: Vec::new() });
}

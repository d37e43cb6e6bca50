//! The waits of loads for other loads, so that loads that wait for each other get an error instead
//! of waiting for ever.
//!
//! A caller inside a load waits for a flight; a flight follows another one or is served by its
//! group; a group waits for a lease that another load holds. The first and the last are kept here,
//! for the whole process; the others are read off the flights.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::flight::{Flight, Waiter};
use crate::engine::LoadId;
use crate::error::{Error, ErrorKind, Result};
use crate::region::Answer;
use crate::store::LeaseToken;
use crate::value::serializer::Value;

static WAITS: LazyLock<Mutex<Waits>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Waits {
    loads: HashMap<LeaseToken, Load>,
    next: u64,
}

/// A load that waits for others.
struct Load {
    id: Arc<LoadId>,
    waits: Vec<Wait>,
}

struct Wait {
    number: u64,
    for_what: Target,
    /// Ends the wait with an error. A wait for a lease has none: it is not a caller's.
    end: Option<oneshot::Sender<Error>>,
}

#[derive(Clone)]
enum Target {
    Flight(Arc<Flight>),
    Load(LeaseToken),
}

/// One wait. Dropping it ends it.
pub(super) struct Waiting {
    load: LeaseToken,
    number: u64,
}

/// One step of the way from a load back to itself.
struct Step {
    load: LeaseToken,
    number: u64,
}

/// Waits for the result of a flight, from inside of `load`.
///
/// # Errors
/// [`ErrorKind::LoadCycle`] if the flight waits for `load`, from the start or from some moment on.
pub(super) async fn answer_inside<V: Value>(
    load: &Arc<LoadId>,
    waiter: &Waiter,
) -> Result<Answer<Option<Arc<V>>>> {
    let (end, ended) = oneshot::channel();
    let target = Target::Flight(Arc::clone(waiter.flight()));
    let _waiting = {
        let mut waits = WAITS.lock();
        if let Some(steps) = waits.path(&target, &Target::Load(load.token)) {
            return Err(cycle(load, waits.names(&steps)));
        }
        waits.add(load, target, Some(end))
    };
    tokio::select! {
        biased;
        answer = waiter.answer() => answer,
        Ok(error) = ended => Err(error),
    }
}

/// Notes that the task of `load` waits for a lease held by `holder`, until the answer is dropped.
/// A caller that this makes wait for itself gets an error.
pub(super) fn wait_for_holder(load: &Arc<LoadId>, holder: LeaseToken) -> Waiting {
    let mut waits = WAITS.lock();
    waits.break_cycle(&Target::Load(holder), &Target::Load(load.token));
    waits.add(load, Target::Load(holder), None)
}

/// Looks for a cycle after `flight` has begun to follow another one. A caller that this makes wait
/// for itself gets an error.
pub(super) fn now_follows(flight: &Arc<Flight>) {
    let mut waits = WAITS.lock();
    // Without a load that waits there is no cycle.
    if let Some(followed) = flight.followed().filter(|_| !waits.loads.is_empty()) {
        waits.break_cycle(&Target::Flight(followed), &Target::Flight(Arc::clone(flight)));
    }
}

/// The error of a caller inside of `load` that would wait for `load` itself, by way of the loads in
/// `others`.
pub(super) fn cycle(load: &LoadId, others: impl IntoIterator<Item = String>) -> Error {
    let mut chain = load.to_string();
    for other in others {
        chain.push_str(" -> ");
        chain.push_str(&other);
    }
    let message = format!("loads wait for each other: {chain} -> {load}");
    Error::new(ErrorKind::LoadCycle, message)
}

impl Waits {
    fn add(
        &mut self,
        load: &Arc<LoadId>,
        for_what: Target,
        end: Option<oneshot::Sender<Error>>,
    ) -> Waiting {
        let number = self.next;
        self.next += 1;
        let id = Arc::clone(load);
        let entry = self.loads.entry(load.token).or_insert(Load { id, waits: Vec::new() });
        entry.waits.push(Wait { number, for_what, end });
        Waiting { load: load.token, number }
    }

    fn remove(&mut self, load: LeaseToken, number: u64) -> Option<Wait> {
        let waits = &mut self.loads.get_mut(&load)?.waits;
        let at = waits.iter().position(|wait| wait.number == number)?;
        let wait = waits.swap_remove(at);
        if waits.is_empty() {
            self.loads.remove(&load);
        }
        Some(wait)
    }

    /// Gives an error to callers until `from` does not wait for `to` any more.
    fn break_cycle(&mut self, from: &Target, to: &Target) {
        while let Some(steps) = self.path(from, to) {
            let is_a_caller = |step: &Step| {
                let load = self.loads.get(&step.load);
                let mut waits = load.into_iter().flat_map(|load| &load.waits);
                waits.any(|wait| wait.number == step.number && wait.end.is_some())
            };
            let Some(at) = steps.iter().rposition(is_a_caller) else {
                // Only leases are waited for. They end: nobody's loader is held up.
                return;
            };
            let load = self.loads.get(&steps[at].load).map(|load| Arc::clone(&load.id));
            let others = self.names(&steps[at + 1..]).into_iter().chain(self.names(&steps[..at]));
            let others: Vec<_> = others.collect();
            let wait = self.remove(steps[at].load, steps[at].number);
            if let (Some(load), Some(end)) = (load, wait.and_then(|wait| wait.end)) {
                // A caller that has gone away needs no error.
                let _ = end.send(cycle(&load, others));
            }
        }
    }

    fn names(&self, steps: &[Step]) -> Vec<String> {
        let name = |step: &Step| self.loads.get(&step.load).map(|load| load.id.to_string());
        steps.iter().filter_map(name).collect()
    }

    /// The loads by way of which `from` waits for `to`.
    fn path(&self, from: &Target, to: &Target) -> Option<Vec<Step>> {
        let mut seen = HashSet::new();
        let mut open = vec![(from.clone(), 0, None)];
        let mut path = Vec::new();
        while let Some((target, depth, step)) = open.pop() {
            path.truncate(depth);
            path.extend(step);
            let load = match target.towards(to) {
                Towards::There => return Some(path),
                Towards::Load(load) => load,
                Towards::Nothing => continue,
            };
            if !seen.insert(load) {
                continue;
            }
            for wait in self.loads.get(&load).into_iter().flat_map(|load| &load.waits) {
                let step = Step { load, number: wait.number };
                open.push((wait.for_what.clone(), path.len(), Some(step)));
            }
        }
        None
    }
}

/// The next on the way from a target.
enum Towards {
    There,
    Load(LeaseToken),
    /// The target waits for nothing.
    Nothing,
}

impl Target {
    fn towards(&self, to: &Self) -> Towards {
        let load = match self {
            Self::Load(load) => *load,
            Self::Flight(flight) => {
                let mut flight = Arc::clone(flight);
                loop {
                    if matches!(to, Self::Flight(to) if Arc::ptr_eq(to, &flight)) {
                        return Towards::There;
                    }
                    match flight.followed() {
                        Some(followed) => flight = followed,
                        None if flight.is_under_way() => break flight.group().token,
                        None => return Towards::Nothing,
                    }
                }
            }
        };
        match to {
            Self::Load(to) if *to == load => Towards::There,
            _ => Towards::Load(load),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(WAITS.lock().remove(self.load, self.number));
    }
}

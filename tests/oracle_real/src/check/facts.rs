//! The history, sorted by what it is about.

use std::collections::HashMap;

use super::cover::Kill;
use crate::clock::Micros;
use crate::event::{Action, Event, LoadId, OpId, Outcome, Place, What};
use crate::item::ValueId;
use crate::setup::{ProcessSetup, REGIONS};

/// A time that has not come.
pub(super) const NEVER: Micros = Micros::MAX;

/// An operation.
pub(super) struct Op<'a> {
    pub(super) id: OpId,
    pub(super) process: usize,
    pub(super) cache: usize,
    pub(super) action: &'a Action,
    pub(super) begin: Micros,
    /// `None`: its process was killed.
    pub(super) end: Option<(Micros, &'a Outcome)>,
}

/// A change that is known to have been made, between its begin and its end.
pub(super) struct Change<'a> {
    pub(super) op: &'a Op<'a>,
    pub(super) end: Micros,
}

/// A load.
pub(super) struct Load<'a> {
    pub(super) process: usize,
    pub(super) begin: Micros,
    pub(super) end: Option<Micros>,
    pub(super) places: &'a [Place],
    pub(super) ttl: Option<u64>,
    /// The regions that its values depend on, and since when.
    pub(super) on: Vec<(usize, Micros)>,
}

/// A making of a value.
#[derive(Clone)]
pub(super) struct Origin {
    /// The value is not of before this time.
    pub(super) from: Micros,
    /// It is not of after this one, as far as is known.
    pub(super) to: Micros,
    /// It was made by this process, which has given it up at `to` without knowing if it was done.
    pub(super) unknown_of: Option<usize>,
    /// The load that brought it.
    pub(super) load: Option<LoadId>,
    /// It was stored at this time at the latest.
    pub(super) stored: Micros,
    /// Its lifetime, in milliseconds.
    pub(super) ttl: Option<u64>,
}

/// A value.
pub(super) struct Value {
    pub(super) place: Place,
    pub(super) origins: Vec<Origin>,
}

/// The time between the holding of a copy and the calm after the failover to it.
pub(super) struct Loss {
    pub(super) held: Micros,
    pub(super) failed_over: Micros,
    pub(super) calm: Micros,
}

pub(super) struct Facts<'a> {
    pub(super) setups: &'a [ProcessSetup],
    pub(super) ops: Vec<Op<'a>>,
    pub(super) values: HashMap<ValueId, Value>,
    /// The loads that found that there is no value.
    pub(super) absences: HashMap<Place, Vec<Origin>>,
    pub(super) loads: HashMap<LoadId, Load<'a>>,
    pub(super) losses: Vec<Loss>,
    pub(super) calms: Vec<Micros>,
    /// When each process was stopped, and went on.
    pub(super) stops: HashMap<usize, Vec<(Micros, Micros)>>,
}

/// Changes by their places, in the order of their begins.
pub(super) struct Changes<'a> {
    by_place: HashMap<Place, Vec<(Change<'a>, Kill, Option<ValueId>)>>,
    /// Those that end all of a region.
    by_region: Vec<Vec<(Change<'a>, Kill)>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(setups: &'a [ProcessSetup], events: &'a [Event]) -> Self {
        let mut facts = Self {
            setups,
            ops: Vec::new(),
            values: HashMap::new(),
            absences: HashMap::new(),
            loads: HashMap::new(),
            losses: Vec::new(),
            calms: Vec::new(),
            stops: HashMap::new(),
        };
        let mut places = HashMap::new();
        for event in events {
            facts.add(event, &mut places);
        }
        facts.add_stored();
        facts
    }

    fn add(&mut self, event: &'a Event, places: &mut HashMap<OpId, usize>) {
        let (at, process) = (event.at, event.process);
        match &event.what {
            What::Begin { op, cache, action } => {
                places.insert(*op, self.ops.len());
                let (id, cache, begin, end) = (*op, *cache, at, None);
                self.ops.push(Op { id, process, cache, action, begin, end });
            }
            What::End { op, outcome } => {
                if let Some(op) = places.get(op).and_then(|index| self.ops.get_mut(*index)) {
                    op.end = Some((at, outcome));
                }
            }
            What::LoadBegin { load, places, ttl, .. } => {
                let (begin, end, on, ttl) = (at, None, Vec::new(), *ttl);
                self.loads.insert(*load, Load { process, begin, end, places, ttl, on });
            }
            What::DependsOn { load, region } => {
                if let Some(load) = self.loads.get_mut(load) {
                    load.on.push((*region, at));
                }
            }
            What::LoadEnd { load, values } => self.add_result(at, *load, values),
            What::Stopped => self.stops.entry(process).or_default().push((at, NEVER)),
            What::Continued => {
                if let Some(stop) = self.stops.entry(process).or_default().last_mut() {
                    stop.1 = at;
                }
            }
            What::CopyHeld => {
                self.losses.push(Loss { held: at, failed_over: NEVER, calm: NEVER });
            }
            What::FailedOver => {
                if let Some(loss) = self.losses.last_mut() {
                    loss.failed_over = loss.failed_over.min(at);
                }
            }
            What::Calm => {
                self.calms.push(at);
                for loss in &mut self.losses {
                    loss.calm = loss.calm.min(at);
                }
            }
            What::Killed | What::Fault(_) => {}
        }
    }

    fn add_result(&mut self, at: Micros, id: LoadId, values: &[Option<ValueId>]) {
        let Some(load) = self.loads.get_mut(&id) else { return };
        load.end = Some(at);
        let ttl = load.ttl.or_else(|| policy_ttl(&self.setups[load.process]));
        let (from, to, stored) = (load.begin, load.begin, at);
        let origin = Origin { from, to, unknown_of: None, load: Some(id), stored, ttl };
        for (place, value) in load.places.iter().zip(values) {
            match value {
                Some(value) => {
                    let new = || Value { place: *place, origins: Vec::new() };
                    self.values.entry(*value).or_insert_with(new).origins.push(origin.clone());
                }
                None => self.absences.entry(*place).or_default().push(origin.clone()),
            }
        }
    }

    /// Adds the values that operations have stored, or may have.
    fn add_stored(&mut self) {
        for op in &self.ops {
            // One that was refused because there was a value has stored nothing.
            if matches!(op.end, Some((_, Outcome::Said(false)))) {
                continue;
            }
            let ttl = match op.action {
                Action::Set(_, _, Some(ttl)) => Some(*ttl),
                _ => policy_ttl(&self.setups[op.process]),
            };
            let is_known = matches!(op.end, Some((_, Outcome::Done | Outcome::Said(true))));
            let to = op.end.map_or(NEVER, |(at, _)| at);
            let stored = if is_known { to } else { NEVER };
            let unknown_of = (!is_known).then_some(op.process);
            let origin = Origin { from: op.begin, to, unknown_of, load: None, stored, ttl };
            for (place, id) in op.action.stored() {
                let new = || Value { place, origins: Vec::new() };
                self.values.entry(id).or_insert_with(new).origins.push(origin.clone());
            }
        }
    }

    /// The calm that follows a time.
    pub(super) fn calm_after(&self, at: Micros) -> Micros {
        let index = self.calms.partition_point(|calm| *calm <= at);
        self.calms.get(index).copied().unwrap_or(NEVER)
    }

    pub(super) fn changes(&self) -> Changes<'_> {
        let by_region = REGIONS.iter().map(|_| Vec::new()).collect();
        let mut changes = Changes { by_place: HashMap::new(), by_region };
        for op in &self.ops {
            changes.add(op);
        }
        changes
    }
}

fn policy_ttl(setup: &ProcessSetup) -> Option<u64> {
    (setup.lifetimes.ttl > 0).then_some(setup.lifetimes.ttl)
}

impl<'a> Changes<'a> {
    fn add(&mut self, op: &'a Op<'a>) {
        let Some((end, outcome)) = op.end else { return };
        let place = |region: usize, key: usize| Place { region, key };
        let took = matches!(outcome, Outcome::Values(values) if values[0].is_some());
        match (op.action, outcome) {
            (_, Outcome::Cancelled | Outcome::Failed(_) | Outcome::Foreign(_)) => {}
            (Action::End(region, verb), _) => {
                for (of, path) in REGIONS.iter().enumerate() {
                    if let Some(kill) = Kill::by_verb(*verb, REGIONS[*region], path) {
                        self.by_region[of].push((Change { op, end }, kill));
                    }
                }
            }
            (Action::Remove(at), _) => self.put(op, end, *at, None),
            (Action::Take(at, _), _) if took => self.put(op, end, *at, None),
            (Action::RemoveMany(region, keys), _) => {
                keys.iter().for_each(|key| self.put(op, end, place(*region, *key), None));
            }
            (Action::Transact(region, writes), _) => {
                writes.iter().for_each(|(key, id)| self.put(op, end, place(*region, *key), *id));
            }
            (Action::SetIfAbsent(..), Outcome::Said(false)) => {}
            (action, _) => {
                action.stored().iter().for_each(|(at, id)| self.put(op, end, *at, Some(*id)));
            }
        }
    }

    fn put(&mut self, op: &'a Op<'a>, end: Micros, place: Place, value: Option<ValueId>) {
        let all = self.by_place.entry(place).or_default();
        all.push((Change { op, end }, Kill::Gone, value));
    }

    /// The changes that end a value at `place`, of those that began after `since` and before `until`.
    pub(super) fn of_place(
        &self,
        place: Place,
        value: Option<ValueId>,
        since: Micros,
        until: Micros,
    ) -> impl Iterator<Item = (&Change<'a>, Kill)> {
        let all = self.by_place.get(&place).map_or(&[][..], Vec::as_slice);
        let from = all.partition_point(|(change, ..)| change.op.begin <= since);
        let own = all[from..].iter().take_while(move |(change, ..)| change.op.begin < until);
        let own = own.filter(move |(.., new)| new.is_none() || *new != value);
        own.map(|(change, kill, _)| (change, *kill)).chain(self.of_region(
            place.region,
            since,
            until,
        ))
    }

    /// The changes that end all of a region, of those that began after `since` and before `until`.
    pub(super) fn of_region(
        &self,
        region: usize,
        since: Micros,
        until: Micros,
    ) -> impl Iterator<Item = (&Change<'a>, Kill)> {
        let all = &self.by_region[region];
        let from = all.partition_point(|(change, _)| change.op.begin <= since);
        let ended = all[from..].iter().take_while(move |(change, _)| change.op.begin < until);
        ended.map(|(change, kill)| (change, *kill))
    }
}

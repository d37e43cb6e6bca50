//! The history, sorted by what it is about.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reach::is_within;
use crate::history::{Effect, Event, History, Outcome, Seq, ValueId, What};
use crate::plan::{Action, Form, Key, Plan, Step};

/// A moment: its place in the history and its virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) seq: Seq,
    pub(super) at: Duration,
}

/// A step as it was done.
pub(super) struct Done<'a> {
    pub(super) step: &'a Step,
    pub(super) process: usize,
    pub(super) begin: Moment,
    /// `None`: it never ended.
    pub(super) end: Option<(Moment, &'a Outcome)>,
}

/// A change of the store.
pub(super) struct Change<'a> {
    pub(super) when: Moment,
    pub(super) process: Option<usize>,
    pub(super) late: bool,
    pub(super) effect: &'a Effect,
    /// It is queued: for its process it is as if it was made.
    pub(super) is_queued: bool,
}

/// A load that ran.
pub(super) struct Load<'a> {
    pub(super) number: usize,
    pub(super) step: usize,
    pub(super) process: usize,
    pub(super) keys: &'a [Key],
    pub(super) begin: Moment,
    pub(super) end: Option<Moment>,
    /// The regions that its value depends on, and since when.
    pub(super) depends_on: Vec<(usize, Seq)>,
}

/// A making of a value: it is as of a moment.
pub(super) struct Origin {
    pub(super) as_of: Seq,
    /// The load that brought it; `None`: it was set.
    pub(super) load: Option<usize>,
}

/// A value.
pub(super) struct Value {
    pub(super) key: Key,
    pub(super) form: Form,
    pub(super) origins: Vec<Origin>,
    /// When it was stored, for how long.
    pub(super) puts: Vec<(Moment, Option<Duration>)>,
}

impl Value {
    fn new(key: Key, form: Form) -> Self {
        Self { key, form, origins: Vec::new(), puts: Vec::new() }
    }
}

/// How a process was told of a change, if not at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// Later, or not by the end.
    Later(Option<Seq>),
    /// By the loss of the connection; and pushes were relied on until then, if that is known.
    ByLoss(Option<Moment>, Option<Duration>),
    Never,
}

/// The time in which the replica shows what the primary held at `shows`.
pub(super) struct Lag {
    pub(super) shows: Seq,
    pub(super) until: Moment,
}

/// A time in which nothing came over the connection of a process.
pub(super) struct Silence {
    process: usize,
    since: Seq,
    /// The time until which pushes were relied on, if that is limited.
    pub(super) covered_until: Option<Duration>,
    /// The connection was lost, and that ended it.
    pub(super) lost: Option<Moment>,
}

pub(super) struct Facts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) steps: BTreeMap<usize, Done<'a>>,
    pub(super) changes: Vec<Change<'a>>,
    pub(super) loads: BTreeMap<usize, Load<'a>>,
    pub(super) values: BTreeMap<ValueId, Value>,
    pub(super) told: BTreeMap<(usize, Seq), Vec<Told>>,
    pub(super) lags: Vec<Lag>,
    /// Replicas may show what the primary held so long before.
    pub(super) lag: Duration,
    /// The steps whose changes are queued.
    pub(super) queued: Vec<(usize, Seq)>,
    /// The loads that have found that there is no value, by their keys.
    pub(super) absences: Vec<(Key, usize)>,
    /// When a replica took the place of the primary, and the last change that it had.
    pub(super) failovers: Vec<(Moment, Seq)>,
    /// When the store was put back, and to what moment.
    pub(super) rollbacks: Vec<(Moment, Seq)>,
    /// The steps that have made values, to set them.
    pub(super) made: BTreeMap<ValueId, usize>,
    /// The keys whose leases nobody has given back.
    pub(super) leases_left: Vec<Key>,
    /// When processes died.
    pub(super) killed: Vec<(usize, Seq)>,
    /// When calls of each process to the store were over, and true if that was by an answer.
    pub(super) answered: BTreeMap<usize, Vec<(Seq, bool)>>,
    /// When answers of the primary have reached the store of each process, where that is recorded.
    pub(super) reached: BTreeMap<usize, Vec<Seq>>,
    /// The processes that use the stores of others.
    pub(super) shares: BTreeMap<usize, usize>,
    /// True if something has happened to a server.
    pub(super) servers_failed: bool,
    /// The times in which the connection of a process carried nothing.
    silences: Vec<Silence>,
    pub(super) end: Moment,
}

impl<'a> Facts<'a> {
    pub(super) fn new(plan: &'a Plan, history: &'a History) -> Self {
        let at = history.events().last().map_or(Duration::ZERO, |event| event.at);
        let mut facts = Self {
            plan,
            steps: BTreeMap::new(),
            changes: Vec::new(),
            loads: BTreeMap::new(),
            values: BTreeMap::new(),
            told: BTreeMap::new(),
            lags: Vec::new(),
            lag: Duration::ZERO,
            queued: Vec::new(),
            absences: Vec::new(),
            failovers: Vec::new(),
            rollbacks: Vec::new(),
            made: BTreeMap::new(),
            leases_left: Vec::new(),
            killed: Vec::new(),
            answered: BTreeMap::new(),
            reached: BTreeMap::new(),
            shares: BTreeMap::new(),
            servers_failed: false,
            silences: Vec::new(),
            end: Moment { seq: history.events().len(), at },
        };
        let steps = plan.clients.iter().flat_map(|client| {
            let process = client.process;
            client.steps.iter().filter_map(move |step| Some((step.number, (process?, step))))
        });
        let steps: BTreeMap<_, _> = steps.collect();
        for (seq, Event { at, what }) in history.events().iter().enumerate() {
            facts.add(Moment { seq, at: *at }, what, &steps);
        }
        facts
    }

    fn add(&mut self, now: Moment, what: &'a What, steps: &BTreeMap<usize, (usize, &'a Step)>) {
        match what {
            What::Begin { step } => {
                if let Some(&(process, of)) = steps.get(step) {
                    self.steps.insert(*step, Done { step: of, process, begin: now, end: None });
                }
            }
            What::End { step, outcome } => {
                if let Some(done) = self.steps.get_mut(step) {
                    done.end = Some((now, outcome));
                }
            }
            What::Made { value, key, step } => {
                let form = self.form_of(*step);
                self.made.insert(*value, *step);
                self.values.entry(*value).or_insert(Value::new(*key, form));
            }
            What::LoadBegin { load, step, process, keys } => {
                let (number, step, process, depends_on) = (*load, *step, *process, Vec::new());
                let load = Load { number, step, process, keys, begin: now, end: None, depends_on };
                self.loads.insert(number, load);
            }
            What::LoadEnd { load, result } => self.add_result(now, *load, result.as_deref()),
            What::DependsOn { load, region } => {
                if let Some(load) = self.loads.get_mut(load) {
                    load.depends_on.push((*region, now.seq));
                }
            }
            What::Executed { process, late, effects } => {
                for effect in effects {
                    self.add_put(now, effect);
                    let (when, process, late) = (now, *process, *late);
                    let change = Change { when, process, late, effect, is_queued: false };
                    self.changes.push(change);
                }
            }
            What::Answered { process, ok } => {
                self.answered.entry(*process).or_default().push((now.seq, *ok));
            }
            What::Reached { store } => self.reached.entry(*store).or_default().push(now.seq),
            What::PushDelayed { process, of } => self.tell(*process, *of, Told::Later(None)),
            What::PushDropped { process, of } => {
                let covered = self.silence(*process, now.seq).and_then(|it| it.covered_until);
                self.tell(*process, *of, Told::ByLoss(None, covered));
            }
            What::PushLeftOut { process, of } => self.tell(*process, *of, Told::Never),
            What::Heard { process, of } => self.heard(now, *process, *of),
            What::Lost { process } => self.lost(now, *process),
            What::ReplicaHeld => {
                self.end_lag(now);
                self.lags.push(Lag { shows: now.seq, until: self.end });
            }
            What::ReplicaReleased => self.end_lag(now),
            What::LostPush { process, of } => self.lost_push(now, *process, *of),
            What::SharesStore { process, with } => drop(self.shares.insert(*process, *with)),
            What::ReplicaLags { by } => self.lag = *by,
            What::Queued { process, effects } => {
                self.queued.push((*process, now.seq));
                let process = Some(*process);
                let change =
                    |effect| Change { when: now, process, late: false, effect, is_queued: true };
                self.changes.extend(effects.iter().map(change));
            }
            What::Silent { process, covered_until } => {
                let (process, covered_until) = (*process, *covered_until);
                let silence = Silence { process, since: now.seq, covered_until, lost: None };
                self.silences.push(silence);
            }
            What::FailedOver { to } => self.failovers.push((now, *to)),
            What::RolledBack { to } => self.rollbacks.push((now, *to)),
            What::Killed { process } => self.killed.push((*process, now.seq)),
            What::LeaseLeft { key } => self.leases_left.push(*key),
            What::ServerFault(_) => self.servers_failed = true,
            What::Note(_) => {}
        }
    }

    fn add_result(
        &mut self,
        now: Moment,
        number: usize,
        result: Option<&[crate::history::Loaded]>,
    ) {
        let form = self.loads.get(&number).map(|load| self.form_of(load.step));
        let Some(load) = self.loads.get_mut(&number) else { return };
        load.end = Some(now);
        for loaded in result.into_iter().flatten() {
            let Some(value) = loaded.value else {
                self.absences.push((loaded.key, number));
                continue;
            };
            let new = || Value::new(loaded.key, form.unwrap_or_default());
            let value = self.values.entry(value).or_insert_with(new);
            value.origins.push(Origin { as_of: load.begin.seq, load: Some(number) });
        }
    }

    fn add_put(&mut self, now: Moment, effect: &Effect) {
        let Effect::Put { value: Some(value), fresh_for, .. } = effect else { return };
        let Some(value) = self.values.get_mut(value) else { return };
        value.puts.push((now, *fresh_for));
        if value.origins.iter().all(|origin| origin.load.is_none()) {
            value.origins.push(Origin { as_of: now.seq, load: None });
        }
    }

    fn tell(&mut self, process: usize, of: Seq, told: Told) {
        self.told.entry((process, of)).or_default().push(told);
    }

    fn heard(&mut self, now: Moment, process: usize, of: Seq) {
        for told in self.told.get_mut(&(process, of)).into_iter().flatten() {
            if let Told::Later(heard @ None) = told {
                *heard = Some(now.seq);
            }
        }
    }

    fn lost_push(&mut self, now: Moment, process: usize, of: Seq) {
        for told in self.told.get_mut(&(process, of)).into_iter().flatten() {
            if let Told::Later(None) = told {
                *told = Told::ByLoss(Some(now), None);
            }
        }
    }

    /// The silence of a process's connection at a moment.
    pub(super) fn silence(&self, process: usize, at: Seq) -> Option<&Silence> {
        let is_at = |it: &&Silence| {
            let is_over = it.lost.is_some_and(|lost| lost.seq < at);
            it.process == process && it.since < at && !is_over
        };
        self.silences.iter().rfind(is_at)
    }

    fn lost(&mut self, now: Moment, process: usize) {
        let silences = self.silences.iter_mut();
        for silence in silences.filter(|it| it.process == process && it.lost.is_none()) {
            silence.lost = Some(now);
        }
        let mine = self.told.range_mut((process, 0)..(process + 1, 0));
        for told in mine.flat_map(|(_, told)| told) {
            match told {
                Told::ByLoss(lost @ None, _) => *lost = Some(now),
                Told::Later(None) => *told = Told::ByLoss(Some(now), None),
                _ => {}
            }
        }
    }

    fn end_lag(&mut self, now: Moment) {
        let end = self.end;
        if let Some(lag) = self.lags.last_mut().filter(|lag| lag.until == end) {
            lag.until = now;
        }
    }

    /// The form of the values that a step makes and reads.
    pub(super) fn form_of(&self, step: usize) -> Form {
        let process = self.steps.get(&step).map(|done| done.process);
        let setup = process.and_then(|process| self.plan.setup.processes.get(process));
        setup.map(|setup| setup.form_of(step)).unwrap_or_default()
    }

    /// The longest time for which a value is stale: that is up to the process which stores it.
    pub(super) fn stale_for(&self) -> Duration {
        let all = self.plan.setup.processes.iter().map(|process| process.stale_for);
        Duration::from_millis(all.max().unwrap_or(0))
    }

    /// Returns true if both processes use one store.
    pub(super) fn share_a_store(&self, one: usize, other: usize) -> bool {
        self.store_of(one) == self.store_of(other)
    }

    /// The process whose store a process uses.
    pub(super) fn store_of(&self, process: usize) -> usize {
        self.shares.get(&process).copied().unwrap_or(process)
    }

    /// The region's path, below the root.
    pub(super) fn region(&self, region: usize) -> &str {
        &self.plan.setup.regions[region]
    }

    /// Returns true if the region is `around`, or lies in it.
    pub(super) fn is_within(&self, region: usize, around: usize) -> bool {
        is_within(self.region(region), self.region(around))
    }

    pub(super) fn name(&self, key: Key) -> String {
        let region = self.region(key.region);
        format!("{}/k{}", if region.is_empty() { "(root)" } else { region }, key.key)
    }
}

impl Done<'_> {
    /// Returns true if the step may start a load, and return a stale value.
    pub(super) fn loads(&self) -> bool {
        self.step.action.load().is_some()
    }

    /// Returns true if it may return what a load brings.
    pub(super) fn returns_loads(&self) -> bool {
        self.loads() && !matches!(self.step.action, Action::Refresh(..))
    }
}

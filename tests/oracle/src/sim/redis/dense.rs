//! Draws dense plans: a few things are done to a few keys while one kind of thing goes wrong, so that each fault meets
//! what it concerns.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use region_core::Verb;
use simredis::Flavor;

use super::plan::{Fault, FaultStep, RedisPlan};
use super::scenes;
use crate::plan::weights::{Weights, weighted};
use crate::plan::{Action, Client, Key, Load, Plan, ProcessSetup, Rates, Setup, Step};

/// Sets the draws apart from those of other plans and of the run.
const SALT: u64 = 0x00de_05ed;

/// One of so many plans is not dense.
const ONE_OF: u64 = 3;

/// What a client does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Get,
    GetMany,
    Explain,
    Keys,
    Len,
    Children,
    Compute,
    ComputeMany,
    /// A load that must not find a value.
    Reload,
    Set,
    SetMany,
    Remove,
    End(Verb),
}

/// What is done to servers and connections.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blow {
    Save,
    Restore,
    /// A save, and a moment later a restoration.
    PutBack,
    Restart,
    EvictCounts,
    EvictEntries,
    EvictIds,
    EvictLeases,
    FailOver,
    HoldReplica,
    ReleaseReplica,
    Cut,
    /// A cut, and a moment later, while new connections are being prepared, nothing comes back for a while.
    CutAndHold,
    Outage,
    HoldThere,
    HoldBack,
    Silence,
    /// The process's connection that was opened last is silent, if it has others.
    SilenceNewest,
    Freeze,
    RefuseAll,
    Accept,
}

/// Whether something is so for all, for none, or for each as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Never,
    Sometimes,
    Always,
}

impl Is {
    fn draw(self, rng: &mut StdRng) -> bool {
        self == Self::Always || self == Self::Sometimes && rng.random()
    }
}

/// What is dense about a plan.
pub(super) struct Scene {
    pub(super) regions: &'static [&'static str],
    /// The most keys of each region.
    pub(super) keys: usize,
    /// The most processes.
    pub(super) processes: usize,
    /// The most clients of each process.
    pub(super) clients: usize,
    /// The most steps of each client.
    pub(super) steps: usize,
    /// The longest pauses before a step or fault, in milliseconds.
    pub(super) pauses: &'static [u64],
    pub(super) deeds: Weights<Deed>,
    pub(super) blows: Weights<Blow>,
    /// The most of them.
    pub(super) blow_count: usize,
    /// The longest time between the parts of one that has two, in milliseconds.
    pub(super) moment: u64,
    /// So many of 1,000 calls are dropped, in half of the plans.
    pub(super) cancel: u32,
    pub(super) near: Is,
    pub(super) replica: Is,
    pub(super) queues: Is,
    /// The store of each process, as in [`RedisPlan::stores`]: a process more than there are has one of its own.
    pub(super) stores: &'static [usize],
    /// Loads depend on the first region.
    pub(super) depends: Is,
    /// The lifetimes of entries, in milliseconds; zero: none.
    pub(super) ttls: &'static [u64],
    /// The times for which entries are stale, in milliseconds.
    pub(super) stale: &'static [u64],
    /// See [`Setup::replica_wait`].
    pub(super) replica_wait: u64,
    /// See [`ProcessSetup::outage_for`].
    pub(super) outage_for: &'static [u64],
    /// The longest times that bytes are on the way, in milliseconds.
    pub(super) latencies: &'static [u64],
    /// See [`RedisPlan::lag`].
    pub(super) lags: &'static [u64],
    /// See [`RedisPlan::large`].
    pub(super) large: &'static [usize],
    /// The longest times that loads take, in milliseconds.
    pub(super) loads: &'static [u64],
}

struct Draw<'s> {
    rng: StdRng,
    scene: &'s Scene,
    keys: usize,
    processes: usize,
    pause: u64,
    cancel: u32,
    depends: bool,
    numbers: usize,
}

/// Draws the plan of a seed, if that is a dense one.
pub(super) fn plan(seed: u64) -> Option<RedisPlan> {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(SALT));
    if rng.random_ratio(1, ONE_OF as u32) {
        return None;
    }
    let scene = scenes::ALL.choose(&mut rng)?;
    let processes = rng.random_range(scene.stores.len().max(1)..=scene.processes);
    let setups = (0..processes).map(|_| ProcessSetup {
        near: scene.near.draw(&mut rng),
        replica: scene.replica.draw(&mut rng),
        ttl: one_of(&mut rng, scene.ttls),
        stale_for: one_of(&mut rng, scene.stale),
        outage_for: one_of(&mut rng, scene.outage_for),
        ..ProcessSetup::default()
    });
    let mut setup = Setup {
        regions: scene.regions.iter().map(|&region| region.to_owned()).collect(),
        processes: setups.collect(),
        keys: rng.random_range(1..=scene.keys),
        replica_wait: scene.replica_wait,
        ..Setup::default()
    };
    setup.rates = Rates { latency: one_of(&mut rng, scene.latencies), ..Rates::default() };
    let queues = scene.queues.draw(&mut rng);
    let mut draw = Draw {
        scene,
        keys: setup.keys,
        processes,
        pause: one_of(&mut rng, scene.pauses),
        cancel: if rng.random() { scene.cancel } else { 0 },
        depends: scene.depends.draw(&mut rng),
        numbers: 0,
        rng,
    };
    let clients = draw.clients();
    let faults = draw.faults();
    let Draw { mut rng, .. } = draw;
    Some(RedisPlan {
        plan: Plan { seed, setup, clients },
        faults,
        lag: one_of(&mut rng, scene.lags),
        ahead: 0,
        queues: vec![queues; processes],
        stores: (0..processes).map(|it| scene.stores.get(it).copied().unwrap_or(it)).collect(),
        large: *scene.large.choose(&mut rng)?,
        flavor: if rng.random() { Flavor::Redis } else { Flavor::Valkey },
    })
}

fn one_of(rng: &mut StdRng, values: &[u64]) -> u64 {
    *values.choose(rng).unwrap_or(&0)
}

impl Draw<'_> {
    fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers - 1
    }

    fn clients(&mut self) -> Vec<Client> {
        let mut clients = Vec::new();
        for process in 0..self.processes {
            for _ in 0..self.rng.random_range(1..=self.scene.clients) {
                let steps = (0..self.rng.random_range(2..=self.scene.steps)).map(|_| self.step());
                clients.push(Client { process: Some(process), steps: steps.collect() });
            }
        }
        if self.scene.blows.is_empty() {
            return clients;
        }
        // So that nobody takes it for calm.
        clients.push(Client { process: None, steps: Vec::new() });
        clients
    }

    fn step(&mut self) -> Step {
        let cancel = self.rng.random_ratio(self.cancel, 1000);
        Step {
            number: self.number(),
            pause: self.rng.random_range(0..=self.pause),
            action: self.action(),
            cancel: cancel.then(|| self.rng.random_range(1..8)),
            dropped_after: None,
        }
    }

    fn some_keys(&mut self) -> Vec<usize> {
        let keys: Vec<_> = (0..self.keys).filter(|_| self.rng.random()).collect();
        if keys.is_empty() { vec![0] } else { keys }
    }

    fn load(&mut self) -> Load {
        let takes = one_of(&mut self.rng, self.scene.loads);
        let depends_on = if self.depends { vec![0] } else { Vec::new() };
        Load { takes, depends_on, ..Load::default() }
    }

    fn action(&mut self) -> Action {
        let region = self.rng.random_range(0..self.scene.regions.len());
        let key = Key { region, key: self.rng.random_range(0..self.keys) };
        match weighted(&mut self.rng, self.scene.deeds) {
            Deed::Get => Action::Get(key),
            Deed::GetMany => Action::GetMany(region, self.some_keys()),
            Deed::Explain => Action::Explain(key),
            Deed::Keys => Action::Keys(region),
            Deed::Len => Action::Len(region),
            Deed::Children => Action::Children(region),
            Deed::Compute => Action::Compute(key, self.load()),
            Deed::ComputeMany => Action::ComputeMany(region, self.some_keys(), self.load()),
            Deed::Reload => Action::Compute(key, Load { reload: true, ..self.load() }),
            Deed::Set => Action::Set(key, 0),
            Deed::SetMany => Action::SetMany(region, self.some_keys()),
            Deed::Remove => Action::Remove(key),
            // What hangs on the region goes with it, and nothing else.
            Deed::End(verb) => Action::End(if self.depends { 0 } else { region }, verb),
        }
    }

    fn faults(&mut self) -> Vec<FaultStep> {
        let mut faults = Vec::new();
        let most = if self.scene.blows.is_empty() { 0 } else { self.scene.blow_count };
        for _ in 0..self.rng.random_range(0..=most) {
            let pause = self.rng.random_range(0..=self.pause * 2);
            match weighted(&mut self.rng, self.scene.blows) {
                Blow::PutBack => {
                    faults.push((pause, Fault::Save));
                    faults.push((self.rng.random_range(0..=self.scene.moment), Fault::Restore));
                }
                Blow::CutAndHold => {
                    let process = self.rng.random_range(0..self.processes);
                    let time = self.rng.random_range(200..500);
                    faults.push((pause, Fault::Cut(process, 0)));
                    let moment = self.rng.random_range(0..=self.scene.moment);
                    faults.push((moment, Fault::HoldBack(process, time)));
                }
                blow => faults.push((pause, self.fault(blow))),
            }
        }
        let number = |(pause, fault)| FaultStep { number: self.number(), pause, fault };
        faults.into_iter().map(number).collect()
    }

    fn fault(&mut self, blow: Blow) -> Fault {
        let region = self.rng.random_range(0..self.scene.regions.len());
        let process = self.rng.random_range(0..self.processes);
        let mut time = |most: u64| self.rng.random_range(5..most);
        let (short, long, bytes) = (time(400), time(900), time(120));
        match blow {
            Blow::Save | Blow::PutBack => Fault::Save,
            Blow::Restore => Fault::Restore,
            Blow::Restart => Fault::Restart,
            Blow::EvictCounts => Fault::EvictCounts,
            Blow::EvictEntries => Fault::EvictEntries(region),
            Blow::EvictIds => Fault::EvictIds(region),
            Blow::EvictLeases => Fault::EvictLeases(region),
            Blow::FailOver => Fault::FailOver,
            Blow::HoldReplica => Fault::HoldReplica,
            Blow::ReleaseReplica => Fault::ReleaseReplica,
            Blow::Cut | Blow::CutAndHold => {
                Fault::Cut(process, usize::try_from(bytes).unwrap_or(0))
            }
            Blow::Outage => Fault::Outage(process, short),
            Blow::HoldThere => Fault::HoldThere(process, long),
            Blow::HoldBack => Fault::HoldBack(process, long),
            Blow::Silence => Fault::Silence(process, long),
            Blow::SilenceNewest => Fault::SilenceNewest(process, 300 + long),
            Blow::Freeze => Fault::Freeze(short),
            Blow::RefuseAll => Fault::RefuseAll,
            Blow::Accept => Fault::Accept,
        }
    }
}

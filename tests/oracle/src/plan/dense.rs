//! Draws dense plans: many clients do a few things to a few keys, so that they meet each other all the time.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use region_core::Verb;
use region_memory::Loss;

use super::weights::{Weights, weighted};
use super::{
    Action, Client, Key, Load, LoadResult, Plan, ProcessSetup, Setup, Step, Write, later_scenes,
    scenes,
};

/// Sets the draws apart from those of other plans and of the run.
const SALT: u64 = 0xde_05e;

/// One of so many plans is dense.
const ONE_OF: u64 = 3;

/// Sets the draws of [`later_scene`] apart.
const LATER_SALT: u64 = 0x1a_7e5;

/// One of so many plans is of a scene that was thought of later; the others stay what they were.
const ONE_LATER_OF: u32 = 5;

/// What a client does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Get,
    GetMany,
    Contains,
    Explain,
    Keys,
    Len,
    Children,
    Compute,
    ComputeMany,
    /// A load that must not find a value.
    Reload,
    /// A load that brings a value.
    ComputeValue,
    Set,
    SetMany,
    Transact,
    Remove,
    RestartTtl,
    End(Verb),
    Lose(Loss),
    Cut,
    Silence,
    Outage,
    Kill,
    BackUp,
    RollBack,
}

/// What is dense about a plan.
pub(super) struct Scene {
    pub(super) regions: &'static [&'static str],
    pub(super) keys: usize,
    pub(super) processes: usize,
    /// Of each process.
    pub(super) clients: usize,
    pub(super) steps: usize,
    /// The longest pauses before a step, in milliseconds.
    pub(super) pauses: &'static [u64],
    pub(super) deeds: Weights<Deed>,
    /// What happens to servers and connections; nothing if empty.
    pub(super) faults: Weights<Deed>,
    pub(super) results: Weights<LoadResult>,
    /// The longest times that loads take, in milliseconds.
    pub(super) loads: &'static [u64],
    /// The region that values of others depend on.
    pub(super) depends_on: Option<usize>,
    /// The first region is only ended.
    pub(super) first_apart: bool,
    /// In half of the plans so many of 1,000 calls are dropped.
    pub(super) cancel: u32,
    pub(super) setup: fn(&mut StdRng, &mut Setup),
    pub(super) process: fn(&mut StdRng) -> ProcessSetup,
}

struct Draw<'s> {
    rng: StdRng,
    scene: &'s Scene,
    pause: u64,
    cancel: u32,
    steps: usize,
}

/// Draws the plan of a seed, if that is a dense one.
pub(super) fn plan(seed: u64) -> Option<Plan> {
    let (scene, mut rng) = later_scene(seed).or_else(|| first_scene(seed))?;
    let regions = scene.regions.iter().map(|&region| region.to_owned()).collect();
    let processes = (0..rng.random_range(2..=scene.processes)).map(|_| (scene.process)(&mut rng));
    let processes: Vec<_> = processes.collect();
    let keys = rng.random_range(1..=scene.keys);
    let mut setup = Setup { regions, keys, processes, ..Setup::default() };
    setup.rates.latency = *[0, 1, 8].choose(&mut rng)?;
    (scene.setup)(&mut rng, &mut setup);
    let pause = *scene.pauses.choose(&mut rng)?;
    let cancel = if rng.random() { scene.cancel } else { 0 };
    let mut draw = Draw { rng, scene, pause, cancel, steps: 0 };
    let mut clients = Vec::new();
    for process in 0..setup.processes.len() {
        for _ in 0..draw.rng.random_range(1..=scene.clients) {
            let steps = (0..draw.rng.random_range(2..=scene.steps)).map(|_| draw.step(&setup));
            clients.push(Client { process: Some(process), steps: steps.collect() });
        }
    }
    if !scene.faults.is_empty() {
        let steps = (0..draw.rng.random_range(0..=scene.steps)).map(|_| draw.fault(&setup));
        clients.push(Client { process: None, steps: steps.collect() });
    }
    Some(Plan { seed, setup, clients })
}

fn first_scene(seed: u64) -> Option<(&'static Scene, StdRng)> {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(SALT));
    if rng.random_range(0..ONE_OF) > 0 {
        return None;
    }
    Some((scenes::ALL.choose(&mut rng)?, rng))
}

fn later_scene(seed: u64) -> Option<(&'static Scene, StdRng)> {
    let mut rng = StdRng::seed_from_u64(seed.wrapping_add(LATER_SALT));
    if !rng.random_ratio(1, ONE_LATER_OF) {
        return None;
    }
    Some((later_scenes::ALL.choose(&mut rng)?, rng))
}

impl Draw<'_> {
    fn one_of(&mut self, values: &[u64]) -> u64 {
        *values.choose(&mut self.rng).unwrap_or(&0)
    }

    fn step(&mut self, setup: &Setup) -> Step {
        let deed = weighted(&mut self.rng, self.scene.deeds);
        let action = self.action(deed, setup);
        let cancel = self.rng.random_ratio(self.cancel, 1000);
        let dropped_after = cancel.then(|| self.rng.random_range(0..25));
        let pause = self.rng.random_range(0..=self.pause);
        self.steps += 1;
        Step { number: self.steps - 1, pause, action, cancel: None, dropped_after }
    }

    fn fault(&mut self, setup: &Setup) -> Step {
        let deed = weighted(&mut self.rng, self.scene.faults);
        let action = self.action(deed, setup);
        let pause = self.rng.random_range(0..=self.pause * 2 + 5);
        self.steps += 1;
        Step { number: self.steps - 1, pause, action, cancel: None, dropped_after: None }
    }

    fn load(&mut self) -> Load {
        let depends_on = self.scene.depends_on.filter(|_| self.rng.random_ratio(3, 4));
        Load {
            takes: self.one_of(self.scene.loads),
            result: weighted(&mut self.rng, self.scene.results),
            depends_on: depends_on.into_iter().collect(),
            ..Load::default()
        }
    }

    fn some_keys(&mut self, setup: &Setup) -> Vec<usize> {
        let keys: Vec<_> = (0..setup.keys).filter(|_| self.rng.random_ratio(3, 4)).collect();
        if keys.is_empty() { vec![0] } else { keys }
    }

    fn action(&mut self, deed: Deed, setup: &Setup) -> Action {
        let first = usize::from(self.scene.first_apart);
        let region = self.rng.random_range(first..setup.regions.len());
        let key = Key { region, key: self.rng.random_range(0..setup.keys) };
        let process = self.rng.random_range(0..setup.processes.len());
        match deed {
            Deed::Get => Action::Get(key),
            Deed::GetMany => Action::GetMany(region, self.some_keys(setup)),
            Deed::Contains => Action::Contains(key),
            Deed::Explain => Action::Explain(key),
            Deed::Keys => Action::Keys(region),
            Deed::Len => Action::Len(region),
            Deed::Children => Action::Children(region),
            Deed::Compute => Action::Compute(key, self.load()),
            Deed::ComputeMany => Action::ComputeMany(region, self.some_keys(setup), self.load()),
            Deed::Reload => Action::Compute(key, Load { reload: true, ..self.load() }),
            Deed::ComputeValue => {
                let load = Load { depends_on: Vec::new(), plain: true, ..self.load() };
                Action::Compute(key, load)
            }
            Deed::Set => Action::Set(key, 0),
            Deed::SetMany => Action::SetMany(region, self.some_keys(setup)),
            Deed::Transact => {
                let write = |key| match self.rng.random() {
                    true => Write::Set(key),
                    false => Write::Remove(key),
                };
                Action::Transact(region, (0..setup.keys).map(write).collect())
            }
            Deed::Remove => Action::Remove(key),
            Deed::RestartTtl => Action::RestartTtl(region),
            // What hangs on the region goes with it, and nothing else.
            Deed::End(verb) => Action::End(self.scene.depends_on.unwrap_or(region), verb),
            Deed::Lose(loss) => Action::Lose(self.scene.depends_on.unwrap_or(region), loss),
            Deed::Cut => Action::Cut(process),
            Deed::Silence => Action::Silence(process, self.rng.random_range(10..600)),
            Deed::Outage => Action::Outage(process, self.rng.random_range(10..600)),
            Deed::Kill => Action::Kill(process),
            Deed::BackUp => Action::BackUp,
            Deed::RollBack => Action::RollBack,
        }
    }
}

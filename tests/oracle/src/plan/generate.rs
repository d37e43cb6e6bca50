//! Draws plans.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use region_core::Verb;
use region_memory::Loss;

use super::{Action, Client, Key, Load, LoadResult, Plan, ProcessSetup, Rates, Setup, Step, Write};

const MOST_REGIONS: usize = 5;
const MOST_DEPTH: usize = 4;

struct Draw {
    rng: StdRng,
    regions: usize,
    keys: usize,
    processes: usize,
    steps: usize,
    cancel: u32,
    /// The highest duration of a pause, in milliseconds.
    pause: u64,
    dependencies: bool,
}

/// Draws a plan, but for what [`widen`](super::widen) adds.
pub(super) fn plan(seed: u64) -> Plan {
    let mut rng = StdRng::seed_from_u64(seed);
    let is_calm = rng.random_ratio(1, 4);
    let setup = setup(&mut rng, is_calm);
    let cancel = if is_calm || rng.random() { 0 } else { rng.random_range(20..250) };
    let mut draw = Draw {
        regions: setup.regions.len(),
        keys: setup.keys,
        processes: setup.processes.len(),
        steps: 0,
        cancel,
        pause: *[0, 5, 30, 200].choose(&mut rng).unwrap_or(&5),
        dependencies: rng.random(),
        rng,
    };
    let mut clients = Vec::new();
    for process in 0..draw.processes {
        for _ in 0..draw.rng.random_range(1..=3) {
            let steps = (0..draw.rng.random_range(4..16)).map(|_| draw.step()).collect();
            clients.push(Client { process: Some(process), steps });
        }
    }
    if !is_calm {
        let steps = (0..draw.rng.random_range(0..8)).map(|_| draw.fault()).collect();
        clients.push(Client { process: None, steps });
    }
    Plan { seed, setup, clients }
}

fn setup(rng: &mut StdRng, is_calm: bool) -> Setup {
    let regions = regions(rng);
    let keys = rng.random_range(1..=3);
    let base = process(rng);
    let processes = (0..rng.random_range(1..=3)).map(|_| variant(rng, &base)).collect();
    let mut rate = |most: u32| match is_calm || rng.random_ratio(3, 5) {
        true => 0,
        false => rng.random_range(1..=most),
    };
    let mut rates = Rates {
        fail: rate(150),
        lose_reply: rate(150),
        late: rate(150),
        delay_push: rate(700),
        latency: 0,
        lose_release: 0,
    };
    if rng.random_ratio(1, 4) {
        rates.lose_release = rng.random_range(100..1000);
    }
    rates.latency = *[0, 1, 8, 60].choose(rng).unwrap_or(&1);
    Setup { regions, keys, processes, rates, ..Setup::default() }
}

/// A small random tree.
fn regions(rng: &mut StdRng) -> Vec<String> {
    let mut regions = vec![String::new()];
    for number in 1..rng.random_range(2..=MOST_REGIONS) {
        let parent = regions[rng.random_range(0..regions.len())].clone();
        let depth = parent.split('.').filter(|segment| !segment.is_empty()).count() + 1;
        let name = if rng.random() { format!("r{number}") } else { format!("r:{number}") };
        regions.push(match parent.is_empty() || depth >= MOST_DEPTH {
            true => name,
            false => format!("{parent}.{name}"),
        });
    }
    regions
}

fn process(rng: &mut StdRng) -> ProcessSetup {
    let mut sometimes = |of: u32, values: &[u64]| match rng.random_ratio(1, of) {
        true => *values.choose(rng).unwrap_or(&0),
        false => 0,
    };
    let keep_region_ttl = sometimes(2, &[1]) == 1;
    let region_ttl = sometimes(5, &[20, 100, 400]);
    let bound = keep_region_ttl && region_ttl > 0;
    ProcessSetup {
        ttl: if bound { 0 } else { sometimes(2, &[5, 40, 150, 600]) },
        ttl_jitter: if sometimes(3, &[1]) == 1 { 30 } else { 0 },
        stale_for: sometimes(2, &[10, 100, 1000]),
        refresh_stale: sometimes(2, &[1]) == 1,
        soft_timeout: sometimes(3, &[3, 20, 100]),
        early_at: u32::try_from(sometimes(3, &[30, 70])).unwrap_or(0),
        early_beta: u32::try_from(sometimes(4, &[100, 1000])).unwrap_or(0),
        region_ttl,
        keep_region_ttl,
        outage_is_error: sometimes(3, &[1]) == 1,
        absent_ttl: sometimes(2, &[10, 200]),
        retry_after: sometimes(2, &[20, 300]),
        ..ProcessSetup::default()
    }
}

fn variant(rng: &mut StdRng, base: &ProcessSetup) -> ProcessSetup {
    let window = |rng: &mut StdRng| match rng.random_ratio(1, 5) {
        true => *[30, 300, 3000].choose(rng).unwrap_or(&30),
        false => 0,
    };
    // As during a deploy that changes it.
    let region_ttl = if rng.random_ratio(1, 4) { 0 } else { base.region_ttl };
    ProcessSetup {
        region_ttl,
        near: rng.random_ratio(3, 4),
        replica: rng.random_ratio(1, 5),
        unverified_for: window(rng),
        outage_for: window(rng),
        own_changes_untold: rng.random(),
        tracked: rng.random(),
        ..base.clone()
    }
}

impl Draw {
    fn number(&mut self) -> usize {
        self.steps += 1;
        self.steps - 1
    }

    fn one_of(&mut self, values: &[u64]) -> u64 {
        *values.choose(&mut self.rng).unwrap_or(&0)
    }

    fn region(&mut self) -> usize {
        self.rng.random_range(0..self.regions)
    }

    fn key(&mut self) -> Key {
        Key { region: self.region(), key: self.rng.random_range(0..self.keys) }
    }

    fn some_keys(&mut self) -> Vec<usize> {
        let mut keys: Vec<_> = (0..self.keys).filter(|_| self.rng.random()).collect();
        if keys.is_empty() {
            keys.push(0);
        }
        keys
    }

    fn verb(&mut self) -> Verb {
        let verbs = [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch];
        *verbs.choose(&mut self.rng).unwrap_or(&Verb::Invalidate)
    }

    fn load(&mut self) -> Load {
        let result = match self.rng.random_range(0..20) {
            0..13 => LoadResult::Value,
            13 => LoadResult::Error,
            14 | 15 => LoadResult::Absent,
            16..19 => LoadResult::NotModified,
            _ => LoadResult::DontStore,
        };
        let depends = self.dependencies && self.rng.random_ratio(1, 3);
        let depends_on = (0..u32::from(depends)).map(|_| self.region()).collect();
        let adds = (self.dependencies && self.rng.random_ratio(1, 8)).then(|| self.region());
        Load {
            takes: self.one_of(&[0, 0, 3, 30, 200, 900]),
            ttl: if self.rng.random_ratio(1, 6) { self.one_of(&[7, 60, 500]) } else { 0 },
            reload: self.rng.random_ratio(1, 8),
            plain: false,
            result,
            depends_on,
            adds,
        }
    }

    fn action(&mut self) -> Action {
        match self.rng.random_range(0..100) {
            0..22 => Action::Get(self.key()),
            22..30 => Action::GetMany(self.region(), self.some_keys()),
            30..32 => Action::Contains(self.key()),
            32..60 => Action::Compute(self.key(), self.load()),
            60..66 => Action::ComputeMany(self.region(), self.some_keys(), self.load()),
            66..72 => {
                let ttl = if self.rng.random_ratio(1, 4) { self.one_of(&[4, 50]) } else { 0 };
                Action::Set(self.key(), ttl)
            }
            72..75 => Action::SetMany(self.region(), self.some_keys()),
            75..78 => Action::SetIfAbsent(self.key()),
            78..81 => Action::Remove(self.key()),
            81..83 => Action::Take(self.key()),
            83..86 => {
                let write =
                    |key| if self.rng.random() { Write::Set(key) } else { Write::Remove(key) };
                let writes = (0..self.keys).map(write).collect();
                Action::Transact(self.region(), writes)
            }
            86..88 => Action::RestartTtl(self.region()),
            _ => Action::End(self.region(), self.verb()),
        }
    }

    fn step(&mut self) -> Step {
        let cancel = self.rng.random_ratio(self.cancel, 1000);
        Step {
            number: self.number(),
            pause: self.rng.random_range(0..=self.pause),
            action: self.action(),
            cancel: cancel.then(|| self.rng.random_range(1..12)),
            dropped_after: None,
        }
    }

    fn fault(&mut self) -> Step {
        let process = self.rng.random_range(0..self.processes);
        let action = match self.rng.random_range(0..16) {
            0..3 => Action::Lose(self.region(), Loss::Incarnations),
            3..6 => Action::Lose(self.region(), Loss::Entries),
            6 => Action::Lose(self.region(), Loss::Leases),
            7 => Action::Flush,
            8 | 9 => Action::HoldReplica,
            10 => Action::ReleaseReplica,
            11 => Action::Cut(process),
            12 | 13 => Action::Silence(process, self.rng.random_range(10..1000)),
            _ => Action::Outage(process, self.rng.random_range(10..600)),
        };
        let pause = self.rng.random_range(0..=self.pause * 6 + 5);
        Step { number: self.number(), pause, action, cancel: None, dropped_after: None }
    }
}

//! Plans of the world of servers: as those of the other world, with other faults.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use simredis::Flavor;

use super::dense;
use crate::plan::{Client, Plan, Rates};

/// What is done to servers and connections. Times are in milliseconds.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "named after what is done")]
pub enum Fault {
    EvictIds(usize),
    EvictEntries(usize),
    EvictLeases(usize),
    EvictChildren(usize),
    /// The counts of writes of all processes, and the list of them.
    EvictCounts,
    Flush,
    FlushScripts,
    /// A process's connections break, after so many more bytes.
    Cut(usize, usize),
    /// Nothing reaches the process for so long.
    HoldBack(usize, u64),
    /// Nothing that the process sends arrives for so long; then all of it does.
    HoldThere(usize, u64),
    /// Both.
    Silence(usize, u64),
    /// Both, over the process's connection alone that was opened last, if it has others.
    SilenceNewest(usize, u64),
    /// The process cannot connect for so long, and its connections break.
    Outage(usize, u64),
    Freeze(u64),
    /// The primary's data is saved.
    Save,
    /// The primary goes back to what was saved, or to nothing.
    Restore,
    /// The primary ends, and starts again with what was saved.
    Restart,
    /// The primary ends, and starts again empty.
    RestartEmpty,
    /// The primary ends, the replica takes over, and gets a new replica.
    FailOver,
    HoldReplica,
    ReleaseReplica,
    RefuseFull,
    RefuseAll,
    Accept,
}

/// A fault, and the pause before it in milliseconds.
#[derive(Clone, Debug)]
pub struct FaultStep {
    /// Names it, as steps are named.
    pub number: usize,
    /// The pause.
    pub pause: u64,
    /// What is done.
    pub fault: Fault,
}

/// A run of the world of servers.
#[derive(Clone, Debug)]
pub struct RedisPlan {
    /// What the processes do.
    pub plan: Plan,
    /// What befalls the servers and connections, one after the other.
    pub faults: Vec<FaultStep>,
    /// The longest delay of what the replica is sent, in milliseconds.
    pub lag: u64,
    /// How far the servers' clocks are ahead, in milliseconds.
    pub ahead: i64,
    /// The processes that queue invalidations which cannot reach the primary.
    pub queues: Vec<bool>,
    /// The process whose store each process uses: its own, or one before it.
    pub stores: Vec<usize>,
    /// Entries of so many bytes are large.
    pub large: usize,
    /// The kind of the servers.
    pub flavor: Flavor,
}

/// A seed, and the steps and faults that are kept of its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisCase {
    /// The seed.
    pub seed: u64,
    /// The numbers of what is kept; `None`: all.
    pub kept: Option<BTreeSet<usize>>,
}

impl RedisCase {
    /// The whole plan of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, kept: None }
    }

    /// What is done in it.
    #[must_use]
    pub fn plan(&self) -> RedisPlan {
        let mut plan = dense::plan(self.seed).unwrap_or_else(|| plan(self.seed));
        if let Some(kept) = &self.kept {
            for client in &mut plan.plan.clients {
                client.steps.retain(|step| kept.contains(&step.number));
            }
            plan.faults.retain(|fault| kept.contains(&fault.number));
        }
        plan
    }
}

impl fmt::Display for RedisCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        let Some(kept) = &self.kept else { return Ok(()) };
        let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
        write!(f, " steps={}", kept.join(","))
    }
}

impl FromStr for RedisCase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no case");
        let (seed, steps) =
            text.split_once(" steps=").map_or((text, None), |(seed, steps)| (seed, Some(steps)));
        let kept = steps.map(|steps| {
            let steps = steps.split(',').filter(|step| !step.is_empty());
            steps.map(|step| step.parse().map_err(|_| bad())).collect::<Result<_, _>>()
        });
        Ok(Self { seed: seed.trim().parse().map_err(|_| bad())?, kept: kept.transpose()? })
    }
}

fn plan(seed: u64) -> RedisPlan {
    let mut plan = Plan::wide(seed);
    let mut rng = StdRng::seed_from_u64(seed ^ 0x4e75_5ed1);
    let is_calm = rng.random_ratio(1, 8);
    plan.clients.retain(|client| client.process.is_some());
    plan.setup.rates =
        Rates { latency: *[0, 1, 3, 15].choose(&mut rng).unwrap_or(&1), ..Rates::default() };
    if is_calm {
        // A replica may miss what the primary has just stored.
        plan.setup.processes.iter_mut().for_each(|process| process.replica = false);
    }
    let mut number = plan.steps();
    for step in plan.clients.iter_mut().flat_map(|client| &mut client.steps) {
        if is_calm {
            step.cancel = None;
        }
        // The faults of this world take longer than those of the other.
        step.pause *= rng.random_range(1..4);
        number = number.max(step.number + 1);
    }
    let most = if is_calm { 0 } else { rng.random_range(0..8) };
    let processes = plan.setup.processes.len();
    let regions = plan.setup.regions.len();
    let faults = (0..most).map(|at| FaultStep {
        number: number + at,
        pause: {
            let most = *[5, 60, 400].choose(&mut rng).unwrap_or(&60);
            rng.random_range(0..=most)
        },
        fault: fault(&mut rng, processes, regions),
    });
    let faults: Vec<_> = faults.collect();
    if !is_calm {
        // So that nobody takes it for calm.
        plan.clients.push(Client { process: None, steps: Vec::new() });
    }
    RedisPlan {
        faults,
        lag: *[0, 2, 20, 100].choose(&mut rng).unwrap_or(&2),
        ahead: *[0, 0, -100_000, 3_600_000].choose(&mut rng).unwrap_or(&0),
        stores: (0..processes).collect(),
        queues: (0..processes).map(|_| !is_calm && rng.random_ratio(1, 3)).collect(),
        flavor: if rng.random() { Flavor::Redis } else { Flavor::Valkey },
        large: *[64 * 1024, 64 * 1024, 40].choose(&mut rng).unwrap_or(&40),
        plan,
    }
}

fn fault(rng: &mut StdRng, processes: usize, regions: usize) -> Fault {
    let (process, region) = (rng.random_range(0..processes), rng.random_range(0..regions));
    match rng.random_range(0..36) {
        0 | 1 => Fault::EvictIds(region),
        2 | 3 => Fault::EvictEntries(region),
        4 => Fault::EvictLeases(region),
        5 => Fault::EvictChildren(region),
        6 => Fault::EvictCounts,
        7 => Fault::Flush,
        8 => Fault::FlushScripts,
        9..12 => Fault::Cut(process, rng.random_range(0..200)),
        12..15 => Fault::HoldBack(process, rng.random_range(5..400)),
        15..18 => Fault::HoldThere(process, rng.random_range(5..700)),
        18 => Fault::Silence(process, rng.random_range(5..400)),
        19 => Fault::Outage(process, rng.random_range(5..600)),
        20 | 21 => Fault::Freeze(rng.random_range(5..700)),
        22 => Fault::Save,
        23 => Fault::Restore,
        24 => Fault::Restart,
        25 => Fault::RestartEmpty,
        26..30 => Fault::FailOver,
        30..32 => Fault::HoldReplica,
        32 => Fault::ReleaseReplica,
        33 => Fault::RefuseFull,
        34 => Fault::RefuseAll,
        _ => Fault::Accept,
    }
}

//! The world of servers: each process has a `RedisStore` over a model of a primary and its replica, which runs the
//! store's real scripts; so its sessions, queue, recovery and tracking are searched too.

mod decode;
mod dense;
mod late;
mod plan;
mod scenes;
mod servers;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use region_core::RegionCache;
use region_redis::{OnInvalidationFailure, RedisStore};

use super::channel::Channel;
use super::client::Process;
use super::world::{self, World};
use super::{NEAR_BYTES, run_to_end};
use crate::history::{Effect, History, Outcome, What};
use crate::plan::{Action, CALL_LIMIT, ProcessSetup, Step};

use servers::{PRIMARY, REPLICA, Servers};
use witness::Witness;

pub use plan::{Fault, FaultStep, RedisCase, RedisPlan};

/// The time between two signs of life of a connection, and the longest silence.
const WATCH: Duration = Duration::from_millis(40);
const SILENCE: Duration = Duration::from_millis(80);

/// The longest time for which a silent connection is relied on: the next question is asked that long after the last
/// answer, which may itself have been asked for that long before, and is given so long.
const MOST_SILENT: Duration = Duration::from_millis(40 + 80 + 80);

/// The longest lag of a replica that is read from.
const MOST_LAG: Duration = Duration::from_millis(200);

/// Returns true if a process serves values without trust for a while.
fn is_lenient(setup: &ProcessSetup) -> bool {
    setup.unverified() > Duration::ZERO
}

/// Runs the plan and returns what happened. Equal plans have equal histories.
///
/// # Panics
/// If the code under test does.
#[must_use]
pub fn run(plan: &RedisPlan) -> History {
    region_core::testing::fix_path_hashes();
    region_redis::testing::seed_thread(plan.plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    let world = {
        let _inside = runtime.enter();
        Arc::new(World::new(plan.plan.clone()))
    };
    runtime.block_on(run_in(&world, plan));
    drop(runtime);
    let mut history = world.take_history();
    late::attribute(plan, &mut history);
    history
}

async fn run_in(world: &Arc<World>, plan: &RedisPlan) {
    let witness = Witness::new(world, &plan.stores);
    let servers = Arc::new(Servers::new(plan, &witness));
    let _ = witness.network.set(servers.network.clone());
    world.record(What::ReplicaLags { by: MOST_LAG + MOST_SILENT + WATCH });
    let processes = processes(world, plan, &servers);
    let mut tasks = Vec::new();
    for client in plan.plan.clients.clone() {
        let Some(number) = client.process else { continue };
        let (world, process) = (Arc::clone(world), Arc::clone(&processes[number]));
        let (queues, store) = (plan.queues[number], plan.stores[number]);
        tasks.push(tokio::spawn(async move {
            for step in client.steps {
                tokio::time::sleep(Duration::from_millis(step.pause)).await;
                let begin = world.record(What::Begin { step: step.number });
                let outcome = process.step(&step).await;
                if queues
                    && let Some(effect) = ended_by(&step, &outcome)
                    && !world.any_since(begin, |what| has_ended(what, store, &effect))
                {
                    world.record(What::Queued { process: number, effects: vec![effect] });
                }
                world.record(What::End { step: step.number, outcome });
            }
        }));
    }
    let (faults, worldly) = (plan.faults.clone(), Arc::clone(world));
    tasks.push(tokio::spawn(async move {
        for fault in faults {
            tokio::time::sleep(Duration::from_millis(fault.pause)).await;
            worldly.record(What::ServerFault(format!("{:?}", fault.fault)));
            servers.befall(fault.fault);
        }
    }));
    run_to_end(world, tasks).await;
}

/// The processes, each over its own store or that of one before it.
fn processes(world: &Arc<World>, plan: &RedisPlan, servers: &Servers) -> Vec<Arc<Process>> {
    let mut stores: Vec<RedisStore> = Vec::new();
    let mut processes = Vec::new();
    for (number, &with) in plan.stores.iter().enumerate() {
        let store = match stores.get(with) {
            Some(store) => {
                world.record(What::SharesStore { process: number, with });
                store.clone()
            }
            None => store(plan, servers, number),
        };
        stores.push(store.clone());
        processes.push(process(world, number, store));
    }
    processes
}

fn store(plan: &RedisPlan, servers: &Servers, number: usize) -> RedisStore {
    let url = |host: &str| format!("redis://{host}");
    let users = plan.stores.iter().zip(&plan.plan.setup.processes);
    let reads_replica = users.into_iter().any(|(with, user)| *with == number && user.replica);
    let on_failure = match plan.queues[number] {
        true => OnInvalidationFailure::Queue,
        false => OnInvalidationFailure::Error,
    };
    let wait = Duration::from_millis(plan.plan.setup.replica_wait);
    let store = RedisStore::builder(&url(PRIMARY)).and_then(|builder| {
        let builder = if reads_replica { builder.replica(&url(REPLICA))? } else { builder };
        let builder = if wait.is_zero() { builder } else { builder.wait_for_replicas(1, wait) };
        builder
            .call_timeout(CALL_LIMIT)
            .connect_timeout(CALL_LIMIT / 2)
            .watch(WATCH, SILENCE)
            .max_lag(MOST_LAG)
            .large_entries(plan.large)
            .on_invalidation_failure(on_failure)
            .connector(servers.network.connector(number))
            .build()
    });
    store.unwrap_or_else(|error| panic!("{error}"))
}

fn process(world: &Arc<World>, number: usize, store: RedisStore) -> Arc<Process> {
    let setup = &world.plan.setup.processes[number];
    let builder = RegionCache::builder(store);
    let builder = builder.root(world::ROOT).near(NEAR_BYTES).policy(setup.policy());
    let seed = world.plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number as u64);
    let cache = builder.seed(seed).build();
    let cache = cache.unwrap_or_else(|error| panic!("{error}"));
    let channel = Channel::new(world, number);
    Arc::new(Process {
        number,
        world: Arc::clone(world),
        cache,
        channel,
        died: tokio::sync::Notify::new(),
    })
}

/// Returns true if the primary has executed this of the process.
fn has_ended(what: &What, by: usize, effect: &Effect) -> bool {
    let Effect::Ended { region, verb } = effect else { return false };
    let is_it = |other: &Effect| matches!(other, Effect::Ended { region: one, verb: other } if one == region && other == verb);
    matches!(what, What::Executed { process, effects, .. } if *process == Some(by) && effects.iter().any(is_it))
}

/// What a step has ended.
fn ended_by(step: &Step, outcome: &Outcome) -> Option<Effect> {
    match (&step.action, outcome) {
        (&Action::End(region, verb), Outcome::Done) => Some(Effect::Ended { region, verb }),
        _ => None,
    }
}

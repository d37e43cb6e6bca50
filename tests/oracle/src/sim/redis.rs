//! The world of servers: each process has a `RedisStore` over a model of a primary and its replica, which runs the
//! store's real scripts; so its sessions, queue, recovery and tracking are searched too.

mod decode;
mod plan;
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
    mark_late(&plan.plan, &mut history);
    history
}

async fn run_in(world: &Arc<World>, plan: &RedisPlan) {
    let witness = Witness::new(world);
    let servers = Arc::new(Servers::new(plan, &witness));
    let _ = witness.network.set(servers.network.clone());
    world.record(What::ReplicaLags { by: MOST_LAG + MOST_SILENT + WATCH });
    let processes: Vec<_> =
        (0..plan.queues.len()).map(|number| process(world, plan, &servers, number)).collect();
    let mut tasks = Vec::new();
    for client in plan.plan.clients.clone() {
        let Some(number) = client.process else { continue };
        let (world, process) = (Arc::clone(world), Arc::clone(&processes[number]));
        let queues = plan.queues[number];
        tasks.push(tokio::spawn(async move {
            for step in client.steps {
                tokio::time::sleep(Duration::from_millis(step.pause)).await;
                let begin = world.record(What::Begin { step: step.number });
                let outcome = process.step(&step).await;
                if queues
                    && let Some(effect) = ended_by(&step, &outcome)
                    && !world.any_since(begin, |what| has_ended(what, number, &effect))
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

fn process(world: &Arc<World>, plan: &RedisPlan, servers: &Servers, number: usize) -> Arc<Process> {
    let setup = &plan.plan.setup.processes[number];
    let url = |host: &str| format!("redis://{host}");
    let on_failure = match plan.queues[number] {
        true => OnInvalidationFailure::Queue,
        false => OnInvalidationFailure::Error,
    };
    let store = RedisStore::builder(&url(PRIMARY)).and_then(|builder| {
        let builder = if setup.replica { builder.replica(&url(REPLICA))? } else { builder };
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
    let store = store.unwrap_or_else(|error| panic!("{error}"));
    let builder = RegionCache::builder(store);
    let builder = builder.root(world::ROOT).near(NEAR_BYTES).policy(setup.policy());
    let seed = plan.plan.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number as u64);
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

/// A change whose process has not got an answer of it is as one that its caller has given up.
fn mark_late(plan: &crate::plan::Plan, history: &mut History) {
    let mut steps = std::collections::BTreeMap::new();
    for client in &plan.clients {
        for step in &client.steps {
            steps.insert(step.number, (client.process, step.clone()));
        }
    }
    let (mut begun, mut spans) = (std::collections::BTreeMap::new(), Vec::new());
    for (seq, event) in history.events().iter().enumerate() {
        match &event.what {
            What::Begin { step } => drop(begun.insert(*step, seq)),
            What::End { step, outcome } => {
                let has_answered =
                    matches!(outcome, Outcome::Done | Outcome::Said(_) | Outcome::Values(_));
                if let (true, Some(begin), Some((Some(process), step))) =
                    (has_answered, begun.get(step), steps.get(step))
                {
                    spans.push((*begin..seq, *process, step.clone()));
                }
            }
            _ => {}
        }
    }
    history.mark_late(|seq, process, effects| {
        !spans.iter().any(|(span, by, step)| {
            span.contains(&seq)
                && process == Some(*by)
                && effects.iter().any(|effect| is_of(step, effect))
        })
    });
}

/// Returns true if a step makes such a change itself.
fn is_of(step: &Step, effect: &Effect) -> bool {
    match (&step.action, effect) {
        (Action::End(region, verb), Effect::Ended { region: ended, verb: by }) => {
            region == ended && verb == by
        }
        (Action::Set(key, _) | Action::SetIfAbsent(key), Effect::Put { key: put, .. }) => {
            key == put
        }
        (Action::SetMany(region, _), Effect::Put { key, .. })
        | (Action::Transact(region, _), Effect::Put { key, .. } | Effect::Removed { key }) => {
            *region == key.region
        }
        (Action::Remove(key) | Action::Take(key), Effect::Removed { key: removed }) => {
            key == removed
        }
        _ => false,
    }
}

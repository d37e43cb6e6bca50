//! Runs a plan: processes over one store, on one thread, in virtual time.

mod cancel;
mod channel;
mod client;
mod ghost;
mod lane;
mod late;
mod loader;
pub mod redis;
mod restart;
mod store;
mod value;
mod world;

use std::sync::Arc;
use std::time::Duration;

use region_core::RegionCache;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::history::{History, What};
use crate::plan::{Client, Plan};

use channel::Channel;
use client::Process;
use restart::Restartable;
use store::ClientStore;
use world::World;

/// The virtual time after which a run ends, whatever still waits.
pub const RUN_LIMIT: Duration = Duration::from_secs(300);

/// The bound on the bytes of a near cache: more than a run can fill.
const NEAR_BYTES: u64 = 64 << 20;

/// Runs the plan and returns what happened. Equal plans have equal histories.
///
/// # Panics
/// If the code under test does.
#[must_use]
pub fn run(plan: &Plan) -> History {
    region_core::testing::fix_path_hashes();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap_or_else(|error| panic!("no runtime: {error}"));
    let world = {
        let _inside = runtime.enter();
        Arc::new(World::new(plan.clone()))
    };
    runtime.block_on(run_in(&world));
    drop(runtime);
    world.take_history()
}

async fn run_in(world: &Arc<World>) {
    let setups = world.plan.setup.processes.iter().enumerate();
    let processes: Vec<_> = setups.map(|(number, _)| Restartable::new(world, number)).collect();
    let tasks = world.plan.clients.clone().into_iter().map(|Client { process, steps }| {
        let (world, processes) = (Arc::clone(world), processes.clone());
        tokio::spawn(async move {
            for step in steps {
                tokio::time::sleep(Duration::from_millis(step.pause)).await;
                world.record(What::Begin { step: step.number });
                let outcome = match process {
                    Some(process) => processes[process].now().step(&step).await,
                    None => client::disturb(&world, &processes, &step.action),
                };
                world.record(What::End { step: step.number, outcome });
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    run_to_end(world, tasks).await;
    if world.plan.is_quiet() && world.plan.setup.rates.lose_release == 0 {
        world.look_for_leases().await;
    }
    for process in &processes {
        process.close();
    }
}

/// Waits for the tasks of a run, which is given up after a while. What panics in one does so here.
async fn run_to_end(world: &World, tasks: Vec<JoinHandle<()>>) {
    let all = async {
        for task in tasks {
            if let Err(error) = task.await
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
    };
    if timeout(RUN_LIMIT, all).await.is_err() {
        world.record(What::Note("the run is given up".to_owned()));
    }
}

/// A process; its generation counts those that were in its place before.
fn process(world: &Arc<World>, number: usize, generation: u64) -> Arc<Process> {
    let setup = &world.plan.setup.processes[number];
    let channel = Channel::new(world, number);
    let store = ClientStore::new(world, &channel);
    let builder = RegionCache::builder(store.clone());
    let builder = builder.root(world::ROOT).near(NEAR_BYTES).policy(setup.policy());
    // No two caches draw alike, those of other runs included: the process knows their loads by their tokens.
    let seed = world
        .plan
        .seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(number as u64 + (generation << 32));
    let cache = builder.seed(seed).build();
    let cache = cache.unwrap_or_else(|error| panic!("{error}"));
    let (world, died) = (Arc::clone(world), Notify::new());
    Arc::new(Process { number, world, cache, channel, died })
}

//! A long run of mixed load on a real server and in memory, with regions that come and go. Whatever the
//! process and the server use has to stay flat after the first third of the run.

mod load;
mod sample;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use region_cache::{MemoryStore, Policy, RedisStore, RegionCache, Result, Store};
use servers::{Flavor, Proxy, TestServer};

use load::Worker;
pub use sample::Sample;
pub use table::{Table, heading};

/// The bound on the bytes of each near cache: small, so that it is full long before the end.
const NEAR_BYTES: u64 = 512 * 1024;

/// The number of workers on each cache.
const WORKERS: usize = 2;

/// The number of samples that are taken in a run.
const SAMPLES: u32 = 60;

/// The number of keys that the server remembers clients to have read. It forgets none that is never written, up to
/// this number; its default of a million would not be reached for hours.
const TRACKED_KEYS: u32 = 5000;

/// The time between two cuts of the first store's connections.
const BETWEEN_CUTS: Duration = Duration::from_secs(4);

/// The state that everything in a run shares.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The number of regions that there were so far.
    pub(crate) regions: AtomicU64,
    pub(crate) operations: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) is_over: AtomicBool,
}

/// Runs the load for so long, gives each sample to `shown` as it is taken, and returns them all.
///
/// # Errors
/// When the server cannot be reached at the start.
///
/// # Panics
/// When the server is not installed, or a worker panics.
pub async fn run(time: Duration, mut shown: impl FnMut(&Sample)) -> Result<Table> {
    let tracked = TRACKED_KEYS.to_string();
    let args = ["--tracking-table-max-keys", tracked.as_str()];
    let server = Arc::new(TestServer::start_with(Flavor::Redis, &args));
    let proxy = Proxy::start(server.port()).await;
    let (cut, direct) = (connect(&proxy.url()).await?, connect(&server.url()).await?);
    let memory = MemoryStore::new();
    let caches = [
        near(cut.clone(), Policy::new())?,
        near(cut, Policy::new().near_unverified_for(Duration::from_millis(200)))?,
        near(direct.clone(), Policy::new().near_outage_for(Duration::from_secs(1)))?,
        RegionCache::builder(direct).root("soak").policy(lifetimes()).build()?,
        near(memory.client(), Policy::new())?,
        near(memory.client(), Policy::new())?,
    ];
    let shared = Arc::new(Shared::default());
    let workers: Vec<_> = (0..WORKERS * caches.len())
        .map(|at| Worker::new(at as u64, caches[at % caches.len()].clone(), &shared))
        .map(|worker| tokio::spawn(worker.run()))
        .collect();
    let (start, between) = (Instant::now(), time / SAMPLES);
    let mut samples = Vec::with_capacity(SAMPLES as usize);
    let mut cuts = 0;
    while start.elapsed() < time {
        tokio::time::sleep(between).await;
        let cut_now = start.elapsed().as_secs() / BETWEEN_CUTS.as_secs();
        if cut_now > cuts {
            cuts = cut_now;
            proxy.cut();
        }
        let sample = Sample::take(start.elapsed(), &server, &memory, &caches, &shared).await;
        shown(&sample);
        samples.push(sample);
    }
    shared.is_over.store(true, Ordering::Release);
    for worker in workers {
        worker.await.unwrap_or_else(|error| panic!("a worker: {error}"));
    }
    Ok(Table::new(samples, cuts))
}

async fn connect(url: &str) -> Result<RedisStore> {
    RedisStore::connect(url).await
}

/// Everything that is written is gone after a few seconds.
fn lifetimes() -> Policy {
    let millis = Duration::from_millis;
    let policy = Policy::new().ttl(millis(1500)).region_ttl(millis(2500)).stale_for(millis(500));
    policy.absent_ttl(millis(300)).lease(millis(1000))
}

fn near(store: impl Store, policy: Policy) -> Result<RegionCache> {
    let policy = policy.within(&lifetimes());
    RegionCache::builder(store).root("soak").policy(policy).near(NEAR_BYTES).build()
}

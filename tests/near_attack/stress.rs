//! Random operations of several clients against a model: after a change has completed its own client sees
//! nothing older, and the others see nothing older once a push has had time to come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use region_cache::{Policy, Region, RegionCache, RegionExt, RegionHandle};
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{connect, ms, near};

const REGIONS: [&str; 4] = ["", "a", "a.b", "a.c"];
const KEYS: [&str; 3] = ["x", "y", "z"];

/// The time in which others have heard of a change, whatever became of the connection: it is watched every
/// 100 ms and taken for dead after 2 s.
const HEARD_WITHIN: Duration = Duration::from_secs(4);

/// The duration of each run: `STRESS_SECONDS`, or a few seconds.
fn run_time() -> Duration {
    let seconds = std::env::var("STRESS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

/// The changes of one key: the truth, and which versions had completed when.
#[derive(Default)]
struct Key {
    truth: AtomicU64,
    completed: Mutex<Vec<(Instant, u64)>>,
}

#[derive(Default)]
struct Model {
    keys: [[Key; KEYS.len()]; REGIONS.len()],
    /// Held while something changes, so that the versions have an order.
    changing: tokio::sync::Mutex<()>,
    is_over: AtomicBool,
}

struct Client {
    cache: RegionCache,
    model: Arc<Model>,
    /// The versions of changes that this client has completed.
    own: [[AtomicU64; KEYS.len()]; REGIONS.len()],
    hits: AtomicU64,
}

/// The keys that a change covers, by the numbers of their regions and names.
fn covered(region: usize, how: u32, key: usize) -> Vec<(usize, usize)> {
    let regions: Vec<usize> = match (how, region) {
        (0..=3, _) => return vec![(region, key)],
        // Everything below.
        (5 | 6, 0) => (0..REGIONS.len()).collect(),
        (5 | 6, 1) => vec![1, 2, 3],
        // A touch: everything above.
        (7, 2 | 3) => vec![0, 1, region],
        (7, 1) => vec![0, 1],
        _ => vec![region],
    };
    regions.into_iter().flat_map(|region| (0..KEYS.len()).map(move |key| (region, key))).collect()
}

impl Client {
    fn new(cache: RegionCache, model: &Arc<Model>) -> Arc<Self> {
        let (own, hits) = (Default::default(), AtomicU64::new(0));
        Arc::new(Self { cache, model: Arc::clone(model), own, hits })
    }

    fn region(&self, at: usize) -> RegionHandle {
        match REGIONS[at] {
            "" => self.cache.root(),
            path => self.cache.region(path).unwrap(),
        }
    }

    /// The least version that a read that begins now may return.
    fn floor(&self, region: usize, key: usize) -> u64 {
        let heard = Instant::now().checked_sub(HEARD_WITHIN);
        let completed = self.model.keys[region][key].completed.lock();
        let by_others =
            completed.iter().rev().find(|(at, _)| heard.is_some_and(|heard| *at < heard));
        by_others.map_or(0, |(_, version)| *version).max(self.own[region][key].load(SeqCst))
    }

    async fn read(&self, rng: &mut SmallRng) {
        let region = rng.random_range(0..REGIONS.len());
        let handle = self.region(region);
        let floors: Vec<u64> = (0..KEYS.len()).map(|key| self.floor(region, key)).collect();
        let check = |key: usize, found: Option<Arc<u64>>, how: &str| {
            let Some(found) = found else { return };
            self.hits.fetch_add(1, SeqCst);
            let (floor, at) = (floors[key], REGIONS[region]);
            assert!(*found >= floor, "{how} {at:?} {}: {found}, not {floor}", KEYS[key]);
        };
        let key = rng.random_range(0..KEYS.len());
        match rng.random_range(0..4) {
            0 => {
                let (model, at) = (Arc::clone(&self.model), (region, key));
                let load = move || async move {
                    Ok::<_, std::io::Error>(model.keys[at.0][at.1].truth.load(SeqCst))
                };
                let found = handle.get_or_compute(KEYS[key], load).await;
                check(key, found.ok(), "get_or_compute");
            }
            1 => {
                let found = handle.get_many::<u64>(&KEYS).await.unwrap_or_default();
                found.into_iter().enumerate().for_each(|(key, it)| check(key, it, "get_many"));
            }
            _ => check(key, handle.get::<u64>(KEYS[key]).await.ok().flatten(), "get"),
        }
    }

    async fn change(&self, rng: &mut SmallRng) {
        let _changing = self.model.changing.lock().await;
        let (region, key) = (rng.random_range(0..REGIONS.len()), rng.random_range(0..KEYS.len()));
        let (how, handle) = (rng.random_range(0..9), self.region(region));
        let covered = covered(region, how, key);
        let truth = |&(region, key): &(usize, usize)| &self.model.keys[region][key].truth;
        let versions: Vec<u64> = covered.iter().map(|at| truth(at).load(SeqCst) + 1).collect();
        covered.iter().zip(&versions).for_each(|(at, version)| truth(at).store(*version, SeqCst));
        let name = KEYS[key];
        let changed = match how {
            0 | 1 => handle.set(name, &versions[0]).await,
            2 => handle.remove(name).await.map(drop),
            3 => handle.take::<u64>(name).await.map(drop),
            5 => handle.invalidate().await,
            6 => handle.expire().await,
            7 => handle.touch().await,
            4 => {
                let values: Vec<_> = KEYS.iter().copied().zip(&versions).collect();
                handle.set_many(&values).await
            }
            _ => handle.remove_many(&KEYS).await.map(drop),
        };
        // Whether it was done is not known otherwise; so it counts for nobody. It may still be on its way:
        // nothing orders it with the next change, if that is another client's.
        if changed.is_err() {
            tokio::time::sleep(ms(50)).await;
        } else {
            for ((region, key), version) in covered.into_iter().zip(versions) {
                self.own[region][key].fetch_max(version, SeqCst);
                let completed = (Instant::now(), version);
                self.model.keys[region][key].completed.lock().push(completed);
            }
        }
    }

    async fn run(self: Arc<Self>, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        while !self.model.is_over.load(SeqCst) {
            match rng.random_range(0..12) {
                0 => self.change(&mut rng).await,
                1 => {
                    // Dropped half-way.
                    let limit = Duration::from_micros(rng.random_range(0..800));
                    let read = std::pin::pin!(self.read(&mut rng));
                    let _ = tokio::time::timeout(limit, read).await;
                }
                _ => self.read(&mut rng).await,
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn run(clients: &[Arc<Client>], model: &Model, mut fault: impl FnMut()) {
    let tasks: Vec<_> = (0..3 * clients.len())
        .map(|at| tokio::spawn(Arc::clone(&clients[at % clients.len()]).run(at as u64)))
        .collect();
    let end = Instant::now() + run_time();
    while Instant::now() < end && tasks.iter().all(|task| !task.is_finished()) {
        tokio::time::sleep(ms(300)).await;
        fault();
    }
    model.is_over.store(true, SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    for client in clients {
        assert!(client.hits.load(SeqCst) > 0 && client.cache.stats().near_hits > 0);
    }
}

/// Two clients over connections of their own, one of them twice over the same connections; the connections
/// are cut, each in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_see_nothing_older_than_they_may() {
    for flavor in [Flavor::Redis, Flavor::Valkey] {
        let server = TestServer::start(flavor);
        let proxies = [Proxy::start(server.port()).await, Proxy::start(server.port()).await];
        let model = Arc::new(Model::default());
        let short = || Policy::new().ttl(ms(500));
        let (one, two) = (connect(&proxies[0].url()).await, connect(&proxies[1].url()).await);
        let clients = [
            Client::new(near(one.clone(), Policy::new()), &model),
            Client::new(near(one, short()), &model),
            Client::new(near(two, Policy::new()), &model),
        ];
        let mut faults = 0;
        run(&clients, &model, || {
            faults += 1;
            if faults % 3 == 0 {
                proxies[faults / 3 % 2].cut();
            }
        })
        .await;
    }
}

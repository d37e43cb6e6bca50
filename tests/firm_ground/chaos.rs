//! Processes that read, load and invalidate while everything around them fails: nobody sees anything
//! older than what it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use region_cache::{Backoff, Policy, ReadFrom, Region, RegionCache, RegionExt, RegionHandle};
use servers::{Flavor, TestServer};

use crate::kit::{Snapshot, builder, cache_with, keys, ms, queueing};
use crate::way::{Act, From, Way};

const REGIONS: [&str; 5] = ["a", "a.b:1", "a.b:1.c", "a.b:2", "d"];

/// The duration of each run: `CHAOS_SECONDS`, or a few seconds.
fn run_time() -> Duration {
    let seconds = std::env::var("CHAOS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

/// The faults of the server.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Faults {
    /// It loses whole keys at most.
    Losses,
    /// It also goes back to what it held a while ago; only a process's own changes are sure then.
    Rollbacks,
    /// Reads go to a replica that lags; only a process's own changes are sure then.
    Lag,
}

/// The source of truth: a version for each region, and the least that may be seen of each.
#[derive(Default)]
struct Truth {
    now: [AtomicU64; REGIONS.len()],
    /// The changes that every process has to see.
    seen_by_all: [AtomicU64; REGIONS.len()],
    /// Held by whoever changes a region, so that plain writes are in order.
    changing: [tokio::sync::Mutex<()>; REGIONS.len()],
    is_over: AtomicBool,
}

struct Process {
    cache: RegionCache,
    truth: Arc<Truth>,
    /// The changes that this process has to see.
    own: [AtomicU64; REGIONS.len()],
    faults: Faults,
    /// True if an invalidation that succeeded is on the server.
    is_queueing: bool,
    done: AtomicU64,
}

impl Process {
    fn region(&self, at: usize) -> RegionHandle {
        self.cache.region(REGIONS[at]).unwrap()
    }

    fn least(&self, at: usize) -> u64 {
        let own = self.own[at].load(SeqCst);
        match self.faults {
            Faults::Losses => own.max(self.truth.seen_by_all[at].load(SeqCst)),
            Faults::Rollbacks | Faults::Lag => own,
        }
    }

    async fn run(self: Arc<Self>, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        while !self.truth.is_over.load(SeqCst) {
            let at = rng.random_range(0..REGIONS.len());
            match rng.random_range(0..8) {
                0 => self.change(at, rng.random_range(0..5)).await,
                1..4 => self.look(at).await,
                _ => self.load(at, ms(rng.random_range(0..4) * 5)).await,
            }
            tokio::time::sleep(ms(rng.random_range(0..4))).await;
            self.done.fetch_add(1, SeqCst);
        }
    }

    /// The truth changes, then the cache is told.
    async fn change(&self, at: usize, way: u32) {
        let _alone = self.truth.changing[at].lock().await;
        let version = self.truth.now[at].fetch_add(1, SeqCst) + 1;
        let region = self.region(at);
        loop {
            let told = match way {
                0 => region.invalidate().await,
                1 => region.touch().await,
                2 | 3 => region.set("k", &version).await,
                _ => region.remove("k").await.map(drop),
            };
            match told {
                Ok(()) => break,
                Err(_) if self.truth.is_over.load(SeqCst) => return,
                Err(_) => tokio::time::sleep(ms(2)).await,
            }
        }
        self.own[at].fetch_max(version, SeqCst);
        if !self.is_queueing || matches!(way, 2 | 3) {
            self.truth.seen_by_all[at].fetch_max(version, SeqCst);
        }
    }

    async fn look(&self, at: usize) {
        let least = self.least(at);
        if let Ok(Some(found)) = self.region(at).get::<u64>("k").await {
            assert!(*found >= least, "{}: get found {found}, {least} is due", REGIONS[at]);
        }
    }

    async fn load(&self, at: usize, takes: Duration) {
        let least = self.least(at);
        let truth = Arc::clone(&self.truth);
        let load = move || async move {
            let version = truth.now[at].load(SeqCst);
            tokio::time::sleep(takes).await;
            Ok::<_, std::io::Error>(version)
        };
        let region = self.region(at);
        let loading = region.get_or_compute("k", load);
        let wait = tokio::time::timeout(Duration::from_secs(20), loading);
        if let Ok(found) = wait.await.expect("a load hangs") {
            assert!(*found >= least, "{}: a load found {found}, {least} is due", REGIONS[at]);
        }
    }
}

/// Breaks something, for a while.
async fn break_something(
    rng: &mut SmallRng,
    server: &TestServer,
    ways: &[Arc<Way>],
    faults: Faults,
) {
    let way = &ways[rng.random_range(0..ways.len())];
    match rng.random_range(0..9) {
        0 => way.cut(),
        1 => {
            way.silence();
            tokio::time::sleep(ms(rng.random_range(50..700))).await;
            way.release();
            way.cut();
        }
        2 => hold_one(rng, way, From::Client).await,
        3 => hold_one(rng, way, From::Server).await,
        4 => {
            server.pause();
            tokio::time::sleep(ms(rng.random_range(20..700))).await;
            server.resume();
        }
        5 => drop(server.command(&["CLIENT", "KILL", "TYPE", "normal"])),
        6 => drop(server.command(&["SCRIPT", "FLUSH"])),
        7 if rng.random_range(0..4) == 0 => drop(server.command(&["FLUSHALL"])),
        _ => {
            let keys = keys(server, "rc1:*");
            if !keys.is_empty() {
                server.command(&["DEL", &keys[rng.random_range(0..keys.len())]]);
            }
        }
    }
    if faults == Faults::Rollbacks && rng.random_range(0..4) == 0 {
        let snapshot = Snapshot::of(server);
        tokio::time::sleep(ms(rng.random_range(20..400))).await;
        snapshot.restore(server);
    }
}

/// Holds what one connection carries, which may be given up meanwhile, and lets it go on later.
async fn hold_one(rng: &mut SmallRng, way: &Way, side: From) {
    let held = way.connections().saturating_sub(rng.random_range(1..3));
    way.rule(move |connection, from, _| match (connection == held) && from == side {
        true => Act::Hold(0),
        false => Act::Pass,
    });
    tokio::time::sleep(ms(rng.random_range(50..900))).await;
    way.release();
}

async fn run(faults: Faults) {
    let seed = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
    let mut rng = SmallRng::seed_from_u64(seed);
    let server = TestServer::start(Flavor::Redis);
    let replica = TestServer::start(Flavor::Redis);
    let replication = Arc::new(Way::to(server.port()).await);
    if faults == Faults::Lag {
        tokio::task::block_in_place(|| replica.follow(replication.port()));
    }
    let truth = Arc::new(Truth::default());
    let (mut ways, mut processes) = (Vec::new(), Vec::new());
    for n in 0..2 {
        let way = Arc::new(Way::to(server.port()).await);
        let url = way.url();
        let store = if n == 0 { builder(&url) } else { queueing(&url) };
        let mut store = store
            .call_timeout(ms(400))
            .connect_timeout(ms(400))
            .watch(ms(30), ms(250))
            .backoff(Backoff::new(ms(10), ms(60)).unwrap());
        if faults == Faults::Lag {
            store = store.replica(&replica.url()).unwrap();
        }
        let from = if faults == Faults::Lag { ReadFrom::Replica } else { ReadFrom::Primary };
        processes.push(Arc::new(Process {
            cache: cache_with(store.connect().await.unwrap(), Policy::new().read_from(from)),
            truth: Arc::clone(&truth),
            own: Default::default(),
            faults,
            is_queueing: n == 1,
            done: AtomicU64::new(0),
        }));
        ways.push(way);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for process in &processes {
        for _ in 0..3 {
            tasks.spawn(Arc::clone(process).run(rng.random()));
        }
    }
    if faults == Faults::Lag {
        ways.push(replication);
    }
    let end = Instant::now() + run_time();
    while Instant::now() < end && tasks.try_join_next().is_none() {
        break_something(&mut rng, &server, &ways, faults).await;
        tokio::time::sleep(ms(rng.random_range(10..250))).await;
    }
    truth.is_over.store(true, SeqCst);
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    for process in processes {
        let done = process.done.load(SeqCst);
        assert!(done > 10, "{done} calls");
        crate::kit::until_ok(|| async { process.region(0).set("k", &u64::MAX).await }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_what_was_invalidated_whatever_fails() {
    run(Faults::Losses).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_changes_are_seen_though_the_server_goes_back() {
    run(Faults::Rollbacks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_changes_are_seen_though_a_replica_lags() {
    run(Faults::Lag).await;
}

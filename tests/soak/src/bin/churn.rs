//! Regions that begin and end as fast as one process can: what the server holds meanwhile, how reads fare beside it,
//! and how soon everything is gone after it.
//!
//! `CHURN_SECONDS` (20), `CHURN_TASKS` (64), `CHURN_STORES` (1), `CHURN_TTL` in seconds (3600; 0: without an end),
//! `CHURN_RECLAIM` (1; 0: nothing is freed before the end) and `CHURN_FLAVOR` (`redis`, or `valkey`) say how.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use region_cache::{Policy, RedisStore, Region, RegionCache, RegionExt, Result};
use servers::{Flavor, TestServer};

/// The time between two samples.
const SAMPLE: Duration = Duration::from_secs(1);

/// The time between two reads that are measured.
const READ: Duration = Duration::from_millis(2);

/// The longest time until all is gone that is waited for.
const PATIENCE: Duration = Duration::from_secs(90);

/// The time after which what there was before is compared with what there is then.
const IDLE: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
struct Shared {
    regions: AtomicU64,
    failures: AtomicU64,
    is_over: AtomicBool,
    /// The times that reads took since they were asked for last.
    latencies: Mutex<Vec<Duration>>,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn print(line: &dyn std::fmt::Display) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let is_valkey = std::env::var("CHURN_FLAVOR").is_ok_and(|flavor| flavor == "valkey");
    let server = TestServer::start(if is_valkey { Flavor::Valkey } else { Flavor::Redis });
    let shared = Arc::new(Shared::default());
    // As another process, which reads a region of its own.
    let other = RedisStore::builder(&server.url())?.without_reclaimer().connect().await?;
    let other = RegionCache::builder(other).root("other").build()?;
    tokio::spawn(read(other, Arc::clone(&shared)));
    tokio::time::sleep(IDLE).await;
    print(&format!("a read on an idle server: {}", latencies(&shared)));

    let mut caches = Vec::new();
    for _ in 0..number("CHURN_STORES", 1) {
        caches.push(cache(&server, number("CHURN_RECLAIM", 1) != 0).await?);
    }
    let start = Instant::now();
    load(&server, &caches, &shared, start).await;
    let regions = shared.regions.load(Ordering::Relaxed);
    print(&format!(
        "{} regions a second, {} failures; a read beside it: {}",
        regions / start.elapsed().as_secs().max(1),
        shared.failures.load(Ordering::Relaxed),
        latencies(&shared),
    ));
    print(&cpu(&server));

    let end = Instant::now();
    let last = cache(&server, true).await?;
    let _ = last.root().invalidate().await;
    while end.elapsed() < PATIENCE && left(&server) > 0 {
        tokio::time::sleep(SAMPLE / 10).await;
    }
    print(&sample(&server, start, &shared));
    print(&format!(
        "{} keys are left {:?} after the end; a read beside it: {}",
        left(&server),
        end.elapsed(),
        latencies(&shared),
    ));
    print(&cpu(&server));
    Ok(())
}

async fn cache(server: &TestServer, reclaims: bool) -> Result<RegionCache> {
    let builder = RedisStore::builder(&server.url())?;
    let builder = if reclaims { builder } else { builder.without_reclaimer() };
    let policy = match number("CHURN_TTL", 3600) {
        0 => Policy::new(),
        seconds => Policy::new().ttl(Duration::from_secs(seconds)),
    };
    RegionCache::builder(builder.connect().await?).root("churn").policy(policy).build()
}

/// Makes regions and invalidates them for so long as is wanted.
async fn load(server: &TestServer, caches: &[RegionCache], shared: &Arc<Shared>, start: Instant) {
    let workers: Vec<_> = caches
        .iter()
        .cycle()
        .take(number("CHURN_TASKS", 64) as usize)
        .map(|cache| tokio::spawn(churn(cache.clone(), Arc::clone(shared))))
        .collect();
    print(&"seconds, regions, list of work, children of the root, keys, used bytes");
    while start.elapsed().as_secs() < number("CHURN_SECONDS", 20) {
        tokio::time::sleep(SAMPLE).await;
        print(&sample(server, start, shared));
    }
    shared.is_over.store(true, Ordering::Release);
    for worker in workers {
        let _ = worker.await;
    }
}

async fn churn(cache: RegionCache, shared: Arc<Shared>) {
    while !shared.is_over.load(Ordering::Acquire) {
        let number = shared.regions.fetch_add(1, Ordering::Relaxed);
        if once(&cache, number).await.is_err() {
            shared.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn once(cache: &RegionCache, number: u64) -> Result<()> {
    let org = cache.region(&format!("org:{number}"))?;
    let tasks = org.region("project:1.tasks")?;
    tasks.set_many(&[("a", &1_u32), ("b", &2), ("c", &3)]).await?;
    org.invalidate().await
}

async fn read(cache: RegionCache, shared: Arc<Shared>) {
    let Ok(region) = cache.region("kept") else { return };
    let _ = region.set("k", &1_u32).await;
    loop {
        let start = Instant::now();
        let _ = region.get::<u32>("k").await;
        let taken = start.elapsed();
        shared.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
        tokio::time::sleep(READ).await;
    }
}

fn latencies(shared: &Shared) -> String {
    let taken = shared.latencies.lock().map(|mut taken| std::mem::take(&mut *taken));
    let mut taken = taken.unwrap_or_default();
    taken.sort_unstable();
    let at = |percent: usize| {
        taken.get(taken.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
    };
    format!("p50 {:?}, p99 {:?}, longest {:?}", at(50), at(99), at(100))
}

/// The number of keys that the regions have left.
fn left(server: &TestServer) -> u64 {
    // Those of the region that is read, and the counts of connections with their list.
    let others = server.command(&["ZCARD", "rc1:w"]).text().parse().unwrap_or(0) + 5;
    keys(server).saturating_sub(others)
}

fn keys(server: &TestServer) -> u64 {
    server.command(&["DBSIZE"]).text().parse().unwrap_or_default()
}

fn info(server: &TestServer, section: &str, name: &str) -> String {
    let info = server.command(&["INFO", section]).text();
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

fn sample(server: &TestServer, start: Instant, shared: &Shared) -> String {
    let card = |name: &str| server.command(&["ZCARD", name]).text();
    format!(
        "{:>5} {:>9} {:>9} {:>9} {:>9} {:>12}",
        start.elapsed().as_secs(),
        shared.regions.load(Ordering::Relaxed),
        card("rc1:g{churn}"),
        card("rc1:c{churn}"),
        keys(server),
        info(server, "memory", "used_memory"),
    )
}

fn cpu(server: &TestServer) -> String {
    let [user, sys] = ["used_cpu_user", "used_cpu_sys"].map(|name| info(server, "cpu", name));
    format!("the server's processor time: {user} s and {sys} s of the system")
}

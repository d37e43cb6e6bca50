//! Many callers of one missing key, in many processes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use region_core::testing::{Method, Recorder};
use region_core::{Policy, Region, RegionCache, Verb};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};

use crate::kit::{builder, path};

servers::on_both! {
    eight_processes_of_a_thousand_tasks_run_one_load
    a_load_that_is_outlived_is_loaded_again_once
}

const PROCESSES: usize = 8;
const TASKS: usize = 1000;

/// The calls of the load itself: its process takes the lease and stores the value, each other one reads it.
const CALLS_OF_THE_LOAD: u64 = 1 + PROCESSES as u64;

/// The most calls beside these, for each process on average: it looks for the value, and asks for the lease that
/// another holds, or if a load under way may be shared by callers who came later.
const MORE_CALLS: u64 = 3;

/// On a busy machine a load may take as long as that the others ask for it without having been told.
const ATTEMPTS: u64 = 4;

/// On a busy machine with a stampede on it, the task that extends a lease may come late.
const LEASE: Duration = Duration::from_secs(120);

/// Limits that hold on a busy machine with a stampede on it.
async fn connect_patiently(server: &TestServer) -> RedisStore {
    let builder = builder(&server.url()).call_timeout(Duration::from_secs(60));
    let builder = builder.watch(Duration::from_secs(1), Duration::from_secs(60));
    builder.connect().await.unwrap()
}

async fn stores(server: &TestServer) -> Vec<Recorder<RedisStore>> {
    let mut stores = Vec::new();
    for _ in 0..PROCESSES {
        stores.push(Recorder::new(connect_patiently(server).await));
    }
    stores
}

fn caches(stores: &[Recorder<RedisStore>]) -> Vec<RegionCache> {
    let mut caches = Vec::new();
    for store in stores.iter().cloned() {
        let cache = RegionCache::builder(store).root("r").policy(Policy::new().lease(LEASE));
        caches.push(cache.build().unwrap());
    }
    caches
}

/// The number of calls to the store.
fn calls(stores: &[Recorder<RedisStore>]) -> Vec<u64> {
    let of = |store: &Recorder<RedisStore>| {
        [Method::Read, Method::Begin, Method::Write].map(|method| store.count(method)).iter().sum()
    };
    stores.iter().map(of).collect()
}

/// All tasks ask for one key at once, and get its value.
async fn stampede(caches: &[RegionCache], loads: &Arc<AtomicU64>) {
    let mut tasks = Vec::new();
    let waiting = Arc::new(AtomicUsize::new(caches.len() * TASKS));
    for cache in caches {
        for _ in 0..TASKS {
            let (region, loads) = (cache.region("a.b").unwrap(), Arc::clone(loads));
            let (waiting, all_came) = (Arc::clone(&waiting), Arc::clone(&waiting));
            let load = move || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                while all_came.load(Ordering::SeqCst) > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok::<_, Infallible>("value".to_owned())
            };
            tasks.push(tokio::spawn(async move {
                waiting.fetch_sub(1, Ordering::SeqCst);
                region.get_or_compute("k", load).await
            }));
        }
    }
    for task in tasks {
        assert_eq!(*task.await.unwrap().unwrap(), "value");
    }
}

async fn eight_processes_of_a_thousand_tasks_run_one_load(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let most = CALLS_OF_THE_LOAD + MORE_CALLS * PROCESSES as u64;
    let mut seen = Vec::new();
    for _ in 0..ATTEMPTS {
        let stores = stores(&server).await;
        let loads = Arc::new(AtomicU64::new(0));
        stampede(&caches(&stores), &loads).await;
        assert_eq!(loads.load(Ordering::SeqCst), 1);
        seen.push(calls(&stores));
        if seen.last().into_iter().flatten().sum::<u64>() <= most {
            return;
        }
        server.command(&["FLUSHALL"]);
    }
    panic!("more than {most} calls each time: {seen:?}");
}

async fn a_load_that_is_outlived_is_loaded_again_once(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let caches = caches(&stores(&server).await);
    let other = connect_patiently(&server).await;
    let loads = Arc::new(AtomicU64::new(0));
    let ending = async {
        while loads.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        region_core::Store::end(&other, &path("r.a"), Verb::Invalidate.into()).await.unwrap();
    };
    tokio::join!(stampede(&caches, &loads), ending);
    // Whoever came before the invalidation may have the first load's value; it is not stored.
    let before = loads.load(Ordering::SeqCst);
    stampede(&caches, &loads).await;
    assert!(loads.load(Ordering::SeqCst) <= before + 1);
}

//! Many callers of one missing key, and an invalidation among them. Without one: see `tests/processes`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use region_core::{Policy, Region, RegionCache, Verb};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};

use crate::kit::{builder, path};

servers::on_both! {
    a_load_that_is_outlived_is_loaded_again_once
}

const CACHES: usize = 8;
const TASKS: usize = 1000;

/// On a busy machine with a stampede on it, the task that extends a lease may come late.
const LEASE: Duration = Duration::from_secs(120);

/// Limits that hold on a busy machine with a stampede on it.
async fn connect_patiently(server: &TestServer) -> RedisStore {
    let builder = builder(&server.url()).call_timeout(Duration::from_secs(60));
    let builder = builder.watch(Duration::from_secs(1), Duration::from_secs(60));
    builder.connect().await.unwrap()
}

async fn caches(server: &TestServer) -> Vec<RegionCache> {
    let mut caches = Vec::new();
    for _ in 0..CACHES {
        let store = connect_patiently(server).await;
        let cache = RegionCache::builder(store).root("r").policy(Policy::new().lease(LEASE));
        caches.push(cache.build().unwrap());
    }
    caches
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

async fn a_load_that_is_outlived_is_loaded_again_once(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let caches = caches(&server).await;
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

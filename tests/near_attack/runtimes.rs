//! Runtimes that stand still, or end, while values are held near.

use std::time::{Duration, Instant};

use region_cache::{OnOutage, Policy, RedisStore, Region, RegionCache, RegionExt, RegionHandle};
use servers::{Flavor, TestServer};
use tokio::runtime::{Builder, Runtime};

use crate::kit::{builder, ms, near, until_near, value};

servers::on_both! {
    a_runtime_that_was_not_polled_serves_nothing_that_changed_meanwhile
    a_cache_whose_runtime_is_not_polled_serves_nothing_near_on_another
    a_cache_whose_runtime_has_ended_serves_nothing_near_and_says_why
    a_cache_is_dropped_wherever_it_may_be
}

const EVERY: Duration = ms(100);
const SILENCE: Duration = ms(200);

/// What was heard last is trusted for no longer than this.
const TRUSTED: Duration = ms(100 + 2 * 200);

/// No call takes longer than this, on a busy machine either.
const LIMIT: Duration = Duration::from_secs(20);

/// A runtime that does nothing but while it is waited for.
fn lazy() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn connect(server: &TestServer) -> RedisStore {
    builder(&server.url()).watch(EVERY, SILENCE).connect().await.unwrap()
}

/// A cache on `runtime`, with `k` near and trusted.
fn warm(runtime: &Runtime, server: &TestServer) -> (RegionCache, RegionHandle) {
    runtime.block_on(async {
        let cache = near(connect(server).await, Policy::new());
        let region = cache.region("r").unwrap();
        region.set("k", &1_u64).await.unwrap();
        until_near(&cache, &region).await;
        (cache, region)
    })
}

/// Has another client change `k`, and lets the time pass for which what was heard before is trusted.
fn change_unheard(server: &TestServer) {
    let other = lazy();
    let changed = Instant::now();
    other.block_on(async {
        let cache = near(connect(server).await, Policy::new());
        cache.region("r").unwrap().set("k", &2_u64).await.unwrap();
    });
    std::thread::sleep(TRUSTED.saturating_sub(changed.elapsed()) + ms(1));
}

/// Bug: trust ended when a task noticed that the connection was silent. Effect: on a runtime that had not been polled
/// for a while the first reads served what others had changed long ago. Fix: a hit looks at the clock.
async fn a_runtime_that_was_not_polled_serves_nothing_that_changed_meanwhile(flavor: Flavor) {
    off_runtime(move || {
        let (server, runtime) = (TestServer::start(flavor), lazy());
        let (cache, region) = warm(&runtime, &server);
        change_unheard(&server);
        assert_eq!(runtime.block_on(value(&region, "k")), Some(2));
        // Once the tasks of the store have had their turn, it is trusted again.
        runtime.block_on(until_near(&cache, &region));
    })
    .await;
}

/// The same, where the cache is called on another runtime: nothing near may be served, and no call hangs.
async fn a_cache_whose_runtime_is_not_polled_serves_nothing_near_on_another(flavor: Flavor) {
    off_runtime(move || {
        let (server, runtime, other) = (TestServer::start(flavor), lazy(), lazy());
        let (_cache, region) = warm(&runtime, &server);
        change_unheard(&server);
        let start = Instant::now();
        for _ in 0..2 {
            let read = other.block_on(region.get::<u64>("k"));
            assert!(!matches!(read, Ok(Some(_))), "{read:?}");
        }
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
        // Nothing is wrong with it.
        assert_eq!(runtime.block_on(value(&region, "k")), Some(2));
        assert_eq!(runtime.block_on(value(&region, "k")), Some(2));
    })
    .await;
}

async fn a_cache_whose_runtime_has_ended_serves_nothing_near_and_says_why(flavor: Flavor) {
    off_runtime(move || {
        let (server, runtime, other) = (TestServer::start(flavor), lazy(), lazy());
        let (_cache, region) = warm(&runtime, &server);
        drop(runtime);
        let strict = region.with_policy(Policy::new().on_outage(OnOutage::Error)).unwrap();
        let start = Instant::now();
        for _ in 0..10 {
            let (read, why, loaded) = other.block_on(async {
                let load = || async { Ok::<_, std::io::Error>(3_u64) };
                let read = region.get::<u64>("k").await;
                (read, strict.get::<u64>("k").await, region.get_or_compute("k", load).await)
            });
            assert_eq!(read.unwrap(), None);
            let error = why.expect_err("nothing is known of the value");
            assert!(error.to_string().contains("runtime that the store was made on"), "{error}");
            assert_eq!(*loaded.unwrap(), 3);
        }
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    })
    .await;
}

/// The last clone of a cache is dropped on its own runtime, on another, outside of any, and after its own has ended.
async fn a_cache_is_dropped_wherever_it_may_be(flavor: Flavor) {
    off_runtime(move || {
        let (server, other) = (TestServer::start(flavor), lazy());
        for place in ["own", "other", "none", "ended"] {
            let runtime = lazy();
            let (cache, region) = warm(&runtime, &server);
            match place {
                "own" => runtime.block_on(async { drop((cache, region)) }),
                "other" => other.block_on(async { drop((cache, region)) }),
                "none" => drop((cache, region)),
                _ => {
                    drop(runtime);
                    drop((cache, region));
                    continue;
                }
            }
            // Its connections end once its runtime is polled.
            runtime.block_on(async {
                let deadline = Instant::now() + LIMIT;
                while connections(&server) > 0 {
                    assert!(Instant::now() < deadline, "{place}: connections stay open");
                    tokio::time::sleep(ms(10)).await;
                }
            });
        }
    })
    .await;
}

fn connections(server: &TestServer) -> usize {
    let clients = server.command(&["CLIENT", "LIST"]).text();
    clients.lines().filter(|line| line.contains("name=region-cache")).count()
}

/// Runs a case that has runtimes of its own.
async fn off_runtime(case: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(case).await.unwrap();
}

//! Runtimes without timers.

use std::collections::HashMap;
use std::convert::Infallible;

use futures_util::{StreamExt, TryStreamExt};
use region_core::testing::Faulty;
use region_core::{
    Error, ErrorKind, LoadOptions, LoadRequest, Loaded, OnStale, Policy, Region, RegionCache,
    RegionExt, RegionHandle,
};
use region_memory::MemoryStore;
use std::time::Duration;

fn without_timers(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
}

fn assert_needs_timers<T: std::fmt::Debug>(result: Result<T, Error>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    let text = error.to_string();
    assert!(text.contains("the tokio runtime has no timers: build it with enable_time"), "{text}");
}

/// Everything but a load works.
async fn use_without_loads(region: &RegionHandle) {
    region.set("k", &1u32).await.unwrap();
    region.set_many(&[("l", &2u32), ("m", &3)]).await.unwrap();
    assert!(!region.set_if_absent("k", &4u32).await.unwrap());
    for _ in 0..2 {
        assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&1));
        let many = region.get_many::<u32>(&["k", "l", "n"]).await.unwrap();
        assert_eq!(many.iter().flatten().count(), 2);
    }
    assert!(region.contains("k").await.unwrap());
    assert_eq!(region.take::<u32>("m").await.unwrap().as_deref(), Some(&3));
    assert!(region.remove("l").await.unwrap());
    assert_eq!(region.len().await.unwrap(), 1);
    assert_eq!(region.keys().try_collect::<Vec<_>>().await.unwrap(), ["k"]);
    assert_eq!(region.entries::<u32>().try_collect::<Vec<_>>().await.unwrap().len(), 1);
    assert!(region.children().next().await.is_none());
    assert!(region.explain::<u32>("k").await.unwrap().to_string().contains('k'));
    region.restart_region_ttl().await.unwrap();
    let mut transaction = region.transaction();
    transaction.set("t", 1u32);
    transaction.commit().await.unwrap();
    region.touch().await.unwrap();
    region.expire().await.unwrap();
    region.invalidate_and_touch().await.unwrap();
    region.invalidate().await.unwrap();
    assert_eq!(region.get::<u32>("k").await.unwrap(), None);
}

/// Bug: the timers of a load panicked in its task.
/// Effect: the load function was called, and its caller told that it had panicked.
/// Fix: the error says what is missing, and nothing is loaded.
#[test]
fn a_load_without_timers_says_so() {
    for near in [0, 1 << 20] {
        let cache = RegionCache::builder(MemoryStore::new()).near(near).build().unwrap();
        without_timers(async move {
            let region = cache.region("a").unwrap();
            use_without_loads(&region).await;
            let load = || async { Ok::<_, Infallible>(1u32) };
            assert_needs_timers(region.get_or_compute("k", load).await);
            let load = |_| async { Ok::<_, Infallible>(Loaded::new(1u32)) };
            let on = LoadOptions::new().depends_on(&cache.region("b").unwrap());
            assert_needs_timers(region.get_or_compute_with("k", on, load).await);
            assert_needs_timers(
                region.get_or_compute_with("k", LoadOptions::new().reload(), load).await,
            );
            let load = |_| async { Ok::<_, Infallible>(HashMap::<String, u32>::new()) };
            assert_needs_timers(region.get_or_compute_many(&["k", "l"], load).await);
            let warmed = region.warm(["k"]).load(|_| async { Ok::<_, Infallible>(1u32) }).await;
            assert_needs_timers(Err::<(), _>(warmed.last_error.unwrap()));
            let loading = region
                .with_loader(|_: LoadRequest<u32>| async { Ok::<_, Infallible>(Loaded::new(1)) });
            assert_needs_timers(loading.get_or_load::<u32>("k").await);
            // What is there needs no load.
            region.set("k", &2u32).await.unwrap();
            let load = || async { Ok::<_, Infallible>(1u32) };
            assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 2);
            assert_eq!(cache.stats().loads, 0);
        });
    }
}

/// A stale value is returned, and not refreshed.
#[test]
fn nothing_is_refreshed_without_timers() {
    let policy = Policy::new().stale_for(Duration::from_secs(60)).on_stale(OnStale::Refresh);
    let cache = RegionCache::builder(MemoryStore::new()).policy(policy).build().unwrap();
    without_timers(async move {
        let load = |_: LoadRequest<u32>| async { Ok::<_, Infallible>(Loaded::new(2)) };
        let region = cache.region("a").unwrap().with_loader(load);
        region.set("k", &1u32).await.unwrap();
        region.expire().await.unwrap();
        assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&1));
        assert_eq!(cache.stats().loads, 0);
    });
}

/// An invalidation that fails is tried again without timers too.
#[test]
fn subscriptions_try_again_without_timers() {
    let store = Faulty::new(MemoryStore::new());
    let cache = RegionCache::builder(store.clone()).build().unwrap();
    without_timers(async move {
        let region = cache.region("a").unwrap();
        region.set("k", &1u32).await.unwrap();
        let failing =
            store.on(region_core::testing::Method::End).nth(1).fail(ErrorKind::Unavailable);
        let events = futures_util::stream::iter([()]).chain(futures_util::stream::pending());
        let subscription = region.invalidate_on(events);
        while region.contains("k").await.unwrap() {
            tokio::task::yield_now().await;
        }
        assert_eq!(failing.hits(), 1);
        drop(subscription);
    });
}

//! Load functions that are registered for a region.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use region_core::{
    ErrorKind, LoadOptions, LoadRequest, Loaded, OnStale, Policy, Region, RegionCache,
    RegionCacheBuilder, RegionExt, RegionHandle,
};
use tokio::time::{advance, sleep};

use super::kit::{Source, memory, settle, within};

const TTL: Duration = Duration::from_secs(100);
const LOAD: Duration = Duration::from_secs(1);
const NOW: Duration = Duration::from_millis(1);

fn refreshing() -> Policy {
    Policy::new().ttl(TTL).stale_for(TTL).on_stale(OnStale::Refresh)
}

fn builder(policy: Policy) -> RegionCacheBuilder {
    RegionCache::builder(memory()).root("r").policy(policy).seed(7)
}

/// A region `a`, whose values are the numbers of the loads.
fn region(cache: &RegionCache, source: &Source) -> RegionHandle {
    let source = source.clone();
    cache.region("a").unwrap().with_loader(move |_: LoadRequest<usize>| {
        let load = source.clone().load(LOAD);
        async move { load.await.map(Loaded::new) }
    })
}

async fn get(region: &RegionHandle, key: &str) -> Option<usize> {
    within(NOW, region.get::<usize>(key)).await.unwrap().as_deref().copied()
}

async fn load(region: &RegionHandle, key: &str) -> Option<usize> {
    region.get_or_load::<usize>(key).await.unwrap().as_deref().copied()
}

#[tokio::test(start_paused = true)]
async fn a_value_is_loaded_by_the_function_of_its_region() {
    let cache = builder(Policy::new()).build().unwrap();
    let (source, plain) = (Source::default(), cache.region("a").unwrap());
    let region = region(&cache, &source);
    assert_eq!(get(&region, "k").await, None, "a get of nothing loads nothing");
    let calls = (load(&region, "k"), load(&region, "k"), load(&region, "k"));
    let calls = tokio::join!(calls.0, calls.1, calls.2);
    assert_eq!(calls, (Some(1), Some(1), Some(1)));
    assert_eq!((load(&region, "k").await, get(&plain, "k").await), (Some(1), Some(1)));
    let reloaded = region.get_or_load_with::<usize>("k", LoadOptions::new().reload()).await;
    assert_eq!((reloaded.unwrap().as_deref(), source.begun()), (Some(&2), 2));
}

#[tokio::test(start_paused = true)]
async fn functions_go_by_region_and_type() {
    let name = |request: LoadRequest<String>| async move {
        Ok::<_, Infallible>(Loaded::new(format!("{} {}", request.region.path(), request.key)))
    };
    let one = |_: LoadRequest<u32>| async { Ok::<_, Infallible>(Loaded::new(1_u32)) };
    let of_root = |_: LoadRequest<u8>| async { Ok::<_, Infallible>(Loaded::<u8>::absent()) };
    let builder = builder(Policy::new()).loader("org.project", name).loader("org.project", one);
    let cache = builder.loader("", of_root).build().unwrap();
    let project = cache.region("org:1.project:2").unwrap();
    let found = project.get_or_load::<String>("k").await.unwrap();
    assert_eq!(found.as_deref().map(String::as_str), Some("r.org:1.project:2 k"));
    assert_eq!(project.get_or_load::<u32>("n").await.unwrap().as_deref(), Some(&1));
    assert_eq!(cache.root().get_or_load::<u8>("n").await.unwrap(), None);
    let two = |_: LoadRequest<u32>| async { Ok::<_, Infallible>(Loaded::new(2_u32)) };
    let other = project.with_loader(two).with_policy(Policy::new().ttl(TTL)).unwrap();
    assert_eq!(other.get_or_load::<u32>("m").await.unwrap().as_deref(), Some(&2), "the later one");
    assert!(other.get_or_load::<String>("k").await.unwrap().is_some());
    for without in ["org:1", "org:1.project:2.task:3", "project:2"] {
        let without = cache.region(without).unwrap();
        let error = without.get_or_load::<u32>("n").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
    }
}

#[test]
fn names_that_no_region_can_have_are_refused() {
    let load = |_: LoadRequest<u32>| async { Ok::<_, Infallible>(Loaded::new(1)) };
    for names in ["org:1", "a..b"] {
        let error = builder(Policy::new()).loader(names, load).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPath);
        assert!(error.to_string().contains("loader("), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_get_refreshes_early() {
    for near_bytes in [None, Some(1 << 20)] {
        let builder = builder(Policy::new().ttl(TTL).early_refresh_at(80));
        let builder = match near_bytes {
            Some(bytes) => builder.near(bytes),
            None => builder,
        };
        let (cache, source) = (builder.build().unwrap(), Source::default());
        let region = region(&cache, &source);
        assert_eq!(load(&region, "k").await, Some(1));
        advance(TTL * 79 / 100).await;
        assert_eq!((get(&region, "k").await, source.begun()), (Some(1), 1));
        advance(TTL * 2 / 100).await;
        for _ in 0..100 {
            assert_eq!(get(&region, "k").await, Some(1));
        }
        settle(&source).await;
        assert_eq!((get(&region, "k").await, source.begun()), (Some(2), 2));
        let stats = cache.stats();
        assert_eq!((stats.early_refreshes, stats.background_loads), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_get_returns_the_stale_value_and_refreshes_it_if_the_policy_says_so() {
    for on_stale in [OnStale::Refresh, OnStale::Wait] {
        let cache = builder(refreshing().on_stale(on_stale)).build().unwrap();
        let source = Source::default();
        let region = region(&cache, &source);
        assert_eq!(load(&region, "k").await, Some(1));
        advance(TTL + NOW).await;
        assert_eq!(get(&cache.region("a").unwrap(), "k").await, None, "without a function");
        if on_stale == OnStale::Wait {
            assert_eq!((get(&region, "k").await, source.begun()), (None, 1));
            continue;
        }
        for _ in 0..100 {
            assert_eq!(get(&region, "k").await, Some(1));
        }
        settle(&source).await;
        assert_eq!((get(&region, "k").await, source.begun()), (Some(2), 2));
        let stats = cache.stats();
        assert_eq!((stats.background_loads, stats.stale_hits), (1, 100));
    }
}

/// A refresh is fenced like any load.
#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_overtaken_is_not_stored() {
    let (cache, source) = (builder(refreshing()).build().unwrap(), Source::default());
    let region = region(&cache, &source);
    assert_eq!(load(&region, "k").await, Some(1));
    advance(TTL + NOW).await;
    assert_eq!(get(&region, "k").await, Some(1));
    sleep(LOAD / 2).await;
    region.invalidate().await.unwrap();
    settle(&source).await;
    assert_eq!((get(&region, "k").await, source.finished()), (None, 2));
    assert_eq!(cache.stats().fenced_fills, 1);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_refreshes_at_once_is_bounded() {
    const KEYS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let cache = builder(refreshing()).max_refreshes(3).build().unwrap();
    let source = Source::default();
    let region = region(&cache, &source);
    for key in KEYS {
        load(&region, key).await.unwrap();
    }
    advance(TTL + NOW).await;
    for round in 0..4 {
        for key in KEYS {
            assert!(get(&region, key).await.is_some());
        }
        sleep(NOW).await;
        assert_eq!(source.under_way(), if round < 3 { 3 } else { 1 }, "round {round}");
        settle(&source).await;
    }
    // What is loaded again is fresh, so that others have their turn.
    assert_eq!((source.begun(), cache.stats().background_loads), (20, 10));
    assert_eq!(cache.stats().skipped_refreshes, 7 + 4 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_is_not_tried_again_at_once() {
    let policy = refreshing().load_retry_after(10 * LOAD);
    let (cache, fails) = (builder(policy).build().unwrap(), Arc::new(AtomicBool::default()));
    let failing = Arc::clone(&fails);
    let load = move |request: LoadRequest<usize>| {
        let fails = failing.load(Ordering::SeqCst);
        async move {
            match (fails, request.previous) {
                (true, _) => Err(io::Error::other("the load fails")),
                (false, None) => Ok(Loaded::new(1)),
                (false, Some(_)) => Ok(Loaded::not_modified()),
            }
        }
    };
    let region = cache.region("a").unwrap().with_loader(load);
    assert_eq!(self::load(&region, "k").await, Some(1));
    advance(TTL + NOW).await;
    fails.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(get(&region, "k").await, Some(1));
        sleep(NOW).await;
    }
    assert_eq!((cache.stats().load_failures, cache.stats().throttled_loads), (1, 9));
    fails.store(false, Ordering::SeqCst);
    advance(10 * LOAD).await;
    assert_eq!(get(&region, "k").await, Some(1));
    sleep(NOW).await;
    let hits = cache.stats().hits;
    assert_eq!((get(&region, "k").await, cache.stats().hits), (Some(1), hits + 1), "fresh again");
}

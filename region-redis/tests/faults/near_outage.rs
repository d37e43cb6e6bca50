//! Values held near while the server is down, hung or not heard.

use std::time::{Duration, Instant};

use region_core::{OnOutage, Policy, Region, RegionCache, RegionExt, RegionHandle};
use region_redis::{OnInvalidationFailure, RedisStore};
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{LIMIT, RECOVERY, SLACK, bounded, builder, connect, until, until_ok};

servers::on_both! {
    a_killed_server
    a_hung_server
    pushes_that_are_cut
    own_changes_through_another_cache
}

/// The bound in these cases; longer than any of them takes.
const BOUND: Duration = Duration::from_secs(600);

/// The number of reads that are counted in an outage.
const READS: u32 = 200;

fn cache(store: &RedisStore, policy: Policy) -> RegionCache {
    RegionCache::builder(store.clone()).root("r").policy(policy).near(1 << 20).build().unwrap()
}

fn in_outage() -> Policy {
    Policy::new().near_outage_for(BOUND)
}

async fn get(region: &RegionHandle, key: &str) -> Option<u32> {
    bounded(region.get::<u32>(key)).await.unwrap().map(|value| *value)
}

/// Sets `keys` to 1 and reads them, so that they are near.
async fn hold(region: &RegionHandle, keys: &[&str]) {
    for key in keys {
        region.set(key, &1u32).await.unwrap();
        assert_eq!(get(region, key).await, Some(1));
    }
}

/// Reads `key`, which is 1 and must stay so, until it is served unverified.
async fn until_unverified(cache: &RegionCache, region: &RegionHandle, key: &str) {
    let (before, deadline) = (cache.stats().near_unverified_hits, Instant::now() + RECOVERY);
    while cache.stats().near_unverified_hits == before {
        assert_eq!(get(region, key).await, Some(1), "{key}");
        assert!(Instant::now() < deadline, "{key} is not served unverified");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads `key` until it has this value.
async fn until_value(region: &RegionHandle, key: &str, value: Option<u32>) {
    let deadline = Instant::now() + RECOVERY;
    while get(region, key).await != value {
        assert!(Instant::now() < deadline, "{key} is not {value:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_killed_server(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let store = builder(&server.url()).on_invalidation_failure(OnInvalidationFailure::Queue);
    let store = store.connect().await.unwrap();
    let cache = cache(&store, in_outage());
    let (mine, below) = (cache.region("a").unwrap(), cache.region("a.b").unwrap());
    let strict = mine.with_policy(Policy::new().on_outage(OnOutage::Error)).unwrap();
    hold(&mine, &["k", "l"]).await;
    hold(&below, &["k"]).await;
    server.kill();
    until("the store to notice", || !store.stats().primary.is_up).await;
    let (start, before) = (Instant::now(), cache.stats());
    for _ in 0..READS {
        assert_eq!((get(&mine, "k").await, get(&strict, "l").await), (Some(1), Some(1)));
    }
    assert!(start.elapsed() < LIMIT + SLACK, "at once: {:?}", start.elapsed());
    let after = cache.stats();
    let unverified = after.near_unverified_hits - before.near_unverified_hits;
    assert_eq!(unverified, u64::from(2 * READS));
    assert_eq!((after.misses, after.store_failures), (before.misses, before.store_failures));
    // What this process may have changed is not served, and the rest is.
    bounded(mine.set("k", &2u32)).await.unwrap_err();
    assert_eq!((get(&mine, "k").await, get(&mine, "l").await), (None, Some(1)));
    assert!(bounded(strict.get::<u32>("k")).await.is_err());
    bounded(below.invalidate()).await.unwrap();
    assert!(store.stats().has_queued);
    assert_eq!((get(&below, "k").await, get(&mine, "l").await), (None, Some(1)));
    // The server comes back empty: nothing is served before that is known.
    server.restart();
    until("the store to come back", || store.stats().primary.is_up).await;
    until_value(&mine, "l", None).await;
    until_ok(|| mine.set("l", &3u32)).await;
    assert_eq!((get(&mine, "l").await, get(&below, "k").await), (Some(3), None));
}

async fn a_hung_server(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (store, other) = (connect(&server.url()).await, connect(&server.url()).await);
    let (here, there) = (cache(&store, in_outage()), cache(&other, Policy::new()));
    let (mine, theirs) = (here.region("a").unwrap(), there.region("a").unwrap());
    hold(&mine, &["k", "l", "m"]).await;
    server.pause();
    // Trusted until the silence is noticed; then a call may wait for its limit, and no longer.
    until_unverified(&here, &mine, "k").await;
    until("the store to notice", || !store.stats().primary.is_up).await;
    let start = Instant::now();
    for _ in 0..READS {
        assert_eq!(get(&mine, "l").await, Some(1));
    }
    assert!(start.elapsed() < LIMIT + SLACK, "at once: {:?}", start.elapsed());
    bounded(mine.set("k", &2u32)).await.unwrap_err();
    assert_eq!((get(&mine, "k").await, get(&mine, "m").await), (None, Some(1)));
    let load = || async { Ok::<u32, std::convert::Infallible>(9) };
    assert_eq!(*bounded(mine.get_or_compute("m", load)).await.unwrap(), 1);
    server.resume();
    until_ok(|| theirs.set("l", &2u32)).await;
    until("the store to come back", || store.stats().primary.is_up).await;
    until_value(&mine, "l", Some(2)).await;
    // Whatever became of the write: both see the same.
    let found = get(&theirs, "k").await;
    assert_eq!(get(&mine, "k").await, found);
}

async fn pushes_that_are_cut(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let (store, other) = (connect(&proxy.url()).await, connect(&server.url()).await);
    let policy = Policy::new().near_unverified_for(BOUND).on_outage(OnOutage::Error);
    let here = cache(&store, policy);
    let there = cache(&other, Policy::new());
    let (mine, theirs) = (here.region("a").unwrap(), there.region("a").unwrap());
    hold(&mine, &["k", "l"]).await;
    proxy.cut();
    until_unverified(&here, &mine, "k").await;
    let questions = here.stats().near_verifications;
    theirs.set("k", &2u32).await.unwrap();
    // Nobody has told, and nobody has asked.
    assert_eq!((get(&mine, "k").await, here.stats().near_verifications), (Some(1), questions));
    // Any answer about the region tells. It also has the server push again.
    until_ok(|| mine.get::<u32>("other")).await;
    until_value(&mine, "k", Some(2)).await;
    assert_eq!(get(&mine, "l").await, Some(1));
    theirs.set("l", &2u32).await.unwrap();
    until_value(&mine, "l", Some(2)).await;
    proxy.cut();
    until_ok(|| mine.set("k", &3u32)).await;
    assert_eq!(get(&mine, "k").await, Some(3));
    until_ok(|| mine.invalidate()).await;
    assert_eq!((get(&mine, "k").await, get(&mine, "l").await), (None, None));
}

/// Bug: a change that did not reach the server was known to the cache alone that had asked for it.
/// Effect: another cache over the same store served an older value in the outage.
/// Fix: the store tells all its listeners of changes that may not have reached the server.
async fn own_changes_through_another_cache(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let store = builder(&server.url()).on_invalidation_failure(OnInvalidationFailure::Queue);
    let store = store.connect().await.unwrap();
    let (here, there) = (cache(&store, in_outage()), cache(&store, Policy::new()));
    let other = cache(&connect(&server.url()).await, Policy::new());
    let regions = ["a", "b", "c.d", "e"].map(|path| here.region(path).unwrap());
    for path in ["a", "b", "c.d", "e"] {
        other.region(path).unwrap().set("k", &1u32).await.unwrap();
    }
    for region in &regions {
        assert_eq!(get(region, "k").await, Some(1));
    }
    server.kill();
    until("the store to notice", || !store.stats().primary.is_up).await;
    let ends = async |path: &str| there.region(path).unwrap().invalidate().await.unwrap();
    let [written, ended, below, kept] = &regions;
    for region in &regions {
        assert_eq!(get(region, "k").await, Some(1), "{}", region.path());
    }
    there.region("a").unwrap().set("k", &2u32).await.unwrap_err();
    ends("b").await;
    ends("c").await;
    assert_eq!((get(written, "k").await, get(ended, "k").await), (None, None));
    assert_eq!((get(below, "k").await, get(kept, "k").await), (None, Some(1)));
    there.region("e.f").unwrap().touch().await.unwrap();
    assert_eq!(get(kept, "k").await, None);
}

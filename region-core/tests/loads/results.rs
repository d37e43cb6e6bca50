//! What a load function brings: a ttl, an absence, "not modified", a value that is not stored.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{
    ErrorKind, LoadOptions, Loaded, MAX_LIFETIME, Policy, Region, RegionCache, RegionExt,
    RegionHandle, Result, Store,
};
use tokio::time::{advance, sleep};

use super::kit::{LEASE, faulty, memory, process, within};

const TTL: Duration = Duration::from_secs(100);
const SHORT: Duration = Duration::from_secs(1);
const LOAD: Duration = Duration::from_millis(100);
const NOW: Duration = Duration::from_millis(1);

fn policy() -> Policy {
    Policy::new().ttl(TTL).stale_for(TTL).absent_ttl(SHORT)
}

fn cache(store: impl Store, policy: Policy) -> (RegionCache, RegionHandle) {
    let cache = RegionCache::builder(store).root("r").policy(policy).build().unwrap();
    let region = cache.region("a").unwrap();
    (cache, region)
}

/// The value of `k`, from a load that takes its time and brings `loaded`.
async fn get(region: &RegionHandle, loaded: Loaded<u32>) -> Result<Option<u32>> {
    let load = move |_| async move {
        sleep(LOAD).await;
        Ok::<_, Infallible>(loaded)
    };
    let value = region.get_or_compute_with("k", LoadOptions::new(), load).await;
    value.map(|value| value.map(|value| *value))
}

async fn stored(region: &RegionHandle) -> Option<u32> {
    region.get::<u32>("k").await.unwrap().map(|value| *value)
}

#[tokio::test(start_paused = true)]
async fn a_load_sets_the_ttl() {
    let (_, region) = cache(memory(), policy().ttl_jitter(100));
    assert_eq!(get(&region, Loaded::new(7).ttl(SHORT)).await.unwrap(), Some(7));
    advance(SHORT - NOW).await;
    assert_eq!(stored(&region).await, Some(7));
    advance(NOW).await;
    assert_eq!(stored(&region).await, None);
    assert_eq!(get(&region, Loaded::new(8).ttl(Duration::ZERO)).await.unwrap(), Some(8));
    assert_eq!(stored(&region).await, None, "zero stores nothing");
    assert_eq!(get(&region, Loaded::new(9).ttl(Duration::MAX)).await.unwrap(), Some(9));
    advance(MAX_LIFETIME / 2).await;
    assert_eq!(stored(&region).await, Some(9));
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_remembered_for_its_time() {
    let (cache, region) = cache(memory(), policy());
    for _ in 0..5 {
        assert_eq!(get(&region, Loaded::absent()).await.unwrap(), None);
    }
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.absent_hits, stats.bad_bytes), (1, 4, 0));
    advance(SHORT).await;
    assert_eq!(get(&region, Loaded::absent().ttl(3 * SHORT)).await.unwrap(), None);
    advance(3 * SHORT - NOW).await;
    assert_eq!(get(&region, Loaded::new(7)).await.unwrap(), None);
    advance(NOW).await;
    assert_eq!(get(&region, Loaded::new(7)).await.unwrap(), Some(7));
    let (_, region) = self::cache(memory(), policy().absent_ttl(Duration::ZERO));
    assert_eq!(get(&region, Loaded::absent()).await.unwrap(), None);
    assert_eq!(get(&region, Loaded::new(7)).await.unwrap(), Some(7), "zero forgets it");
}

/// For every other method a record of an absence is a miss, and never counted as bad bytes.
#[tokio::test(start_paused = true)]
async fn an_absence_is_no_value_to_anyone() {
    let (cache, region) = cache(memory(), policy());
    assert_eq!(get(&region, Loaded::absent()).await.unwrap(), None);
    assert_eq!(stored(&region).await, None);
    assert_eq!(region.get_many::<u32>(&["k"]).await.unwrap(), [None]);
    assert!(!region.contains("k").await.unwrap());
    assert!(region.set_if_absent("k", &1_u32).await.unwrap());
    assert_eq!(get(&region, Loaded::absent()).await.unwrap(), Some(1));
    region.invalidate().await.unwrap();
    assert_eq!(get(&region, Loaded::absent()).await.unwrap(), None);
    let load = || async { Ok::<_, Infallible>(2_u32) };
    assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 2);
    region.invalidate().await.unwrap();
    assert_eq!(get(&region, Loaded::absent()).await.unwrap(), None);
    assert_eq!(region.take::<u32>("k").await.unwrap(), None);
    assert_eq!(cache.stats().bad_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn an_absence_ends_with_what_covers_it() {
    let (_, region) = cache(memory(), policy().absent_ttl(TTL));
    for round in 0..4 {
        region.invalidate().await.unwrap();
        assert_eq!(get(&region, Loaded::absent()).await.unwrap(), None);
        match round {
            0 => region.invalidate().await.unwrap(),
            1 => region.touch().await.unwrap(),
            2 => region.expire().await.unwrap(),
            _ => region.set("k", &7_u32).await.unwrap(),
        }
        assert_eq!(get(&region, Loaded::new(7)).await.unwrap(), Some(7), "round {round}");
    }
}

/// A caller who cannot do without a value shares the load of one who can, and loads itself if that
/// brings none.
#[tokio::test(start_paused = true)]
async fn an_absence_is_not_given_to_a_caller_who_wants_a_value() {
    let (_, region) = cache(memory(), policy());
    let other = region.clone();
    let absent = tokio::spawn(async move { get(&other, Loaded::absent()).await });
    tokio::task::yield_now().await;
    let load = || async { Ok::<_, Infallible>(7_u32) };
    assert_eq!(*within(LEASE, region.get_or_compute("k", load)).await.unwrap(), 7);
    assert_eq!(absent.await.unwrap().unwrap(), None);
    assert_eq!(stored(&region).await, Some(7));
}

/// Two processes, one absence.
#[tokio::test(start_paused = true)]
async fn an_absence_reaches_those_who_wait_in_another_process() {
    let store = memory();
    let (first, second) = (process(1, store.clone(), policy()), process(2, store, policy()));
    let loading = tokio::spawn(async move { get(&first, Loaded::absent()).await });
    sleep(LOAD / 2).await;
    assert_eq!(within(LEASE, get(&second, Loaded::new(8))).await.unwrap(), None);
    assert_eq!(loading.await.unwrap().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn not_modified_makes_the_old_value_fresh_again() {
    let (cache, region) = cache(memory(), policy());
    let conditional = |expected: Option<u32>| {
        let load = move |old: Option<Arc<u32>>| async move {
            assert_eq!(old.as_deref().copied(), expected);
            Ok::<_, Infallible>(old.map_or(Loaded::new(7), |_| Loaded::not_modified()))
        };
        region.get_or_compute_with("k", LoadOptions::new(), load)
    };
    assert_eq!(conditional(None).await.unwrap().as_deref(), Some(&7));
    for _ in 0..3 {
        advance(TTL).await;
        assert_eq!(stored(&region).await, None);
        assert_eq!(conditional(Some(7)).await.unwrap().as_deref(), Some(&7));
        assert_eq!(stored(&region).await, Some(7));
    }
    assert_eq!((cache.stats().loads, cache.stats().fills), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn not_modified_is_fenced() {
    let store = faulty();
    let (cache, region) = cache(store, policy());
    region.set("k", &7_u32).await.unwrap();
    advance(TTL).await;
    let other = region.clone();
    let call = tokio::spawn(async move { get(&other, Loaded::not_modified()).await });
    sleep(LOAD / 2).await;
    region.invalidate().await.unwrap();
    assert_eq!(call.await.unwrap().unwrap(), Some(7));
    assert_eq!((stored(&region).await, cache.stats().fenced_fills), (None, 1));
}

/// Without a value there is nothing that could be fresh again; the lease is free at once.
#[tokio::test(start_paused = true)]
async fn not_modified_without_a_value_is_an_error() {
    let store = faulty();
    let (_, region) = cache(store.clone(), policy());
    let error = get(&region, Loaded::not_modified()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    assert_eq!(within(LEASE, get(&region, Loaded::new(7))).await.unwrap(), Some(7));
    region.remove("k").await.unwrap();
    store.inner().on(Method::Begin).fail(ErrorKind::Unavailable);
    let error = get(&region, Loaded::not_modified()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "in an outage too");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_to_be_stored_is_not_and_leaves_no_lease() {
    let (cache, region) = cache(memory(), policy());
    for value in 0..3 {
        let got = within(LOAD * 2, get(&region, Loaded::DontStore(value))).await.unwrap();
        assert_eq!((got, stored(&region).await), (Some(value), None));
    }
    region.set("k", &7_u32).await.unwrap();
    region.expire().await.unwrap();
    assert_eq!(get(&region, Loaded::DontStore(8)).await.unwrap(), Some(8));
    let failing = |_| async { Err::<Loaded<u32>, _>(io::Error::other("down")) };
    let old = region.get_or_compute_with("k", LoadOptions::new(), failing).await.unwrap();
    assert_eq!(old.as_deref(), Some(&7), "the older value stays");
    assert_eq!(cache.stats().fills, 0);
}

/// An early refresh gets the fresh value that it is about to replace; a ttl that the load sets does not
/// make each read refresh it again.
#[tokio::test(start_paused = true)]
async fn an_early_refresh_may_bring_not_modified_and_a_shorter_ttl() {
    let (cache, region) = cache(memory(), policy().early_refresh_at(80));
    region.set("k", &7_u32).await.unwrap();
    advance(TTL * 90 / 100).await;
    let short = TTL / 10;
    assert_eq!(get(&region, Loaded::not_modified().ttl(short)).await.unwrap(), Some(7));
    sleep(LOAD * 2).await;
    for _ in 0..4 {
        advance(SHORT).await;
        assert_eq!(get(&region, Loaded::not_modified().ttl(short)).await.unwrap(), Some(7));
        sleep(LOAD * 2).await;
    }
    assert_eq!(cache.stats().loads, 1);
    advance(SHORT).await;
    assert_eq!(get(&region, Loaded::not_modified().ttl(short)).await.unwrap(), Some(7));
    sleep(LOAD * 2).await;
    assert_eq!(cache.stats().loads, 2);
}

//! The use of stale values: in the meantime, after a soft timeout, and after a failure.

use std::io;
use std::time::Duration;

use futures_util::future::join_all;
use region_core::testing::Method;
use region_core::{ErrorKind, OnStale, Policy, Region, RegionExt, RegionHandle, Result, Stats};
use region_core::{RegionCache, Store};
use region_memory::Loss;
use tokio::time::{Instant, advance, sleep};

use super::kit::{Source, faulty, memory, region_with, within};

const TTL: Duration = Duration::from_secs(10);
const STALE: Duration = Duration::from_secs(100);
const LOAD: Duration = Duration::from_millis(100);
const NOW: Duration = Duration::from_millis(1);

fn policy() -> Policy {
    Policy::new().ttl(TTL).stale_for(STALE)
}

fn refreshing() -> Policy {
    policy().on_stale(OnStale::Refresh)
}

/// A region whose key `k` holds a stale 0, and its cache.
async fn stale(store: impl Store, policy: Policy) -> (RegionCache, RegionHandle) {
    let cache = RegionCache::builder(store).root("r").policy(policy).build().unwrap();
    let region = cache.region("a").unwrap();
    region.set("k", &0_usize).await.unwrap();
    advance(TTL).await;
    (cache, region)
}

async fn get(region: &RegionHandle, source: &Source) -> Result<usize> {
    let source = source.clone();
    region.get_or_compute("k", move || source.load(LOAD)).await.map(|value| *value)
}

async fn fail(region: &RegionHandle, source: &Source) -> Result<usize> {
    let source = source.clone();
    let load = move || async move {
        source.load(LOAD).await.map(drop).ok();
        Err::<usize, _>(io::Error::other("the source is down"))
    };
    region.get_or_compute("k", load).await.map(|value| *value)
}

/// Waits until `is_so` of the cache's counters.
async fn until(cache: &RegionCache, is_so: impl Fn(Stats) -> bool) {
    within(STALE / 2, async {
        while !is_so(cache.stats()) {
            sleep(NOW).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_value_is_returned_at_once_and_refreshed_in_the_background() {
    let (cache, region) = stale(memory(), refreshing()).await;
    let source = Source::default();
    for _ in 0..100 {
        assert_eq!(within(NOW, get(&region, &source)).await.unwrap(), 0);
    }
    until(&cache, |stats| stats.fills == 1).await;
    assert_eq!(get(&region, &source).await.unwrap(), 1);
    let stats = cache.stats();
    assert_eq!((source.begun(), stats.background_loads, stats.stale_hits), (1, 1, 100));
}

/// Nobody waits for a refresh, and it goes on all the same.
#[tokio::test(start_paused = true)]
async fn several_stale_keys_are_refreshed_together() {
    let (cache, region) = stale(memory(), refreshing()).await;
    region.set("l", &0_usize).await.unwrap();
    advance(TTL).await;
    let load = |keys: Vec<String>| async move {
        sleep(LOAD).await;
        Ok::<_, io::Error>(keys.into_iter().map(|key| (key, 7_usize)).collect())
    };
    let values = within(
        NOW,
        region.get_or_compute_many::<usize, _, _, _, std::hash::RandomState>(&["k", "l"], load),
    );
    assert_eq!(values.await.unwrap().into_iter().flatten().map(|it| *it).sum::<usize>(), 0);
    until(&cache, |stats| stats.fills == 2).await;
    assert_eq!(*region.get::<usize>("l").await.unwrap().unwrap(), 7);
    assert_eq!(cache.stats().loads, 1);
}

#[tokio::test(start_paused = true)]
async fn one_process_refreshes_and_the_others_return_the_stale_value() {
    let store = faulty();
    let (first, region) = stale(store.clone(), refreshing()).await;
    let other = region_with(store, refreshing());
    let source = Source::default();
    assert_eq!(get(&region, &source).await.unwrap(), 0);
    sleep(LOAD / 2).await;
    for _ in 0..10 {
        assert_eq!(within(NOW, get(&other, &source)).await.unwrap(), 0);
        sleep(NOW).await;
    }
    until(&first, |stats| stats.fills == 1).await;
    assert_eq!((get(&other, &source).await.unwrap(), source.begun()), (1, 1));
}

/// Promise 1 for a refresh in the background: wherever in it the invalidation comes.
#[tokio::test(start_paused = true)]
async fn a_refresh_never_brings_back_what_was_invalidated_during_it() {
    for after in [0, 1, 3, 50, 102, 103] {
        let store = faulty();
        for method in [Method::Begin, Method::Write] {
            store.inner().on(method).delay_before(Duration::from_millis(2));
        }
        let (_, region) = stale(store, refreshing()).await;
        let source = Source::default();
        assert_eq!(get(&region, &source).await.unwrap(), 0);
        sleep(Duration::from_millis(after)).await;
        region.invalidate().await.unwrap();
        assert_eq!(region.get::<usize>("k").await.unwrap(), None, "after {after} ms");
        sleep(2 * LOAD).await;
        // A refresh that asks for its lease after the invalidation loads what is true then.
        let is_later = region.get::<usize>("k").await.unwrap().is_some();
        assert!(!is_later || after < 2, "after {after} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_soft_timeout_the_caller_leaves_with_the_stale_value() {
    let soft = LOAD / 4;
    let (cache, region) = stale(memory(), policy().soft_timeout(soft)).await;
    let source = Source::default();
    let started = Instant::now();
    assert_eq!(get(&region, &source).await.unwrap(), 0);
    assert!(started.elapsed() >= soft && started.elapsed() < soft + 2 * NOW);
    until(&cache, |stats| stats.fills == 1).await;
    assert_eq!(get(&region, &source).await.unwrap(), 1);
    let stats = cache.stats();
    assert_eq!((stats.soft_timeouts, stats.background_loads, stats.stale_hits), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_late_result_is_dropped_if_its_fence_is_lost() {
    let (cache, region) = stale(memory(), policy().soft_timeout(LOAD / 4)).await;
    assert_eq!(get(&region, &Source::default()).await.unwrap(), 0);
    region.set("k", &70_usize).await.unwrap();
    until(&cache, |stats| stats.fenced_fills == 1).await;
    assert_eq!(*region.get::<usize>("k").await.unwrap().unwrap(), 70);
}

#[tokio::test(start_paused = true)]
async fn a_load_within_the_soft_timeout_is_waited_for() {
    let (cache, region) = stale(memory(), policy().soft_timeout(2 * LOAD)).await;
    assert_eq!(get(&region, &Source::default()).await.unwrap(), 1);
    assert_eq!(cache.stats().soft_timeouts, 0);
}

/// The soft timeout is for those who have a stale value; the hard one is for all.
#[tokio::test(start_paused = true)]
async fn without_a_stale_value_only_the_hard_timeout_counts() {
    let policy = policy().soft_timeout(LOAD / 4);
    let region = region_with(memory(), policy.clone());
    assert_eq!(get(&region, &Source::default()).await.unwrap(), 1);
    let region = region_with(memory(), policy.load_timeout(LOAD / 2));
    let source = Source::default();
    let error = within(LOAD, get(&region, &source)).await.unwrap_err();
    assert_eq!((error.kind(), source.finished()), (ErrorKind::LoadTimeout, 0));
}

#[tokio::test(start_paused = true)]
async fn the_hard_timeout_ends_a_load_in_the_background() {
    let policy = policy().soft_timeout(LOAD / 4).load_timeout(LOAD / 2);
    let (cache, region) = stale(memory(), policy).await;
    let source = Source::default();
    assert_eq!(get(&region, &source).await.unwrap(), 0);
    until(&cache, |stats| stats.load_failures == 1).await;
    assert_eq!((source.under_way(), source.finished(), cache.stats().fills), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_no_load_is_tried_for_a_while() {
    let retry_after = Duration::from_secs(5);
    let (cache, region) = stale(memory(), policy().load_retry_after(retry_after)).await;
    let source = Source::default();
    assert_eq!(fail(&region, &source).await.unwrap(), 0);
    for _ in 0..4 {
        assert_eq!(within(NOW, fail(&region, &source)).await.unwrap(), 0);
        advance(Duration::from_secs(1)).await;
    }
    let stats = cache.stats();
    assert_eq!((source.begun(), stats.throttled_loads, stats.stale_hits), (1, 4, 5));
    advance(Duration::from_secs(1)).await;
    assert_eq!(get(&region, &source).await.unwrap(), 2);
}

/// Jitter takes off from the ttl alone: the pause after a failure is as long as the policy says.
#[tokio::test(start_paused = true)]
async fn the_pause_after_a_failure_has_no_jitter() {
    let pause = Duration::from_secs(5);
    for _ in 0..20 {
        let policy = policy().ttl_jitter(50).load_retry_after(pause);
        let (cache, region) = stale(memory(), policy).await;
        let source = Source::default();
        assert_eq!(fail(&region, &source).await.unwrap(), 0);
        advance(pause - NOW).await;
        assert_eq!(fail(&region, &source).await.unwrap(), 0);
        assert_eq!((source.begun(), cache.stats().throttled_loads), (1, 1));
        advance(NOW).await;
        assert_eq!(get(&region, &source).await.unwrap(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_refresh_is_counted_and_not_tried_for_a_while() {
    let (cache, region) = stale(memory(), refreshing().load_retry_after(TTL)).await;
    let source = Source::default();
    assert_eq!(fail(&region, &source).await.unwrap(), 0);
    until(&cache, |stats| stats.load_failures == 1).await;
    assert_eq!(fail(&region, &source).await.unwrap(), 0);
    sleep(LOAD * 2).await;
    let stats = cache.stats();
    assert_eq!((source.begun(), stats.throttled_loads, stats.stale_hits), (1, 1, 2));
}

/// Where there is no stale value, the error surfaces, and the next call tries again.
#[tokio::test(start_paused = true)]
async fn a_failure_without_a_stale_value_is_an_error_and_tried_again() {
    let region = region_with(memory(), policy().load_retry_after(TTL));
    let source = Source::default();
    assert_eq!(fail(&region, &source).await.unwrap_err().kind(), ErrorKind::Load);
    assert_eq!(get(&region, &source).await.unwrap(), 2);
}

/// A stale value is not returned beyond its window, not even by a caller that has it in hand.
#[tokio::test(start_paused = true)]
async fn the_stale_window_is_the_greatest_age() {
    let policy = policy().load_retry_after(STALE).soft_timeout(STALE + TTL);
    let (_, region) = stale(memory(), policy).await;
    let source = Source::default();
    advance(STALE - LOAD / 2).await;
    let error = fail(&region, &source).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    assert_eq!(get(&region, &source).await.unwrap(), 2);
}

/// The store fails between the read and the load: the caller still has its stale value.
#[tokio::test(start_paused = true)]
async fn a_failure_in_an_outage_falls_back_to_the_stale_value_that_was_read() {
    let store = faulty();
    let (_, region) = stale(store.clone(), policy()).await;
    store.inner().on(Method::Begin).fail(ErrorKind::Unavailable);
    assert_eq!(fail(&region, &Source::default()).await.unwrap(), 0);
}

/// A caller that leaves a foreground load before its soft timeout leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_before_the_soft_timeout_ends_the_load() {
    let (_, region) = stale(memory(), policy().soft_timeout(LOAD / 2)).await;
    let source = Source::default();
    assert!(tokio::time::timeout(LOAD / 4, get(&region, &source)).await.is_err());
    within(LOAD / 4, async {
        while source.under_way() > 0 {
            sleep(NOW).await;
        }
    })
    .await;
    assert_eq!((source.begun(), source.finished()), (1, 0));
}

/// Bug: who joined a load in the background got its stale value when it failed, though the store had lost it since
/// and shown that to the caller.
/// Effect: a value came back after a loss.
/// Fix: a caller that finds nothing ends the use of the stale value by the load that it joins.
#[tokio::test(start_paused = true)]
async fn a_stale_value_that_was_lost_is_nobodys_fallback() {
    let store = memory();
    let (cache, region) = stale(store.clone(), refreshing()).await;
    let source = Source::default();
    assert_eq!(fail(&region, &source).await.unwrap(), 0);
    sleep(NOW).await;
    store.lose(region.path(), Loss::Entries);
    let late = join_all((0..3).map(|_| fail(&region, &source))).await;
    for late in late {
        assert_eq!(late.unwrap_err().kind(), ErrorKind::Load);
    }
    assert_eq!((source.begun(), cache.stats().joined_loads), (1, 3));
    // The failure is no reason not to load what is missing.
    assert_eq!(get(&region, &source).await.unwrap(), 2);
}

/// Callers that have found the stale value keep it, whatever later ones find.
#[tokio::test(start_paused = true)]
async fn who_found_a_stale_value_before_it_was_lost_falls_back_to_it() {
    let store = memory();
    let (_, region) = stale(store.clone(), policy()).await;
    let source = Source::default();
    let late = async {
        sleep(NOW).await;
        store.lose(region.path(), Loss::Entries);
        fail(&region, &source).await
    };
    let (first, late) = tokio::join!(fail(&region, &source), late);
    assert_eq!((first.unwrap(), late.unwrap_err().kind()), (0, ErrorKind::Load));
    assert_eq!(source.begun(), 1);
}

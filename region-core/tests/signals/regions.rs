//! Regions that signals invalidate.

use std::time::Duration;

use region_core::testing::Method;
use region_core::{
    ErrorKind, MAX_PENDING_REGIONS, Region, RegionCache, RegionExt, Signal, SignalExt,
};
use tokio::time::sleep;

use super::kit::{cache, faulty, until};

async fn has(cache: &RegionCache, path: &str) -> bool {
    cache.region(path).unwrap().get::<u32>("k").await.unwrap().is_some()
}

async fn fill(cache: &RegionCache, paths: &[&str]) {
    for path in paths {
        cache.region(path).unwrap().set("k", &1u32).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_is_invalidated_at_each_value() {
    let cache = cache(faulty());
    let signal: Signal<()> = Signal::new("imported");
    let subscription = cache.region("a").unwrap().invalidate_on_signal(&signal);
    for _ in 0..3 {
        fill(&cache, &["a", "a.inner", "b"]).await;
        assert!(signal.send(()).await.is_ok());
        until(async || !has(&cache, "a").await).await;
        assert!(!has(&cache, "a.inner").await && has(&cache, "b").await);
    }
    assert!(!subscription.has_ended());
    drop(subscription);
    until(async || signal.handlers() == 0).await;
    fill(&cache, &["a"]).await;
    assert_eq!(signal.send(()).await.called, 0);
    assert!(has(&cache, "a").await);
}

#[tokio::test(start_paused = true)]
async fn a_value_names_its_region() {
    let cache = cache(faulty());
    let signal: Signal<Option<u32>> = Signal::new("changed");
    let _subscription = cache.invalidate_on_signal(&signal, |id| id.map(|id| format!("p:{id}")));
    fill(&cache, &["p:1", "p:1.inner", "p:2"]).await;
    assert!(signal.send(None).await.is_ok());
    assert!(signal.send(Some(1)).await.is_ok());
    until(async || !has(&cache, "p:1").await).await;
    assert!(!has(&cache, "p:1.inner").await && has(&cache, "p:2").await);
}

/// A value whose region is not known may concern any of them.
#[tokio::test(start_paused = true)]
async fn a_value_that_names_no_region_invalidates_all() {
    let cache = cache(faulty());
    let signal: Signal<u32> = Signal::new("changed");
    let path = |id: &u32| match id {
        0 => String::new(),
        1 => panic!("on purpose"),
        id => format!("p:{id}"),
    };
    let base = cache.region("base").unwrap();
    let _subscription = base.invalidate_each_on_signal(&signal, path);
    for id in [0, 1] {
        fill(&cache, &["base", "base.p:2", "beside"]).await;
        assert!(signal.send(id).await.is_ok());
        until(async || !has(&cache, "base").await).await;
        assert!(!has(&cache, "base.p:2").await && has(&cache, "beside").await);
    }
}

/// An event is not lost to an outage, whatever the error.
#[tokio::test(start_paused = true)]
async fn invalidations_are_tried_until_they_succeed() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Denied, ErrorKind::Timeout] {
        let store = faulty();
        let cache = cache(store.clone());
        fill(&cache, &["p:1", "p:2", "p:3"]).await;
        let signal: Signal<u32> = Signal::new("changed");
        let subscription = cache.invalidate_on_signal(&signal, |id| format!("p:{id}"));
        let outage = store.inner().on(Method::End).fail(kind);
        for id in [1, 2, 1] {
            assert!(signal.send(id).await.is_ok());
        }
        sleep(Duration::from_secs(3600)).await;
        let failures = subscription.failures_in_a_row();
        assert!((2 * 720..2 * 1600).contains(&failures), "{failures} tries in an hour");
        assert_eq!(subscription.last_error().unwrap().kind(), kind);
        outage.lift();
        until(async || !has(&cache, "p:1").await && !has(&cache, "p:2").await).await;
        until(async || subscription.failures_in_a_row() == 0).await;
        assert!(has(&cache, "p:3").await && subscription.last_error().is_none());
    }
}

/// A region whose server is down keeps no other from being invalidated at once.
#[tokio::test(start_paused = true)]
async fn a_region_that_fails_does_not_hold_up_the_others() {
    let store = faulty();
    let cache = cache(store.clone());
    fill(&cache, &["p:1", "p:2"]).await;
    let signal: Signal<u32> = Signal::new("changed");
    let subscription = cache.invalidate_on_signal(&signal, |id| format!("p:{id}"));
    let one = cache.region("p:1").unwrap();
    let outage = store.inner().on(Method::End).within(one.path()).fail(ErrorKind::Unavailable);
    assert!(signal.send(1).await.is_ok());
    sleep(Duration::from_secs(600)).await;
    // Far less than the wait before the next try.
    let before = outage.hits();
    assert!(signal.send(2).await.is_ok());
    until(async || !has(&cache, "p:2").await).await;
    assert!(outage.hits() <= before + 1 && has(&cache, "p:1").await);
    assert!(subscription.failures_in_a_row() > 0);
    outage.lift();
    until(async || !has(&cache, "p:1").await).await;
}

/// Values that come faster than regions are invalidated are not queued, and none is lost.
#[tokio::test(start_paused = true)]
async fn values_that_come_too_fast_are_covered_by_fewer_invalidations() {
    let store = faulty();
    let cache = cache(store.clone());
    let signal: Signal<usize> = Signal::new("changed");
    let _subscription = cache.invalidate_on_signal(&signal, |id| format!("p:{id}"));
    let pause = store.inner().pause(Method::End);
    assert!(signal.send(0).await.is_ok());
    pause.reached().await;
    // The invalidation under way may come too early for these.
    fill(&cache, &["p:0", "p:1"]).await;
    for _ in 0..100 {
        assert!(signal.send(0).await.is_ok() && signal.send(1).await.is_ok());
    }
    pause.release();
    until(async || !has(&cache, "p:0").await && !has(&cache, "p:1").await).await;
    assert_eq!(store.count(Method::End), 3);

    store.clear();
    let pause = store.inner().pause(Method::End);
    assert!(signal.send(0).await.is_ok());
    pause.reached().await;
    let last = MAX_PENDING_REGIONS.to_string();
    let last = format!("p:{last}");
    fill(&cache, &["p:1", &last, "unconcerned"]).await;
    for id in 1..=MAX_PENDING_REGIONS {
        assert!(signal.send(id).await.is_ok());
    }
    assert!(signal.send(MAX_PENDING_REGIONS + 1).await.is_ok());
    pause.release();
    until(async || !has(&cache, "p:1").await && !has(&cache, &last).await).await;
    // One for all that waited.
    assert_eq!(store.count(Method::End), 2);
    assert!(!has(&cache, "unconcerned").await);
}

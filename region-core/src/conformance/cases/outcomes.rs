//! Cases about what a call tells of the way in which it came by its value, and of the time that is left.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::super::Harness;
use super::super::fixture::LONG;
use super::super::gate::{LoadGate, begun, cache_with, joined, within};
use crate::handle::RegionHandle;
use crate::policy::{EntryAge, NearCache, Policy};
use crate::region::{Answer, LoadOptions, Loaded, Outcome, Region, RegionExt, UncachedReason};
use crate::stats::MissReason;
use crate::testing::Recorder;

async fn load(region: &RegionHandle, loaded: Loaded<u32>) -> Answer<Option<Arc<u32>>> {
    let load = |_| async { Ok::<_, Infallible>(loaded) };
    region.get_or_compute_answer_with("k", LoadOptions::new(), load).await.unwrap()
}

/// Asserts that the answer has a limited time left, of at most `most`.
fn assert_left<T>(answer: &Answer<T>, most: Duration) {
    let left = answer.left().and_then(|left| left.duration());
    assert!(left.is_some_and(|left| left <= most), "{left:?} of {most:?}");
}

/// A miss is loaded, then it is a hit: of the store, or near where values are held near. The time left is the
/// store's.
pub async fn a_call_tells_how_it_came_by_its_value<H: Harness>(harness: &H) {
    let policy = Policy::new().ttl(LONG);
    let cache = cache_with(harness, harness.store().await, policy);
    let region = cache.region("a.b").unwrap();
    let missing = region.get_answer::<u32>("k").await.unwrap();
    assert_eq!((missing.value(), missing.left()), (&None, None));
    assert_eq!(missing.outcome(), Outcome::Miss(MissReason::Absent));
    let loaded = load(&region, Loaded::new(1)).await;
    assert_eq!((loaded.value().as_deref(), loaded.outcome()), (Some(&1), Outcome::Loaded));
    assert!(loaded.age().is_some());
    assert_left(&loaded, LONG);
    let is_near = harness.near() == NearCache::On;
    for _ in 0..2 {
        let read = region.get_answer::<u32>("k").await.unwrap();
        let call = load(&region, Loaded::new(2)).await;
        for hit in [read, call] {
            assert_eq!(hit.value().as_deref(), Some(&1));
            assert!(hit.outcome() == Outcome::Hit || is_near && hit.outcome() == Outcome::NearHit);
            assert_left(&hit, LONG);
            assert_eq!(hit.age(), None, "it is not recorded");
        }
    }
    region.invalidate().await.unwrap();
    assert_eq!(load(&region, Loaded::new(3)).await.outcome(), Outcome::Loaded);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.loads, stats.fills), (4, 2, 2));
}

/// A caller that waits for the load of another process has not loaded.
pub async fn waiting_for_another_process_is_told<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let client = Recorder::new(harness.client(&store).await);
    let first = cache_with(harness, store, Policy::new()).region("a.b").unwrap();
    let there = cache_with(harness, client.clone(), Policy::new());
    let second = there.region("a.b").unwrap();
    let gate = LoadGate::new();
    let loading = gate.call(&first, 1);
    gate.begun().await;
    let waiting = tokio::spawn(async move { load(&second, Loaded::new(2)).await });
    begun(&client, 2).await;
    gate.release();
    assert_eq!(joined(loading).await.unwrap(), 1);
    let waited = within(waiting).await.unwrap();
    assert_eq!((waited.value().as_deref(), waited.outcome()), (Some(&1), Outcome::Joined));
    assert_eq!((there.stats().loads, there.stats().lease_waits), (0, 1));
}

/// A stale value in the place of a load that has failed, with the time after which it is gone.
pub async fn stale_values_are_told<H: Harness>(harness: &H) {
    let policy = Policy::new().ttl(LONG).stale_for(LONG);
    let region = cache_with(harness, harness.store().await, policy).region("a.b").unwrap();
    load(&region, Loaded::new(1)).await;
    region.expire().await.unwrap();
    let fail = |_| async { Err::<Loaded<u32>, _>(io::Error::other("down")) };
    let answer = region.get_or_compute_answer_with("k", LoadOptions::new(), fail).await.unwrap();
    assert_eq!((answer.value().as_deref(), answer.outcome()), (Some(&1), Outcome::Stale));
    assert_left(&answer, LONG);
    assert_eq!(region.stats().stale_hits, 1);
}

/// The age of a value that the cache had, near or in the store, fresh or stale. It is the time since the write, if
/// that was told to record it.
pub async fn ages_are_told_where_they_are_recorded<H: Harness>(harness: &H) {
    let policy = Policy::new().ttl(LONG).stale_for(LONG);
    let unrecorded = cache_with(harness, harness.store().await, policy).region("a.b").unwrap();
    let region = unrecorded.with_policy(Policy::new().age(EntryAge::Recorded)).unwrap();
    let before = SystemTime::now();
    let is_age = |age: Option<Duration>| {
        // The time is recorded in whole milliseconds.
        let most = before.elapsed().unwrap_or_default() + Duration::from_millis(1);
        age.is_some_and(|age| age <= most)
    };
    load(&region, Loaded::new(1)).await;
    region.set("set", &2u32).await.unwrap();
    for _ in 0..2 {
        for (key, value) in [("k", 1), ("set", 2)] {
            let hit = region.get_answer::<u32>(key).await.unwrap();
            assert_eq!(hit.value().as_deref(), Some(&value));
            assert!(is_age(hit.age()), "{key}: {hit:?}");
        }
        let hit = load(&region, Loaded::new(3)).await;
        assert!(hit.outcome().is_hit() && is_age(hit.age()), "{hit:?}");
    }
    let read = unrecorded.get_answer::<u32>("k").await.unwrap();
    assert!(is_age(read.age()), "what is recorded is told to all: {read:?}");

    region.expire().await.unwrap();
    let fail = |_| async { Err::<Loaded<u32>, _>(io::Error::other("down")) };
    let stale = region.get_or_compute_answer_with("k", LoadOptions::new(), fail).await.unwrap();
    assert_eq!((stale.value().as_deref(), stale.outcome()), (Some(&1), Outcome::Stale));
    assert!(is_age(stale.age()), "{stale:?}");

    unrecorded.set("k", &4u32).await.unwrap();
    assert_eq!(region.get_answer::<u32>("k").await.unwrap().age(), None);
    unrecorded.remove("k").await.unwrap();
    assert_eq!(region.get_answer::<u32>("k").await.unwrap().age(), None);
}

/// A value that the load function does not want stored, and one that was invalidated during its load.
pub async fn values_that_are_not_stored_are_told<H: Harness>(harness: &H) {
    let region = cache_with(harness, harness.store().await, Policy::new()).region("a.b").unwrap();
    let declined = load(&region, Loaded::DontStore(1)).await;
    assert_eq!(declined.outcome(), Outcome::Uncached(UncachedReason::Declined));
    assert_eq!((declined.value().as_deref(), declined.left()), (Some(&1), None));
    let gate = LoadGate::new();
    let calling = {
        let (gate, region) = (gate.clone(), region.clone());
        let call = async move { region.get_or_compute_answer("k", move || gate.load(2)).await };
        tokio::spawn(call)
    };
    gate.begun().await;
    region.invalidate().await.unwrap();
    gate.release();
    let fenced = within(calling).await.unwrap().unwrap();
    assert_eq!((**fenced.value(), fenced.left()), (2, None));
    assert_eq!(fenced.outcome(), Outcome::Uncached(UncachedReason::Fenced));
    let stats = region.stats();
    assert_eq!((stats.loads, stats.fills, stats.fenced_fills), (2, 0, 1));
}

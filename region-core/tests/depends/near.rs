//! Values held near that depend on other regions.

use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{ErrorKind, Loaded, NearCache, Policy, Region, RegionExt, Verb};

use super::kit::{Process, memory, on};

fn near() -> Policy {
    Policy::new().near(NearCache::On)
}

/// Reads until the value is near; then a read does no I/O.
async fn hold(here: &Process) -> u32 {
    let loaded = here.load().await;
    for _ in 0..3 {
        assert_eq!(here.get().await, Some(loaded));
    }
    here.calls.clear();
    assert_eq!(here.get().await, Some(loaded));
    assert_eq!(here.load().await, loaded);
    assert_eq!(here.calls.total(), 0, "{:?}", here.calls.calls());
    loaded
}

#[tokio::test]
async fn a_hit_does_no_io_while_all_regions_are_trusted() {
    let here = Process::alone(near());
    hold(&here).await;
    let before = here.cache.stats();
    here.get().await;
    let after = here.cache.stats();
    assert_eq!((after.near_hits - before.near_hits, after.hits - before.hits), (1, 1));
}

#[tokio::test]
async fn what_ends_a_dependency_ends_the_value_that_is_near() {
    let store = memory();
    let (here, there) = (Process::new(7, &store, near()), Process::new(8, &store, near()));
    for process in [&here, &there] {
        for verb in [Verb::Invalidate, Verb::Touch, Verb::Expire, Verb::InvalidateAndTouch] {
            for region in ["b", "b.inner"] {
                hold(&here).await;
                process.region(region).end(verb).await.unwrap();
                let is_down = matches!(verb, Verb::Invalidate | Verb::Expire);
                let is_reached = region == "b" || !is_down;
                assert_eq!(here.get().await.is_none(), is_reached, "{verb:?} of {region}");
            }
        }
    }
}

/// Another entry of the other region changes: one small read tells that the marker has not.
#[tokio::test]
async fn a_change_of_another_entry_costs_one_verification() {
    let store = memory();
    let (here, there) = (Process::new(7, &store, near()), Process::new(8, &store, near()));
    let loaded = hold(&here).await;
    there.region("b").set("other", &1u32).await.unwrap();
    here.calls.clear();
    assert_eq!(here.get().await, Some(loaded));
    assert_eq!(here.calls.count(Method::Read), 1);
    assert_eq!(here.calls.calls()[0].keys(), Vec::<&str>::new(), "no payload");
    here.calls.clear();
    assert_eq!(here.get().await, Some(loaded));
    assert_eq!(here.calls.total(), 0);
}

/// The marker is lost without a push, as by an eviction that pushes are not told of: once asked, the
/// value is a miss. A value that another loads after that is seen.
#[tokio::test]
async fn a_value_that_another_loads_anew_is_seen() {
    let store = memory();
    let (here, there) = (Process::new(7, &store, near()), Process::new(8, &store, near()));
    hold(&here).await;
    there.region("b").touch().await.unwrap();
    there.loads.store(10, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(there.load().await, 11);
    assert_eq!(here.get().await, Some(11));
    assert_eq!(hold(&here).await, 11);
}

/// The marker that the load of another value puts does not bring back what hung on the one before, although all that
/// is near is trusted.
#[tokio::test]
async fn a_new_marker_brings_nothing_back() {
    let here = Process::alone(near());
    hold(&here).await;
    here.region("b").touch().await.unwrap();
    let other = here.region("other");
    let load = |_| async { Ok::<_, Infallible>(Loaded::new(5u32)) };
    for _ in 0..3 {
        let loaded = other.get_or_compute_with("k", on(&here.region("b")), load).await.unwrap();
        assert_eq!(loaded.as_deref(), Some(&5));
        assert_eq!(other.get::<u32>("k").await.unwrap().as_deref(), Some(&5));
    }
    assert_eq!(here.get().await, None);
}

#[tokio::test]
async fn cut_pushes_doubt_dependencies_too() {
    let store = memory();
    let (here, there) = (Process::new(7, &store, near()), Process::new(8, &store, near()));
    for is_touched in [false, true] {
        let loaded = hold(&here).await;
        here.faulty.on_push().lose();
        if is_touched {
            there.region("b").touch().await.unwrap();
        }
        here.faulty.heal();
        here.faulty.inner().cut_pushes();
        assert_eq!(here.get().await, (!is_touched).then_some(loaded));
    }
}

/// While the store does not serve, a value is served as long as the policy allows it, unless this process
/// has ended what it depends on.
#[tokio::test(start_paused = true)]
async fn in_an_outage_values_are_served_whose_dependencies_have_not_ended() {
    const BOUND: Duration = Duration::from_secs(60);
    for ends in [false, true] {
        let here = Process::alone(near().near_outage_for(BOUND));
        let loaded = hold(&here).await;
        let outage = here.faulty.on_any().fail(ErrorKind::Unavailable);
        here.faulty.cut_pushes();
        if ends {
            assert!(here.region("b").touch().await.is_err());
        }
        assert_eq!(here.get().await, (!ends).then_some(loaded));
        let stats = here.cache.stats();
        assert_eq!(stats.near_unverified_hits, u64::from(!ends));
        tokio::time::advance(BOUND * 2).await;
        assert_eq!(here.get().await, None);
        outage.lift();
        assert_eq!(here.get().await, Some(loaded), "the touch did not reach the store");
    }
}

/// Several keys are read at one moment, near or not, dependent or not.
#[tokio::test]
async fn several_keys_near_count_as_they_are() {
    let here = Process::alone(near());
    hold(&here).await;
    here.page().set("plain", &5u32).await.unwrap();
    let keys = ["k", "plain", "absent"];
    let read = || async {
        let values = here.page().get_many::<u32>(&keys).await.unwrap();
        values.into_iter().map(|value| value.map(|value| *value)).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        assert_eq!(read().await, [Some(1), Some(5), None]);
    }
    here.region("b").touch().await.unwrap();
    let before = here.cache.stats();
    assert_eq!(read().await, [None, Some(5), None]);
    let after = here.cache.stats();
    assert_eq!((after.hits - before.hits, after.misses - before.misses), (1, 2));
    assert!(after.near_hits - before.near_hits <= 1);
}

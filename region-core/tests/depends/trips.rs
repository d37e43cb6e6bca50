//! The calls to the store that dependencies cost.

use region_core::testing::{Call, Method};
use region_core::{LoadOptions, Policy, Region, RegionExt};

use super::kit::{Process, on};

/// The calls since the recording was cleared, in the order of their beginnings.
fn taken(here: &Process) -> Vec<Call> {
    let calls = here.calls.calls();
    here.calls.clear();
    calls
}

fn methods(calls: &[Call]) -> Vec<Method> {
    calls.iter().map(Call::method).collect()
}

/// True if the second call began before the first had ended: both take one trip.
fn overlap(calls: &[Call]) -> bool {
    calls[0].ended.is_none_or(|ended| calls[1].began < ended)
}

/// A store that answers later than it is asked.
fn slow() -> Process {
    let here = Process::alone(Policy::new());
    drop(here.faulty.on_any().delay_after(std::time::Duration::from_millis(1)));
    here
}

#[tokio::test(start_paused = true)]
async fn a_hit_costs_no_further_trip_where_the_regions_are_known() {
    let here = slow();
    let options = || on(&here.region("b")).depends_on(&here.region("c"));
    here.load_with(options()).await.unwrap();
    taken(&here);
    assert_eq!(here.load_with(options()).await.unwrap(), 1);
    let calls = taken(&here);
    assert_eq!(methods(&calls), [Method::Read; 3]);
    assert!(overlap(&calls) && overlap(&calls[1..]), "all three at the same time");

    assert_eq!(here.load_with(LoadOptions::new()).await.unwrap(), 1);
    let calls = taken(&here);
    assert_eq!(methods(&calls), [Method::Read; 3]);
    assert!(!overlap(&calls), "the value has to say what it depends on");
    assert!(overlap(&calls[1..]), "one more trip for all");

    assert_eq!(here.get().await, Some(1));
    let calls = taken(&here);
    assert_eq!(methods(&calls), [Method::Read; 3]);
    assert!(!overlap(&calls) && overlap(&calls[1..]));
}

/// The markers that the read has seen serve for the load.
#[tokio::test(start_paused = true)]
async fn a_load_costs_one_trip_more_only_if_there_is_no_marker() {
    let here = slow();
    here.load().await;
    let calls = taken(&here);
    let cold = [Method::Read, Method::Read, Method::Begin, Method::Write, Method::Write];
    assert_eq!(methods(&calls), cold);
    assert!(overlap(&calls));
    here.page().invalidate().await.unwrap();
    taken(&here);
    here.load().await;
    let warm = [Method::Read, Method::Read, Method::Begin, Method::Write];
    assert_eq!(methods(&taken(&here)), warm);
}

/// The value itself is fresh to the store, which would not give its lease to a caller that wants none for what
/// is fresh. What `begin` shows is judged by markers that are read after it.
#[tokio::test(start_paused = true)]
async fn a_load_after_the_end_of_a_dependency_begins_once() {
    let here = slow();
    let found = [Method::Read, Method::Read, Method::Begin, Method::Read];
    for options in [on(&here.region("b")), LoadOptions::new()] {
        here.load_with(on(&here.region("b")).reload()).await.unwrap();
        here.region("b").touch().await.unwrap();
        taken(&here);
        let is_declared = options != LoadOptions::new();
        here.load_with(options).await.unwrap();
        // The write of a new marker is that of a load which declares one.
        let writes = if is_declared { 2 } else { 1 };
        let expected = [&found[..], &[Method::Write; 2][..writes]].concat();
        assert_eq!(methods(&taken(&here)), expected);
    }
}

/// Another process has loaded the value anew meanwhile: it is returned, and the lease given back.
#[tokio::test(start_paused = true)]
async fn a_value_that_another_has_loaded_meanwhile_serves() {
    let store = super::kit::memory();
    let (here, there) =
        (Process::new(7, &store, Policy::new()), Process::new(8, &store, Policy::new()));
    here.load().await;
    here.region("b").touch().await.unwrap();
    let paused = here.faulty.on(Method::Begin).nth(1).pause();
    let (page, b) = (here.page(), here.region("b"));
    let fails = |_| async { Err::<region_core::Loaded<u32>, _>(std::io::Error::other("not run")) };
    let call = tokio::spawn(async move { page.get_or_compute_with("k", on(&b), fails).await });
    paused.reached().await;
    there.loads.store(10, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(there.load().await, 11);
    paused.release();
    assert_eq!(call.await.unwrap().unwrap().as_deref(), Some(&11));
    there.page().remove("k").await.unwrap();
    assert_eq!(there.load().await, 12, "nobody holds its lease");
}

/// A miss for a dependency's sake counts once, and so does a hit.
#[tokio::test]
async fn a_read_counts_once() {
    let here = Process::alone(Policy::new());
    here.load().await;
    let before = here.cache.stats();
    here.get().await;
    here.load().await;
    here.region("b").touch().await.unwrap();
    here.get().await;
    here.page().get_many::<u32>(&["k", "l"]).await.unwrap();
    let after = here.cache.stats();
    assert_eq!((after.hits - before.hits, after.misses - before.misses), (2, 3));
    assert_eq!(after.bad_bytes, 0);
}

//! Callers that come before any load share their lookups.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::poll;
use region_core::testing::{Faulty, Method, Recorder};
use region_core::{
    ErrorKind, LoadOptions, Loaded, NearCache, OnOutage, Policy, Region, RegionCache, RegionExt,
    RegionHandle,
};
use region_memory::MemoryStore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::kit::{Source, faulty, memory, process, region, region_with, within};

const TRIP: Duration = Duration::from_millis(20);
const LOAD: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(5);

type Shared = Recorder<Faulty<MemoryStore>>;

/// A store over which each trip takes its time.
fn distant(store: Shared) -> Shared {
    for method in [Method::Read, Method::Begin, Method::Write] {
        store.inner().on(method).delay_before(TRIP / 2);
        store.inner().on(method).delay_after(TRIP / 2);
    }
    store
}

fn cache(store: Shared) -> RegionCache {
    RegionCache::builder(store).root("r").seed(7).build().unwrap()
}

fn ask(region: &RegionHandle, source: &Source) -> JoinHandle<usize> {
    let (region, source) = (region.clone(), source.clone());
    tokio::spawn(
        async move { *region.get_or_compute("k", move || source.load(LOAD)).await.unwrap() },
    )
}

fn trips(store: &Shared) -> u64 {
    [Method::Read, Method::Begin, Method::Write].map(|method| store.count(method)).iter().sum()
}

/// Bug: callers that came before any load was registered each read the store.
/// Effect: a stampede of a thousand callers was up to a thousand trips.
/// Fix: one lookup is under way at a time; those who come meanwhile share the next, or the load.
#[tokio::test(start_paused = true)]
async fn a_stampede_is_one_lookup_and_one_load() {
    for callers_at_once in [1000, 100] {
        let store = distant(faulty());
        let (cache, source) = (cache(store.clone()), Source::default());
        let region = cache.region("a").unwrap();
        let mut calls = Vec::new();
        for _ in 0..1000 / callers_at_once {
            calls.extend((0..callers_at_once).map(|_| ask(&region, &source)));
            sleep(Duration::from_millis(1)).await;
        }
        for call in calls {
            assert_eq!(within(SOON, call).await.unwrap(), 1);
        }
        assert_eq!(source.begun(), 1);
        // The question about the lease and the fill are the load's own.
        assert!(trips(&store) <= 3 + 3, "{} trips", trips(&store));
        assert_eq!(store.count(Method::Read), 1);
        let stats = cache.stats();
        assert_eq!((stats.hits, stats.misses, stats.loads), (0, 1000, 1));
    }
}

/// As above in eight processes: beside the load's result, which each process stores or reads, there are three trips.
#[tokio::test(start_paused = true)]
async fn a_stampede_of_processes_makes_three_trips_each_beside_the_load() {
    let (shared, source) = (memory(), Source::default());
    let stores: Vec<_> =
        (0..8).map(|_| distant(Recorder::new(Faulty::new(shared.client())))).collect();
    let each = stores.iter().zip(1..);
    let regions: Vec<_> =
        each.map(|(store, it)| process(it, store.clone(), Policy::new())).collect();
    let mut calls = Vec::new();
    for _ in 0..1000 {
        calls.extend(regions.iter().map(|region| ask(region, &source)));
    }
    for call in calls {
        assert_eq!(within(SOON, call).await.unwrap(), 1);
    }
    assert_eq!(source.begun(), 1);
    let trips: Vec<_> = stores.iter().map(trips).collect();
    assert!(trips.iter().all(|trips| *trips <= 4), "{trips:?}");
}

/// A caller never gets what was read before it came, wherever in a row of callers a value is replaced.
#[tokio::test(start_paused = true)]
async fn nobody_shares_what_was_read_before_it_came() {
    for near in [NearCache::Off, NearCache::On] {
        for replaced_after in 0..40 {
            let shared = memory();
            let store = distant(Recorder::new(Faulty::new(shared.client())));
            let region = process(1, store.clone(), Policy::new().near(near));
            let other = process(2, shared.client(), Policy::new());
            other.set("k", &1_usize).await.unwrap();
            let source = Source::default();
            let mut calls = Vec::new();
            for caller in 0..40 {
                if caller == replaced_after {
                    other.set("k", &100_usize).await.unwrap();
                }
                calls.push(ask(&region, &source));
                sleep(TRIP / 7).await;
            }
            for (caller, call) in calls.into_iter().enumerate() {
                let got = within(SOON, call).await.unwrap();
                let is_old = got == 1 && caller >= replaced_after;
                assert!(!is_old, "{near:?}: caller {caller}, replaced before {replaced_after}");
            }
            assert_eq!(source.begun(), 0);
            assert!(store.count(Method::Read) <= 10, "{} reads", store.count(Method::Read));
        }
    }
}

/// As above, for a value that is removed: whoever comes after that gets what is loaded after it.
#[tokio::test(start_paused = true)]
async fn nobody_gets_a_value_that_was_removed_before_it_came() {
    for removed_after in 0..20 {
        let shared = memory();
        let region =
            process(1, distant(Recorder::new(Faulty::new(shared.client()))), Policy::new());
        let other = process(2, shared.client(), Policy::new());
        other.set("k", &100_usize).await.unwrap();
        let source = Source::default();
        let mut calls = Vec::new();
        for caller in 0..20 {
            if caller == removed_after {
                other.remove("k").await.unwrap();
            }
            calls.push(ask(&region, &source));
            sleep(TRIP / 7).await;
        }
        for (caller, call) in calls.into_iter().enumerate() {
            let got = within(SOON, call).await.unwrap();
            assert!(
                got == 1 || caller < removed_after,
                "caller {caller} of {removed_after}: {got}"
            );
        }
        assert_eq!(source.begun(), 1, "removed before {removed_after}");
    }
}

/// Callers of a value that is there share lookups, and each is a hit.
#[tokio::test(start_paused = true)]
async fn each_caller_that_shares_is_counted() {
    let store = distant(faulty());
    let (cache, source) = (cache(store.clone()), Source::default());
    let region = cache.region("a").unwrap();
    region.set("k", &5_usize).await.unwrap();
    let calls: Vec<_> = (0..100).map(|_| ask(&region, &source)).collect();
    for call in calls {
        assert_eq!(within(SOON, call).await.unwrap(), 5);
    }
    // One that the first caller has sent before the others came, and one that they share.
    assert!(store.count(Method::Read) <= 2, "{} reads", store.count(Method::Read));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (100, 0, 0));
}

/// A caller that is not polled any more, or goes away, holds up nobody.
#[tokio::test(start_paused = true)]
async fn a_caller_that_is_not_polled_or_goes_away_holds_up_nobody() {
    let store = distant(faulty());
    let (region, source) = (region(store), Source::default());
    region.set("k", &5_usize).await.unwrap();
    let call = || {
        let (region, source) = (region.clone(), source.clone());
        async move { region.get_or_compute("k", move || source.load(LOAD)).await }
    };
    // The first has sent its lookup, the second waits for it, the third joins the second.
    let (mut first, mut second) = (Box::pin(call()), Box::pin(call()));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    assert_eq!(*within(10 * TRIP, call()).await.unwrap(), 5);
    // The same with callers that leave.
    let (mut first, mut second) = (Box::pin(call()), Box::pin(call()));
    assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
    let third = tokio::spawn(call());
    tokio::task::yield_now().await;
    drop((first, second));
    assert_eq!(*within(10 * TRIP, third).await.unwrap().unwrap(), 5);
    assert_eq!(source.begun(), 0);
}

/// Bug: a caller in its first read kept no load alive that began within that read.
/// Effect: when those who had begun the load left, it was dropped, and begun anew by that caller.
/// Fix: whoever reads a key keeps the load alive that is started meanwhile.
#[tokio::test(start_paused = true)]
async fn a_load_that_begins_during_a_read_is_kept_alive_by_it() {
    let store = faulty();
    let (region, source) = (region(store.clone()), Source::default());
    // Within a load, calls look for themselves: this one starts a load while the others read.
    let outer = Source::default();
    let (inner, loading) = (region.clone(), source.clone());
    let starts = async move {
        let load = move || async move {
            sleep(TRIP / 4).await;
            let load = move || loading.load(LOAD);
            let value = timeout(3 * TRIP, inner.get_or_compute("k", load)).await;
            Ok::<_, Infallible>(usize::from(value.is_ok()))
        };
        outer.load(Duration::ZERO).await.unwrap();
        load().await
    };
    // The read of the first caller takes long.
    store.inner().on(Method::Read).nth(1).delay_before(6 * TRIP);
    let reader = ask(&region, &source);
    tokio::task::yield_now().await;
    let container = region.clone();
    let starting =
        tokio::spawn(
            async move { *container.get_or_compute("outer", move || starts).await.unwrap() },
        );
    assert_eq!(within(SOON, starting).await.unwrap(), 0, "it has left");
    assert_eq!(within(SOON, reader).await.unwrap(), 1);
    assert_eq!((source.begun(), source.finished()), (1, 1));
}

/// An error of the store reaches all who share the lookup, and an outage is what the policy says.
#[tokio::test(start_paused = true)]
async fn errors_and_outages_reach_all() {
    for (on_outage, kind) in [
        (OnOutage::Error, ErrorKind::Unavailable),
        (OnOutage::Miss, ErrorKind::Unavailable),
        (OnOutage::Error, ErrorKind::Protocol),
        (OnOutage::Miss, ErrorKind::Protocol),
        (OnOutage::Error, ErrorKind::Timeout),
        (OnOutage::Miss, ErrorKind::Timeout),
    ] {
        let store = distant(faulty());
        store.inner().on(Method::Read).fail(kind);
        store.inner().on(Method::Begin).fail(kind);
        let region = region_with(store.clone(), Policy::new().on_outage(on_outage));
        let source = Source::default();
        let call = || {
            let (region, source) = (region.clone(), source.clone());
            tokio::spawn(async move { region.get_or_compute("k", move || source.load(LOAD)).await })
        };
        let calls: Vec<_> = (0..100).map(|_| call()).collect();
        for call in calls {
            let got = within(SOON, call).await.unwrap();
            match (on_outage, kind) {
                (OnOutage::Miss, ErrorKind::Unavailable | ErrorKind::Timeout) => {
                    assert_eq!(*got.unwrap(), 1);
                }
                _ => assert_eq!(got.unwrap_err().kind(), kind),
            }
        }
        let reads = store.count(Method::Read);
        // Who has waited for a limit does not wait for another.
        let most = if kind == ErrorKind::Timeout { 1 } else { 2 };
        assert!(reads <= most, "{on_outage:?} {kind:?}: {reads} reads");
    }
}

/// Only callers share whose settings decide the same, and who accept the same.
#[tokio::test(start_paused = true)]
async fn callers_with_other_settings_read_for_themselves() {
    let store = distant(faulty());
    let region = region(store.clone());
    region.set("k", &5_usize).await.unwrap();
    let strict = region.with_policy(Policy::new().on_outage(OnOutage::Error)).unwrap();
    let load = || async { Ok::<_, Infallible>(1_usize) };
    let load_with = |_| async { Ok::<_, Infallible>(Loaded::new(1_usize)) };
    let (plain, with, strict, other) = tokio::join!(
        region.get_or_compute("k", load),
        region.get_or_compute_with("k", LoadOptions::new(), load_with),
        strict.get_or_compute("k", load),
        region.get_or_compute("k", || async { Ok::<_, Infallible>("another type".to_owned()) }),
    );
    assert_eq!((*plain.unwrap(), *with.unwrap().unwrap(), *strict.unwrap()), (5, 5, 5));
    assert_eq!(*other.unwrap(), "another type");
    assert_eq!(store.count(Method::Read), 4);
}

/// Bug: loads were named by region, key and type, and by no version.
/// Effect: a handle with another version of the values' meaning shared the load of the first, and got a value
/// that means something else (found by the oracle, in seed 505).
/// Fix: a load is of one codec: one type, one version, one serializer.
#[tokio::test(start_paused = true)]
async fn a_load_is_shared_by_those_alone_who_give_its_values_one_meaning() {
    for near in [NearCache::Off, NearCache::On] {
        let old = region_with(memory(), Policy::new().near(near));
        let new = old.with_policy(Policy::new().version(1)).unwrap();
        let call = |region: &RegionHandle, value: usize| {
            let region = region.clone();
            tokio::spawn(async move {
                let load = move || async move {
                    sleep(LOAD).await;
                    Ok::<_, Infallible>(value)
                };
                *region.get_or_compute("k", load).await.unwrap()
            })
        };
        let calls = [(&old, 1), (&new, 2), (&old, 3), (&new, 4)];
        let calls = calls.map(|(region, value)| (call(region, value), value));
        for (call, value) in calls {
            let got = within(SOON, call).await.unwrap();
            assert_eq!(got % 2, value % 2, "{value} got {got}");
        }
    }
}

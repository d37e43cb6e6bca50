//! No load leaves a lease behind.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::{Faulty, Method};
use region_core::{ErrorKind, Policy, Region, RegionExt, RegionHandle, TokioClock};
use region_memory::MemoryStore;
use serde::{Deserialize, Serialize, Serializer};
use tokio::time::timeout;

use super::kit::{LEASE, Source, faulty, memory, process, region, within};

const SOON: Duration = Duration::from_secs(1);

/// Loads 7 in another process, which must not have to wait for a lease that nobody holds.
async fn others_load_at_once(other: &RegionHandle, why: &str) {
    let load = || async { Ok::<_, Infallible>(7u32) };
    let value = timeout(SOON, other.get_or_compute("k", load)).await;
    let value = value.unwrap_or_else(|_| panic!("{why}: waited for a lease of {LEASE:?}"));
    assert_eq!(*value.unwrap(), 7, "{why}");
}

/// Bug: a fill that failed, or a `begin` whose answer was lost, left its lease behind.
/// Effect: every process waited for the lease's end, ten seconds; for an oversize value again and again.
/// Fix: leases are held by a guard that releases them unless a write has settled them.
#[tokio::test(start_paused = true)]
async fn what_fails_leaves_no_lease() {
    let fails = |method: Method, kind: ErrorKind| {
        move |store: &Faulty<MemoryStore>| drop(store.on(method).nth(1).fail(kind))
    };
    let lost = |method: Method| {
        move |store: &Faulty<MemoryStore>| drop(store.on(method).nth(1).lose_reply())
    };
    type Break = Box<dyn Fn(&Faulty<MemoryStore>)>;
    let cases: [(&str, Break); 6] = [
        ("too large", Box::new(fails(Method::Write, ErrorKind::TooLarge))),
        ("out of memory", Box::new(fails(Method::Write, ErrorKind::Unavailable))),
        ("a fill that timed out", Box::new(fails(Method::Write, ErrorKind::Timeout))),
        ("refused", Box::new(fails(Method::Write, ErrorKind::Store))),
        ("a lost begin", Box::new(lost(Method::Begin))),
        ("a failed begin", Box::new(fails(Method::Begin, ErrorKind::Unavailable))),
    ];
    for (why, set_up) in cases {
        let store = faulty();
        let (first, other) = (region(store.clone()), region(store.clone()));
        set_up(store.inner());
        let load = || async { Ok::<_, Infallible>(1u32) };
        let value = within(SOON, first.get_or_compute("k", load)).await.unwrap();
        assert_eq!(*value, 1, "{why}: its caller gets it");
        others_load_at_once(&other, why).await;
    }
}

/// A load that outlasts its lease extends it: nobody else loads meanwhile.
#[tokio::test(start_paused = true)]
async fn a_lease_lasts_as_long_as_its_load() {
    let store = memory();
    let source = Source::default();
    let load = |seed, time| {
        let (region, source) = (process(seed, store.clone(), Policy::new()), source.clone());
        tokio::spawn(async move {
            region.get_or_compute("k", move || source.load(time)).await.map(|run| *run)
        })
    };
    let first = load(1, 3 * LEASE);
    tokio::time::sleep(SOON).await;
    let other = load(2, SOON);
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert_eq!(other.await.unwrap().unwrap(), 1);
}

/// A load that outlasts its lease extends it. Once the lease is void it stays so: taken anew it would let the old
/// value be stored.
#[tokio::test(start_paused = true)]
async fn a_lease_that_was_lost_is_not_taken_again() {
    let region = region(memory());
    let load = || async {
        tokio::time::sleep(2 * LEASE).await;
        Ok::<_, Infallible>(1u32)
    };
    let loading = tokio::spawn({
        let region = region.clone();
        async move { region.get_or_compute("k", load).await.map(|value| *value) }
    });
    tokio::time::sleep(LEASE / 10).await;
    region.remove("k").await.unwrap();
    assert_eq!(loading.await.unwrap().unwrap(), 1, "its caller gets it");
    assert_eq!(region.get::<u32>("k").await.unwrap(), None);
}

/// Bug and fix as above: a `begin` in the middle of which everything is dropped.
#[tokio::test(start_paused = true)]
async fn a_begin_that_nobody_waits_for_leaves_no_lease() {
    for is_after in [false, true] {
        let store = faulty();
        let (first, other) = (region(store.clone()), region(store.clone()));
        let on = store.inner().on(Method::Begin).nth(1);
        let pause = if is_after { on.pause_after() } else { on.pause() };
        let call = {
            let first = first.clone();
            tokio::spawn(async move {
                let load = || async { Ok::<_, Infallible>(1u32) };
                first.get_or_compute("k", load).await.map(drop)
            })
        };
        pause.reached().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        pause.release();
        others_load_at_once(&other, "an abandoned begin").await;
    }
}

/// Panics when it is written, or read.
#[derive(Debug, PartialEq)]
struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("expected panic")
    }
}

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        u32::deserialize(source).map(|_| Self)
    }
}

/// Bug: a panic in a type's `Serialize` ended the task of its load.
/// Effect: its waiters hung, and others waited for its lease.
/// Fix: whatever ends the task gives each waiter an error and releases the leases.
#[tokio::test(start_paused = true)]
async fn a_panic_while_encoding_frees_everyone() {
    let store = memory();
    let (first, other) = (region(store.clone()), region(store));
    let load = || async { Ok::<_, Infallible>(Panics) };
    assert!(within(SOON, first.get_or_compute("k", load)).await.is_err());
    others_load_at_once(&other, "a panic in Serialize").await;
}

/// Bug: a runtime that ended in the middle of a load took the task with it, not the lease.
/// Effect: others waited for the lease's end; waiters in other runtimes got no answer.
/// Fix: the guard releases the lease wherever it is dropped, outside of any runtime too.
#[test]
fn a_runtime_that_ends_leaves_no_lease() {
    let store = MemoryStore::new();
    let (first, other) = (region(store.clone()), region(store));
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all().build().unwrap()
    };
    let (ending, lasting) = (runtime(), runtime());
    let (begun, has_begun) = std::sync::mpsc::channel();
    let loading = first.clone();
    ending.spawn(async move {
        let load = move || async move {
            begun.send(()).unwrap();
            std::future::pending::<Result<u32, Infallible>>().await
        };
        loading.get_or_compute("k", load).await.map(drop)
    });
    has_begun.recv().unwrap();
    let waiting = lasting.spawn(async move {
        let load = || async { Ok::<_, Infallible>(7u32) };
        first.get_or_compute("k", load).await.map(|value| *value)
    });
    ending.shutdown_background();
    lasting.block_on(async {
        others_load_at_once(&other, "a runtime that ended").await;
        // It has joined the load that was dropped, or has come later.
        match timeout(LEASE / 2, waiting).await.unwrap().unwrap() {
            Ok(value) => assert_eq!(value, 7),
            Err(error) => assert!(error.can_retry(), "{error}"),
        }
    });
}

/// A call outside of any runtime is an error.
#[test]
fn a_load_outside_of_any_runtime_is_an_error() {
    let region = region(MemoryStore::new());
    let load = || async { Ok::<_, Infallible>(1u32) };
    let error = futures_util::FutureExt::now_or_never(region.get_or_compute("k", load));
    assert!(error.unwrap().unwrap_err().to_string().contains("runtime"));
}

/// Bug: one oversize value of many failed the write of all.
/// Effect: none of them was stored, and all were loaded again and again.
/// Fix: what the store refuses is found by halving, and keeps only itself from being stored.
#[tokio::test(start_paused = true)]
async fn one_oversize_value_keeps_only_itself_from_being_stored() {
    const KEYS: usize = 100;
    const TOO_LARGE: usize = 100_000;
    let store = MemoryStore::builder().clock(TokioClock::new()).max_bytes(90_000).build();
    let (first, other) = (region(store.clone()), region(store));
    let keys: Vec<_> = (0..KEYS).map(|key| format!("key{key}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    for oversize in [vec![0], vec![37], vec![98, 99], vec![3, 50, 51]] {
        first.invalidate().await.unwrap();
        let large: Vec<_> = oversize.iter().map(|at| keys[*at].to_owned()).collect();
        let load = move |keys: Vec<String>| {
            let size = |key: &String| if large.contains(key) { TOO_LARGE } else { 1 };
            let values = keys.iter().map(|key| (key.clone(), vec![1u8; size(key)])).collect();
            async move { Ok::<HashMap<_, _>, Infallible>(values) }
        };
        let values = first.get_or_compute_many(&keys, load).await.unwrap();
        assert!(values.iter().all(Option::is_some), "every caller gets its values");
        let stored = first.get_many::<Vec<u8>>(&keys).await.unwrap();
        let missing: Vec<_> = (0..KEYS).filter(|at| stored[*at].is_none()).collect();
        assert_eq!(missing, oversize);
        let load = || async { Ok::<_, Infallible>(vec![2u8]) };
        let again = within(SOON, other.get_or_compute(keys[oversize[0]], load)).await;
        assert_eq!(*again.unwrap(), [2], "others need not wait for its lease");
    }
}

/// A batch some of whose keys are changed meanwhile stores the others, with few calls to the store.
#[tokio::test(start_paused = true)]
async fn changed_keys_of_a_large_batch_are_left_out_in_few_calls() {
    let store = faulty();
    let region = region(store.clone());
    let keys: Vec<_> = (0..2_500).map(|key| format!("key{key}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    let removing = region.clone();
    let load = move |keys: Vec<String>| {
        let region = removing.clone();
        async move {
            region.remove_many(&["key7", "key1007"]).await?;
            let values = keys.into_iter().map(|key| (key, 1u8)).collect();
            Ok::<HashMap<_, _>, region_core::Error>(values)
        }
    };
    region.get_or_compute_many(&keys, load).await.unwrap();
    assert_eq!(region.len().await.unwrap(), 2_498);
    let calls = store.count(Method::Begin) + store.count(Method::Write);
    assert!(calls <= 11, "{calls} calls");
}

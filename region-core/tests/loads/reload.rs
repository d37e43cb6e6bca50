//! Forced reloads: the load begins after the call, is fenced, and is shared by those who ask meanwhile.

use std::io;
use std::time::Duration;

use region_core::testing::{Faulty, Method};
use region_core::{ErrorKind, Policy, Region, RegionExt, RegionHandle};
use tokio::time::sleep;

use super::kit::{LEASE, Source, memory, process, region, region_with, within};

const LOAD: Duration = Duration::from_millis(100);
const NOW: Duration = Duration::from_millis(1);

async fn reload(region: &RegionHandle, source: &Source) -> usize {
    let source = source.clone();
    *within(LEASE, region.reload("k", move || source.load(LOAD))).await.unwrap()
}

async fn get(region: &RegionHandle, source: &Source) -> usize {
    let source = source.clone();
    let value = region.get_or_compute("k", move || source.load(LOAD));
    *within(LEASE, value).await.unwrap()
}

fn spawned(region: &RegionHandle, source: &Source) -> tokio::task::JoinHandle<usize> {
    let (region, source) = (region.clone(), source.clone());
    tokio::spawn(async move { reload(&region, &source).await })
}

#[tokio::test(start_paused = true)]
async fn a_reload_replaces_a_fresh_value_which_is_served_until_then() {
    let (region, source) = (region(memory()), Source::default());
    assert_eq!(get(&region, &source).await, 1);
    let reloading = spawned(&region, &source);
    sleep(LOAD / 2).await;
    assert_eq!((source.begun(), within(NOW, get(&region, &source)).await), (2, 1));
    assert_eq!(reloading.await.unwrap(), 2);
    assert_eq!(within(NOW, get(&region, &source)).await, 2);
}

/// Wherever in a load of another kind it comes, in this process or in another.
#[tokio::test(start_paused = true)]
async fn a_reload_never_takes_the_result_of_a_load_that_began_before_it() {
    for other_process in [false, true] {
        for after in [0, 1, 50, 99, 101] {
            let store = memory();
            let first = process(1, store.clone(), Policy::new());
            let second =
                if other_process { process(2, store, Policy::new()) } else { first.clone() };
            let source = Source::default();
            let loading = {
                let (first, source) = (first.clone(), source.clone());
                tokio::spawn(async move { get(&first, &source).await })
            };
            sleep(Duration::from_millis(after)).await;
            let begun = source.begun();
            assert!(reload(&second, &source).await > begun, "{other_process} {after}");
            assert_eq!(loading.await.unwrap(), 1, "{other_process} {after}");
            assert_eq!(within(NOW, get(&first, &source)).await, source.begun());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reloads_at_once_share_one_load_and_later_ones_the_next() {
    let (region, source) = (region(memory()), Source::default());
    let early: Vec<_> = (0..100).map(|_| spawned(&region, &source)).collect();
    sleep(LOAD / 2).await;
    assert_eq!(source.begun(), 1);
    let late: Vec<_> = (0..100).map(|_| spawned(&region, &source)).collect();
    for reloading in early {
        assert_eq!(reloading.await.unwrap(), 1);
    }
    for reloading in late {
        assert_eq!(reloading.await.unwrap(), 2);
    }
    assert_eq!(source.begun(), 2);
}

/// Promise 1.
#[tokio::test(start_paused = true)]
async fn a_reload_is_fenced() {
    let (region, source) = (region(memory()), Source::default());
    assert_eq!(get(&region, &source).await, 1);
    let reloading = spawned(&region, &source);
    sleep(LOAD / 2).await;
    region.set("k", &70_usize).await.unwrap();
    assert_eq!(reloading.await.unwrap(), 2);
    assert_eq!(*region.get::<usize>("k").await.unwrap().unwrap(), 70);
}

/// The caller wants to know, so no older value takes the place of the error; but it stays.
#[tokio::test(start_paused = true)]
async fn a_failed_reload_is_an_error_and_leaves_the_value() {
    let policy = Policy::new().ttl(LEASE).stale_for(LEASE);
    let (region, source) = (region_with(memory(), policy), Source::default());
    assert_eq!(get(&region, &source).await, 1);
    let failing = || async { Err::<usize, _>(io::Error::other("the source is down")) };
    assert_eq!(region.reload("k", failing).await.unwrap_err().kind(), ErrorKind::Load);
    assert_eq!(within(NOW, get(&region, &source)).await, 1);
    region.expire().await.unwrap();
    assert_eq!(region.reload("k", failing).await.unwrap_err().kind(), ErrorKind::Load);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_reload_leaves_no_lease_and_the_value() {
    let (region, source) = (region(memory()), Source::default());
    assert_eq!(get(&region, &source).await, 1);
    let load = source.clone();
    let call = region.reload("k", move || load.load(LOAD));
    assert!(tokio::time::timeout(LOAD / 2, call).await.is_err());
    assert_eq!(within(NOW, get(&region, &source)).await, 1);
    assert_eq!(within(2 * LOAD, reload(&region, &source)).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_reload_inside_the_load_of_its_key_is_a_cycle() {
    let region = region(memory());
    let inner = region.clone();
    let load = move || async move {
        let load = || async { Ok::<usize, io::Error>(1) };
        inner.reload("k", load).await.map(|value| *value)
    };
    let error = within(LEASE, region.get_or_compute("k", load)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
    let source = error.load_error::<region_core::Error>().map(region_core::Error::kind);
    assert_eq!(source, Some(ErrorKind::LoadCycle));
}

/// A call that has yet to ask the store may find a fresh value there: a reload does not share it.
#[tokio::test(start_paused = true)]
async fn a_reload_does_not_share_a_call_that_may_not_load() {
    let shared = memory();
    let slow = Faulty::new(shared.clone());
    slow.on(Method::Begin).nth(1).delay_before(LOAD);
    let (first, other) = (process(1, slow, Policy::new()), process(2, shared, Policy::new()));
    let source = Source::default();
    let missing = {
        let (first, source) = (first.clone(), source.clone());
        tokio::spawn(async move { get(&first, &source).await })
    };
    sleep(LOAD / 2).await;
    other.set("k", &70_usize).await.unwrap();
    assert_eq!(reload(&first, &source).await, 1);
    assert!([70, 1].contains(&missing.await.unwrap()));
}

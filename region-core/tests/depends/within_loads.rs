//! Dependencies that a load function adds while it runs.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::FutureExt;
use region_core::testing::{Call, Method};
use region_core::{
    Error, ErrorKind, LoadDependencies, OnOutage, Policy, Region, RegionExt, Result,
};

use super::kit::Process;

async fn load(here: &Process, regions: &[&str]) -> Result<u32> {
    let regions: Vec<_> = regions.iter().map(|region| here.region(region)).collect();
    let loads = Arc::clone(&here.loads);
    let load = move || async move {
        let dependencies = LoadDependencies::current()?;
        for region in &regions {
            dependencies.add(region).await?;
        }
        Ok::<_, Error>(loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1)
    };
    here.page().get_or_compute("k", load).await.map(|value| *value)
}

#[tokio::test]
async fn what_is_added_ends_the_value() {
    let here = Process::alone(Policy::new());
    for ended in ["b", "c"] {
        let loaded = load(&here, &["b", "c", "b", "a.page"]).await.unwrap();
        assert_eq!(load(&here, &[]).await.unwrap(), loaded, "a hit");
        here.region(ended).touch().await.unwrap();
        assert_eq!(here.get().await, None, "{ended}");
    }
}

/// The region ends after it was added and before the load is over.
#[tokio::test]
async fn what_ends_after_it_was_added_is_noticed() {
    let here = Process::alone(Policy::new());
    let b = here.region("b");
    let load = {
        let b = b.clone();
        move || async move {
            LoadDependencies::current()?.add(&b).await?;
            b.touch().await?;
            Ok::<_, Error>(7u32)
        }
    };
    assert_eq!(*here.page().get_or_compute("k", load).await.unwrap(), 7);
    assert_eq!(here.get().await, None);
    assert_eq!(here.cache.stats().fills, 1, "it is stored, but not valid");
}

#[tokio::test]
async fn several_keys_of_one_load_depend_on_the_same() {
    let here = Process::alone(Policy::new());
    let b = here.region("b");
    let load = {
        let b = b.clone();
        move |keys: Vec<String>| {
            let b = b.clone();
            async move {
                LoadDependencies::current()?.add(&b).await?;
                let values = keys.into_iter().map(|key| (key, 1u32));
                Ok::<_, Error>(values.collect::<std::collections::HashMap<_, _>>())
            }
        }
    };
    let keys = ["k", "l", "m"];
    let values = here.page().get_or_compute_many(&keys, load).await.unwrap();
    assert!(values.iter().all(Option::is_some));
    here.calls.clear();
    let values = here.page().get_many::<u32>(&keys).await.unwrap();
    assert!(values.iter().all(Option::is_some));
    assert_eq!(here.calls.count(Method::Read), 2, "one marker is read once");
    b.expire().await.unwrap();
    let values = here.page().get_many::<u32>(&keys).await.unwrap();
    assert!(values.iter().all(Option::is_none));
}

/// A load inside of a load has dependencies of its own.
#[tokio::test]
async fn nested_loads_do_not_share_dependencies() {
    let here = Process::alone(Policy::new());
    let (b, inner) = (here.region("b"), here.region("inner"));
    let load = {
        let (b, inner) = (b.clone(), inner.clone());
        move || async move {
            let part = inner.get_or_compute("part", move || async move {
                LoadDependencies::current()?.add(&b).await?;
                Ok::<_, Error>(1u32)
            });
            Ok::<_, Error>(*part.await?)
        }
    };
    here.page().get_or_compute("k", load).await.unwrap();
    b.touch().await.unwrap();
    assert_eq!(inner.get::<u32>("part").await.unwrap(), None);
    assert_eq!(here.get().await, Some(1));
}

#[tokio::test]
async fn adding_has_its_errors() {
    let here = Process::alone(Policy::new());
    let error = LoadDependencies::current().map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "outside of a load");
    let kept = Arc::new(parking_lot::Mutex::new(None));
    let load = {
        let kept = Arc::clone(&kept);
        move || async move {
            let dependencies = LoadDependencies::current()?;
            let spawned = tokio::spawn(async { LoadDependencies::current().is_err() });
            assert!(spawned.await.unwrap(), "a task of its own is outside");
            *kept.lock() = Some(dependencies);
            Ok::<_, Error>(1u32)
        }
    };
    here.page().get_or_compute("k", load).await.unwrap();
    let kept = kept.lock().take().unwrap();
    let error = kept.add(&here.region("b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "the load is over");
    assert_eq!(here.get().await, Some(1));
}

/// An `add` that is dropped may have been the one that mattered: the value is not stored.
#[tokio::test]
async fn a_dropped_add_leaves_the_value_unstored() {
    let here = Process::alone(Policy::new());
    let b = here.region("b");
    let paused = here.faulty.on(Method::Begin).within(b.path()).pause();
    let load = move || async move {
        let dependencies = LoadDependencies::current()?;
        assert!(dependencies.add(&b).now_or_never().is_none());
        Ok::<_, Error>(1u32)
    };
    assert_eq!(*here.page().get_or_compute("k", load).await.unwrap(), 1);
    paused.release();
    assert_eq!(here.get().await, None);
}

/// While the store does not serve, values with dependencies are loaded and not stored.
#[tokio::test]
async fn an_outage_in_between_leaves_the_value_unstored() {
    for (on_outage, method) in [
        (OnOutage::Miss, Method::Begin),
        (OnOutage::Miss, Method::Write),
        (OnOutage::Error, Method::Begin),
    ] {
        let here = Process::alone(Policy::new().on_outage(on_outage));
        let b = here.region("b");
        // The write may or may not have been done: its marker is not relied on.
        let fault = here.faulty.on(method).within(b.path());
        let fault = match method {
            Method::Write => fault.lose_reply(),
            _ => fault.fail(ErrorKind::Unavailable),
        };
        let loaded = load(&here, &["b"]).await;
        match on_outage {
            OnOutage::Miss => assert_eq!(loaded.unwrap(), 1),
            OnOutage::Error => assert_eq!(loaded.unwrap_err().kind(), ErrorKind::Load),
        }
        assert!(fault.hits() > 0);
        fault.lift();
        assert_eq!(here.get().await, None);
    }
}

/// A load function that does not say so depends on nothing.
#[tokio::test]
async fn loads_without_dependencies_ask_for_nothing_more() {
    let here = Process::alone(Policy::new());
    let load = || async { Ok::<_, Infallible>(1u32) };
    here.page().get_or_compute("k", load).await.unwrap();
    here.get().await;
    let methods: Vec<_> = here.calls.calls().iter().map(Call::method).collect();
    assert_eq!(methods, [Method::Read, Method::Begin, Method::Write, Method::Read]);
}

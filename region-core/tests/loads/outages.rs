//! Loads while the store does not answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use region_core::testing::{Faulty, Method, Recorder, Request};
use region_core::{Error, ErrorKind, OnOutage, Policy, Region, RegionExt, RegionHandle, Result};
use region_memory::MemoryStore;
use tokio::time::Instant;

use super::kit::{faulty, region, region_with};

/// The limit on a call of the store that does not answer.
const LIMIT: Duration = Duration::from_millis(250);

/// Every call of this store takes the whole limit and fails.
fn hung() -> Recorder<Faulty<MemoryStore>> {
    let store = faulty();
    store.inner().on_any().delay_before(LIMIT);
    store.inner().on_any().fail(ErrorKind::Timeout);
    store
}

fn nested(
    region: RegionHandle,
    levels: u32,
) -> std::pin::Pin<Box<dyn Future<Output = Result<u32>> + Send>> {
    Box::pin(async move {
        if levels == 0 {
            return Ok(0);
        }
        let inner = region.clone();
        let load = move || async move { Ok::<_, Error>(nested(inner, levels - 1).await? + 1) };
        region.get_or_compute(&format!("level{levels}"), load).await.map(|value| *value)
    })
}

/// Bug: a read that had timed out was followed by a `begin` that did too, at every nesting level.
/// Effect: three nested loads took six times the limit of a call.
/// Fix: no question after an outage, and loads remember an outage for those inside of them.
#[tokio::test(start_paused = true)]
async fn limits_do_not_add_up_in_an_outage() {
    let store = hung();
    let region = region(store.clone());
    let started = Instant::now();
    assert_eq!(nested(region, 3).await.unwrap(), 3);
    assert!(started.elapsed() < LIMIT * 3 / 2, "{:?}", started.elapsed());
    assert_eq!((store.count(Method::Read), store.count(Method::Begin)), (1, 0));
}

/// The outage is remembered for a short time only: a loader that takes long asks the store again.
#[tokio::test(start_paused = true)]
async fn an_outage_is_not_remembered_for_long() {
    let store = hung();
    let region = region(store.clone());
    let (inner, healing) = (region.clone(), store.clone());
    let load = move || async move {
        healing.inner().heal();
        tokio::time::sleep(Duration::from_secs(2)).await;
        inner.set("inner", &1u32).await?;
        inner.get::<u32>("inner").await.map(|value| value.is_some())
    };
    assert!(*region.get_or_compute("k", load).await.unwrap());
}

/// With [`OnOutage::Error`] the error comes at once, at every level.
#[tokio::test(start_paused = true)]
async fn an_outage_is_an_error_where_the_policy_says_so() {
    let region = region_with(hung(), Policy::new().on_outage(OnOutage::Error));
    let started = Instant::now();
    assert_eq!(nested(region, 3).await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(started.elapsed() < LIMIT * 3 / 2);
}

/// A read and the `begin` after it share one limit: both are told when the call started.
#[tokio::test(start_paused = true)]
async fn a_read_and_its_begin_share_one_limit() {
    let store = faulty();
    store.inner().on(Method::Read).delay_before(LIMIT);
    let started = Instant::now();
    let load = || async { Ok::<_, Infallible>(1u32) };
    region(store.clone()).get_or_compute("k", load).await.unwrap();
    let calls = store.calls();
    let begin = calls.iter().find_map(|call| match &call.request {
        Request::Begin { terms, .. } => Some(*terms),
        _ => None,
    });
    assert_eq!(begin.unwrap().started, Some(started));
}

/// Callers at once share one load during an outage.
#[tokio::test(start_paused = true)]
async fn callers_share_a_load_in_an_outage() {
    let (region, loads) = (region(hung()), Arc::new(AtomicUsize::new(0)));
    let call = |_| {
        let (region, loads) = (region.clone(), Arc::clone(&loads));
        tokio::spawn(async move {
            let load = move || async move {
                tokio::time::sleep(LIMIT).await;
                Ok::<_, Infallible>(loads.fetch_add(1, Ordering::SeqCst))
            };
            region.get_or_compute("k", load).await.map(drop)
        })
    };
    for call in (0..100).map(call).collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

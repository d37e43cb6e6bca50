//! Loads through a [`RegionCache`](crate::RegionCache) over the store.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::super::Harness;
use super::super::fixture::SHORT;
use super::super::gate::{LoadGate, begun, cache, cache_with, get, joined, region, within};
use crate::error::ErrorKind;
use crate::path::RegionPath;
use crate::policy::Policy;
use crate::region::{Region, RegionExt};
use crate::store::{Lease, LeaseTerms, LeaseToken, Store};
use crate::testing::Recorder;

const CALLERS: usize = 100;

/// Of many callers at once one loads; all get its value, and it is stored. Promise 7.
pub async fn many_callers_share_one_load<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    let gate = LoadGate::new();
    let calls: Vec<_> = (0..CALLERS).map(|_| gate.call(&region, 7)).collect();
    gate.begun().await;
    gate.release();
    for call in calls {
        assert_eq!(joined(call).await.unwrap(), 7);
    }
    assert_eq!(gate.runs(), 1);
    assert_eq!(get(&region).await, Some(7));
}

/// Two processes load once: the second waits for the first's lease and reads its value. Promise 7.
pub async fn two_processes_share_one_load<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let client = Recorder::new(harness.client(&store).await);
    let first = cache(harness, store).region("a:1.b").unwrap();
    let second = cache(harness, client.clone()).region("a:1.b").unwrap();
    let (gate, unused) = (LoadGate::new(), LoadGate::open());
    let loading = gate.call(&first, 7);
    gate.begun().await;
    let waiting = unused.call(&second, 8);
    begun(&client, 2).await;
    gate.release();
    assert_eq!(joined(loading).await.unwrap(), 7);
    assert_eq!(joined(waiting).await.unwrap(), 7);
    assert_eq!(unused.runs(), 0);
}

/// A holder that died is taken over from when its lease is over. Promise 7.
pub async fn a_dead_holder_is_taken_over_from<H: Harness>(harness: &H) {
    let store = harness.store().await;
    let client = harness.client(&store).await;
    let path = RegionPath::parse("r.a:1.b").unwrap();
    let terms = LeaseTerms::new(LeaseToken::random(), SHORT);
    let begun = client.begin(&path, &["k"], terms).await.unwrap();
    assert_eq!(begun.keys[0].lease, Lease::Granted);
    let region = cache(harness, store).region("a:1.b").unwrap();
    let waiting = LoadGate::open().call(&region, 7);
    harness.advance(&client, SHORT).await;
    assert_eq!(joined(waiting).await.unwrap(), 7);
    assert_eq!(get(&region).await, Some(7));
}

/// A load that takes longer than its lease keeps it. Promise 7.
pub async fn a_living_holder_keeps_its_lease<H: Harness>(harness: &H) {
    // On a busy machine a holder may get no turn for a good part of a second.
    const LEASE: Duration = Duration::from_secs(2);
    const STEPS: u32 = 3;
    let store = harness.store().await;
    let client = harness.client(&store).await;
    let time = harness.client(&store).await;
    let policy = Policy::new().lease(LEASE);
    let first = cache_with(harness, store, policy.clone()).region("a").unwrap();
    let second = cache_with(harness, client, policy).region("a").unwrap();
    let (gate, unused) = (LoadGate::new(), LoadGate::open());
    let loading = gate.call(&first, 7);
    gate.begun().await;
    let waiting = unused.call(&second, 8);
    for _ in 0..STEPS {
        // Both clocks have to go on: the store's, and the one that the holder extends by.
        tokio::time::sleep(LEASE / 2).await;
        harness.advance(&time, LEASE / 4).await;
    }
    assert_eq!(unused.runs(), 0, "the lease was extended");
    gate.release();
    assert_eq!(joined(loading).await.unwrap(), 7);
    assert_eq!(joined(waiting).await.unwrap(), 7);
}

/// An error goes to every waiter, and the next call tries again. Promise 7.
pub async fn a_failed_load_frees_everyone<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    let gate = LoadGate::new();
    let call = || {
        let (gate, region) = (gate.clone(), region.clone());
        tokio::spawn(async move {
            let load = move || async move {
                gate.load(0).await?;
                Err::<u32, _>(io::Error::other("the source is down"))
            };
            region.get_or_compute("k", load).await.map(|value| *value)
        })
    };
    let calls: Vec<_> = (0..10).map(|_| call()).collect();
    gate.begun().await;
    gate.release();
    for call in calls {
        let error = joined(call).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Load);
        let source = error.load_error::<io::Error>().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("the source is down"));
    }
    assert_eq!(joined(LoadGate::open().call(&region, 7)).await.unwrap(), 7);
}

/// A panic, before or after the first await, frees every waiter; the next call tries again.
/// Promise 7.
pub async fn a_panic_frees_everyone<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    for late in [false, true] {
        let load = move || {
            assert!(late, "expected panic");
            async move {
                tokio::task::yield_now().await;
                panic!("expected panic");
                #[allow(unreachable_code)]
                Ok::<u32, Infallible>(0)
            }
        };
        let error = within(region.get_or_compute("k", load)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LoadPanicked);
        assert!(error.to_string().contains("expected panic"), "{error}");
    }
    assert_eq!(joined(LoadGate::open().call(&region, 7)).await.unwrap(), 7);
}

/// A caller that starts in the middle of a load that is still good shares it. Promise 7.
pub async fn late_callers_join_good_loads<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    let (gate, unused) = (LoadGate::new(), LoadGate::open());
    let early = gate.call(&region, 1);
    gate.begun().await;
    region.child("below").unwrap().invalidate().await.unwrap();
    let late: Vec<_> = (0..CALLERS).map(|_| unused.call(&region, 2)).collect();
    // Let them find their seats; those that come after the load is done read its value.
    tokio::task::yield_now().await;
    gate.release();
    assert_eq!(joined(early).await.unwrap(), 1);
    for late in late {
        assert_eq!(joined(late).await.unwrap(), 1);
    }
    assert_eq!((gate.runs(), unused.runs()), (1, 0));
}

/// The caller that began a load may go; those who joined it get the value. Promise 9.
pub async fn a_load_outlives_its_first_caller<H: Harness>(harness: &H) {
    let recorder = Recorder::new(harness.store().await);
    let region = cache(harness, recorder.clone()).region("a:1.b").unwrap();
    let (gate, unused) = (LoadGate::new(), LoadGate::open());
    let first = gate.call(&region, 1);
    gate.begun().await;
    let second = unused.call(&region, 2);
    begun(&recorder, 2).await;
    first.abort();
    assert!(within(first).await.unwrap_err().is_cancelled());
    gate.release();
    assert_eq!(joined(second).await.unwrap(), 1);
    assert_eq!((gate.runs(), unused.runs()), (1, 0));
}

/// A load that nobody waits for any more is dropped and gives its lease back. Promise 9.
pub async fn an_abandoned_load_is_dropped<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    for _ in 0..3 {
        let gate = LoadGate::new();
        let dropped = Arc::new(());
        let held = Arc::clone(&dropped);
        let call = {
            let (gate, region) = (gate.clone(), region.clone());
            tokio::spawn(async move {
                let load = move || async move {
                    let _held = held;
                    gate.load(1).await
                };
                region.get_or_compute("k", load).await.map(|value| *value)
            })
        };
        gate.begun().await;
        call.abort();
        within(async {
            while Arc::strong_count(&dropped) > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    // Were a lease left over, this would have to wait for its end.
    assert_eq!(joined(LoadGate::open().call(&region, 2)).await.unwrap(), 2);
}

/// A slow load is in nobody's way but those who want its value.
pub async fn different_keys_do_not_wait<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    let gate = LoadGate::new();
    let slow = gate.call(&region, 1);
    gate.begun().await;
    for other in ["x", "y", "kk"] {
        let load = || async { Ok::<_, Infallible>(2u32) };
        assert_eq!(*within(region.get_or_compute(other, load)).await.unwrap(), 2);
    }
    let sibling = region.child("k").unwrap();
    assert_eq!(joined(LoadGate::open().call(&sibling, 3)).await.unwrap(), 3);
    gate.release();
    assert_eq!(joined(slow).await.unwrap(), 1);
}

/// A load that takes longer than the policy allows fails, and gives its lease back.
pub async fn a_load_has_a_time_limit<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new().load_timeout(SHORT)).await;
    let error = joined(LoadGate::new().call(&region, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoadTimeout);
    assert!(error.can_retry());
    assert_eq!(joined(LoadGate::open().call(&region, 2)).await.unwrap(), 2);
}

/// Stale values are served where the policy keeps them: when a load fails, and while one runs.
pub async fn stale_values_bridge_loads<H: Harness>(harness: &H) {
    let policy = Policy::new().stale_for(Duration::from_secs(600));
    let region = region(harness, policy.load_retry_after(Duration::ZERO)).await;
    region.set("k", &1u32).await.unwrap();
    region.expire().await.unwrap();
    assert_eq!(get(&region).await, None, "a plain read does not return what is stale");
    let fail = || async { Err::<u32, _>(io::Error::other("down")) };
    assert_eq!(*region.get_or_compute("k", fail).await.unwrap(), 1);
    let gate = LoadGate::new();
    let loading = gate.call(&region, 2);
    gate.begun().await;
    assert_eq!(joined(LoadGate::open().call(&region, 3)).await.unwrap(), 1, "while another loads");
    gate.release();
    assert_eq!(joined(loading).await.unwrap(), 2);
    assert_eq!(get(&region).await, Some(2));
    region.invalidate().await.unwrap();
    let error = region.get_or_compute("k", fail).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "what was invalidated is gone, not stale");
}

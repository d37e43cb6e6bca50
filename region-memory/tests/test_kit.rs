//! The test kit, at work on this store.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use region_core::testing::{Faulty, Method, Pause, Recorder};
use region_core::{
    ErrorKind, OnOutage, Policy, Region, RegionCache, RegionExt, RegionHandle, SharedStore, Store,
    StoreHealth, StoreProblem,
};
use region_memory::MemoryStore;
use tokio::task::JoinHandle;

type Kit = (Faulty<Recorder<MemoryStore>>, Recorder<MemoryStore>, RegionCache);

fn kit(policy: Policy) -> Kit {
    let recorder = Recorder::new(MemoryStore::new());
    let faulty = Faulty::new(recorder.clone());
    let cache = RegionCache::builder(faulty.clone()).root("r").policy(policy).build().unwrap();
    (faulty, recorder, cache)
}

async fn load() -> Result<u32, Infallible> {
    Ok(7)
}

#[tokio::test]
async fn a_load_is_one_begin_and_one_write() {
    let (_, recorder, cache) = kit(Policy::new());
    let region = cache.region("a").unwrap();
    region.get_or_compute("k", load).await.unwrap();
    let calls: Vec<_> = recorder.calls().iter().map(|call| call.method()).collect();
    assert_eq!(calls, [Method::Read, Method::Begin, Method::Write]);
    recorder.clear();
    region.get_or_compute("k", load).await.unwrap();
    assert_eq!((recorder.count(Method::Read), recorder.total()), (1, 1));
}

#[tokio::test]
async fn an_outage_is_a_miss_or_an_error_as_the_policy_says() {
    let (faulty, _, cache) = kit(Policy::new());
    let region = cache.region("a").unwrap();
    let strict = region.with_policy(Policy::new().on_outage(OnOutage::Error)).unwrap();
    region.set("k", &1u32).await.unwrap();
    for kind in [ErrorKind::Unavailable, ErrorKind::Timeout] {
        let outage = faulty.on_any().fail(kind);
        assert_eq!(region.get::<u32>("k").await.unwrap(), None);
        assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 7, "loaded, not stored");
        assert_eq!(strict.get::<u32>("k").await.unwrap_err().kind(), kind);
        assert_eq!(strict.get_or_compute("k", load).await.unwrap_err().kind(), kind);
        assert_eq!(region.set("k", &2u32).await.unwrap_err().kind(), kind, "writes say so");
        let error = region.invalidate().await.unwrap_err();
        assert!(error.kind() == kind && error.can_retry());
        outage.lift();
        assert_eq!(region.get::<u32>("k").await.unwrap().as_deref(), Some(&1));
    }
    assert!(cache.stats().store_failures > 0);
}

#[test]
fn whatever_stands_around_a_store_tells_its_condition() {
    let store = Faulty::new(MemoryStore::new());
    let all: [SharedStore; 5] = [
        Arc::new(store.clone()),
        Arc::new(Box::new(store.clone())),
        Arc::new(Arc::new(store.clone())),
        Arc::new(&*Box::leak(Box::new(store.clone()))),
        Arc::new(Recorder::new(Faulty::new(store.clone()))),
    ];
    let cache = RegionCache::builder(Arc::clone(&all[0])).build().unwrap();
    let ill = StoreHealth::new([StoreProblem::ReplicaLags, StoreProblem::PushesLost]);
    for (told, set) in [(StoreHealth::default(), false), (ill.clone(), true)] {
        if set {
            store.set_health(ill.clone());
        }
        assert!(all.iter().all(|around| around.health() == told), "{told:?}");
        assert_eq!(cache.store().health(), told);
    }
    store.heal();
    assert!(store.health().problems().is_empty());
}

#[tokio::test]
async fn other_failures_are_errors() {
    let (faulty, _, cache) = kit(Policy::new());
    let region = cache.region("a").unwrap();
    let fault = faulty.on(Method::Read).fail(ErrorKind::Protocol);
    let error = region.get::<u32>("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().starts_with("get in region r.a"), "{error}");
    fault.lift();
}

/// Bug: a rotated password, a missing permission and this process's overload were errors of every
/// read, even under `OnOutage::Miss`.
/// Effect: a service went down with its cache.
/// Fix: reads treat them as an outage; writes still report them.
#[tokio::test]
async fn a_store_that_refuses_this_process_is_an_outage_to_reads() {
    let (faulty, _, cache) = kit(Policy::new());
    let region = cache.region("a").unwrap();
    let strict = region.with_policy(Policy::new().on_outage(OnOutage::Error)).unwrap();
    for kind in [ErrorKind::Denied, ErrorKind::Overloaded] {
        let fault = faulty.on_any().fail(kind);
        assert_eq!(region.get::<u32>("k").await.unwrap(), None);
        assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 7);
        assert_eq!(strict.get::<u32>("k").await.unwrap_err().kind(), kind);
        assert_eq!(region.set("k", &1u32).await.unwrap_err().kind(), kind);
        fault.lift();
    }
    assert!(cache.stats().store_failures >= 4);
}

/// Promise 1, when the reply to an invalidation is lost: it has happened all the same.
#[tokio::test]
async fn a_lost_reply_is_an_error_and_the_effect_stays() {
    let (faulty, _, cache) = kit(Policy::new());
    let region = cache.region("a").unwrap();
    region.set("k", &1u32).await.unwrap();
    faulty.on(Method::End).nth(1).lose_reply();
    assert_eq!(region.invalidate().await.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(region.get::<u32>("k").await.unwrap(), None);
}

/// A fill whose reply is lost still gives its callers the value.
#[tokio::test]
async fn a_fill_that_fails_is_not_the_callers_failure() {
    let (faulty, _, cache) = kit(Policy::new());
    let region = cache.region("a").unwrap();
    faulty.on(Method::Write).nth(1).fail(ErrorKind::Unavailable);
    assert_eq!(*region.get_or_compute("k", load).await.unwrap(), 7);
    assert_eq!((cache.stats().fills, cache.stats().store_failures), (0, 1));
}

/// A load that is held at its first call of `method`, before that reaches the store.
async fn paused_at(
    method: Method,
) -> (RegionCache, RegionHandle, Pause, JoinHandle<region_core::Result<Arc<u32>>>) {
    let (faulty, _, cache) = kit(Policy::new());
    let region = cache.region("a.b").unwrap();
    let pause = faulty.pause(method);
    let loading = region.clone();
    let loading = tokio::spawn(async move { loading.get_or_compute("k", load).await });
    pause.reached().await;
    (cache, region, pause, loading)
}

/// Promise 1: an invalidation between the first look and `begin`, and one between the load and the
/// fill.
#[tokio::test]
async fn invalidations_at_every_gap_of_a_load() {
    for method in [Method::Read, Method::Begin, Method::Write] {
        let (cache, region, pause, loading) = paused_at(method).await;
        cache.region("a").unwrap().invalidate().await.unwrap();
        pause.release();
        assert_eq!(*loading.await.unwrap().unwrap(), 7);
        let found = region.get::<u32>("k").await.unwrap();
        // Before `begin` has been answered nothing is loaded yet, so the value is as new as can be.
        assert_eq!(found.is_some(), method != Method::Write, "{method}");
    }
}

/// Promise 9: a caller that goes away at any call of the store leaves nothing behind that keeps the
/// next one from its value.
#[tokio::test]
async fn callers_may_go_at_every_gap_of_a_load() {
    for method in [Method::Read, Method::Begin, Method::Write] {
        let (_, region, pause, loading) = paused_at(method).await;
        loading.abort();
        assert!(loading.await.unwrap_err().is_cancelled());
        pause.release();
        let again = tokio::time::timeout(Duration::from_secs(5), region.get_or_compute("k", load));
        assert_eq!(*again.await.expect("nothing is in the way").unwrap(), 7, "{method}");
    }
}

#[tokio::test]
async fn events_invalidate_until_unbound() {
    let (faulty, _, cache) = kit(Policy::new());
    let region = cache.region("a").unwrap();
    let (send, events) = tokio::sync::mpsc::unbounded_channel();
    let events = futures_util::stream::unfold(
        events,
        |mut events: tokio::sync::mpsc::UnboundedReceiver<()>| async {
            events.recv().await.map(|event| (event, events))
        },
    );
    let subscription = region.invalidate_on(events);
    let gone = || async {
        while region.contains("k").await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    region.set("k", &1u32).await.unwrap();
    send.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), gone()).await.expect("invalidated");
    // An event that meets an outage is not lost.
    region.set("k", &1u32).await.unwrap();
    faulty.on(Method::End).first(2).fail(ErrorKind::Unavailable);
    send.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), gone()).await.expect("tried again");
    drop(subscription);
    tokio::time::timeout(Duration::from_secs(5), send.closed()).await.expect("unbound");
}

#[tokio::test(start_paused = true)]
async fn calls_can_be_slow() {
    let (faulty, _, cache) = kit(Policy::new());
    let region = cache.region("a").unwrap();
    faulty.on(Method::Read).nth(1).delay_before(Duration::from_secs(3));
    let start = tokio::time::Instant::now();
    region.contains("k").await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

/// A type whose own code panics for one value.
#[derive(serde::Serialize)]
struct Bomb(u32);

const LIT: u32 = 13;

impl<'de> serde::Deserialize<'de> for Bomb {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bomb;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a bomb")
            }

            fn visit_newtype_struct<D: serde::Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Bomb, D::Error> {
                let number = <u32 as serde::Deserialize>::deserialize(deserializer)?;
                assert!(number != LIT, "expected panic");
                Ok(Bomb(number))
            }
        }

        deserializer.deserialize_newtype_struct("Bomb", Visitor)
    }
}

/// The same type in code that does not panic: what an older version of it may have stored.
mod harmless {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub(super) struct Bomb(pub(super) u32);
}

/// Bug: a panic while a task looked at what the store holds took flights with it. Effect: their
/// waiters waited for ever. Fix: a panic in a type's own code is a counted miss.
#[tokio::test]
async fn a_panic_in_a_types_own_code_frees_the_waiters() {
    let store = MemoryStore::new();
    let faulty = Faulty::new(store.client());
    let cache = RegionCache::builder(faulty.clone()).root("r").build().unwrap();
    let other = RegionCache::builder(store).root("r").build().unwrap();
    let pause = faulty.pause(Method::Begin);
    let region = cache.region("a").unwrap();
    let loading = tokio::spawn(async move {
        let load = || async { Ok::<_, Infallible>(Bomb(1)) };
        region.get_or_compute("k", load).await.map(|bomb| bomb.0)
    });
    pause.reached().await;
    other.region("a").unwrap().set("k", &harmless::Bomb(LIT)).await.unwrap();
    pause.release();
    let freed = tokio::time::timeout(Duration::from_secs(5), loading).await.expect("freed");
    assert_eq!(freed.unwrap().unwrap(), 1);
    assert!(cache.stats().bad_bytes > 0, "it was met");
}

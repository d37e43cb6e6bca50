//! Loads through a [`RegionCache`] over the store.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::super::Harness;
use super::super::fixture::SHORT;
use crate::cache::RegionCache;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::RegionHandle;
use crate::path::RegionPath;
use crate::policy::Policy;
use crate::region::Region;
use crate::store::{Lease, LeaseTerms, LeaseToken, Store, TakeLease};

const CALLERS: usize = 100;

/// No case waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn cache(store: impl Store) -> RegionCache {
    cache_with(store, Policy::new())
}

pub(super) fn cache_with(store: impl Store, policy: Policy) -> RegionCache {
    let cache = RegionCache::builder(store).root("r").policy(policy).build();
    cache.unwrap_or_else(|error| panic!("{error}"))
}

async fn region<H: Harness>(harness: &H, policy: Policy) -> RegionHandle {
    cache_with(harness.store().await, policy).region("a:1.b").unwrap()
}

/// A loader that counts its runs and waits until it is let go.
#[derive(Clone)]
struct Gate {
    runs: Arc<AtomicUsize>,
    begun: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { runs: Arc::default(), begun: none(), go: none() }
    }

    fn open() -> Self {
        let gate = Self::new();
        gate.release();
        gate
    }

    fn release(&self) {
        self.go.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// Waits until a load has begun that no one waited for before.
    async fn begun(&self) {
        within(self.begun.acquire()).await.unwrap().forget();
    }

    async fn load(self, value: u32) -> Result<u32, io::Error> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.begun.add_permits(1);
        self.go.acquire().await.unwrap().forget();
        Ok(value)
    }

    /// A call that loads `value` through this gate, in a task of its own.
    fn call(&self, region: &RegionHandle, value: u32) -> JoinHandle<Result<u32>> {
        let (gate, region) = (self.clone(), region.clone());
        tokio::spawn(async move {
            region.get_or_compute("k", move || gate.load(value)).await.map(|value| *value)
        })
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("took too long"))
}

async fn joined(call: JoinHandle<Result<u32>>) -> Result<u32> {
    within(call).await.unwrap()
}

async fn get(region: &RegionHandle) -> Option<u32> {
    region.get::<u32>("k").await.unwrap().map(|value| *value)
}

/// Of many callers at once one loads; all get its value, and it is stored. Promise 7.
pub async fn many_callers_share_one_load<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    let gate = Gate::new();
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
    let client = harness.client(&store).await;
    let first = cache(store).region("a:1.b").unwrap();
    let second = cache(client).region("a:1.b").unwrap();
    let (gate, unused) = (Gate::new(), Gate::open());
    let loading = gate.call(&first, 7);
    gate.begun().await;
    let waiting = unused.call(&second, 8);
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
    let terms =
        LeaseTerms { token: LeaseToken::random(), duration: SHORT, take: TakeLease::UnlessFresh };
    let begun = client.begin(&path, &["k"], terms).await.unwrap();
    assert_eq!(begun.keys[0].lease, Lease::Granted);
    let region = cache(store).region("a:1.b").unwrap();
    let waiting = Gate::open().call(&region, 7);
    harness.advance(&client, SHORT).await;
    assert_eq!(joined(waiting).await.unwrap(), 7);
    assert_eq!(get(&region).await, Some(7));
}

/// A load that takes longer than its lease keeps it. Promise 7.
pub async fn a_living_holder_keeps_its_lease<H: Harness>(harness: &H) {
    const LEASE: Duration = Duration::from_millis(600);
    const STEPS: u32 = 6;
    let store = harness.store().await;
    let client = harness.client(&store).await;
    let time = harness.client(&store).await;
    let policy = Policy::new().lease(LEASE);
    let first = cache_with(store, policy.clone()).region("a").unwrap();
    let second = cache_with(client, policy).region("a").unwrap();
    let (gate, unused) = (Gate::new(), Gate::open());
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
    let gate = Gate::new();
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
    assert_eq!(joined(Gate::open().call(&region, 7)).await.unwrap(), 7);
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
    assert_eq!(joined(Gate::open().call(&region, 7)).await.unwrap(), 7);
}

/// How a value's life is ended in the middle of its load.
#[derive(Clone, Copy, Debug)]
enum End {
    Invalidate,
    InvalidateAncestor,
    Touch,
    TouchBelow,
    Remove,
    Set,
}

impl End {
    const ALL: [Self; 6] = [
        Self::Invalidate,
        Self::InvalidateAncestor,
        Self::Touch,
        Self::TouchBelow,
        Self::Remove,
        Self::Set,
    ];

    async fn end(self, cache: &RegionCache, region: &RegionHandle) {
        match self {
            Self::Invalidate => region.invalidate().await,
            Self::InvalidateAncestor => cache.region("a:1").unwrap().invalidate().await,
            Self::Touch => region.touch().await,
            Self::TouchBelow => region.child("below").unwrap().touch().await,
            Self::Remove => region.remove("k").await.map(drop),
            Self::Set => region.set("k", &99u32).await,
        }
        .unwrap();
    }

    /// What is there after it.
    fn leaves(self) -> Option<u32> {
        matches!(self, Self::Set).then_some(99)
    }
}

/// A load during which its value's life ended is not stored, but its caller gets it. Promise 1.
pub async fn a_load_that_is_outlived_is_not_stored<H: Harness>(harness: &H) {
    for end in End::ALL {
        let cache = cache(harness.store().await);
        let region = cache.region("a:1.b").unwrap();
        let gate = Gate::new();
        let loading = gate.call(&region, 1);
        gate.begun().await;
        end.end(&cache, &region).await;
        gate.release();
        assert_eq!(joined(loading).await.unwrap(), 1, "{end:?}");
        assert_eq!(get(&region).await, end.leaves(), "{end:?}");
        assert_eq!(cache.stats().fenced_fills, 1, "{end:?}");
    }
}

/// A caller that starts after the end does not share a load that began before it. Promise 1.
pub async fn late_callers_do_not_join_outlived_loads<H: Harness>(harness: &H) {
    for end in End::ALL {
        let cache = cache(harness.store().await);
        let region = cache.region("a:1.b").unwrap();
        let (old, new) = (Gate::new(), Gate::open());
        let early = old.call(&region, 1);
        old.begun().await;
        end.end(&cache, &region).await;
        let late = joined(new.call(&region, 2)).await.unwrap();
        assert_eq!(late, end.leaves().unwrap_or(2), "{end:?}");
        old.release();
        assert_eq!(joined(early).await.unwrap(), 1, "{end:?}");
        assert_eq!(get(&region).await, Some(late), "{end:?}");
    }
}

/// A caller that starts in the middle of a load that is still good shares it. Promise 7.
pub async fn late_callers_join_good_loads<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    let (gate, unused) = (Gate::new(), Gate::open());
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
    let region = region(harness, Policy::new()).await;
    let (gate, unused) = (Gate::new(), Gate::open());
    let first = gate.call(&region, 1);
    gate.begun().await;
    let second = unused.call(&region, 2);
    // The second has a seat once it shows in the statistics or has asked the store.
    let third = gate.call(&region, 3);
    tokio::time::sleep(SHORT).await;
    first.abort();
    assert!(within(first).await.unwrap_err().is_cancelled());
    gate.release();
    assert_eq!(joined(second).await.unwrap(), 1);
    assert_eq!(joined(third).await.unwrap(), 1);
    assert_eq!((gate.runs(), unused.runs()), (1, 0));
}

/// A load that nobody waits for any more is dropped and gives its lease back. Promise 9.
pub async fn an_abandoned_load_is_dropped<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    for _ in 0..3 {
        let gate = Gate::new();
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
    assert_eq!(joined(Gate::open().call(&region, 2)).await.unwrap(), 2);
}

/// A slow load is in nobody's way but those who want its value.
pub async fn different_keys_do_not_wait<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    let gate = Gate::new();
    let slow = gate.call(&region, 1);
    gate.begun().await;
    for other in ["x", "y", "kk"] {
        let load = || async { Ok::<_, Infallible>(2u32) };
        assert_eq!(*within(region.get_or_compute(other, load)).await.unwrap(), 2);
    }
    let sibling = region.child("k").unwrap();
    assert_eq!(joined(Gate::open().call(&sibling, 3)).await.unwrap(), 3);
    gate.release();
    assert_eq!(joined(slow).await.unwrap(), 1);
}

/// A load that takes longer than the policy allows fails, and gives its lease back.
pub async fn a_load_has_a_time_limit<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new().load_timeout(SHORT)).await;
    let error = joined(Gate::new().call(&region, 1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoadTimeout);
    assert!(error.can_retry());
    assert_eq!(joined(Gate::open().call(&region, 2)).await.unwrap(), 2);
}

/// Stale values are served where the policy keeps them: when a load fails, and while one runs.
pub async fn stale_values_bridge_loads<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new().stale_for(Duration::from_secs(600))).await;
    region.set("k", &1u32).await.unwrap();
    region.expire().await.unwrap();
    assert_eq!(get(&region).await, None, "a plain read does not return what is stale");
    let fail = || async { Err::<u32, _>(io::Error::other("down")) };
    assert_eq!(*region.get_or_compute("k", fail).await.unwrap(), 1);
    let gate = Gate::new();
    let loading = gate.call(&region, 2);
    gate.begun().await;
    assert_eq!(joined(Gate::open().call(&region, 3)).await.unwrap(), 1, "while another loads");
    gate.release();
    assert_eq!(joined(loading).await.unwrap(), 2);
    assert_eq!(get(&region).await, Some(2));
    region.invalidate().await.unwrap();
    let error = region.get_or_compute("k", fail).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load, "what was invalidated is gone, not stale");
}

/// Several keys are loaded together, only those that are missing, and each is stored.
pub async fn many_keys_are_loaded_together<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    region.set("there", &1u32).await.unwrap();
    let asked = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let load = |asked: &Arc<parking_lot::Mutex<Vec<Vec<String>>>>| {
        let asked = Arc::clone(asked);
        move |keys: Vec<String>| {
            asked.lock().push(keys.clone());
            let values = keys.into_iter().filter(|key| key != "nowhere").map(|key| (key, 2));
            std::future::ready(Ok::<HashMap<String, u32>, Infallible>(values.collect()))
        }
    };
    let keys = ["new", "there", "nowhere", "new", "newer"];
    let values = region.get_or_compute_many(&keys, load(&asked)).await.unwrap();
    let values: Vec<_> = values.into_iter().map(|value| value.map(|value| *value)).collect();
    assert_eq!(values, [Some(2), Some(1), None, Some(2), Some(2)]);
    assert_eq!(*asked.lock(), [["new", "nowhere", "newer"]]);
    asked.lock().clear();
    region.remove("newer").await.unwrap();
    region.get_or_compute_many(&keys, load(&asked)).await.unwrap();
    assert_eq!(*asked.lock(), [["nowhere", "newer"]], "what was stored is not loaded again");
    let none: Vec<Option<Arc<u32>>> = region.get_or_compute_many(&[], load(&asked)).await.unwrap();
    assert!(none.is_empty());
    let error: Error = region
        .get_or_compute_many(&["a", "b"], |_| {
            std::future::ready(Err::<HashMap<String, u32>, _>(io::Error::other("down")))
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Load);
}

/// One of several keys that is removed in the middle of their load does not keep the others from
/// being stored, nor is it stored itself. Promise 1.
pub async fn one_fenced_key_of_many_is_left_out<H: Harness>(harness: &H) {
    let region = region(harness, Policy::new()).await;
    let removing = region.clone();
    let load = move |keys: Vec<String>| {
        let region = removing.clone();
        async move {
            region.remove("b").await?;
            Ok::<_, Error>(keys.into_iter().map(|key| (key, 1)).collect::<HashMap<_, u32>>())
        }
    };
    let values = region.get_or_compute_many(&["a", "b", "c"], load).await.unwrap();
    assert!(values.iter().all(|value| value.as_deref() == Some(&1)));
    let stored = region.get_many::<u32>(&["a", "b", "c"]).await.unwrap();
    let stored: Vec<_> = stored.iter().map(|value| value.as_deref().copied()).collect();
    assert_eq!(stored, [Some(1), None, Some(1)]);
}

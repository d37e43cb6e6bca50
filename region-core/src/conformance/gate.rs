//! Loads that wait until they are let go, for cases that need to be in the middle of one.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::Harness;
use crate::cache::RegionCache;
use crate::error::Result;
use crate::handle::RegionHandle;
use crate::policy::Policy;
use crate::region::Region;
use crate::store::Store;
use crate::testing::{Method, Recorder};

/// No case waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn cache(harness: &impl Harness, store: impl Store) -> RegionCache {
    cache_with(harness, store, Policy::new())
}

pub(super) fn cache_with(harness: &impl Harness, store: impl Store, policy: Policy) -> RegionCache {
    let policy = policy.near(harness.near());
    let cache = RegionCache::builder(store).root("r").policy(policy).build();
    cache.unwrap_or_else(|error| panic!("{error}"))
}

pub(super) async fn region<H: Harness>(harness: &H, policy: Policy) -> RegionHandle {
    cache_with(harness, harness.store().await, policy).region("a:1.b").unwrap()
}

/// A loader that counts its runs and waits until it is let go.
#[derive(Clone)]
pub(super) struct LoadGate {
    runs: Arc<AtomicUsize>,
    begun: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl LoadGate {
    pub(super) fn new() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { runs: Arc::default(), begun: none(), go: none() }
    }

    pub(super) fn open() -> Self {
        let gate = Self::new();
        gate.release();
        gate
    }

    pub(super) fn release(&self) {
        self.go.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// Waits until a load has begun that no one waited for before.
    pub(super) async fn begun(&self) {
        within(self.begun.acquire()).await.unwrap().forget();
    }

    pub(super) async fn load(self, value: u32) -> Result<u32, io::Error> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        self.begun.add_permits(1);
        self.go.acquire().await.unwrap().forget();
        Ok(value)
    }

    /// A call that loads `value` through this gate, in a task of its own.
    pub(super) fn call(&self, region: &RegionHandle, value: u32) -> JoinHandle<Result<u32>> {
        let (gate, region) = (self.clone(), region.clone());
        tokio::spawn(async move {
            region.get_or_compute("k", move || gate.load(value)).await.map(|value| *value)
        })
    }
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("took too long"))
}

pub(super) async fn joined(call: JoinHandle<Result<u32>>) -> Result<u32> {
    within(call).await.unwrap()
}

pub(super) async fn get(region: &RegionHandle) -> Option<u32> {
    region.get::<u32>("k").await.unwrap().map(|value| *value)
}

/// Waits until the store was asked to `begin` so many times.
pub(super) async fn begun<S>(recorder: &Recorder<S>, times: u64) {
    within(async {
        while recorder.count(Method::Begin) < times {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

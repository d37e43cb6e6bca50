//! Processes over one store, and loads that depend on the region `b`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use region_core::testing::{Faulty, Recorder};
use region_core::{LoadOptions, Loaded, Policy, Region, RegionCache, RegionHandle, TokioClock};
use region_memory::MemoryStore;

pub(crate) struct Process {
    pub(crate) faulty: Faulty<MemoryStore>,
    pub(crate) calls: Recorder<Faulty<MemoryStore>>,
    pub(crate) cache: RegionCache,
    pub(crate) loads: Arc<AtomicU32>,
}

pub(crate) fn memory() -> MemoryStore {
    MemoryStore::builder().clock(TokioClock::new()).build()
}

impl Process {
    pub(crate) fn new(seed: u64, store: &MemoryStore, policy: Policy) -> Self {
        let faulty = Faulty::new(store.client());
        let calls = Recorder::new(faulty.clone());
        let builder = RegionCache::builder(calls.clone()).root("r").policy(policy).seed(seed);
        Self { faulty, calls, cache: builder.build().unwrap(), loads: Arc::default() }
    }

    pub(crate) fn alone(policy: Policy) -> Self {
        Self::new(7, &memory(), policy)
    }

    pub(crate) fn region(&self, relative: &str) -> RegionHandle {
        self.cache.region(relative).unwrap()
    }

    pub(crate) fn page(&self) -> RegionHandle {
        self.region("a.page")
    }

    /// Loads `k` of the page with these options, unless it is there; the number of the load that brought
    /// it.
    pub(crate) async fn load_with(&self, options: LoadOptions) -> region_core::Result<u32> {
        let loads = Arc::clone(&self.loads);
        let load = move |_| async move {
            Ok::<_, Infallible>(Loaded::new(loads.fetch_add(1, Ordering::SeqCst) + 1))
        };
        Ok(*self.page().get_or_compute_with("k", options, load).await?.unwrap())
    }

    pub(crate) async fn load(&self) -> u32 {
        self.load_with(on(&self.region("b"))).await.unwrap()
    }

    pub(crate) async fn get(&self) -> Option<u32> {
        self.page().get::<u32>("k").await.unwrap().map(|value| *value)
    }

    pub(crate) fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }
}

pub(crate) fn on(region: &RegionHandle) -> LoadOptions {
    LoadOptions::new().depends_on(region)
}

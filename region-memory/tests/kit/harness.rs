//! The harness by which the conformance suite tests a [`MemoryStore`], for `region-core` too.

use std::time::Duration;

use region_core::conformance::{Able, Harness};
use region_core::{ManualClock, RegionPath};
use region_memory::{Loss, MemoryStore};

/// Stores whose time is in the suite's hands, or that of the system.
#[derive(Clone)]
pub(crate) struct InMemory(Option<ManualClock>);

impl InMemory {
    pub(crate) fn new() -> Self {
        Self(Some(ManualClock::new()))
    }

    #[allow(dead_code, reason = "not every test that includes this uses it")]
    pub(crate) fn in_real_time() -> Self {
        Self(None)
    }
}

impl Harness for InMemory {
    type Store = MemoryStore;

    async fn store(&self) -> MemoryStore {
        let builder = MemoryStore::builder().replica();
        match &self.0 {
            Some(clock) => builder.clock(clock.clone()).build(),
            None => builder.build(),
        }
    }

    async fn client(&self, store: &MemoryStore) -> MemoryStore {
        store.client()
    }

    async fn advance(&self, _store: &MemoryStore, by: Duration) {
        match &self.0 {
            Some(clock) => clock.advance(by),
            None => tokio::time::sleep(by).await,
        }
    }

    async fn lose_all(&self, store: &MemoryStore) -> Able {
        store.flush();
        Able::Yes
    }

    async fn lose_incarnations(&self, store: &MemoryStore, region: &RegionPath) -> Able {
        store.lose(region, Loss::Incarnations);
        Able::Yes
    }

    async fn hold_replica(&self, store: &MemoryStore) -> Able {
        store.hold_replica();
        Able::Yes
    }

    async fn cut_pushes(&self, store: &MemoryStore) -> Able {
        store.cut_pushes();
        Able::Yes
    }
}

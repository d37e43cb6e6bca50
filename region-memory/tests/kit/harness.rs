//! The harness by which the conformance suite tests a [`MemoryStore`], for `region-core` too.

use std::time::Duration;

use region_core::conformance::{Able, Harness};
use region_core::{ManualClock, RegionPath};
use region_memory::{Loss, MemoryStore};

/// Stores whose time is in the suite's hands.
#[derive(Clone)]
pub(crate) struct InMemory(ManualClock);

impl InMemory {
    pub(crate) fn new() -> Self {
        Self(ManualClock::new())
    }
}

impl Harness for InMemory {
    type Store = MemoryStore;

    async fn store(&self) -> MemoryStore {
        MemoryStore::builder().clock(self.0.clone()).replica().build()
    }

    async fn client(&self, store: &MemoryStore) -> MemoryStore {
        store.client()
    }

    async fn advance(&self, _store: &MemoryStore, by: Duration) {
        self.0.advance(by);
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

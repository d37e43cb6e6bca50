//! The conformance suite over the backend of `examples/custom_store.rs`.

#![cfg(feature = "conformance")]

#[path = "../examples/custom_store.rs"]
mod custom_store;

use std::sync::Arc;
use std::time::Duration;

use custom_store::DbStore;
use redb::Database;
use redb::backends::InMemoryBackend;
use region_cache::conformance::{Able, Harness};
use region_cache::{ManualClock, RegionPath};

/// Stores in a database of their own each, in memory: the suite need not wait for the disk.
struct InDatabase(ManualClock);

/// A store that other clients can be made of.
type Shared = Arc<DbStore>;

impl Harness for InDatabase {
    type Store = Shared;

    async fn store(&self) -> Shared {
        let db = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        Arc::new(DbStore::new(Arc::new(db), self.0.clone()).unwrap())
    }

    async fn client(&self, store: &Shared) -> Shared {
        Arc::clone(store)
    }

    async fn advance(&self, _: &Shared, by: Duration) {
        self.0.advance(by);
    }

    async fn lose_all(&self, _: &Shared) -> Able {
        Able::No
    }

    async fn lose_incarnations(&self, _: &Shared, _: &RegionPath) -> Able {
        Able::No
    }

    async fn hold_replica(&self, _: &Shared) -> Able {
        Able::No
    }

    async fn cut_pushes(&self, _: &Shared) -> Able {
        Able::No
    }
}

region_cache::conformance!(InDatabase(ManualClock::new()));

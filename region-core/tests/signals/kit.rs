//! Caches over one store, and waiting with a limit.

use std::time::Duration;

use region_core::testing::{Faulty, Recorder};
use region_core::{RegionCache, Store, TokioClock};
use region_memory::MemoryStore;
use tokio::time::sleep;

/// The limit on every wait, by tokio's paused clock.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store whose time is tokio's.
pub(crate) fn memory() -> MemoryStore {
    MemoryStore::builder().clock(TokioClock::new()).build()
}

pub(crate) type Recorded = Recorder<Faulty<MemoryStore>>;

pub(crate) fn faulty() -> Recorded {
    Recorder::new(Faulty::new(memory()))
}

/// A cache of its own: another process, if the store is shared.
pub(crate) fn cache(store: impl Store) -> RegionCache {
    RegionCache::builder(store).root("shop").build().unwrap()
}

/// Waits until `is_so`.
pub(crate) async fn until(is_so: impl AsyncFn() -> bool) {
    let wait = async {
        while !is_so().await {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it does not come to be so");
}

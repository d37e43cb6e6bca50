//! Caches over one store, and loaders that count.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use region_core::testing::{Faulty, Recorder};
use region_core::{Policy, RegionCache, RegionHandle, Store, TokioClock};
use region_memory::MemoryStore;
use tokio::time::{Instant, sleep};

/// No wait for another load's lease may come near this, the default lease.
pub(crate) const LEASE: Duration = Duration::from_secs(10);

/// A store whose time is tokio's.
pub(crate) fn memory() -> MemoryStore {
    MemoryStore::builder().clock(TokioClock::new()).build()
}

pub(crate) fn faulty() -> Recorder<Faulty<MemoryStore>> {
    Recorder::new(Faulty::new(memory()))
}

/// A region of a cache of its own: another process, if the store is shared.
pub(crate) fn region(store: impl Store) -> RegionHandle {
    region_with(store, Policy::new())
}

pub(crate) fn region_with(store: impl Store, policy: Policy) -> RegionHandle {
    thread_local!(static SEED: Cell<u64> = const { Cell::new(7) });
    process(SEED.replace(SEED.get() + 1), store, policy)
}

/// The region in one of several processes over a store. Equal seeds would make equal lease tokens.
pub(crate) fn process(seed: u64, store: impl Store, policy: Policy) -> RegionHandle {
    let cache = RegionCache::builder(store).root("r").policy(policy).seed(seed).build().unwrap();
    cache.region("a").unwrap()
}

/// A load that takes its time, and what became of its runs.
#[derive(Clone, Default)]
pub(crate) struct Source(Arc<Runs>);

#[derive(Default)]
struct Runs {
    begun: AtomicUsize,
    finished: AtomicUsize,
    under_way: AtomicUsize,
}

struct UnderWay(Arc<Runs>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source {
    /// The number of the run, once it has taken `time`.
    pub(crate) async fn load(self, time: Duration) -> Result<usize, Infallible> {
        let number = self.0.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(Arc::clone(&self.0));
        tokio::time::sleep(time).await;
        self.0.finished.fetch_add(1, Ordering::SeqCst);
        Ok(number)
    }

    pub(crate) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn finished(&self) -> usize {
        self.0.finished.load(Ordering::SeqCst)
    }

    pub(crate) fn under_way(&self) -> usize {
        self.0.under_way.load(Ordering::SeqCst)
    }
}

/// Fails if `call` takes as long as `limit`, by tokio's clock.
pub(crate) async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let done = tokio::time::timeout(limit, call).await;
    done.unwrap_or_else(|_| panic!("not done after {:?}", started.elapsed()))
}

/// Lets what runs in the background end, within ten seconds.
pub(crate) async fn settle(source: &Source) {
    const NOW: Duration = Duration::from_millis(1);
    sleep(NOW).await;
    within(Duration::from_secs(10), async {
        while source.under_way() > 0 {
            sleep(NOW).await;
        }
    })
    .await;
    sleep(NOW).await;
}

//! The parts that the cases are written in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use region_cache::{
    Backoff, MemoryStore, Policy, RedisStore, RedisStoreBuilder, Region, RegionCache, RegionHandle,
    Store,
};
use servers::{Flavor, TestServer};

/// The longest that a case waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The bound on the bytes of the near caches.
const NEAR_BYTES: u64 = 1 << 20;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn builder(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url)
        .unwrap()
        .call_timeout(Duration::from_secs(2))
        .connect_timeout(Duration::from_secs(2))
        .watch(ms(100), Duration::from_secs(2))
        .backoff(Backoff::new(ms(20), ms(200)).unwrap())
}

pub(crate) async fn connect(url: &str) -> RedisStore {
    builder(url).connect().await.unwrap()
}

/// A cache with values near.
pub(crate) fn near(store: impl Store, policy: Policy) -> RegionCache {
    RegionCache::builder(store).root("na").policy(policy).near(NEAR_BYTES).build().unwrap()
}

/// A cache of the same regions, with nothing near.
pub(crate) fn far(store: impl Store) -> RegionCache {
    RegionCache::builder(store).root("na").build().unwrap()
}

/// Where two caches of one process meet.
pub(crate) enum Shared {
    Memory(MemoryStore),
    Redis(RedisStore, Box<TestServer>),
}

impl Shared {
    pub(crate) async fn all() -> Vec<Self> {
        let mut all = vec![Self::Memory(MemoryStore::new())];
        for flavor in [Flavor::Redis, Flavor::Valkey] {
            let server = TestServer::start(flavor);
            all.push(Self::Redis(connect(&server.url()).await, Box::new(server)));
        }
        all
    }

    /// A cache over the store, with values near.
    pub(crate) fn cache(&self) -> RegionCache {
        match self {
            Self::Memory(store) => near(store.clone(), Policy::new()),
            Self::Redis(store, _) => near(store.clone(), Policy::new()),
        }
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Memory(_) => "memory".to_owned(),
            Self::Redis(_, server) => server.url(),
        }
    }
}

pub(crate) async fn value(region: &RegionHandle, key: &str) -> Option<u64> {
    region.get::<u64>(key).await.unwrap().map(|value: Arc<u64>| *value)
}

/// Waits until `key` has this value.
pub(crate) async fn until_value(what: &str, region: &RegionHandle, wanted: Option<u64>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = value(region, "k").await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {found:?}, never {wanted:?}");
        tokio::time::sleep(ms(10)).await;
    }
}

/// Reads `k` until it is near and trusted.
pub(crate) async fn until_near(cache: &RegionCache, region: &RegionHandle) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = cache.stats().near_hits;
        assert!(value(region, "k").await.is_some());
        if cache.stats().near_hits > before {
            return;
        }
        assert!(Instant::now() < deadline, "k is never near");
    }
}

/// Reads `key` until it has this value and is near.
pub(crate) async fn until_near_key(
    cache: &RegionCache,
    region: &RegionHandle,
    key: &str,
    wanted: u64,
) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = cache.stats().near_hits;
        if value(region, key).await == Some(wanted) && cache.stats().near_hits > before {
            return;
        }
        assert!(Instant::now() < deadline, "{key} is never near as {wanted}");
    }
}

/// Returns the result of `call`; fails if it hangs.
pub(crate) async fn soon<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, call).await.expect("a call hangs")
}

//! The settings that the cases run in.

use std::time::{Duration, Instant};

use region_cache::{MemoryStore, RedisStore, RedisStoreBuilder, RegionCache, RegionCacheBuilder};
use region_cache::{Policy, ReadFrom};
use servers::{Flavor, TestServer};

/// The longest that a case waits for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cache, and another one over the same data, as another process has it.
pub(crate) struct Setting {
    pub(crate) cache: RegionCache,
    pub(crate) other: RegionCache,
    /// They end with the case.
    _servers: Vec<TestServer>,
}

fn build(builder: RegionCacheBuilder) -> RegionCache {
    builder.build().unwrap()
}

/// A store with limits that a busy machine keeps.
fn redis(url: &str) -> RedisStoreBuilder {
    let limit = Duration::from_secs(10);
    RedisStore::builder(url).unwrap().connect_timeout(limit).call_timeout(limit)
}

impl Setting {
    pub(crate) async fn memory() -> Self {
        let store = MemoryStore::new();
        let other = build(RegionCache::builder(store.client()));
        Self { cache: build(RegionCache::builder(store)), other, _servers: Vec::new() }
    }

    pub(crate) async fn redis() -> Self {
        let server = TestServer::start(Flavor::Redis);
        let open = async || {
            let store = redis(&server.url()).connect().await.unwrap();
            build(RegionCache::builder(store))
        };
        Self { cache: open().await, other: open().await, _servers: vec![server] }
    }

    /// Both caches read from the replica.
    pub(crate) async fn replica() -> Self {
        let primary = TestServer::start(Flavor::Redis);
        let replica = primary.replica();
        replica.wait_until_following();
        let open = async || {
            let store = redis(&primary.url()).replica(&replica.url()).unwrap();
            let store = store.connect().await.unwrap();
            let policy = Policy::new().read_from(ReadFrom::Replica);
            build(RegionCache::builder(store).policy(policy))
        };
        Self { cache: open().await, other: open().await, _servers: vec![primary, replica] }
    }
}

/// Waits until something is so. What another process sees may be late by the lag of a replica.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

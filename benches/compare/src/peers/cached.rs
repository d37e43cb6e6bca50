//! `cached`: memoisation, and the stores that it is done with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cached::{AsyncRedisCache, ConcurrentCachedAsync, ShardedLruCache};

use crate::peer::{MAX_ENTRIES, Peer, Source, TTL, Value};

/// Its sharded cache in memory, and its store on Redis; nothing keeps the first coherent.
pub struct Cached {
    /// Tells the functions of one instance from those of another.
    id: usize,
    memory: ShardedLruCache<String, Arc<String>>,
    groups: ShardedLruCache<String, Arc<String>>,
    redis: AsyncRedisCache<String, Arc<String>>,
}

/// The way to have one load for all callers is the macro, whose cache is a static.
#[cached::macros::cached(
    max_size = 100_000,
    sync_writes = "by_key",
    key = "String",
    convert = "{ _key.clone() }"
)]
async fn memoised(_key: String, source: &Source) -> Arc<String> {
    Arc::new(source.load().await)
}

impl Peer for Cached {
    const NAME: &'static str = "cached";

    async fn connect(url: &str) -> Self {
        let redis = AsyncRedisCache::builder("compare").connection_string(url).ttl(TTL).build();
        static INSTANCES: AtomicUsize = AtomicUsize::new(0);
        Self {
            id: INSTANCES.fetch_add(1, Ordering::Relaxed),
            memory: ShardedLruCache::new(MAX_ENTRIES),
            groups: ShardedLruCache::new(MAX_ENTRIES),
            redis: redis.await.expect("a server"),
        }
    }

    async fn near_hit(&self, key: &str) -> Option<usize> {
        self.memory.get(key).map(|value| value.len())
    }

    async fn set_near(&self, key: &str, value: &Value) -> Option<()> {
        self.memory.set(key.to_owned(), Arc::clone(&value.shared));
        Some(())
    }

    async fn store_hit(&self, key: &str) -> Option<usize> {
        let value = self.redis.async_cache_get(&key.to_owned()).await;
        value.expect("the server answers").map(|value| value.len())
    }

    async fn set(&self, key: &str, value: &Value) -> Option<()> {
        let set = self.redis.async_cache_set(key.to_owned(), Arc::clone(&value.shared));
        set.await.expect("the server answers");
        Some(())
    }

    async fn set_in_group(&self, group: usize, entry: usize, value: &Value) -> Option<()> {
        self.groups.set(format!("{group}:{entry}"), Arc::clone(&value.shared));
        Some(())
    }

    async fn invalidate_group(&self, group: usize) {
        let prefix = format!("{group}:");
        self.groups.retain(|key, _| !key.starts_with(&prefix));
    }

    async fn has_in_group(&self, group: usize, entry: usize) -> bool {
        self.groups.get(&format!("{group}:{entry}")).is_some()
    }

    async fn load(&self, key: &str, source: &Arc<Source>) -> Option<usize> {
        Some(memoised(format!("{}:{key}", self.id), source).await.len())
    }
}

//! `hitbox`: caching of functions and requests, over one or two backends. It holds encoded values.

use std::sync::Arc;

use chrono::Utc;
use hitbox::concurrency::BroadcastConcurrencyManager;
use hitbox::offload::OffloadManager;
use hitbox::policy::{ConcurrencyLimit, PolicyConfig};
use hitbox_backend::CacheBackend;
use hitbox_backend::composition::{Compose, CompositionBackend};
use hitbox_backend::format::BincodeFormat;
use hitbox_core::{CacheContext, CacheKey, CacheValue};
use hitbox_derive::cached;
use hitbox_moka::MokaBackend;
use hitbox_redis::{ConnectionMode, RedisBackend};

use crate::peer::{MAX_ENTRIES, Peer, Source, TTL, Value};

type Memory = MokaBackend<BincodeFormat>;
type Both = CompositionBackend<Memory, RedisBackend, OffloadManager>;

/// Backends of both levels, of one each, and a cache of functions.
pub struct Hitbox {
    both: Both,
    far: RedisBackend,
    memory: Memory,
    functions: hitbox_fn::Cache<Both, BroadcastConcurrencyManager<String>, OffloadManager>,
}

#[cached(skip(source))]
async fn load(_key: String, source: Arc<Source>) -> String {
    source.load().await
}

fn memory() -> Memory {
    MokaBackend::builder().max_entries(MAX_ENTRIES as u64).value_format(BincodeFormat).build()
}

fn redis(url: &str) -> RedisBackend {
    let builder = RedisBackend::builder().connection(ConnectionMode::single(url));
    builder.build().expect("a URL")
}

fn both(url: &str) -> Both {
    memory().compose(redis(url), OffloadManager::with_defaults())
}

async fn get(backend: &impl CacheBackend, key: &str) -> Option<usize> {
    let key = CacheKey::from_str("key", key);
    let value = backend.get::<String>(&key, &mut CacheContext::default().boxed()).await;
    value.expect("the backend answers").map(|value| value.data().len())
}

async fn set(backend: &impl CacheBackend, key: &str, value: &Value) -> Option<()> {
    let key = CacheKey::from_str("key", key);
    let value = CacheValue::new(value.text.clone(), Some(Utc::now() + TTL), None);
    let mut context = CacheContext::default().boxed();
    backend.set::<String>(&key, &value, &mut context).await.expect("the backend answers");
    Some(())
}

impl Peer for Hitbox {
    const NAME: &'static str = "hitbox";

    async fn connect(url: &str) -> Self {
        let limit = ConcurrencyLimit::new(1).expect("not zero");
        let policy = PolicyConfig::builder().ttl(TTL).concurrency(limit).build();
        let functions = hitbox_fn::Cache::builder()
            .backend(both(url))
            .policy(policy)
            .concurrency_manager(BroadcastConcurrencyManager::new())
            .offload(OffloadManager::with_defaults())
            .build();
        Self { both: both(url), far: redis(url), memory: memory(), functions }
    }

    async fn near_hit(&self, key: &str) -> Option<usize> {
        get(&self.both, key).await
    }

    async fn set_near(&self, key: &str, value: &Value) -> Option<()> {
        set(&self.memory, key, value).await
    }

    async fn store_hit(&self, key: &str) -> Option<usize> {
        get(&self.far, key).await
    }

    async fn set(&self, key: &str, value: &Value) -> Option<()> {
        set(&self.both, key, value).await
    }

    async fn load(&self, key: &str, source: &Arc<Source>) -> Option<usize> {
        let value = load(key.to_owned(), Arc::clone(source)).cache(&self.functions).await;
        Some(value.len())
    }
}

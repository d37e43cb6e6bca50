//! This library.

use std::convert::Infallible;
use std::sync::Arc;

use region_cache::{MemoryStore, RedisStore, Region as _, RegionCache, RegionExt, RegionHandle};

use crate::peer::{Peer, Source, Value};

/// The bytes held in the process: room for all that is read.
const NEAR_BYTES: u64 = 256 * 1024 * 1024;

/// A region over the server with values held near, one without, and one without a server.
pub struct Region {
    cache: RegionCache,
    near: RegionHandle,
    far: RegionHandle,
    memory: RegionHandle,
}

const PATH: &str = "org:42.project:7";

impl Region {
    fn group(&self, group: usize) -> RegionHandle {
        self.cache.region(&format!("group:{group}")).expect("a path")
    }
}

impl Peer for Region {
    const NAME: &'static str = "region-cache";

    async fn connect(url: &str) -> Self {
        let store = RedisStore::connect(url).await.expect("a server");
        let cache = RegionCache::builder(store).root("shop").near(NEAR_BYTES).build();
        let cache = cache.expect("valid settings");
        let store = RedisStore::connect(url).await.expect("a server");
        let far = RegionCache::builder(store).root("shop").build().expect("valid settings");
        let memory = RegionCache::builder(MemoryStore::new()).near(NEAR_BYTES).build();
        let memory = memory.expect("valid settings");
        let [near, far, memory] =
            [&cache, &far, &memory].map(|cache| cache.region(PATH).expect("a path"));
        Self { cache, near, far, memory }
    }

    async fn near_hit(&self, key: &str) -> Option<usize> {
        let value = self.near.get::<String>(key).await.expect("the server answers");
        value.map(|value| value.len())
    }

    async fn set_near(&self, key: &str, value: &Value) -> Option<()> {
        self.memory.set(key, &value.text).await.expect("memory does not fail");
        Some(())
    }

    async fn store_hit(&self, key: &str) -> Option<usize> {
        let value = self.far.get::<String>(key).await.expect("the server answers");
        value.map(|value| value.len())
    }

    async fn set(&self, key: &str, value: &Value) -> Option<()> {
        self.near.set(key, &value.text).await.expect("the server answers");
        Some(())
    }

    /// Each entry is in a region of its own inside the group's: the harder case.
    async fn set_in_group(&self, group: usize, entry: usize, value: &Value) -> Option<()> {
        let region = self.group(group).child_with_id("part", &entry.to_string()).expect("a path");
        region.set("entry", &value.text).await.expect("the server answers");
        Some(())
    }

    async fn invalidate_group(&self, group: usize) {
        self.group(group).invalidate().await.expect("the server answers");
    }

    async fn has_in_group(&self, group: usize, entry: usize) -> bool {
        let region = self.group(group).child_with_id("part", &entry.to_string()).expect("a path");
        region.get::<String>("entry").await.expect("the server answers").is_some()
    }

    async fn load(&self, key: &str, source: &Arc<Source>) -> Option<usize> {
        let source = Arc::clone(source);
        let load = || async move { Ok::<_, Infallible>(source.load().await) };
        let value = self.near.get_or_compute(key, load).await.expect("the load does not fail");
        Some(value.len())
    }
}

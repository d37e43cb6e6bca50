//! `amalgam-cache`: a cache of two levels, kept coherent by a backplane.

use std::convert::Infallible;
use std::sync::Arc;

use amalgam::provider::{
    PostcardSerializer, RedisBackplane, RedisDistributedCache, RedisDistributedLocker,
};
use amalgam::{Cache, CacheBuilder, EntryOptions};

use crate::peer::{Peer, Source, TTL, Value};

type Shared = Arc<String>;

/// A cache of both levels, one that reads the server only, and one without a server.
pub struct Amalgam {
    both: Cache<Shared>,
    far: Cache<Shared>,
    memory: Cache<Shared>,
}

/// Both levels as the example of its documentation has them: backplane and distributed lock too.
async fn over_redis(url: &str) -> CacheBuilder<Shared> {
    let store = RedisDistributedCache::connect(url.to_owned()).await.expect("a server");
    let backplane = RedisBackplane::connect(url.to_owned()).await.expect("a server");
    let locker = RedisDistributedLocker::connect(url.to_owned()).await.expect("a server");
    Cache::builder()
        .distributed(Arc::new(store))
        .serializer(Arc::new(PostcardSerializer))
        .backplane(Arc::new(backplane))
        .distributed_locker(Arc::new(locker))
}

impl Peer for Amalgam {
    const NAME: &'static str = "amalgam-cache";

    async fn connect(url: &str) -> Self {
        let options = || EntryOptions::default().with_duration(TTL);
        let both = over_redis(url).await.default_options(options());
        let far = over_redis(url).await.default_options(options().with_skip_memory(true, true));
        let memory = Cache::builder().default_options(options());
        let [both, far, memory] =
            [both, far, memory].map(|builder| builder.try_build().expect("valid settings"));
        Self { both, far, memory }
    }

    async fn near_hit(&self, key: &str) -> Option<usize> {
        self.both.try_get(key).await.expect("the server answers").map(|value| value.len())
    }

    async fn set_near(&self, key: &str, value: &Value) -> Option<()> {
        self.memory.set(key, Arc::clone(&value.shared)).await.expect("memory does not fail");
        Some(())
    }

    async fn store_hit(&self, key: &str) -> Option<usize> {
        self.far.try_get(key).await.expect("the server answers").map(|value| value.len())
    }

    async fn set(&self, key: &str, value: &Value) -> Option<()> {
        self.both.set(key, Arc::clone(&value.shared)).await.expect("the server answers");
        Some(())
    }

    async fn set_in_group(&self, group: usize, entry: usize, value: &Value) -> Option<()> {
        let set = self.both.set(format!("{group}:{entry}"), Arc::clone(&value.shared));
        set.tags([format!("group-{group}")]).await.expect("the server answers");
        Some(())
    }

    async fn invalidate_group(&self, group: usize) {
        self.both.remove_by_tag(format!("group-{group}")).await.expect("the server answers");
    }

    async fn has_in_group(&self, group: usize, entry: usize) -> bool {
        let found = self.both.try_get(format!("{group}:{entry}")).await;
        found.expect("the server answers").is_some()
    }

    async fn load(&self, key: &str, source: &Arc<Source>) -> Option<usize> {
        let source = Arc::clone(source);
        let load = |_| async move { Ok::<_, Infallible>(Arc::new(source.load().await)) };
        Some(self.both.get_or_set(key, load).await.expect("the load does not fail").len())
    }
}

//! `cachet`: tiers of caches. It comes with one in memory; one on Redis is for its user to write.

use std::sync::Arc;

use cachet::{Cache, CacheEntry, CacheTier, Error, InsertOutcome};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tick::Clock;

use crate::peer::{MAX_ENTRIES, Peer, Source, TTL, Value};

type Shared = Arc<String>;

/// The least possible tier over the bare client: GET and SET of the value itself.
struct RedisTier(MultiplexedConnection);

fn key_of(key: &str) -> String {
    format!("cachet:{key}")
}

impl CacheTier<String, Shared> for RedisTier {
    async fn get(&self, key: &String) -> Result<Option<CacheEntry<Shared>>, Error> {
        let found: Option<String> =
            self.0.clone().get(key_of(key)).await.map_err(Error::from_source)?;
        Ok(found.map(|text| CacheEntry::new(Arc::new(text))))
    }

    async fn insert(&self, key: String, entry: CacheEntry<Shared>) -> Result<InsertOutcome, Error> {
        let value: &str = entry.value();
        let set = self.0.clone().set_ex(key_of(&key), value, TTL.as_secs()).await;
        set.map_err(Error::from_source).map(|()| InsertOutcome::Accepted)
    }

    async fn invalidate(&self, key: &String) -> Result<(), Error> {
        self.0.clone().del(key_of(key)).await.map_err(Error::from_source)
    }

    async fn clear(&self) -> Result<(), Error> {
        Err(Error::from_message("nothing here clears the server"))
    }
}

/// A cache of both tiers, one with stampede protection, one of the server, and one in memory.
pub struct Cachet {
    both: Cache<String, Shared>,
    protected: Cache<String, Shared>,
    far: Cache<String, Shared>,
    memory: Cache<String, Shared>,
}

impl Peer for Cachet {
    const NAME: &'static str = "cachet";

    async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await.expect("a server");
        let clock = Clock::new_tokio();
        let builder = || Cache::builder::<String, Shared>(clock.clone());
        let near =
            || builder().memory_with(|memory| memory.max_capacity(MAX_ENTRIES as u64)).ttl(TTL);
        let far = || builder().storage(RedisTier(connection.clone()));
        Self {
            both: near().fallback(far()).build(),
            protected: near().fallback(far()).stampede_protection().build(),
            far: far().build(),
            memory: near().build(),
        }
    }

    async fn near_hit(&self, key: &str) -> Option<usize> {
        self.both.get(key).await.expect("the server answers").map(|entry| entry.value().len())
    }

    async fn set_near(&self, key: &str, value: &Value) -> Option<()> {
        let insert = self.memory.insert(key.to_owned(), Arc::clone(&value.shared));
        insert.await.expect("memory does not fail");
        Some(())
    }

    async fn store_hit(&self, key: &str) -> Option<usize> {
        self.far.get(key).await.expect("the server answers").map(|entry| entry.value().len())
    }

    async fn set(&self, key: &str, value: &Value) -> Option<()> {
        let insert = self.both.insert(key.to_owned(), Arc::clone(&value.shared));
        insert.await.expect("the server answers");
        Some(())
    }

    async fn load(&self, key: &str, source: &Arc<Source>) -> Option<usize> {
        let load = || async { Arc::new(source.load().await) };
        let entry = self.protected.get_or_insert(key, load).await.expect("the load does not fail");
        Some(entry.value().len())
    }
}

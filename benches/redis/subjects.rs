//! The bare client and the store, and the same operations by each.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, cmd};
use region_cache::{ReadTerms, RedisStore, Region, RegionCache, RegionExt, RegionHandle, Store};
use servers::TestServer;

pub(crate) const VALUE_BYTES: usize = 200;
pub(crate) const BATCH: usize = 100;
const KEYS: usize = 1_000;

/// One operation, again and again, on changing keys.
pub(crate) type Operation = Arc<dyn Fn(usize) -> BoxFuture<'static, ()> + Send + Sync>;

pub(crate) fn operation<F>(run: impl Fn(usize) -> F + Send + Sync + 'static) -> Operation
where
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |at| run(at).boxed())
}

/// The subjects of the comparison, filled alike.
pub(crate) struct Subjects {
    pub(crate) bare: MultiplexedConnection,
    pub(crate) cache: RegionCache,
    /// The store of the cache, which has written the entries, and one that has not.
    pub(crate) writer: RedisStore,
    pub(crate) reader: RedisStore,
    value: Bytes,
}

pub(crate) fn key(at: usize) -> String {
    format!("key-{}", at.wrapping_mul(7919) % KEYS)
}

pub(crate) async fn run(mut connection: MultiplexedConnection, command: Cmd) {
    connection.send_packed_command(&command).await.expect("the server answers");
}

/// Reads of entries of a region, which are there.
pub(crate) fn get_of(region: &Arc<RegionHandle>) -> Operation {
    let region = Arc::clone(region);
    operation(move |at| {
        let region = Arc::clone(&region);
        async move {
            let value = region.get::<String>(&key(at)).await.expect("the server answers");
            assert!(value.is_some_and(|value| value.len() == VALUE_BYTES));
        }
    })
}

pub(crate) fn set_of(region: &Arc<RegionHandle>) -> Operation {
    let (region, value) = (Arc::clone(region), Arc::new("v".repeat(VALUE_BYTES)));
    operation(move |at| {
        let (region, value) = (Arc::clone(&region), Arc::clone(&value));
        async move { region.set(&key(at), &*value).await.expect("the server answers") }
    })
}

/// Reads as a caller does that trusts the region's lineage.
pub(crate) async fn trusted_read_of(store: &RedisStore, region: &RegionHandle) -> Operation {
    let path = region.path().clone();
    let read = store.read(&path, &[], ReadTerms::default()).await;
    let lineage = read.expect("the server answers").lineage;
    let known = Arc::new((store.clone(), path, lineage));
    operation(move |at| {
        let known = Arc::clone(&known);
        async move {
            let (store, path, lineage) = &*known;
            let terms = ReadTerms::default().lineage(lineage.as_ref());
            let read = store.read(path, &[&key(at)], terms).await;
            assert!(read.expect("the server answers").entries[0].is_some());
        }
    })
}

impl Subjects {
    pub(crate) async fn new(server: &TestServer) -> Self {
        let client = redis::Client::open(server.url()).expect("a URL");
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let bare = client.get_multiplexed_async_connection_with_config(&config).await;
        let store = RedisStore::connect(&server.url()).await.expect("a server");
        let reader = RedisStore::connect(&server.url()).await.expect("a server");
        let writer = store.clone();
        let cache = RegionCache::builder(store).root("bench").build().expect("no settings");
        let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
        let subjects = Self { bare: bare.expect("a server"), cache, writer, reader, value };
        for at in 0..KEYS {
            subjects.bare_set()(at).await;
            for depth in [1, 4, 8] {
                subjects.set(depth)(at).await;
            }
        }
        subjects
    }

    /// A region so many segments deep.
    pub(crate) fn region(&self, depth: usize) -> RegionHandle {
        let mut region = self.cache.root();
        for at in 1..depth {
            region = region.child_with_id("part", &at.to_string()).expect("a path");
        }
        region
    }

    pub(crate) fn bare_get(&self) -> Operation {
        let bare = self.bare.clone();
        operation(move |at| {
            let mut command = cmd("HGET");
            command.arg("bare").arg(key(at));
            run(bare.clone(), command)
        })
    }

    /// The commands that a `get` needs at least, by the bare client: what the transport costs.
    pub(crate) fn bare_pipeline(&self, depth: usize) -> Operation {
        let bare = self.bare.clone();
        let region = self.region(depth).path().to_string();
        let below = region.strip_prefix("bench").expect("the root").to_owned();
        operation(move |at| {
            let mut commands = redis::Pipeline::with_capacity(2);
            let mut ids = cmd("MGET");
            let ends = below.match_indices('.').map(|(end, _)| end).chain([below.len()]);
            ends.for_each(|end| {
                ids.arg(format!("rc1:i{{bench}}{}", &below[..end]));
            });
            let mut entry = cmd("HMGET");
            entry.arg(format!("rc1:d{{bench}}{below}")).arg("").arg(key(at));
            commands.add_command(ids).add_command(entry);
            let mut bare = bare.clone();
            async move {
                bare.send_packed_commands(&commands, 0, 2).await.expect("the server answers");
            }
        })
    }

    pub(crate) fn get(&self, depth: usize) -> Operation {
        get_of(&Arc::new(self.region(depth)))
    }

    /// The command that a read under a trusted lineage needs, by the bare client.
    pub(crate) fn bare_entries(&self, depth: usize) -> Operation {
        let bare = self.bare.clone();
        let region = self.region(depth).path().to_string();
        let below = region.strip_prefix("bench").expect("the root").to_owned();
        operation(move |at| {
            let mut entry = cmd("HMGET");
            entry.arg(format!("rc1:d{{bench}}{below}")).arg("").arg(key(at));
            run(bare.clone(), entry)
        })
    }

    /// Reads as a caller does that trusts the region's lineage.
    pub(crate) async fn trusted_read(&self, store: &RedisStore, depth: usize) -> Operation {
        trusted_read_of(store, &self.region(depth)).await
    }

    /// Reads of one key, which is there.
    pub(crate) fn hot_get(&self) -> Operation {
        let region = Arc::new(self.region(4));
        operation(move |_| {
            let region = Arc::clone(&region);
            async move { drop(region.get::<String>(&key(0)).await.expect("the server answers")) }
        })
    }

    /// The same by calls that would load it: those that come at the same time share a read.
    pub(crate) fn hot_get_or_compute(&self) -> Operation {
        let region = Arc::new(self.region(4));
        operation(move |_| {
            let region = Arc::clone(&region);
            async move {
                let load = || async { Ok::<_, Infallible>(String::new()) };
                let value = region.get_or_compute(&key(0), load).await;
                assert_eq!(value.expect("the server answers").len(), VALUE_BYTES);
            }
        })
    }

    pub(crate) fn bare_set(&self) -> Operation {
        let (bare, value) = (self.bare.clone(), self.value.clone());
        operation(move |at| {
            let mut command = cmd("HSET");
            command.arg("bare").arg(key(at)).arg(&value[..]);
            run(bare.clone(), command)
        })
    }

    pub(crate) fn set(&self, depth: usize) -> Operation {
        set_of(&Arc::new(self.region(depth)))
    }

    pub(crate) fn bare_get_many(&self) -> Operation {
        let bare = self.bare.clone();
        operation(move |at| {
            let mut command = cmd("HMGET");
            command.arg("bare");
            (0..BATCH).for_each(|n| {
                command.arg(key(at + n));
            });
            run(bare.clone(), command)
        })
    }

    pub(crate) fn get_many(&self) -> Operation {
        let region = Arc::new(self.region(4));
        operation(move |at| {
            let region = Arc::clone(&region);
            async move {
                let keys: Vec<_> = (0..BATCH).map(|n| key(at + n)).collect();
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                let values = region.get_many::<String>(&keys).await.expect("the server answers");
                assert_eq!(values.len(), BATCH);
            }
        })
    }

    pub(crate) fn bare_set_many(&self) -> Operation {
        let (bare, value) = (self.bare.clone(), self.value.clone());
        operation(move |at| {
            let mut command = cmd("HSET");
            command.arg("bare");
            (0..BATCH).for_each(|n| {
                command.arg(key(at + n)).arg(&value[..]);
            });
            run(bare.clone(), command)
        })
    }

    pub(crate) fn set_many(&self) -> Operation {
        let (region, value) = (Arc::new(self.region(4)), Arc::new("v".repeat(VALUE_BYTES)));
        operation(move |at| {
            let (region, value) = (Arc::clone(&region), Arc::clone(&value));
            async move {
                let keys: Vec<_> = (0..BATCH).map(|n| key(at + n)).collect();
                let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), &*value)).collect();
                region.set_many(&entries).await.expect("the server answers");
            }
        })
    }
}

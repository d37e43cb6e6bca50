//! Stores over real servers, for the conformance suite.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use region_core::RegionPath;
use region_core::conformance::{Able, Harness};
use region_redis::{RedisStore, RedisStoreBuilder};
use servers::{Flavor, Proxy, TestServer};

/// True if reads may go to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replicas {
    None,
    One,
}

/// A primary, and a replica if there is to be one, for one case at a time.
pub(crate) struct Servers {
    flavor: Flavor,
    primary: TestServer,
    replica: Option<TestServer>,
}

/// Servers that wait for the next case.
static IDLE: Mutex<Vec<Servers>> = Mutex::new(Vec::new());

/// The harness of one case: it has its servers for itself, and each store a database of them.
pub(crate) struct OnServers {
    servers: Option<Servers>,
    databases: AtomicU32,
    /// True if the servers are of use to the next case.
    is_spoiled: Mutex<Option<Proxy>>,
}

impl OnServers {
    pub(crate) fn new(flavor: Flavor, replicas: Replicas) -> Self {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = idle.iter().position(|servers| {
            servers.flavor == flavor && servers.replica.is_some() == (replicas == Replicas::One)
        });
        let servers = fitting.map(|at| idle.swap_remove(at));
        drop(idle);
        let servers = servers.unwrap_or_else(|| {
            let primary = TestServer::start(flavor);
            let replica = (replicas == Replicas::One).then(|| primary.replica());
            Servers { flavor, primary, replica }
        });
        Self { servers: Some(servers), databases: AtomicU32::new(0), is_spoiled: Mutex::new(None) }
    }

    fn servers(&self) -> &Servers {
        self.servers.as_ref().expect("servers until the end")
    }

    async fn connect(&self, url: &str, database: &str) -> RedisStore {
        let mut builder = patient(RedisStore::builder(url).unwrap());
        if let Some(replica) = &self.servers().replica {
            builder = builder.replica(&format!("{}/{database}", replica.url())).unwrap();
        }
        let store = builder.connect().await.unwrap_or_else(|error| panic!("{error}"));
        // The replica is of use once it is known to follow.
        while self.servers().replica.is_some() && !store.stats().replicas[0].is_recent {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        store
    }
}

/// Settings for a machine on which many tests run at once.
pub(crate) fn patient(builder: RedisStoreBuilder) -> RedisStoreBuilder {
    builder
        .call_timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(10))
        .watch(Duration::from_millis(20), Duration::from_secs(10))
}

impl Drop for OnServers {
    fn drop(&mut self) {
        let is_spoiled = std::thread::panicking()
            || self.is_spoiled.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if let Some(servers) = self.servers.take().filter(|_| !is_spoiled) {
            servers.primary.command(&["FLUSHALL"]);
            IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(servers);
        }
    }
}

impl Harness for OnServers {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        let database = self.databases.fetch_add(1, Ordering::SeqCst).to_string();
        self.connect(&format!("{}/{database}", self.servers().primary.url()), &database).await
    }

    async fn client(&self, store: &RedisStore) -> RedisStore {
        let url = store.primary().to_string();
        let database = url.rsplit_once('/').map(|(_, database)| database).unwrap_or_default();
        let database = if database.contains(':') { "0" } else { database };
        self.connect(&url, database).await
    }

    async fn advance(&self, _: &RedisStore, by: Duration) {
        // The server counts whole milliseconds.
        tokio::time::sleep(by + Duration::from_millis(1)).await;
    }

    async fn lose_all(&self, _: &RedisStore) -> Able {
        self.servers().primary.command(&["FLUSHALL"]);
        Able::Yes
    }

    async fn lose_incarnations(&self, _: &RedisStore, region: &RegionPath) -> Able {
        let (root, below) = region.as_str().split_once('.').unwrap_or((region.as_str(), ""));
        let dot = if below.is_empty() { "" } else { "." };
        let name = format!("rc1:i{{{root}}}{dot}{below}");
        for database in 0..self.databases.load(Ordering::SeqCst) {
            self.servers().primary.command_in(database, &["DEL", &name]);
        }
        Able::Yes
    }

    async fn hold_replica(&self, _: &RedisStore) -> Able {
        let Some(replica) = &self.servers().replica else { return Able::No };
        // It follows by another way, which then lets nothing pass any more: it lags, unsaid.
        let proxy = Proxy::start(self.servers().primary.port()).await;
        tokio::task::block_in_place(|| replica.follow(proxy.port()));
        proxy.silence();
        *self.is_spoiled.lock().unwrap_or_else(PoisonError::into_inner) = Some(proxy);
        Able::Yes
    }

    // All cases share the servers: breaking connections is for `tests/faults`, which has its own.
    async fn cut_pushes(&self, _: &RedisStore) -> Able {
        Able::No
    }
}

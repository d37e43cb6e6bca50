//! The store's conformance suite over the model of a server: the primary alone, and with a replica.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use region_core::RegionPath;
use region_core::conformance::{Able, Harness};
use region_redis::RedisStore;
use simredis::{Flavor, Network, Server};
use tokio::runtime::{Builder, Runtime};

/// The limit of calls: many tests run at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest time in which a store connects again.
const BACKOFF: Duration = Duration::from_secs(1);

/// The servers of one store.
#[derive(Clone)]
struct Servers {
    network: Network,
    primary: Server,
    replica: Option<Server>,
}

struct Simulated {
    with_replica: bool,
    /// The servers of each store, by the port that its URL names.
    all: Mutex<Vec<Servers>>,
}

impl Simulated {
    fn new(with_replica: bool) -> Self {
        Self { with_replica, all: Mutex::default() }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Servers>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, store: &RedisStore) -> Servers {
        let url = store.primary().unwrap().to_string();
        let port = url.rsplit_once(':').and_then(|(_, port)| port.parse::<usize>().ok()).unwrap();
        self.all()[port - 1].clone()
    }

    async fn connect(&self, port: usize) -> RedisStore {
        let servers = self.all()[port - 1].clone();
        let mut builder = RedisStore::builder(&format!("redis://primary:{port}")).unwrap();
        if servers.replica.is_some() {
            builder = builder.replica(&format!("redis://replica:{port}")).unwrap();
        }
        let builder = builder
            .call_timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .watch(Duration::from_millis(20), PATIENCE)
            .connector(servers.network.connector(0));
        let store = builder.connect().await.unwrap();
        while servers.replica.is_some() && !store.stats().replicas[0].is_recent {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        store
    }
}

impl Harness for Simulated {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        let network = Network::new(1, Duration::ZERO);
        let primary = Server::new(2, Flavor::Valkey);
        let replica = self.with_replica.then(|| primary.replica(3, Duration::ZERO));
        network.bind("primary", &primary);
        replica.iter().for_each(|replica| network.bind("replica", replica));
        let port = {
            let mut all = self.all();
            all.push(Servers { network, primary, replica });
            all.len()
        };
        self.connect(port).await
    }

    async fn client(&self, store: &RedisStore) -> RedisStore {
        let url = store.primary().unwrap().to_string();
        self.connect(url.rsplit_once(':').unwrap().1.parse().unwrap()).await
    }

    async fn advance(&self, _: &RedisStore, by: Duration) {
        // The server counts whole milliseconds.
        tokio::time::sleep(by + Duration::from_millis(1)).await;
    }

    fn runtime(&self) -> Runtime {
        Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    }

    async fn lose_all(&self, store: &RedisStore) -> Able {
        self.of(store).primary.flush_all();
        Able::Yes
    }

    async fn lose_incarnations(&self, store: &RedisStore, region: &RegionPath) -> Able {
        let (root, below) = region.as_str().split_once('.').unwrap_or((region.as_str(), ""));
        let dot = if below.is_empty() { "" } else { "." };
        let name = format!("rc1:i{{{root}}}{dot}{below}");
        self.of(store).primary.evict(&[name.into_bytes()]);
        Able::Yes
    }

    async fn hold_replica(&self, store: &RedisStore) -> Able {
        match self.of(store).replica {
            Some(replica) => replica.hold(true),
            None => return Able::No,
        }
        Able::Yes
    }

    async fn cut_pushes(&self, store: &RedisStore) -> Able {
        self.of(store).network.cut(0, 0);
        // Until then the stores leave the server alone.
        tokio::time::sleep(BACKOFF).await;
        Able::Yes
    }
}

mod primary {
    use super::*;
    region_core::conformance!(Simulated::new(false));
}

mod with_replica {
    use super::*;
    region_core::conformance!(Simulated::new(true));
}

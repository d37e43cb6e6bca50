//! Stores over real servers, for the conformance suite.

#[path = "../shared/harness.rs"]
mod harness;
#[cfg(feature = "tls")]
#[path = "../shared/permissions.rs"]
mod permissions;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use region_core::RegionPath;
use region_core::conformance::{Able, Harness};
use region_redis::{RedisStore, RedisStoreBuilder};
use servers::{Flavor, Proxy, SentinelSettings, Sentinels, TestServer};

use harness::{ids_key, patient};

/// The way that stores take to their servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As the default user.
    Plain,
    /// Over TLS, as a user with the least permissions that `LAYOUT.md` says are needed.
    #[cfg(feature = "tls")]
    Secured,
    /// By sentinels.
    Sentinel,
}

impl Way {
    fn start(self, flavor: Flavor) -> TestServer {
        match self {
            Self::Plain | Self::Sentinel => TestServer::start(flavor),
            #[cfg(feature = "tls")]
            Self::Secured => {
                let server = TestServer::start_tls(flavor, certificates(), true);
                self.admit(&server);
                server
            }
        }
    }

    /// Makes the server accept stores.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self))]
    fn admit(self, _server: &TestServer) {
        #[cfg(feature = "tls")]
        if self == Self::Secured {
            let command: Vec<_> = permissions::user("app").0.split_whitespace().collect();
            assert_eq!(_server.command(&command).text(), "OK");
        }
    }

    /// Checks that the server has refused nothing but what it need not permit.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unused_self))]
    fn check(self, _server: &TestServer) {
        #[cfg(feature = "tls")]
        if self == Self::Secured {
            let refused = _server.command(&["ACL", "LOG"]);
            let object = |entry: &servers::Reply| {
                let fields = entry.list();
                let at = fields.iter().position(|field| field.text() == "object");
                at.and_then(|at| fields.get(at + 1)).map(servers::Reply::text)
            };
            let refused: Vec<_> = refused.list().iter().filter_map(object).collect();
            // The client library tells of itself, to servers that know how to be told.
            assert!(refused.iter().all(|what| what == "client|setinfo"), "{refused:?}");
        }
    }

    fn url(self, server: &TestServer) -> String {
        match self {
            Self::Plain | Self::Sentinel => server.url(),
            #[cfg(feature = "tls")]
            Self::Secured => server.tls_url().replace("://", "://app:password@"),
        }
    }

    fn prepare(self, builder: RedisStoreBuilder) -> RedisStoreBuilder {
        match self {
            Self::Plain | Self::Sentinel => builder,
            #[cfg(feature = "tls")]
            Self::Secured => builder.tls(
                region_redis::Tls::new().ca_file(certificates().path("ca.pem")).client_files(
                    certificates().path("client.pem"),
                    certificates().path("client.key"),
                ),
            ),
        }
    }
}

#[cfg(feature = "tls")]
fn certificates() -> &'static servers::Certificates {
    static CERTIFICATES: std::sync::OnceLock<servers::Certificates> = std::sync::OnceLock::new();
    CERTIFICATES.get_or_init(servers::Certificates::new)
}

/// The number of replicas, which reads may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replicas {
    None,
    One,
    Two,
}

impl Replicas {
    fn number(self) -> usize {
        match self {
            Self::None => 0,
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// A primary, and what belongs to it, for one case at a time.
pub(crate) struct Servers {
    flavor: Flavor,
    way: Way,
    primary: TestServer,
    replicas: Vec<TestServer>,
    sentinels: Option<Sentinels>,
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
        Self::by(Way::Plain, flavor, replicas)
    }

    pub(crate) fn by(way: Way, flavor: Flavor, replicas: Replicas) -> Self {
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = idle.iter().position(|servers| {
            (servers.flavor, servers.way) == (flavor, way)
                && servers.replicas.len() == replicas.number()
        });
        let servers = fitting.map(|at| idle.swap_remove(at));
        drop(idle);
        let servers = servers.unwrap_or_else(|| {
            let primary = way.start(flavor);
            let replicas: Vec<_> = (0..replicas.number()).map(|_| primary.replica()).collect();
            replicas.iter().for_each(|replica| way.admit(replica));
            let sentinels = (way == Way::Sentinel)
                .then(|| Sentinels::start(flavor, primary.port(), replicas.len(), &calm()));
            Servers { flavor, way, primary, replicas, sentinels }
        });
        Self { servers: Some(servers), databases: AtomicU32::new(0), is_spoiled: Mutex::new(None) }
    }

    fn servers(&self) -> &Servers {
        self.servers.as_ref().expect("servers until the end")
    }

    async fn connect(&self, database: &str) -> RedisStore {
        let Servers { way, primary, replicas, sentinels, .. } = self.servers();
        let url = |server: &TestServer| format!("{}/{database}", way.url(server));
        let first = match sentinels {
            Some(sentinels) => format!("{}/{database}", sentinels.url()),
            None => url(primary),
        };
        let mut builder = way.prepare(patient(RedisStore::builder(&first).unwrap()));
        // Sentinels know them themselves.
        for replica in replicas.iter().filter(|_| sentinels.is_none()) {
            builder = builder.replica(&url(replica)).unwrap();
        }
        let store = builder.connect().await.unwrap_or_else(|error| panic!("{error}"));
        // Replicas are of use once they are known to follow.
        let are_of_use = || {
            let known = store.stats().replicas;
            known.len() == replicas.len() && known.iter().all(|replica| replica.is_recent)
        };
        while !are_of_use() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        store
    }
}

/// Settings of sentinels that take no busy server for one that is down.
fn calm() -> SentinelSettings {
    SentinelSettings { down_after: Duration::from_secs(60), ..Default::default() }
}

impl Drop for OnServers {
    fn drop(&mut self) {
        let is_spoiled = std::thread::panicking()
            || self.is_spoiled.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if let Some(servers) = self.servers.take().filter(|_| !is_spoiled) {
            servers.primary.command(&["FLUSHALL"]);
            servers.way.check(&servers.primary);
            IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(servers);
        }
    }
}

impl Harness for OnServers {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        let database = self.databases.fetch_add(1, Ordering::SeqCst).to_string();
        self.connect(&database).await
    }

    async fn client(&self, store: &RedisStore) -> RedisStore {
        let url = store.primary().unwrap().to_string();
        let database = url.rsplit_once('/').map(|(_, database)| database).unwrap_or_default();
        let database = if database.contains(':') { "0" } else { database };
        self.connect(database).await
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
        let name = ids_key(region, 1);
        for database in 0..self.databases.load(Ordering::SeqCst) {
            self.servers().primary.command_in(database, &["DEL", &name]);
        }
        Able::Yes
    }

    async fn hold_replica(&self, _: &RedisStore) -> Able {
        let Servers { primary, replicas, .. } = self.servers();
        if replicas.is_empty() {
            return Able::No;
        }
        // They follow by another way, which then lets nothing pass any more: they lag, unsaid.
        let proxy = Proxy::start(primary.port()).await;
        for replica in replicas {
            tokio::task::block_in_place(|| replica.follow(proxy.port()));
        }
        proxy.silence();
        *self.is_spoiled.lock().unwrap_or_else(PoisonError::into_inner) = Some(proxy);
        Able::Yes
    }

    // All cases share the servers: breaking connections is for `tests/faults`, which has its own.
    async fn cut_pushes(&self, _: &RedisStore) -> Able {
        Able::No
    }
}

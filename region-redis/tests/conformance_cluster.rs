//! The conformance suite on clusters of Redis and of Valkey: the primaries alone, and with replicas that are read.

#[path = "shared/harness.rs"]
mod harness;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use region_core::RegionPath;
use region_core::conformance::{Able, Harness};
use region_redis::RedisStore;
use servers::{Cluster, Flavor};

use harness::{ids_key, patient};

/// Clusters that wait for the next case.
static IDLE: Mutex<Vec<(Kind, Cluster)>> = Mutex::new(Vec::new());

/// The servers, and the way to them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    flavor: Flavor,
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    #[cfg(feature = "tls")]
    Tls,
}

/// The certificates of all clusters.
#[cfg(feature = "tls")]
fn certificates() -> &'static servers::Certificates {
    static ALL: std::sync::LazyLock<servers::Certificates> =
        std::sync::LazyLock::new(servers::Certificates::new);
    &ALL
}

impl Kind {
    fn start(self) -> Cluster {
        match self.way {
            Way::Plain => Cluster::start(self.flavor),
            #[cfg(feature = "tls")]
            Way::Tls => Cluster::start_tls(self.flavor, certificates(), servers::Endpoint::Address),
        }
    }

    fn url(self, cluster: &Cluster) -> String {
        match self.way {
            Way::Plain => cluster.url(),
            #[cfg(feature = "tls")]
            Way::Tls => {
                let ca = certificates().path("ca.pem").display().to_string();
                format!("{}?server_name=localhost&ca={ca}", cluster.tls_url())
            }
        }
    }
}

/// The harness of one case: it has its cluster for itself. A new store begins with none of the former's data.
struct OnCluster {
    kind: Kind,
    cluster: Option<Cluster>,
    anchor: usize,
    parameters: &'static str,
}

impl OnCluster {
    fn new(flavor: Flavor, anchor: usize, parameters: &'static str) -> Self {
        Self::by(Way::Plain, flavor, anchor, parameters)
    }

    fn by(way: Way, flavor: Flavor, anchor: usize, parameters: &'static str) -> Self {
        let kind = Kind { flavor, way };
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = idle.iter().position(|(other, _)| *other == kind);
        let found = fitting.map(|at| idle.swap_remove(at).1);
        drop(idle);
        let cluster = Some(found.unwrap_or_else(|| kind.start()));
        Self { kind, cluster, anchor, parameters }
    }

    fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("a cluster until the end")
    }

    async fn connect(&self) -> RedisStore {
        let Self { anchor, parameters, .. } = self;
        let url = self.kind.url(self.cluster());
        let mark = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{mark}anchor={anchor}{parameters}");
        let builder = patient(RedisStore::builder(&url).unwrap());
        builder.connect().await.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for OnCluster {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take().filter(|_| !std::thread::panicking()) {
            let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push((self.kind, cluster));
        }
    }
}

impl Harness for OnCluster {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        self.cluster().on_primaries(&["FLUSHALL"]);
        self.connect().await
    }

    async fn client(&self, _: &RedisStore) -> RedisStore {
        self.connect().await
    }

    async fn advance(&self, _: &RedisStore, by: Duration) {
        // The servers count whole milliseconds.
        tokio::time::sleep(by + Duration::from_millis(1)).await;
    }

    async fn lose_all(&self, _: &RedisStore) -> Able {
        self.cluster().on_primaries(&["FLUSHALL"]);
        Able::Yes
    }

    async fn lose_incarnations(&self, _: &RedisStore, region: &RegionPath) -> Able {
        let name = ids_key(region, self.anchor);
        let keyslot = self.cluster().nodes[0].command(&["CLUSTER", "KEYSLOT", &name]);
        let slot = keyslot.text().parse().expect("a slot");
        self.cluster().primary_of(slot).command(&["DEL", &name]);
        Able::Yes
    }

    async fn hold_replica(&self, _: &RedisStore) -> Able {
        Able::No
    }

    fn keeps_paths_together(&self) -> Able {
        if self.anchor > 1 { Able::No } else { Able::Yes }
    }

    // Breaking connections is for `tests/cluster`.
    async fn cut_pushes(&self, _: &RedisStore) -> Able {
        Able::No
    }
}

mod redis {
    use super::*;
    region_core::conformance!(OnCluster::new(Flavor::Redis, 1, ""));
}

mod redis_with_replicas {
    use super::*;
    region_core::conformance!(OnCluster::new(Flavor::Redis, 1, "&replicas=read"));
}

/// Over TLS.
#[cfg(feature = "tls")]
mod redis_secured {
    use super::*;
    region_core::conformance!(OnCluster::by(Way::Tls, Flavor::Redis, 1, ""));
}

mod valkey {
    use super::*;
    region_core::conformance!(OnCluster::new(Flavor::Valkey, 1, ""));
}

mod valkey_with_replicas {
    use super::*;
    region_core::conformance!(OnCluster::new(Flavor::Valkey, 1, "&replicas=read"));
}

mod redis_below_anchors {
    use super::*;
    region_core::conformance!(OnCluster::new(Flavor::Redis, 2, ""));
}

mod redis_below_deep_anchors_with_replicas {
    use super::*;
    region_core::conformance!(OnCluster::new(Flavor::Redis, 3, "&replicas=read"));
}

mod valkey_below_anchors_with_replicas {
    use super::*;
    region_core::conformance!(OnCluster::new(Flavor::Valkey, 2, "&replicas=read"));
}

mod valkey_below_deep_anchors {
    use super::*;
    region_core::conformance!(OnCluster::new(Flavor::Valkey, 3, ""));
}

//! The store on a cluster beside the same store on one server.

mod processor;
mod trees;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use region_cache::{RedisStore, Region, RegionCache, RegionExt, RegionHandle};
use servers::{Cluster, Flavor, TestServer};

use super::measure::row;
use super::subjects::{
    BATCH, Operation, VALUE_BYTES, get_of, key, operation, set_of, trusted_read_of,
};
use processor::throughputs;
use trees::invalidations;

/// The parts that the command line may name.
pub(crate) const PARTS: &str = "`get` on a cluster, `set` on a cluster, batches on a cluster, \
    throughput on a cluster, `invalidate` on a cluster";

/// The depths of anchors that are measured.
const ANCHORS: [usize; 2] = [1, 3];

/// The number of segments of a region, counted from its anchor.
const BELOW: usize = 4;

/// The keys of a batch, over all primaries.
const PRIMARIES: usize = 3;
const ALL: usize = PRIMARIES * BATCH;

/// One server with a replica, and a cluster whose primaries have one each.
struct Both {
    server: TestServer,
    _replica: TestServer,
    /// As `server`, for control.
    another: TestServer,
    cluster: Cluster,
}

impl Both {
    async fn on_server(&self) -> RedisStore {
        connect(&self.server.url()).await
    }

    async fn on_cluster(&self, anchor: usize) -> RedisStore {
        connect(&format!("{}?anchor={anchor}", self.cluster.url())).await
    }

    /// A root on each primary.
    fn roots(&self) -> Vec<String> {
        let node = &self.cluster.nodes[0];
        let slot = |root: &String| {
            let slot = node.command(&["CLUSTER", "KEYSLOT", root]).text();
            slot.parse().expect("a slot")
        };
        let on = |primary: &TestServer| {
            let mut roots = (0..).map(|number| format!("bench{number}"));
            let is_on =
                |root: &String| self.cluster.primary_of(slot(root)).port() == primary.port();
            roots.find(is_on).expect("a root on each primary")
        };
        self.cluster.nodes.iter().take(PRIMARIES).map(on).collect()
    }
}

async fn connect(url: &str) -> RedisStore {
    // Filling a tree leaves the processors to nobody else for seconds.
    let builder = RedisStore::builder(url).expect("a URL").call_timeout(Duration::from_secs(20));
    builder.connect().await.expect("a server")
}

fn cache(store: &RedisStore, root: &str) -> RegionCache {
    RegionCache::builder(store.clone()).root(root).build().expect("no settings")
}

/// A region of so many segments.
fn region(store: &RedisStore, root: &str, depth: usize) -> Arc<RegionHandle> {
    let path: Vec<_> = (1..depth).map(|at| format!("part:{at}")).collect();
    Arc::new(cache(store, root).region(&path.join(".")).expect("a path"))
}

/// Batches of so many keys of each region, all at the same time. They are there.
async fn get_many(regions: &[Arc<RegionHandle>], each: usize) -> Operation {
    let value = "v".repeat(VALUE_BYTES);
    for region in regions {
        let keys: Vec<_> = (0..each).map(key).collect();
        let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), &value)).collect();
        region.set_many(&entries).await.expect("the server answers");
    }
    let regions = regions.to_vec();
    operation(move |_| {
        let regions = regions.clone();
        async move {
            let keys: Vec<_> = (0..each).map(key).collect();
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            let load = |_| async { Ok::<HashMap<String, String>, Infallible>(HashMap::new()) };
            let all = regions.iter().map(|region| region.get_or_compute_many(&keys, load));
            for values in join_all(all).await {
                let values = values.expect("the server answers");
                assert!(values.iter().all(Option::is_some));
            }
        }
    })
}

async fn operations(both: &Both, roots: &[String]) -> String {
    let mut table = String::from(
        "\n| on a cluster, to one server | one us | cluster us | ratio | one/s, 64 tasks | cluster/s | ratio |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let one_store = both.on_server().await;
    let another = connect(&both.another.url()).await;
    let (here, there) = (region(&one_store, &roots[0], BELOW), region(&another, &roots[0], BELOW));
    for at in 0..1_000 {
        set_of(&here)(at).await;
        set_of(&there)(at).await;
    }
    let name = "`get` on a cluster, control: another single server instead";
    table += &row(name, get_of(&here), get_of(&there)).await;
    for anchor in ANCHORS {
        let depth = anchor + BELOW - 1;
        let stores = (&one_store, both.on_cluster(anchor).await);
        let one = region(stores.0, &roots[0], depth);
        let cluster = region(&stores.1, &roots[0], depth);
        for at in 0..1_000 {
            set_of(&one)(at).await;
            set_of(&cluster)(at).await;
        }
        let name = |call: &str| format!("`{call}` on a cluster, depth {depth}, anchor {anchor}");
        table += &row(&name("get"), get_of(&one), get_of(&cluster)).await;
        let trusted = format!("{}, trusted lineage, bound 1.2", name("get"));
        let by_one = trusted_read_of(stores.0, &one).await;
        table += &row(&trusted, by_one, trusted_read_of(&stores.1, &cluster).await).await;
        table += &row(&name("set"), set_of(&one), set_of(&cluster)).await;
    }
    table
}

async fn batches(both: &Both, roots: &[String]) -> String {
    let mut table = String::from(
        "\n| on a cluster, to one of its primaries | one us | three us | ratio | one/s, 64 tasks | three/s | ratio |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let store = both.on_cluster(ANCHORS[0]).await;
    let regions: Vec<_> = roots.iter().map(|root| region(&store, root, BELOW)).collect();
    let (one, three) = (get_many(&regions[..1], ALL).await, get_many(&regions, BATCH).await);
    let name =
        "batches on a cluster: `get_or_compute_many` of 300 keys over three primaries, bound 1.5";
    table += &row(name, one, three).await;
    let thirds = [Arc::clone(&regions[0]), Arc::clone(&regions[0]), Arc::clone(&regions[0])];
    let (thirds, three) = (get_many(&thirds, BATCH).await, get_many(&regions, BATCH).await);
    let name = "batches on a cluster: the same, to three of 100 on one primary";
    table + &row(name, thirds, three).await
}

pub(crate) async fn cluster(flavor: Flavor) -> String {
    let server = TestServer::start(flavor);
    let (replica, another) = (server.replica(), TestServer::start(flavor));
    let both = Both { server, _replica: replica, another, cluster: Cluster::start(flavor) };
    let roots = both.roots();
    let mut tables = operations(&both, &roots).await;
    tables += &batches(&both, &roots).await;
    tables += &throughputs(&both, &roots).await;
    tables + &invalidations(&both, &roots[0]).await
}

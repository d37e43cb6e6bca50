//! Signals of several processes over real servers: their stores share nothing but the server.

#[path = "shared/permissions.rs"]
mod permissions;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use region_core::{Connection, Received, Region, RegionCache, RegionExt, SharedSignal};
use region_redis::RedisStore;
use servers::{Cluster, Flavor, TestServer};
use tokio::time::{Instant, sleep};

servers::on_both! {
    each_process_gets_each_value_once
    values_outlive_connections
    a_flush_is_told_and_values_are_sent_again
    a_value_that_a_failover_loses_is_sent_again
    the_least_permissions_are_enough
    signals_work_on_a_cluster
    regions_of_another_process_are_invalidated
}

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a handler got; `None` is `Missed`.
type Got = Arc<Mutex<Vec<Option<u64>>>>;

/// A process's worth of a store, a cache and a signal.
struct Process {
    cache: RegionCache,
    signal: SharedSignal<u64>,
    got: Got,
    _connection: Connection,
}

impl Process {
    async fn start(url: &str) -> Self {
        Self::start_in("shop", url).await
    }

    async fn start_in(root: &str, url: &str) -> Self {
        let deadline = Instant::now() + PATIENCE;
        let store = loop {
            match RedisStore::builder(url).unwrap().connect().await {
                Ok(store) => break store,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        let cache = RegionCache::builder(store).root(root).build().unwrap();
        let signal = cache.shared_signal::<u64>("changed").unwrap();
        let got = Got::default();
        let log = Arc::clone(&got);
        let _connection = signal.connect(move |received: Received<u64>| {
            log.lock().unwrap().push(received.value().copied());
        });
        Self { cache, signal, got, _connection }
    }

    fn got(&self) -> Vec<Option<u64>> {
        self.got.lock().unwrap().clone()
    }

    fn has(&self, value: Option<u64>) -> bool {
        self.got().contains(&value)
    }

    /// Sends, however often it takes. It may be delivered more than once then.
    async fn send(&self, value: u64) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.signal.send(value).await {
            assert!(Instant::now() < deadline, "{error}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "it does not come to be so: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The values from `first` to `last`.
fn values(first: u64, last: u64) -> Vec<Option<u64>> {
    (first..=last).map(Some).collect()
}

/// Waits until what is sent by one reaches the other, both ways: then both have read the signal.
async fn meet(a: &Process, b: &Process) {
    a.send(1_000).await;
    b.send(1_001).await;
    for process in [a, b] {
        let met = || process.has(Some(1_000)) && process.has(Some(1_001));
        until("they meet", async || met()).await;
        process.got.lock().unwrap().clear();
    }
}

async fn each_process_gets_each_value_once(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (a, b) = (Process::start(&server.url()).await, Process::start(&server.url()).await);
    meet(&a, &b).await;
    for value in 1..=50 {
        a.signal.send(value).await.unwrap();
        // At once: by a push, far sooner than the next look at everything.
        until("the value is there", async || b.got().len() as u64 == value).await;
    }
    assert_eq!((a.got(), b.got()), (values(1, 50), values(1, 50)));
    let sends = (51..=100).map(|value| b.signal.send(value));
    for sent in futures_util::future::join_all(sends).await {
        sent.unwrap();
    }
    for process in [&a, &b] {
        until("all are there", async || process.got().len() == 100).await;
        assert_eq!(process.got(), values(1, 100));
    }
}

async fn values_outlive_connections(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (a, b) = (Process::start(&server.url()).await, Process::start(&server.url()).await);
    meet(&a, &b).await;
    for value in 1..=40 {
        a.send(value).await;
        if value % 4 == 0 {
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    }
    for process in [&a, &b] {
        until("the last value is there", async || process.has(Some(40))).await;
        let got: BTreeSet<_> = process.got().into_iter().collect();
        assert!(!got.contains(&None), "nothing was missed: {:?}", process.got());
        assert_eq!(got, values(1, 40).into_iter().collect());
    }
}

async fn a_flush_is_told_and_values_are_sent_again(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (a, b) = (Process::start(&server.url()).await, Process::start(&server.url()).await);
    meet(&a, &b).await;
    a.signal.send(1).await.unwrap();
    until("the value is there", async || b.has(Some(1))).await;
    server.command(&["FLUSHALL"]);
    until("it is told", async || a.has(None) && b.has(None)).await;
    // One that comes later gets what was lost.
    let c = Process::start(&server.url()).await;
    until("the value is there again", async || c.has(Some(1))).await;
    a.send(2).await;
    until("the next value is there", async || b.has(Some(2)) && c.has(Some(2))).await;
    assert_eq!(b.got(), [Some(1), None, Some(2)]);
}

/// The server is demoted, filled from a replica that has missed a value, and promoted again.
async fn a_value_that_a_failover_loses_is_sent_again(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (a, b) = (Process::start(&server.url()).await, Process::start(&server.url()).await);
    meet(&a, &b).await;
    let replica = tokio::task::block_in_place(|| server.replica());
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    a.signal.send(1).await.unwrap();
    tokio::task::block_in_place(|| server.follow(replica.port()));
    server.command(&["REPLICAOF", "NO", "ONE"]);
    let c = Process::start(&server.url()).await;
    until("the value is there again", async || b.has(Some(1)) && c.has(Some(1))).await;
    a.send(2).await;
    until("the next value is there", async || b.has(Some(2)) && c.has(Some(2))).await;
}

async fn the_least_permissions_are_enough(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (user, _) = permissions::user("app");
    assert_eq!(server.command(&user.split_whitespace().collect::<Vec<_>>()).text(), "OK");
    let url = server.url().replace("redis://", "redis://app:password@");
    let (a, b) = (Process::start(&url).await, Process::start(&url).await);
    meet(&a, &b).await;
    assert!(!a.has(None) && !b.has(None));
}

async fn signals_work_on_a_cluster(flavor: Flavor) {
    let cluster = tokio::task::block_in_place(|| Cluster::start(flavor));
    // Each layout has a root of its own.
    for (root, url) in [("shop", cluster.url()), ("shed", format!("{}?anchor=2", cluster.url()))] {
        let (a, b) = (Process::start_in(root, &url).await, Process::start_in(root, &url).await);
        meet(&a, &b).await;
        for value in 1..=10 {
            a.send(value).await;
        }
        until("the values are there", async || b.has(Some(10))).await;
        assert_eq!(b.got(), values(1, 10));
    }
}

async fn regions_of_another_process_are_invalidated(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let (a, b) = (Process::start(&server.url()).await, Process::start(&server.url()).await);
    meet(&a, &b).await;
    let _subscription = b.cache.invalidate_on_signal(&b.signal, |id| format!("project:{id}"));
    let (seven, eight) =
        (a.cache.region("project:7").unwrap(), a.cache.region("project:8").unwrap());
    for region in [&seven, &eight] {
        region.set("title", &"Old".to_owned()).await.unwrap();
    }
    a.send(7).await;
    until("seven is invalidated", async || !seven.contains("title").await.unwrap()).await;
    assert!(eight.contains("title").await.unwrap());
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    a.send(8).await;
    let is_gone = async || eight.contains("title").await.is_ok_and(|is_there| !is_there);
    until("eight is invalidated", is_gone).await;
}

//! The parts that the cases are written in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use region_core::{Result, Verb};
use region_redis::{Backoff, RedisStore, RedisStoreBuilder};
use servers::{Cluster, TestServer};

pub(crate) use crate::calls::*;

/// The limit on calls, and what a busy machine may add.
pub(crate) const LIMIT: Duration = Duration::from_millis(500);
const SLACK: Duration = Duration::from_secs(4);

/// Settings that make faults show soon.
pub(crate) fn builder(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url)
        .unwrap()
        .call_timeout(LIMIT)
        .connect_timeout(Duration::from_secs(1))
        .watch(Duration::from_millis(100), Duration::from_secs(1))
        .max_lag(Duration::from_secs(20))
        .backoff(Backoff::new(Duration::from_millis(50), Duration::from_millis(400)).unwrap())
}

/// A store that is connected, once a busy machine lets it.
pub(crate) async fn connect(cluster: &Cluster) -> RedisStore {
    until_ok(|| builder(&cluster.url()).connect()).await
}

/// Sets a value, once a busy machine lets it.
pub(crate) async fn put(store: &RedisStore, region: &str, key: &str, value: &str) {
    until_ok(|| set(store, region, key, value)).await;
}

/// The slot of a root.
pub(crate) fn slot_of(cluster: &Cluster, root: &str) -> u16 {
    let running = cluster.nodes.iter().find(|node| node.is_running()).unwrap();
    running.command(&["CLUSTER", "KEYSLOT", root]).text().parse().unwrap()
}

/// A root for each of the three nodes that began as primaries.
pub(crate) fn roots(cluster: &Cluster) -> [String; 3] {
    let on = |node: &TestServer| {
        let mut roots = (0..).map(|number| format!("root{number}"));
        let is_on =
            |root: &String| cluster.primary_of(slot_of(cluster, root)).port() == node.port();
        roots.find(is_on).unwrap()
    };
    [&cluster.nodes[0], &cluster.nodes[1], &cluster.nodes[2]].map(on)
}

/// Fails unless `call` ends within its limit.
pub(crate) async fn bounded<T>(call: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = call.await;
    let taken = start.elapsed();
    assert!(taken <= LIMIT + SLACK, "a call took {taken:?}");
    done
}

/// Tasks that write and read below a root until they are stopped, and check each value and each call's limit.
pub(crate) struct Load {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Load {
    pub(crate) fn start(store: &RedisStore, root: &str, tasks: usize) -> Self {
        let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = |task: usize| {
            let (is_over, done) = (Arc::clone(&is_over), Arc::clone(&done));
            let worker = Worker {
                store: store.clone(),
                region: format!("{root}.load.part:{task}"),
                at: 0,
                least: 0,
            };
            tokio::spawn(worker.run(is_over, done))
        };
        Self { tasks: (0..tasks).map(task).collect(), is_over, done }
    }

    /// The number of calls that have succeeded.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Waits until `calls` more calls have succeeded.
    pub(crate) async fn more(&self, calls: u64) {
        let before = self.done();
        until("more calls to succeed", || self.done() >= before + calls).await;
    }

    /// Ends the load; panics if a task saw a wrong value or waited too long.
    pub(crate) async fn stop(self) {
        self.is_over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

struct Worker {
    store: RedisStore,
    region: String,
    /// The last number that was sent.
    at: u64,
    /// Nothing below this may be read any more.
    least: u64,
}

impl Worker {
    async fn run(mut self, is_over: Arc<AtomicBool>, done: Arc<AtomicU64>) {
        while !is_over.load(Ordering::SeqCst) {
            if bounded(self.round()).await.is_ok() {
                done.fetch_add(1, Ordering::SeqCst);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn round(&mut self) -> Result<()> {
        let Self { store, region, .. } = &*self;
        match self.at % 4 {
            0 => {
                let next = self.at + 1;
                let result = set(store, region, "k", &next.to_string()).await;
                self.at = next;
                result.map(|()| self.least = next)
            }
            3 => {
                // Nothing that was written before may come back.
                let next = self.at + 1;
                let result = end(store, region, Verb::Invalidate).await;
                self.at = next;
                result.map(|()| self.least = next)
            }
            _ => {
                self.at += 1;
                let Self { store, region, at, least } = &*self;
                let found = get(store, region, "k").await?;
                let found = found.map(|found| found.parse::<u64>().unwrap());
                let is_right = found.is_none_or(|found| (*least..=*at).contains(&found));
                assert!(is_right, "{region}: {found:?} is none of {least}..={at}");
                Ok(())
            }
        }
    }
}

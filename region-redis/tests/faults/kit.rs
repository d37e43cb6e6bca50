//! The parts that the cases are written in.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use region_core::{Error, Event, Listener, Listening, Op, Result, Store, Write};
use region_redis::{Backoff, RedisStore, RedisStoreBuilder};
use servers::{Flavor, Proxy, Reply, TestServer};

pub(crate) use crate::calls::*;

/// The limit on calls in these cases, and what a busy machine may add beside the time that it steals.
pub(crate) const LIMIT: Duration = Duration::from_millis(500);
pub(crate) const SLACK: Duration = Duration::from_secs(3);

/// The longest silence of a server, and the longest attempt to connect.
const PATIENCE: Duration = Duration::from_secs(1);

/// Settings that make faults show soon.
pub(crate) fn builder(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url)
        .unwrap()
        .call_timeout(LIMIT)
        .connect_timeout(PATIENCE)
        .watch(Duration::from_millis(100), PATIENCE)
        .max_lag(Duration::from_secs(2))
        .backoff(Backoff::new(Duration::from_millis(50), Duration::from_millis(400)).unwrap())
}

/// Settings with which nothing but the calls themselves finds out what becomes of the server.
pub(crate) fn unwatched(url: &str) -> RedisStoreBuilder {
    let long = Duration::from_secs(60);
    builder(url).watch(long, long).max_lag(long * 2)
}

/// A store that is connected, once a busy machine lets it.
pub(crate) async fn connect(url: &str) -> RedisStore {
    until_ok(|| builder(url).connect()).await
}

/// A replica that follows by a way which can be broken.
pub(crate) async fn replica_by_proxy(primary: &TestServer, flavor: Flavor) -> (TestServer, Proxy) {
    let replica = TestServer::start(flavor);
    let replication = Proxy::start(primary.port()).await;
    tokio::task::block_in_place(|| replica.follow(replication.port()));
    (replica, replication)
}

/// Waits until a replica has what was written to its primary so far.
pub(crate) async fn synced(primary: &TestServer, replica: &TestServer) {
    let offset = |server: &TestServer, at: usize| {
        server.command(&["ROLE"]).list()[at].text().parse::<u64>().unwrap_or_default()
    };
    let written = offset(primary, 1);
    until("the replica to have all", || offset(replica, 4) >= written).await;
}

/// Makes a change that the server loses, unsaid: it is demoted, filled from a replica that has missed the
/// change, and promoted again.
pub(crate) async fn lose(primary: &TestServer, change: impl Future<Output = Result<()>>) {
    let replica = primary.replica();
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    change.await.unwrap();
    primary.follow(replica.port());
    primary.command(&["REPLICAOF", "NO", "ONE"]);
}

/// Copies all keys of the store.
pub(crate) fn back_up(server: &TestServer) {
    let script = "for _, key in ipairs(redis.call('KEYS', 'rc1:*')) do redis.call('COPY', key, 'backup:' .. key, 'REPLACE') end";
    server.command(&["EVAL", script, "0"]);
}

/// Puts the copies back, and nothing else.
pub(crate) fn put_back(server: &TestServer) {
    let script = "for _, key in ipairs(redis.call('KEYS', 'rc1:*')) do redis.call('DEL', key) end
        for _, key in ipairs(redis.call('KEYS', 'backup:*')) do redis.call('COPY', key, string.sub(key, 8)) end";
    server.command(&["EVAL", script, "0"]);
}

/// The names of a server's keys of regions, sorted.
pub(crate) fn keys(server: &TestServer) -> Vec<String> {
    let names = server.command(&["KEYS", "*"]);
    let mut names: Vec<_> = names.list().iter().map(Reply::text).collect();
    names.retain(|name| !name.starts_with("rc1:w"));
    names.sort();
    names
}

/// Returns the bytes that a server's data takes.
pub(crate) fn used_memory(server: &TestServer) -> u64 {
    let info = server.command(&["INFO", "memory"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap()
}

/// Returns the number of times that a server has done a command since its statistics were reset.
pub(crate) fn calls_of(server: &TestServer, command: &str) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]).text();
    let name = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(name.as_str()));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

pub(crate) async fn remove(store: &RedisStore, region: &str, key: &str) -> Result<()> {
    let ops = [Op::Remove { key }];
    let write = Write::new(&ops);
    store.write(&path(region), write).await.map(drop)
}

/// The pushes that a store hears, in their order.
pub(crate) struct Events {
    heard: tokio::sync::mpsc::UnboundedReceiver<Event>,
    _listening: Listening,
}

struct Forward(tokio::sync::mpsc::UnboundedSender<Event>);

impl Listener for Forward {
    fn heard(&self, event: Event) {
        // No answer hangs on leases.
        if !matches!(event, Event::Leases(_)) {
            let _ = self.0.send(event);
        }
    }
}

impl Events {
    pub(crate) fn of(store: &RedisStore) -> Self {
        let (sender, heard) = tokio::sync::mpsc::unbounded_channel();
        Self { heard, _listening: store.listen(Arc::new(Forward(sender))).unwrap() }
    }

    /// The next push, unless it takes too long.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.next_within(Duration::from_secs(5)).await
    }

    pub(crate) async fn next_within(&mut self, limit: Duration) -> Option<Event> {
        tokio::time::timeout(limit, self.heard.recv()).await.ok().flatten()
    }

    /// Waits for a push, whatever comes before it.
    pub(crate) async fn wait_for(&mut self, wanted: &Event) {
        loop {
            match self.next().await {
                Some(event) if event == *wanted => return,
                Some(_) => {}
                None => panic!("no {wanted:?}"),
            }
        }
    }
}

/// Fails unless `call` ends within its limit.
pub(crate) async fn bounded<T>(call: impl Future<Output = T>) -> T {
    let (start, stolen) = (Instant::now(), stolen());
    let done = call.await;
    let taken = start.elapsed();
    let stolen = self::stolen().saturating_sub(stolen);
    assert!(taken <= LIMIT + SLACK + stolen, "a call took {taken:?}, {stolen:?} of it stolen");
    done
}

/// Returns the time for which a thread that wanted to run could not, since the first call of this.
pub(crate) fn stolen() -> Duration {
    const TICK: Duration = Duration::from_millis(5);
    static MILLIS: AtomicU64 = AtomicU64::new(0);
    static TICKING: Once = Once::new();
    TICKING.call_once(|| {
        std::thread::spawn(|| {
            loop {
                let start = Instant::now();
                std::thread::sleep(TICK);
                let late = start.elapsed().saturating_sub(TICK).as_millis();
                MILLIS.fetch_add(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
    });
    Duration::from_millis(MILLIS.load(Ordering::Relaxed))
}

/// Tasks that read and write until they are stopped, and check each call's limit.
pub(crate) struct Load {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    pub(crate) done: Arc<AtomicU64>,
    pub(crate) failed: Arc<AtomicU64>,
    last_error: Arc<Mutex<Option<Error>>>,
}

impl Load {
    pub(crate) fn start(store: &RedisStore, tasks: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (done, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let last_error = Arc::new(Mutex::new(None));
        let task = |task: usize| {
            let (store, is_over) = (store.clone(), Arc::clone(&is_over));
            let (done, failed) = (Arc::clone(&done), Arc::clone(&failed));
            let last_error = Arc::clone(&last_error);
            tokio::spawn(async move {
                let region = format!("load.part:{task}");
                let mut at = 0_u64;
                while !is_over.load(Ordering::SeqCst) {
                    at += 1;
                    match bounded(round(&store, &region, at)).await {
                        Ok(()) => done.fetch_add(1, Ordering::SeqCst),
                        Err(error) => {
                            *last_error.lock().unwrap() = Some(error);
                            failed.fetch_add(1, Ordering::SeqCst)
                        }
                    };
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        };
        Self { tasks: (0..tasks).map(task).collect(), is_over, done, failed, last_error }
    }

    /// Panics if more calls have failed than may.
    pub(crate) fn assert_failed_at_most(&self, most: u64) {
        let failed = self.failed.load(Ordering::SeqCst);
        let error = self.last_error.lock().unwrap().clone();
        assert!(failed <= most, "{failed} calls have failed, the last with {error:?}");
    }

    /// Ends the load; panics if a task saw a wrong value or waited too long.
    pub(crate) async fn stop(self) {
        self.is_over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// One call: a write, or a read that must not find anything but what this task has written.
async fn round(store: &RedisStore, region: &str, at: u64) -> Result<(), Error> {
    if at.is_multiple_of(3) {
        return set(store, region, "k", &at.to_string()).await;
    }
    let found = get(store, region, "k").await?;
    let found: Option<u64> = found.map(|value| value.parse().unwrap());
    assert!(found.is_none_or(|found| found <= at), "a value from the future");
    Ok(())
}

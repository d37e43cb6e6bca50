//! The parts that the cases are written in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use region_cache::{
    Backoff, OnInvalidationFailure, Policy, RedisStore, RedisStoreBuilder, RegionCache,
    RegionHandle, Result, Store,
};
use servers::{Reply, TestServer};
use tokio::sync::watch;

/// The longest that a case waits for something that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A store whose faults show soon, with limits that a busy machine keeps.
pub(crate) fn builder(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url)
        .unwrap()
        .call_timeout(Duration::from_secs(2))
        .connect_timeout(Duration::from_secs(2))
        .watch(ms(100), Duration::from_secs(2))
        .max_lag(Duration::from_secs(10))
        .backoff(Backoff::new(ms(20), ms(200)).unwrap())
}

/// As [`builder`]; invalidations that cannot reach the server are queued.
pub(crate) fn queueing(url: &str) -> RedisStoreBuilder {
    builder(url).on_invalidation_failure(OnInvalidationFailure::Queue)
}

pub(crate) async fn connect(url: &str) -> RedisStore {
    builder(url).connect().await.unwrap()
}

pub(crate) fn cache(store: impl Store) -> RegionCache {
    cache_with(store, Policy::new())
}

pub(crate) fn cache_with(store: impl Store, policy: Policy) -> RegionCache {
    RegionCache::builder(store).root("fg").policy(policy).build().unwrap()
}

/// A region over a connection of its own.
pub(crate) async fn region(url: &str, path: &str) -> RegionHandle {
    cache(connect(url).await).region(path).unwrap()
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_so(what, || std::future::ready(is_so())).await;
}

/// Waits until something that has to be asked for is so.
pub(crate) async fn until_so<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "waited for {what} in vain");
        tokio::time::sleep(ms(10)).await;
    }
}

/// Waits until a call succeeds.
pub(crate) async fn until_ok<T, F: Future<Output = Result<T>>>(mut call: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match call().await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < deadline, "not back: {error}"),
        }
        tokio::time::sleep(ms(10)).await;
    }
}

/// Returns the result of `call` and the time that it took; fails if it hangs.
pub(crate) async fn timed<T>(call: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let done = tokio::time::timeout(PATIENCE, call).await.expect("a call hangs");
    (done, start.elapsed())
}

/// Loads that last until the test lets them end.
#[derive(Clone)]
pub(crate) struct LoadGate {
    begun: Arc<AtomicU64>,
    dropped: Arc<AtomicU64>,
    open: watch::Sender<bool>,
}

struct Running(Arc<AtomicU64>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl LoadGate {
    pub(crate) fn new() -> Self {
        Self { begun: Arc::default(), dropped: Arc::default(), open: watch::Sender::new(false) }
    }

    /// The number of loads that have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(SeqCst)
    }

    /// The number of loads that were dropped before they ended.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(SeqCst)
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    pub(crate) async fn until_begun(&self, loads: u64) {
        until("a load to begin", || self.begun() >= loads).await;
    }

    pub(crate) async fn pass(self) {
        self.begun.fetch_add(1, SeqCst);
        let running = Running(Arc::clone(&self.dropped));
        let _ = self.open.subscribe().wait_for(|open| *open).await;
        std::mem::forget(running);
    }

    /// A load of `value`.
    pub(crate) fn load<V: Send + 'static>(
        &self,
        value: V,
    ) -> impl FnOnce() -> std::pin::Pin<Box<dyn Future<Output = Result<V, std::io::Error>> + Send>>
    + Send
    + 'static {
        let gate = self.clone();
        move || {
            Box::pin(async move {
                gate.pass().await;
                Ok(value)
            })
        }
    }
}

/// A load that is done at once.
pub(crate) async fn loaded<V>(value: V) -> Result<V, std::io::Error> {
    Ok(value)
}

/// The names of the server's keys that begin so.
pub(crate) fn keys(server: &TestServer, pattern: &str) -> Vec<String> {
    server.command(&["KEYS", pattern]).list().iter().map(Reply::text).collect()
}

pub(crate) fn number(server: &TestServer, section: &str, field: &str) -> u64 {
    let info = server.command(&["INFO", section]).text();
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

/// Returns the number of connections of the server, without that of the question.
pub(crate) fn clients(server: &TestServer) -> usize {
    server.command(&["CLIENT", "LIST"]).text().lines().count() - 1
}

/// Waits until a replica has what was written to its primary so far.
pub(crate) async fn synced(primary: &TestServer, replica: &TestServer) {
    let offset = |server: &TestServer, at: usize| {
        server.command(&["ROLE"]).list()[at].text().parse::<u64>().unwrap_or_default()
    };
    let written = offset(primary, 1);
    until("the replica to have all", || offset(replica, 4) >= written).await;
}

/// Everything that a server holds: each key, when it ends, and its value.
pub(crate) struct Snapshot(Vec<Vec<u8>>);

impl Snapshot {
    pub(crate) fn of(server: &TestServer) -> Self {
        const TAKE: &str = "local all = {}
            for _, key in ipairs(redis.call('KEYS', '*')) do
                all[#all + 1] = key
                all[#all + 1] = tostring(math.max(0, redis.call('PEXPIRETIME', key)))
                all[#all + 1] = redis.call('DUMP', key)
            end
            return all";
        let reply = server.command(&["EVAL", TAKE, "0"]);
        let bytes = |part: &Reply| match part {
            Reply::Bytes(bytes) => bytes.clone(),
            other => panic!("no snapshot: {other:?}"),
        };
        Self(reply.list().iter().map(bytes).collect())
    }

    /// Makes the server hold this and nothing else, as the loss of its last writes does.
    pub(crate) fn restore(&self, server: &TestServer) {
        const PUT: &str = "redis.call('FLUSHALL')
            for n = 1, #ARGV, 3 do
                redis.call('RESTORE', ARGV[n], ARGV[n + 1], ARGV[n + 2], 'ABSTTL')
            end
            return 'OK'";
        let mut args: Vec<&[u8]> = vec![b"EVAL", PUT.as_bytes(), b"0"];
        args.extend(self.0.iter().map(Vec::as_slice));
        assert_eq!(server.bytes(&args).text(), "OK");
    }
}

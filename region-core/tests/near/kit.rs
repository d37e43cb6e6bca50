//! Two processes over one store, each with a near cache of its own.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use region_core::testing::{Faulty, Method, Pause, Recorder, Request};
use region_core::{
    Begun, EndTerms, Ended, Event, LeaseTerms, LeaseToken, Listener, Listening, Page, PageTerms,
    Policy, Read, ReadTerms, Region, RegionCache, RegionExt, RegionHandle, RegionPath, Result,
    ScanItem, Segment, Source, Store, StoreHealth, Timestamp, TokioClock, Write, Written,
};
use region_memory::MemoryStore;
use tokio::task::JoinHandle;

/// The bound on the bytes of the near caches.
pub(crate) const NEAR_BYTES: u64 = 1 << 20;

/// What a client hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushes {
    /// The changes of others, as over a connection that is not told of its own.
    OfOthers,
    /// The same, and each answer names a connection of its own.
    OverManyConnections,
    Never,
    /// Never, although the answers name a connection.
    NeverAsPromised,
}

/// A client of a memory store that hears less of it.
#[derive(Clone)]
pub(crate) struct Client {
    store: MemoryStore,
    pushes: Pushes,
    /// Whether a call of this client is changing something. The store is done at once, so all that it
    /// pushes meanwhile is of this client's own change.
    changing: Arc<AtomicBool>,
    /// The connections that the answers named, where each has its own.
    sources: Arc<Mutex<Vec<Source>>>,
}

/// One process.
pub(crate) struct Process {
    pub(crate) faulty: Faulty<Client>,
    pub(crate) calls: Recorder<Faulty<Client>>,
    pub(crate) cache: RegionCache,
}

struct OfOthers {
    changing: Arc<AtomicBool>,
    inner: Arc<dyn Listener>,
}

impl Listener for OfOthers {
    fn heard(&self, event: Event) {
        let is_change = matches!(event, Event::Lineage(_) | Event::Entries(_));
        if !(is_change && self.changing.load(Ordering::SeqCst)) {
            self.inner.heard(event);
        }
    }
}

impl Client {
    pub(crate) fn new(store: &MemoryStore, pushes: Pushes) -> Self {
        let (changing, sources) = (Arc::default(), Arc::default());
        Self { store: store.client(), pushes, changing, sources }
    }

    async fn change<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.changing.store(true, Ordering::SeqCst);
        let result = call.await;
        self.changing.store(false, Ordering::SeqCst);
        result
    }

    fn source(&self, source: Option<Source>) -> Option<Source> {
        match self.pushes {
            Pushes::OfOthers | Pushes::NeverAsPromised => source,
            Pushes::OverManyConnections => {
                let source = Source::unique();
                self.sources.lock().push(source);
                Some(source)
            }
            Pushes::Never => None,
        }
    }

    /// The connections that the answers named, in their order.
    pub(crate) fn sources(&self) -> Vec<Source> {
        self.sources.lock().clone()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for Client {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        let read = self.store.read(region, keys, terms).await?;
        let source = self.source(read.source);
        Ok(read.source(source))
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        let begun = self.change(self.store.begin(region, keys, terms)).await?;
        let source = self.source(begun.source);
        Ok(begun.source(source))
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        Ok(match self.change(self.store.write(region, write)).await? {
            Written::Applied(applied) => {
                let source = self.source(applied.source);
                Written::Applied(applied.source(source))
            }
            Written::Fenced => Written::Fenced,
        })
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        let ended = self.change(self.store.end(region, terms)).await?;
        let source = self.source(ended.source);
        Ok(ended.source(source))
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        self.store.release(region, keys, token);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.store.scan(region, terms).await
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        self.store.children(region, terms).await
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        self.store.len(region).await
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        let changing = Arc::clone(&self.changing);
        matches!(self.pushes, Pushes::OfOthers | Pushes::OverManyConnections)
            .then(|| self.store.listen(Arc::new(OfOthers { changing, inner: listener })))?
    }

    fn limit(&self) -> Option<Duration> {
        self.store.limit()
    }

    fn health(&self) -> StoreHealth {
        self.store.health()
    }

    async fn now(&self) -> Result<Timestamp> {
        self.store.now().await
    }
}

impl Process {
    pub(crate) fn new(store: &MemoryStore, pushes: Pushes, policy: Policy) -> Self {
        let faulty = Faulty::new(Client::new(store, pushes));
        let calls = Recorder::new(faulty.clone());
        let cache = RegionCache::builder(calls.clone()).root("r").policy(policy).near(NEAR_BYTES);
        Self { faulty, calls, cache: cache.seed(next_seed()).build().unwrap() }
    }

    /// Breaks the connections that pushes come over, those of the other processes too.
    pub(crate) fn cut_pushes(&self) {
        self.faulty.inner().store.cut_pushes();
    }

    pub(crate) fn region(&self, relative: &str) -> RegionHandle {
        self.cache.region(relative).unwrap()
    }

    /// Reads the value at `k`, and tells how the store was asked for it: the keys of each read.
    pub(crate) async fn get(&self, region: &RegionHandle) -> (Option<u32>, Vec<Vec<String>>) {
        self.calls.clear();
        let value = region.get::<u32>("k").await.unwrap();
        (value.map(|value| *value), self.reads())
    }

    /// Begins to set `k`. The store has done it, and its answer is held back until the pause is released.
    pub(crate) async fn begin_set(
        &self,
        region: &RegionHandle,
        value: u32,
    ) -> (Pause, JoinHandle<Result<()>>) {
        let pause = self.faulty.on(Method::Write).nth(1).pause_after();
        let region = region.clone();
        let writing = tokio::spawn(async move { region.set("k", &value).await });
        pause.reached().await;
        (pause, writing)
    }

    /// The keys of each read since the recording was cleared.
    pub(crate) fn reads(&self) -> Vec<Vec<String>> {
        let reads = self.calls.calls();
        let keys = reads.into_iter().filter_map(|call| match call.request {
            Request::Read { keys, .. } => Some(keys),
            _ => None,
        });
        keys.collect()
    }

    /// Asserts that `k` is read from the near cache, and has this value.
    pub(crate) async fn assert_near(&self, region: &RegionHandle, value: u32) {
        let (found, reads) = self.get(region).await;
        assert_eq!((found, reads.as_slice()), (Some(value), &[][..]), "{}", region.path());
        assert_eq!(self.calls.total(), 0);
    }

    pub(crate) async fn assert_value(&self, region: &RegionHandle, value: Option<u32>) {
        assert_eq!(self.get(region).await.0, value, "{}", region.path());
    }

    pub(crate) fn count(&self, method: Method) -> u64 {
        self.calls.count(method)
    }
}

/// A seed that no other cache of the test has: equal seeds would make equal ids and lease tokens.
pub(crate) fn next_seed() -> u64 {
    thread_local!(static SEED: Cell<u64> = const { Cell::new(7) });
    SEED.replace(SEED.get() + 1)
}

/// A store whose time is tokio's.
pub(crate) fn memory() -> MemoryStore {
    MemoryStore::builder().clock(TokioClock::new()).build()
}

/// Two processes over one store.
pub(crate) fn two() -> (Process, Process) {
    let store = memory();
    let process = || Process::new(&store, Pushes::OfOthers, Policy::new());
    (process(), process())
}

/// The read of no keys that verifies a region.
pub(crate) fn verification() -> Vec<String> {
    Vec::new()
}

pub(crate) fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|&key| key.to_owned()).collect()
}

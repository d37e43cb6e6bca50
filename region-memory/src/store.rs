use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use region_core::{
    Begun, EndTerms, Ended, LeaseTerms, LeaseToken, Listener, Listening, Page, PageTerms, Read,
    ReadFrom, ReadTerms, RegionPath, Result, ScanItem, Segment, Store, Timestamp, Write, Written,
};

use crate::builder::MemoryStoreBuilder;
use crate::data::Data;
use crate::reclaim::MemoryUse;
use crate::testing::Replica;

/// A store in this process's memory.
///
/// Clones are the same store and the same client of it; [`client`](Self::client) makes another
/// client, as another process would be. Operations on different regions do not wait for each other,
/// and no method waits for anything else: each completes when it is first polled.
///
/// Memory follows what is written: every write frees a little of what was invalidated or is over, and
/// [`reclaim`](Self::reclaim) frees the rest at once.
#[derive(Clone)]
pub struct MemoryStore {
    pub(crate) data: Arc<Data>,
    pub(crate) replica: Option<Arc<Replica>>,
    /// The number of the last change that this client made.
    own_changes: Arc<AtomicU64>,
}

impl MemoryStore {
    /// A store by the system's clock, without a bound and without a replica.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Begins a store with settings.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::new()
    }

    pub(crate) fn over(data: Data, replica: Option<Arc<Replica>>) -> Self {
        Self { data: Arc::new(data), replica, own_changes: Arc::default() }
    }

    /// Another client of the same data, as another process would be: it shares all but the memory
    /// of what this one changed, which decides what a lagging replica may answer.
    #[must_use]
    pub fn client(&self) -> Self {
        Self { own_changes: Arc::default(), ..self.clone() }
    }

    /// What the store takes up.
    #[must_use]
    pub fn memory_use(&self) -> MemoryUse {
        self.data.memory_use()
    }

    /// Frees everything that was invalidated or is over. Takes time in proportion to the whole
    /// store, but blocks each region for a moment only.
    pub fn reclaim(&self) {
        self.data.reclaim();
    }

    /// Remembers that this client changed something, for as long as a replica may not show it.
    pub(crate) fn note_change(&self) {
        if self.replica.is_some() {
            self.own_changes.fetch_max(self.data.changed(), Ordering::SeqCst);
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("memory_use", &self.memory_use())
            .field("replica", &self.replica)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms) -> Result<Read> {
        if let (ReadFrom::Replica, Some(replica)) = (terms.from, &self.replica) {
            let needed = self.own_changes.load(Ordering::SeqCst);
            if let Some(read) = replica.read(needed, |data| data.read(region, keys, terms)) {
                // What it lags behind has been pushed already, and will not be again.
                return Ok(read.source(None));
            }
        }
        Ok(self.data.read(region, keys, terms))
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        let begun = self.data.begin(region, keys, terms);
        self.note_change();
        Ok(begun)
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        let written = self.data.write(region, write)?;
        self.note_change();
        Ok(written)
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        let ended = self.data.end(region, terms);
        self.note_change();
        Ok(ended)
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        self.data.release(region, keys, token);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.data.scan(region, &terms)
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        self.data.children(region, &terms)
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        Ok(self.data.len(region))
    }

    fn listen(&self, listener: Arc<dyn Listener>) -> Option<Listening> {
        Some(self.data.events.listen(listener))
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.data.now())
    }
}

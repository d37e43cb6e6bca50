use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use region_core::{
    Begun, EndTerms, Ended, LeaseTerms, LeaseToken, Listener, Listening, Page, PageTerms, Read,
    ReadTerms, RegionPath, Result, ScanItem, Segment, Store, Timestamp, Write, Written,
};

use crate::data::Data;
use crate::data::usage::MemoryUse;
#[cfg(feature = "testing")]
use crate::replica::ReplicaReader;
use crate::{evict, reclaim};

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
    #[cfg(feature = "testing")]
    pub(crate) replica: Option<ReplicaReader>,
}

impl MemoryStore {
    /// A store over `data`, without a replica.
    pub(crate) fn over(data: Data) -> Self {
        Self {
            data: Arc::new(data),
            #[cfg(feature = "testing")]
            replica: None,
        }
    }

    /// Another client of the same data, as another process would be: it shares all but the memory
    /// of what this one changed, which decides what a lagging replica may answer.
    #[must_use]
    pub fn client(&self) -> Self {
        Self {
            #[cfg(feature = "testing")]
            replica: self.replica.as_ref().map(ReplicaReader::another),
            ..self.clone()
        }
    }

    /// Returns the memory that the store uses.
    #[must_use]
    pub fn memory_use(&self) -> MemoryUse {
        self.data.memory_use()
    }

    /// Frees everything that was invalidated or is over. Takes time in proportion to the whole
    /// store, but blocks each region for a moment only.
    pub fn reclaim(&self) {
        reclaim::reclaim_all(&self.data);
    }

    /// Remembers that this client changed something, for as long as a replica may not show it.
    pub(crate) fn note_change(&self) {
        #[cfg(feature = "testing")]
        if let Some(replica) = &self.replica {
            replica.note_change();
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("MemoryStore");
        debug.field("memory_use", &self.memory_use());
        #[cfg(feature = "testing")]
        debug.field("replica", &self.replica());
        debug.finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        #[cfg(feature = "testing")]
        if let (region_core::ReadFrom::Replica, Some(replica)) = (terms.from, &self.replica)
            && let Some(read) = replica.read(|data| data.read(region, keys, terms))
        {
            // What it lags behind has been pushed already, and will not be again.
            return Ok(read.source(None));
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
        reclaim::after_write(&self.data);
        evict::after_write(&self.data);
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

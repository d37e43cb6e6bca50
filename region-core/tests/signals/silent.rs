use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use region_core::{
    Begun, EndTerms, Ended, LeaseTerms, LeaseToken, Listener, Listening, Page, PageTerms, Read,
    ReadTerms, RegionPath, Result, ScanItem, Segment, Store, StoreHealth, Timestamp, Write,
    Written,
};
use region_memory::MemoryStore;

/// A store that pushes nothing, and whose answers say so.
pub(crate) struct Silent(pub(crate) MemoryStore);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Store for Silent {
    async fn read(&self, region: &RegionPath, keys: &[&str], terms: ReadTerms<'_>) -> Result<Read> {
        Ok(self.0.read(region, keys, terms).await?.source(None).changes(None).lineage(None))
    }

    async fn begin(&self, region: &RegionPath, keys: &[&str], terms: LeaseTerms) -> Result<Begun> {
        Ok(self.0.begin(region, keys, terms).await?.source(None))
    }

    async fn write(&self, region: &RegionPath, write: Write<'_>) -> Result<Written> {
        Ok(match self.0.write(region, write).await? {
            Written::Applied(applied) => Written::Applied(applied.source(None).changes(None)),
            Written::Fenced => Written::Fenced,
        })
    }

    async fn end(&self, region: &RegionPath, terms: EndTerms) -> Result<Ended> {
        Ok(self.0.end(region, terms).await?.source(None))
    }

    fn release(&self, region: &RegionPath, keys: &[&str], token: LeaseToken) {
        self.0.release(region, keys, token);
    }

    async fn scan(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<ScanItem>> {
        self.0.scan(region, terms).await
    }

    async fn children(&self, region: &RegionPath, terms: PageTerms) -> Result<Page<Segment>> {
        self.0.children(region, terms).await
    }

    async fn len(&self, region: &RegionPath) -> Result<u64> {
        self.0.len(region).await
    }

    fn listen(&self, _: Arc<dyn Listener>) -> Option<Listening> {
        None
    }

    fn limit(&self) -> Option<Duration> {
        self.0.limit()
    }

    fn health(&self) -> StoreHealth {
        self.0.health()
    }

    async fn now(&self) -> Result<Timestamp> {
        self.0.now().await
    }
}

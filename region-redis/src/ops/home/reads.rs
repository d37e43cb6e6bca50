//! Reading, listing and counting.

use futures_util::future::try_join;
use region_core::{Page, PageTerms, Read, ReadTerms, RegionPath, Result, ScanItem, Segment};

use super::Home;
use crate::ops::above::Above;

impl Home<'_> {
    pub(crate) async fn read(
        &self,
        region: &RegionPath,
        keys: &[&str],
        terms: ReadTerms<'_>,
    ) -> Result<Read> {
        let Some(above) = &self.above else { return self.shard.read(region, keys, terms).await };
        let (at, deadline) = (self.shard.locate(region), self.shard.deadline_from(terms.started));
        // While an invalidation above waits nothing below is read.
        if !above.recovery.has_queued()
            && let Some(read) = self.shard.read_if_assumed(region, keys, terms, deadline).await?
        {
            return Ok(read);
        }
        let lines = self.shard.read_lines(region, keys, terms.from, deadline);
        let (Above { claim, source }, lines) =
            try_join(above.read_above(at, deadline), lines).await?;
        let source = self.shard.joint_source(source, lines.source);
        let claim = self.by_own_clock(above, claim);
        let read = self.shard.judge(at.claiming(Some(&claim)), keys, lines, terms.trust, deadline);
        Ok(read.await?.source(source))
    }

    pub(crate) async fn scan(
        &self,
        region: &RegionPath,
        terms: PageTerms,
    ) -> Result<Page<ScanItem>> {
        let (at, deadline) = (self.shard.locate(region), self.shard.deadline());
        let Some(above) = &self.above else { return self.shard.scan(at, terms, deadline).await };
        let Above { claim, .. } = above.read_above(at, deadline).await?;
        let claim = self.by_own_clock(above, claim);
        self.shard.scan(at.claiming(Some(&claim)), terms, deadline).await
    }

    pub(crate) async fn len(&self, region: &RegionPath) -> Result<u64> {
        let (at, deadline) = (self.shard.locate(region), self.shard.deadline());
        let Some(above) = &self.above else { return self.shard.len(at, deadline).await };
        let Above { claim, .. } = above.read_above(at, deadline).await?;
        let claim = self.by_own_clock(above, claim);
        self.shard.len(at.claiming(Some(&claim)), deadline).await
    }

    pub(crate) async fn children(
        &self,
        region: &RegionPath,
        terms: PageTerms,
    ) -> Result<Page<Segment>> {
        let (at, deadline) = (self.shard.locate(region), self.shard.deadline());
        let Some(above) = &self.above else {
            return self.shard.children(at, terms, deadline).await;
        };
        let Above { claim, .. } = above.read_above(at, deadline).await?;
        let claim = self.by_own_clock(above, claim);
        self.shard.children(at.claiming(Some(&claim)), terms, deadline).await
    }
}

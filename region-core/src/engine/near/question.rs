//! Questions to the store, and what their answers show of a region.

use std::sync::Arc;

use tokio::time::Instant;

use super::known::{Shown, Sources};
use super::region::{NearRegion, TrustedLineage};
use crate::engine::{Engine, Started};
use crate::error::Result;
use crate::path::RegionPath;
use crate::store::{Read, ReadTerms, Trust};

/// A read of one region whose answer is learned from.
pub(super) struct Question<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) path: &'a RegionPath,
    pub(super) region: &'a Arc<NearRegion>,
    pub(super) terms: ReadTerms<'static>,
}

impl Question<'_> {
    /// Reads `keys`, as a part of an operation that began at `started`; also returns what the answer showed
    /// of the region and when the call was sent.
    pub(super) async fn ask(
        &self,
        keys: &[&str],
        started: &mut Started,
    ) -> Result<(Read, Option<(Shown, Instant)>)> {
        let region = self.region;
        let mut asked = region.asked();
        let (mut under, mut sent) = (region.marks(), Instant::now());
        let mut assumed = region.trusted_lineage(under);
        let mut terms = self.terms.trust(Trust::Kept);
        terms.started = started.noted();
        started.note_at(sent);
        let lineage = assumed.as_ref().map(|assumed| &*assumed.lineage);
        let mut read = self.engine.read(self.path, keys, terms.lineage(lineage)).await?;
        if assumed.is_some() && !region.marks().has_lineage_of(under) {
            // The answer assumed a lineage that was not trusted to the end.
            asked = region.asked();
            (under, sent, assumed) = (region.marks(), Instant::now(), None);
            terms.started = started.noted();
            read = self.engine.read(self.path, keys, terms).await?;
        }
        let shown = self.shown_by(&read, assumed);
        if let Some(shown) = &shown {
            region.learn(shown, under);
        }
        if let Some(asked) = asked {
            region.witness(asked, shown.as_ref(), None);
        }
        Ok((read, shown.map(|shown| (shown, sent))))
    }

    fn shown_by(&self, read: &Read, assumed: Option<TrustedLineage>) -> Option<Shown> {
        let lineage = read.lineage.as_ref()?;
        let source = read.source.filter(|_| self.engine.near.is_listening());
        let same = assumed.filter(|assumed| *assumed.lineage == *lineage);
        let (lineage, of_lineage) = match same {
            Some(assumed) => (assumed.lineage, Some(assumed.source)),
            None => (Arc::new(lineage.clone()), source),
        };
        let sources = source.zip(of_lineage).map(|(ring, lineage)| Sources { lineage, ring });
        Some(Shown { lineage, ring: read.changes.clone(), sources })
    }
}

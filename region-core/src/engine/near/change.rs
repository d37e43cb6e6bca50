//! Own changes under way: from before a write or verb is sent until its answer is handled.

use std::sync::Arc;

use super::Near;
use super::evidence::Asked;
use super::known::{Marks, Shown};
use super::own_writes::WriteId;
use super::region::NearRegion;
use crate::path::MAX_DEPTH;
use crate::store::{ChangedKey, Verb};

/// The entries that an own change covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Covers {
    /// These entries of the region.
    Entries(ChangedKey),
    /// All that a verb ends.
    Ended(Verb),
}

/// An own change under way. While it exists nothing that it covers is trusted. Dropping it ends the
/// change, whatever came of it.
#[derive(Debug)]
pub(in crate::engine) struct OwnChange<'n> {
    near: &'n Near,
    /// `None`: no region was held near when the change began.
    counted: Option<Counted>,
}

/// A change that the records of the regions count.
#[derive(Debug)]
struct Counted {
    covers: Covers,
    region: Arc<NearRegion>,
    /// The marks before the change.
    before: Marks,
    /// The change as the region's evidence counts it, if it is a write.
    write: Option<(WriteId, Option<Asked>)>,
}

impl Covers {
    /// Returns true if the lineage of the region may change.
    const fn lineage(self) -> bool {
        match self {
            Self::Entries(_) => false,
            Self::Ended(verb) => verb.changes_lineage(),
        }
    }

    /// The number of regions whose own entries may change, from the region upwards.
    const fn rings(self) -> usize {
        match self {
            Self::Ended(verb) if verb.covers_ancestors() => MAX_DEPTH,
            Self::Entries(_) | Self::Ended(_) => 1,
        }
    }
}

impl<'n> OwnChange<'n> {
    /// Begins a change, before it is sent. `region` is the region's record, if there are records.
    #[inline]
    pub(super) fn begin(near: &'n Near, covers: Covers, region: Option<&Arc<NearRegion>>) -> Self {
        Self { near, counted: region.map(|region| Counted::begin(covers, region)) }
    }

    /// Takes up what the answer showed, if no other change was under way and no push came meanwhile.
    /// Returns true if it is trusted once the change has ended.
    pub(super) fn learn(&self, shown: &Shown) -> bool {
        self.counted.as_ref().is_some_and(|counted| counted.learn(shown))
    }
}

impl Drop for OwnChange<'_> {
    #[inline]
    fn drop(&mut self) {
        match &self.counted {
            Some(counted) => counted.end(),
            None => self.near.end_uncounted_change(),
        }
    }
}

impl Counted {
    fn begin(covers: Covers, region: &Arc<NearRegion>) -> Self {
        let (asked, before) = (region.asked(), region.marks());
        let mut change = Self { covers, region: Arc::clone(region), before, write: None };
        if covers.lineage() {
            region.lineage_word().begin_change();
        }
        match covers {
            Covers::Entries(key) => change.write = Some((region.begin_write(key), asked)),
            Covers::Ended(_) => change.covered().for_each(|it| it.evidence().begin_verb()),
        }
        change.covered().for_each(|region| region.ring_word().begin_change());
        change
    }

    /// The regions whose own entries may change.
    fn covered(&self) -> impl Iterator<Item = &NearRegion> {
        self.region.upwards().take(self.covers.rings())
    }

    fn learn(&self, shown: &Shown) -> bool {
        let (region, before) = (&self.region, self.before);
        if let Some((write, Some(asked))) = self.write {
            region.witness(asked, Some(shown), Some(write));
        }
        region.remember(shown);
        let mut during = Marks { ring: before.ring.during_change(), ..before };
        let mut after = Marks { ring: before.ring.after_change(), ..before };
        if self.covers.lineage() {
            during.lineage = before.lineage.during_change();
            after.lineage = before.lineage.after_change();
        }
        let is_alone = before.is_settled() && region.marks() == during;
        is_alone && region.learn(shown, after)
    }

    fn end(&self) {
        if self.covers.lineage() {
            self.region.lineage_word().end_change();
        }
        self.covered().for_each(|region| region.ring_word().end_change());
        match self.write {
            Some((write, _)) => self.region.evidence().end_write(write),
            None => self.covered().for_each(|region| region.evidence().end_verb()),
        }
    }
}

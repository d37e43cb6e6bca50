//! Own changes under way: from before a write or verb is sent until its answer is handled.

use std::sync::Arc;

use super::Near;
use super::evidence::Asked;
use super::known::{Marks, Shown};
use super::own_writes::WriteId;
use super::region::NearRegion;
use crate::path::MAX_DEPTH;
use crate::store::{ChangedKey, Verb};

/// What an own change covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Covers {
    /// These entries of the region.
    Entries(ChangedKey),
    /// What a verb ends.
    Ended(Verb),
}

/// An own change under way. While it exists nothing that it covers is trusted. Dropping it ends the
/// change, whatever came of it.
#[derive(Debug)]
pub(in crate::engine) struct OwnChange<'n> {
    near: &'n Near,
    covers: Covers,
    /// The region's record; `None`: no region was held near when the change began.
    region: Option<Arc<NearRegion>>,
    /// The marks before the change.
    before: Option<Marks>,
    /// The change as the region's evidence counts it, if it is a write.
    write: Option<(WriteId, Option<Asked>)>,
}

impl Covers {
    /// Returns true if the lineage of the region may change.
    const fn lineage(self) -> bool {
        match self {
            Self::Entries(_) | Self::Ended(Verb::Touch) => false,
            Self::Ended(Verb::Invalidate | Verb::Expire | Verb::InvalidateAndTouch) => true,
        }
    }

    /// The number of regions whose own entries may change, from the region upwards.
    const fn rings(self) -> usize {
        match self {
            Self::Entries(_) | Self::Ended(Verb::Invalidate | Verb::Expire) => 1,
            Self::Ended(Verb::Touch | Verb::InvalidateAndTouch) => MAX_DEPTH,
        }
    }
}

impl<'n> OwnChange<'n> {
    /// Begins a change, before it is sent. `region` is the region's record, if there are records.
    pub(super) fn begin(near: &'n Near, covers: Covers, region: Option<Arc<NearRegion>>) -> Self {
        let mut change = Self { near, covers, region, before: None, write: None };
        change.count();
        change
    }

    fn count(&mut self) {
        let Some(region) = &self.region else { return };
        let asked = region.asked();
        self.before = Some(region.marks());
        if self.covers.lineage() {
            region.lineage_word().begin_change();
        }
        match self.covers {
            Covers::Entries(key) => self.write = Some((region.begin_write(key), asked)),
            Covers::Ended(_) => self.covered(region).for_each(|it| it.evidence().begin_verb()),
        }
        self.covered(region).for_each(|region| region.ring_word().begin_change());
    }

    /// The regions whose own entries may change.
    fn covered<'r>(&self, region: &'r NearRegion) -> impl Iterator<Item = &'r NearRegion> {
        region.upwards().take(self.covers.rings())
    }

    /// Takes up what the answer showed, if no other change was under way and no push came meanwhile.
    /// Returns true if it is trusted once the change has ended.
    pub(super) fn learn(&self, shown: &Shown) -> bool {
        let (Some(region), Some(before)) = (&self.region, self.before) else { return false };
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
}

impl Drop for OwnChange<'_> {
    fn drop(&mut self) {
        let Some(region) = &self.region else { return self.near.end_uncounted_change() };
        if self.covers.lineage() {
            region.lineage_word().end_change();
        }
        self.covered(region).for_each(|region| region.ring_word().end_change());
        match self.write {
            Some((write, _)) => region.evidence().end_write(write),
            None => self.covered(region).for_each(|region| region.evidence().end_verb()),
        }
    }
}

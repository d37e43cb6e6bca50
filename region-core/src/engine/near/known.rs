//! The knowledge of a region, and the marks under which it is trusted.

use std::sync::Arc;

use super::word::Mark;
use crate::lineage::{Lineage, LineageDigest};
use crate::store::{ChangeId, ChangeRing, Source};

/// The marks of all words that trust in one region hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marks {
    /// Of the whole cache.
    pub(super) engine: Mark,
    /// Of the lineages of the region and its ancestors, summed.
    pub(super) lineage: Mark,
    /// Of the region's own entries.
    pub(super) ring: Mark,
}

/// The state of a region that an answer showed, all of it at one moment.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) lineage: Arc<Lineage>,
    pub(super) ring: Option<ChangeRing>,
    pub(super) sources: Option<Sources>,
}

/// The connections whose pushes tell of changes. They differ where the lineage was trusted before and
/// only the entries were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sources {
    pub(super) lineage: Source,
    pub(super) ring: Source,
}

/// The knowledge in a region's record. It is trusted while the marks are those of now.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) lineage: Arc<Lineage>,
    pub(super) ring: Option<ChangeRing>,
    pub(super) sources: Sources,
    pub(super) under: Marks,
}

/// The result of comparing what is known with what another answer showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// The record stays as it is.
    Keep,
    /// The answer takes its place.
    Replace,
    /// The same, and it shows changes that no push has told of yet.
    Advance,
    /// Both would be trusted, but they contradict each other, and nothing says which is later.
    Contradiction,
}

/// A state of a region: two that are equal are the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Moment {
    lineage: Arc<Lineage>,
    change: ChangeId,
}

/// The state of an entry that was read at some moment, by what a region shows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    Valid,
    /// It has changed, or may have.
    Outdated,
}

impl Marks {
    #[inline]
    pub(super) fn sum(self) -> Mark {
        self.engine.plus(self.lineage).plus(self.ring)
    }

    /// Returns true if no own change is under way that concerns the lineage.
    pub(super) fn is_lineage_settled(self) -> bool {
        self.engine.is_settled() && self.lineage.is_settled()
    }

    pub(super) fn is_settled(self) -> bool {
        self.is_lineage_settled() && self.ring.is_settled()
    }

    /// Returns true if `other` has the same marks of what the lineage hangs on.
    pub(super) fn has_lineage_of(self, other: Self) -> bool {
        (self.engine, self.lineage) == (other.engine, other.lineage)
    }
}

impl Moment {
    pub(super) fn new(lineage: &Arc<Lineage>, change: ChangeId) -> Self {
        Self { lineage: Arc::clone(lineage), change }
    }
}

impl Shown {
    /// The moment that it shows; `None`: the region holds nothing, or the store does not say.
    pub(super) fn moment(&self) -> Option<Moment> {
        self.ring.as_ref().map(|ring| Moment::new(&self.lineage, ring.last()))
    }
}

impl Known {
    /// Returns true if `shown` is of the same life, and its last change is none that this knows.
    pub(super) fn lacks_change_of(&self, shown: &Shown) -> bool {
        let rings = self.ring.as_ref().zip(shown.ring.as_ref());
        self.lineage == shown.lineage && rings.is_some_and(|(mine, ring)| !mine.knows(ring.last()))
    }

    /// Compares this with `new`, for the marks `now`.
    pub(super) fn merge(&self, new: &Self, now: Marks) -> Merge {
        let stands = |known: &Self| known.under.has_lineage_of(now) && now.is_lineage_settled();
        if !stands(self) || !stands(new) {
            let is_later = new.under.sum().is_no_earlier_than(self.under.sum());
            return if is_later { Merge::Replace } else { Merge::Keep };
        }
        if self.lineage != new.lineage {
            return Merge::Contradiction;
        }
        let has_ring = |known: &Self| known.ring.is_some() && known.under.ring == now.ring;
        match (&self.ring, &new.ring) {
            (Some(mine), Some(ring)) if has_ring(self) && has_ring(new) => {
                match (mine.knows(ring.last()), ring.knows(mine.last())) {
                    (true, _) => Merge::Keep,
                    (false, true) => Merge::Advance,
                    (false, false) => Merge::Contradiction,
                }
            }
            _ if has_ring(self) => Merge::Keep,
            _ => Merge::Replace,
        }
    }
}

/// Judges an entry that was read under `lineage` when `change` was the last of the region's changes.
pub(super) fn judge(
    now: &Lineage,
    ring: Option<&ChangeRing>,
    (lineage, change): (&LineageDigest, ChangeId),
    key: &str,
) -> Validity {
    let same_lineage = now.digest() == *lineage;
    match ring {
        Some(ring) if same_lineage && ring.unchanged_since(change, key) => Validity::Valid,
        _ => Validity::Outdated,
    }
}

#[cfg(test)]
mod tests {
    use super::super::word::Word;
    use super::*;
    use crate::lineage::{Incarnation, Incarnations};
    use crate::store::{Change, ChangedKey};

    fn lineage(tree: u64, soft: u64) -> Arc<Lineage> {
        let id = Incarnation::from_bits;
        Arc::new(Lineage::new([Incarnations { tree: id(tree), soft: id(soft) }]).unwrap())
    }

    fn ring(ids: &[u32]) -> Option<ChangeRing> {
        let change = |&id| Change::new(ChangeId::from_bits(id), ChangedKey::of("k"));
        ChangeRing::from_changes(ids.iter().map(change))
    }

    fn marks(engine: usize, lineage: usize, ring: usize) -> Marks {
        let raised = |times| {
            let word = Word::default();
            (0..times).for_each(|_| {
                word.raise();
            });
            word.mark()
        };
        Marks { engine: raised(engine), lineage: raised(lineage), ring: raised(ring) }
    }

    fn known(lineage: &Arc<Lineage>, ids: &[u32], under: Marks) -> Known {
        let source = Source::unique();
        let sources = Sources { lineage: source, ring: source };
        Known { lineage: Arc::clone(lineage), ring: ring(ids), sources, under }
    }

    #[test]
    fn an_entry_is_judged_by_lineage_and_ring() {
        let (mine, expired) = (lineage(1, 1).digest(), lineage(1, 2).digest());
        let shown = Shown { lineage: lineage(1, 1), ring: ring(&[1, 2]), sources: None };
        let at = ChangeId::from_bits;
        let table = [
            (&mine, at(2), "k", Validity::Valid),
            (&mine, at(1), "k", Validity::Outdated),
            (&mine, at(1), "other", Validity::Valid),
            (&mine, at(9), "other", Validity::Outdated),
            (&expired, at(2), "k", Validity::Outdated),
        ];
        for (lineage, change, key, validity) in table {
            let judged = judge(&shown.lineage, shown.ring.as_ref(), (lineage, change), key);
            assert_eq!(judged, validity, "{change:?} {key}");
        }
        assert_eq!(judge(&shown.lineage, None, (&mine, at(2)), "k"), Validity::Outdated);
    }

    #[test]
    fn the_later_of_two_answers_is_kept() {
        let (one, other) = (lineage(1, 1), lineage(2, 1));
        let now = marks(1, 1, 1);
        let table = [
            // Marks of before, or of the ring alone: the later ones win.
            (known(&one, &[1], marks(1, 0, 1)), known(&other, &[2], now), Merge::Replace),
            (known(&one, &[1], now), known(&other, &[2], marks(1, 0, 1)), Merge::Keep),
            (known(&one, &[1], marks(1, 1, 0)), known(&one, &[1, 2], now), Merge::Replace),
            (known(&one, &[1, 2], now), known(&one, &[1], marks(1, 1, 0)), Merge::Keep),
            // The same marks: the rings tell.
            (known(&one, &[1], now), known(&one, &[1, 2], now), Merge::Advance),
            (known(&one, &[1, 2], now), known(&one, &[1], now), Merge::Keep),
            (known(&one, &[1, 2], now), known(&one, &[1, 2], now), Merge::Keep),
            (known(&one, &[1], now), known(&one, &[], now), Merge::Keep),
            (known(&one, &[], now), known(&one, &[1], now), Merge::Replace),
            // Nothing tells.
            (known(&one, &[1], now), known(&one, &[2], now), Merge::Contradiction),
            (known(&one, &[1], now), known(&other, &[1], now), Merge::Contradiction),
        ];
        for (at, (known, new, merge)) in table.into_iter().enumerate() {
            assert_eq!(known.merge(&new, now), merge, "line {at}");
        }
    }
}

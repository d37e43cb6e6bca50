//! The changes of a region over a longer time than a store's ring tells of.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::lineage::Lineage;
use crate::store::{Change, ChangeId, ChangeRing, ChangedKey};

/// The most changes that are remembered of one region: 4 KiB.
const MAX_REMEMBERED: usize = 512;

/// The changes of a region that rings have shown one after the other, without a gap, under one lineage.
///
/// A ring holds the last few changes. Where a region is written often, most of its entries were read
/// longer ago than that, and would count as changed although none of the changes concerned them.
#[derive(Debug, Default)]
pub(super) struct History {
    lineage: Option<Arc<Lineage>>,
    changes: VecDeque<Change>,
}

impl History {
    /// Takes up what an answer showed. Ids are random: if both know a change, what came after it is the same.
    pub(super) fn extend(&mut self, lineage: &Arc<Lineage>, ring: &ChangeRing) {
        let shown = ring.changes();
        if self.is_of(lineage) {
            let last = self.changes.back().map(|change| change.id);
            if let Some(at) = shown.iter().rposition(|change| Some(change.id) == last) {
                self.push(&shown[at + 1..]);
                return;
            }
            // An answer that was overtaken by another.
            if self.place(ring.last()).is_some() {
                return;
            }
        }
        self.lineage = Some(Arc::clone(lineage));
        self.changes.clear();
        self.push(shown);
    }

    /// Returns true if `key` has not changed between the changes `known` and `now` of `lineage`.
    pub(super) fn is_unchanged(
        &self,
        lineage: &Arc<Lineage>,
        (known, now): (ChangeId, ChangeId),
        key: &str,
    ) -> bool {
        let places = self.place(known).zip(self.place(now));
        let Some((known, now)) = places.filter(|_| self.is_of(lineage)) else { return false };
        let concerns = [ChangedKey::All, ChangedKey::of(key)];
        known <= now
            && self.changes.range(known + 1..=now).all(|change| !concerns.contains(&change.key))
    }

    /// Returns true if the latest change known is this one.
    pub(super) fn is_up_to(&self, lineage: &Arc<Lineage>, change: ChangeId) -> bool {
        self.changes.back().is_some_and(|last| last.id == change) && self.is_of(lineage)
    }

    fn is_of(&self, lineage: &Arc<Lineage>) -> bool {
        self.lineage.as_ref().is_some_and(|own| Arc::ptr_eq(own, lineage) || own == lineage)
    }

    fn place(&self, id: ChangeId) -> Option<usize> {
        self.changes.iter().rposition(|change| change.id == id)
    }

    fn push(&mut self, changes: &[Change]) {
        let beyond = (self.changes.len() + changes.len()).saturating_sub(MAX_REMEMBERED);
        self.changes.drain(..beyond.min(self.changes.len()));
        self.changes.extend(changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::Incarnations;

    fn lineage() -> Arc<Lineage> {
        Arc::new(Lineage::new([Incarnations::random()]).unwrap())
    }

    fn id(bits: u32) -> ChangeId {
        ChangeId::from_bits(bits)
    }

    /// The ring after the changes `from` up to `to`: change number `n` is of the key `n % 100`.
    fn ring(from: u32, to: u32) -> ChangeRing {
        let change = |n: u32| Change::new(id(n), ChangedKey::of(&(n % 100).to_string()));
        ChangeRing::from_changes((from..=to).map(change)).unwrap()
    }

    #[test]
    fn rings_that_follow_each_other_are_one_history() {
        let (lineage, mut history) = (lineage(), History::default());
        for last in [3, 8, 9, 16, 23] {
            history.extend(&lineage, &ring(1, last));
        }
        assert!(history.is_unchanged(&lineage, (id(1), id(23)), "90"));
        assert!(history.is_unchanged(&lineage, (id(9), id(23)), "9"));
        assert!(!history.is_unchanged(&lineage, (id(8), id(23)), "9"));
        assert!(history.is_unchanged(&lineage, (id(8), id(9)), "10"));
        // Another lineage, an unknown change, and one that is later than what is known now.
        assert!(!history.is_unchanged(&super::tests::lineage(), (id(9), id(23)), "9"));
        assert!(!history.is_unchanged(&lineage, (id(99), id(23)), "9"));
        assert!(!history.is_unchanged(&lineage, (id(23), id(20)), "90"), "a failover");
    }

    #[test]
    fn a_gap_a_change_of_all_and_another_lineage_end_it() {
        let (first, mut history) = (lineage(), History::default());
        history.extend(&first, &ring(1, 8));
        // An answer that comes late ends nothing.
        history.extend(&first, &ring(1, 5));
        assert!(history.is_unchanged(&first, (id(1), id(8)), "90"));
        history.extend(&first, &ring(1, 17));
        assert!(!history.is_unchanged(&first, (id(8), id(17)), "90"), "9 is in no ring");
        let mut all = ring(10, 17);
        all.push(Change::new(id(18), ChangedKey::All));
        history.extend(&first, &all);
        assert!(!history.is_unchanged(&first, (id(17), id(18)), "90"));
        let second = lineage();
        history.extend(&second, &ring(10, 17));
        assert!(!history.is_unchanged(&first, (id(16), id(17)), "90"));
        assert!(history.is_unchanged(&second, (id(16), id(17)), "90"));
    }

    #[test]
    fn it_is_bounded() {
        let (lineage, mut history) = (lineage(), History::default());
        let most = u32::try_from(MAX_REMEMBERED).unwrap();
        for last in 8..=2 * most {
            history.extend(&lineage, &ring(last.saturating_sub(7), last));
        }
        assert_eq!(history.changes.len(), MAX_REMEMBERED);
        assert!(history.is_unchanged(&lineage, (id(most + 1), id(2 * most)), "elsewhere"));
        assert!(!history.is_unchanged(&lineage, (id(most), id(2 * most)), "elsewhere"));
    }
}

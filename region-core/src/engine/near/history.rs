//! The changes of a region over a longer time than a store's ring tells of.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::lineage::Lineage;
use crate::store::{Change, ChangeId, ChangeRing, ChangedKey};

/// The most changes that are remembered of one region: 4 KiB.
const MAX_REMEMBERED: usize = 512;

/// The number of changes that are remembered of a region with few entries.
const FEW_REMEMBERED: usize = 16;

/// The changes of a region that rings have shown one after the other, without a gap, under one lineage.
///
/// A ring holds the last few changes. Where a region is written often, most of its entries were read
/// longer ago than that, and would count as changed although none of the changes concerned them.
#[derive(Debug, Default)]
pub(super) struct History {
    lineage: Option<Arc<Lineage>>,
    changes: VecDeque<Change>,
    era: Era,
}

/// Numbers the histories of a region: after a gap another one begins.
///
/// An id has 32 bits. So it is looked for only in the history that it is known to be from: among many changes
/// and many entries one of another history would be found by chance in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Era(u64);

/// An entry's place in a history: the era, and the last change known.
pub(super) type Since = (Era, ChangeId);

impl History {
    /// Takes up what an answer showed. Ids are random: if both know a change, what came after it is the same.
    ///
    /// About as many changes are remembered as the region has `entries`: where there are many regions
    /// with a few entries each, the changes of all of them must not outweigh the entries.
    pub(super) fn extend(&mut self, lineage: &Arc<Lineage>, ring: &ChangeRing, entries: usize) {
        let shown = ring.changes();
        let most = entries.clamp(FEW_REMEMBERED, MAX_REMEMBERED);
        if self.is_of(lineage) {
            let last = self.changes.len().saturating_sub(1);
            let next = (0..shown.len()).rev().find(|at| self.agrees(last, &shown[..=*at]));
            if let Some(at) = next {
                self.push(&shown[at + 1..], most);
                return;
            }
            // An answer that was overtaken by another.
            if self.place(ring.last()).is_some_and(|at| self.agrees(at, shown)) {
                return;
            }
        }
        self.lineage = Some(Arc::clone(lineage));
        self.era.0 += 1;
        self.changes.clear();
        self.push(shown, most);
    }

    /// The era of now.
    pub(super) fn era(&self) -> Era {
        self.era
    }

    /// Returns true if `key` has not changed since an entry's place in this history, up to the change `now` of
    /// `lineage`.
    pub(super) fn is_unchanged(
        &self,
        lineage: &Arc<Lineage>,
        ((era, known), now): (Since, ChangeId),
        key: &str,
    ) -> bool {
        if era != self.era || !self.is_of(lineage) {
            return false;
        }
        let Some((known, now)) = self.place(known).zip(self.place(now)) else { return false };
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

    /// Returns true if the changes up to the one at `at` are the last of `shown`, as far back as both go.
    fn agrees(&self, at: usize, shown: &[Change]) -> bool {
        let mine = self.changes.range(..self.changes.len().min(at + 1));
        mine.len() > 0 && mine.rev().zip(shown.iter().rev()).all(|(mine, shown)| mine == shown)
    }

    fn push(&mut self, changes: &[Change], most: usize) {
        let beyond = (self.changes.len() + changes.len()).saturating_sub(most);
        self.changes.drain(..beyond.min(self.changes.len()));
        self.changes.extend(changes);
        if self.changes.capacity() > 4 * most {
            self.changes.shrink_to(most);
        }
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

    /// The place of an entry that was read after the change `known`.
    fn since(history: &History, known: u32) -> Since {
        (history.era(), id(known))
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
            history.extend(&lineage, &ring(1, last), MAX_REMEMBERED);
        }
        assert!(history.is_unchanged(&lineage, (since(&history, 1), id(23)), "90"));
        assert!(history.is_unchanged(&lineage, (since(&history, 9), id(23)), "9"));
        assert!(!history.is_unchanged(&lineage, (since(&history, 8), id(23)), "9"));
        assert!(history.is_unchanged(&lineage, (since(&history, 8), id(9)), "10"));
        // Another lineage, an unknown change, and one that is later than what is known now.
        assert!(!history.is_unchanged(&self::lineage(), (since(&history, 9), id(23)), "9"));
        assert!(!history.is_unchanged(&lineage, (since(&history, 99), id(23)), "9"));
        assert!(!history.is_unchanged(&lineage, (since(&history, 23), id(20)), "90"), "a failover");
    }

    #[test]
    fn a_gap_a_change_of_all_and_another_lineage_end_it() {
        let (first, mut history) = (lineage(), History::default());
        history.extend(&first, &ring(1, 8), MAX_REMEMBERED);
        // An answer that comes late ends nothing.
        history.extend(&first, &ring(1, 5), MAX_REMEMBERED);
        assert!(history.is_unchanged(&first, (since(&history, 1), id(8)), "90"));
        history.extend(&first, &ring(1, 17), MAX_REMEMBERED);
        assert!(
            !history.is_unchanged(&first, (since(&history, 8), id(17)), "90"),
            "9 is in no ring"
        );
        let mut all = ring(10, 17);
        all.push(Change::new(id(18), ChangedKey::All));
        history.extend(&first, &all, MAX_REMEMBERED);
        assert!(!history.is_unchanged(&first, (since(&history, 17), id(18)), "90"));
        let second = lineage();
        history.extend(&second, &ring(10, 17), MAX_REMEMBERED);
        assert!(!history.is_unchanged(&first, (since(&history, 16), id(17)), "90"));
        assert!(history.is_unchanged(&second, (since(&history, 16), id(17)), "90"));
    }

    /// Of a change before a gap, an id that comes again by chance says nothing.
    #[test]
    fn an_id_of_another_history_is_not_looked_for() {
        let (lineage, mut history) = (lineage(), History::default());
        history.extend(&lineage, &ring(1, 8), MAX_REMEMBERED);
        let before = since(&history, 8);
        history.extend(&lineage, &ring(31, 38), MAX_REMEMBERED);
        let again = Change::new(id(8), ChangedKey::of("8"));
        let mut after = ring(32, 38);
        after.push(again);
        history.extend(&lineage, &after, MAX_REMEMBERED);
        assert!(!history.is_unchanged(&lineage, (before, id(8)), "90"));
        assert!(history.is_unchanged(&lineage, (since(&history, 38), id(8)), "90"));
        // Nor is a ring joined to the history that shares one id with it.
        let shared = [Change::new(id(60), ChangedKey::All), again];
        let era = history.era();
        history.extend(&lineage, &ChangeRing::from_changes(shared).unwrap(), MAX_REMEMBERED);
        assert_ne!(history.era(), era);
    }

    #[test]
    fn little_is_remembered_of_a_region_with_few_entries() {
        let (lineage, mut history) = (lineage(), History::default());
        for last in 8..1_000 {
            history.extend(&lineage, &ring(last - 7, last), MAX_REMEMBERED);
        }
        history.extend(&lineage, &ring(993, 1_000), 3);
        assert_eq!(history.changes.len(), FEW_REMEMBERED);
        assert!(history.changes.capacity() <= 4 * FEW_REMEMBERED);
    }

    #[test]
    fn it_is_bounded() {
        let (lineage, mut history) = (lineage(), History::default());
        let most = u32::try_from(MAX_REMEMBERED).unwrap();
        for last in 8..=2 * most {
            history.extend(&lineage, &ring(last.saturating_sub(7), last), MAX_REMEMBERED);
        }
        assert_eq!(history.changes.len(), MAX_REMEMBERED);
        assert!(history.is_unchanged(
            &lineage,
            (since(&history, most + 1), id(2 * most)),
            "elsewhere"
        ));
        assert!(!history.is_unchanged(
            &lineage,
            (since(&history, most), id(2 * most)),
            "elsewhere"
        ));
    }
}

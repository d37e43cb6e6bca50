//! The changes of a region over a longer time than a store's ring tells of.

use std::collections::VecDeque;
use std::sync::Arc;

use super::latest_changes::{LatestChanges, Sequence};
use crate::lineage::Lineage;
use crate::store::{Change, ChangeRing, ChangedKey};

/// The most changes of one region whose ids are remembered: 4 KiB.
const MAX_REMEMBERED: usize = 512;

/// The number of changes whose ids are remembered of a region with few entries.
const FEW_REMEMBERED: usize = 16;

/// The changes of a region that rings have shown one after the other, without a gap, under one lineage.
///
/// A ring holds the last few changes. Where a region is written often, most of its entries were read
/// longer ago than that, and would count as changed although none of the changes concerned them. So the
/// changes are numbered, and the last number of each key is kept. The ids of the last changes tell which
/// number a ring's are.
#[derive(Debug, Default)]
pub(super) struct History {
    lineage: Option<Arc<Lineage>>,
    /// The last changes. The number of the very last is `end`.
    recent: VecDeque<Change>,
    end: Sequence,
    /// The last change of all keys.
    all: Sequence,
    latest: LatestChanges,
    era: Era,
}

/// Numbers the histories of a region: after a gap another one begins. Zero is none.
///
/// An id has 32 bits. So it is looked for only in the history that it is known to be from: among many changes
/// and many entries one of another history would be found by chance in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Era(u64);

/// The place of an entry in a history: the era, and the last change known. By default in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Since {
    era: Era,
    change: Sequence,
}

impl History {
    /// Takes up what an answer showed. Ids are random: if both know a change, what came after it is the same.
    ///
    /// Memory is taken in proportion to the region's `entries`: where there are many regions
    /// with a few entries each, the changes of all of them must not outweigh the entries.
    pub(super) fn extend(&mut self, lineage: &Arc<Lineage>, ring: &ChangeRing, entries: usize) {
        let shown = ring.changes();
        self.fit(entries);
        if self.is_of(lineage) {
            let last = self.recent.len().saturating_sub(1);
            let next = (0..shown.len()).rev().find(|at| self.agrees(last, &shown[..=*at]));
            if let Some(at) = next.filter(|_| self.has_numbers_left()) {
                return self.push(&shown[at + 1..], entries);
            }
            // An answer that was overtaken by another.
            if next.is_none() && self.place(lineage, ring).is_some() {
                return;
            }
        }
        self.lineage = Some(Arc::clone(lineage));
        self.era.0 += 1;
        self.recent.clear();
        self.latest.clear();
        (self.end, self.all) = (0, 0);
        self.push(shown, entries);
    }

    /// Gives memory back that a region with so many entries does not need.
    pub(super) fn fit(&mut self, entries: usize) {
        self.latest.fit(entries);
    }

    /// Returns true if [`fit`](Self::fit) would give much back.
    pub(super) fn is_too_large(&self, entries: usize) -> bool {
        self.latest.is_too_large(entries)
    }

    /// The place of what was read when this was the region's ring; `None`: it is not one of the last of this
    /// history.
    pub(super) fn place(&self, lineage: &Arc<Lineage>, ring: &ChangeRing) -> Option<Since> {
        let last = ring.last();
        let at = self.recent.iter().rposition(|change| change.id == last)?;
        let is_here = self.is_of(lineage) && self.agrees(at, ring.changes());
        let later = Sequence::try_from(self.recent.len() - 1 - at).ok()?;
        is_here.then(|| Since { era: self.era, change: self.end - later })
    }

    /// Returns the place of `now`, a ring of `lineage`, if `key` has not changed since an entry's place in
    /// this history, as far as is known.
    pub(super) fn unchanged_until(
        &self,
        (lineage, now): (&Arc<Lineage>, &ChangeRing),
        since: Since,
        key: &str,
    ) -> Option<Since> {
        let now = self.place(lineage, now).filter(|now| now.era == since.era)?;
        // An entry of a later change than the present one is from before a failover.
        (self.latest(key) <= since.change && since.change <= now.change).then_some(now)
    }

    /// Returns true if the latest change known is the last of this ring.
    pub(super) fn is_up_to(&self, lineage: &Arc<Lineage>, ring: &ChangeRing) -> bool {
        self.recent.back().is_some_and(|last| last.id == ring.last()) && self.is_of(lineage)
    }

    fn is_of(&self, lineage: &Arc<Lineage>) -> bool {
        self.lineage.as_ref().is_some_and(|own| Arc::ptr_eq(own, lineage) || own == lineage)
    }

    /// Returns true if the changes up to the one at `at` are the last of `shown`, as far back as both go.
    fn agrees(&self, at: usize, shown: &[Change]) -> bool {
        let mine = self.recent.range(..self.recent.len().min(at + 1));
        mine.len() > 0 && mine.rev().zip(shown.iter().rev()).all(|(mine, shown)| mine == shown)
    }

    /// Returns true if there are numbers for the changes of one more ring.
    fn has_numbers_left(&self) -> bool {
        self.end.checked_add(crate::store::MAX_CHANGES as Sequence).is_some()
    }

    /// The last change that may have concerned `key`.
    fn latest(&self, key: &str) -> Sequence {
        let of_key = match ChangedKey::of(key) {
            ChangedKey::Hash(hash) => self.latest.latest(hash),
            ChangedKey::All => self.end,
        };
        of_key.max(self.all)
    }

    fn push(&mut self, changes: &[Change], entries: usize) {
        let most = entries.clamp(FEW_REMEMBERED, MAX_REMEMBERED);
        let beyond = (self.recent.len() + changes.len()).saturating_sub(most);
        self.recent.drain(..beyond.min(self.recent.len()));
        self.recent.extend(changes);
        if self.recent.capacity() > 4 * most {
            self.recent.shrink_to(most);
        }
        for change in changes {
            self.end += 1;
            match change.key {
                ChangedKey::All => self.all = self.end,
                ChangedKey::Hash(hash) => self.latest.note(hash, self.end),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::Incarnations;
    use crate::store::ChangeId;

    fn lineage() -> Arc<Lineage> {
        Arc::new(Lineage::new([Incarnations::random()]).unwrap())
    }

    fn change(n: u32) -> Change {
        Change::new(ChangeId::from_bits(n), ChangedKey::of(&(n % 100).to_string()))
    }

    /// The ring after the changes `from` up to `to`: change number `n` is of the key `n % 100`.
    fn ring(from: u32, to: u32) -> ChangeRing {
        ChangeRing::from_changes((from..=to).map(change)).unwrap()
    }

    /// The ring whose last change is `to`.
    fn up_to(to: u32) -> ChangeRing {
        ring(1, to)
    }

    /// The place of an entry that was read after the change `known`.
    fn since(history: &History, known: u32) -> Since {
        let lineage = history.lineage.as_ref().unwrap();
        history.place(lineage, &up_to(known)).unwrap_or_default()
    }

    fn is_unchanged(
        history: &History,
        lineage: &Arc<Lineage>,
        (since, now): (Since, &ChangeRing),
        key: &str,
    ) -> bool {
        history.unchanged_until((lineage, now), since, key).is_some()
    }

    #[test]
    fn rings_that_follow_each_other_are_one_history() {
        let (first, mut history) = (lineage(), History::default());
        for last in [3, 8, 9, 16, 23] {
            history.extend(&first, &up_to(last), MAX_REMEMBERED);
        }
        let judge = |known, now, key| {
            is_unchanged(&history, &first, (since(&history, known), &up_to(now)), key)
        };
        assert!(judge(1, 23, "90"));
        assert!(judge(9, 23, "9"));
        assert!(!judge(8, 23, "9"));
        assert!(judge(8, 9, "7"));
        assert!(!judge(8, 9, "10"), "it has changed since, as a later answer told");
        // Another lineage, an unknown change, and one that is later than what is known now.
        let other = lineage();
        assert!(!is_unchanged(&history, &other, (since(&history, 9), &up_to(23)), "9"));
        assert!(!judge(99, 23, "9"));
        assert!(!judge(23, 20, "90"), "a failover");
    }

    #[test]
    fn a_gap_a_change_of_all_and_another_lineage_end_it() {
        let (first, mut history) = (lineage(), History::default());
        history.extend(&first, &up_to(8), MAX_REMEMBERED);
        // An answer that comes late ends nothing.
        history.extend(&first, &up_to(5), MAX_REMEMBERED);
        assert!(is_unchanged(&history, &first, (since(&history, 1), &up_to(8)), "90"));
        let before = since(&history, 8);
        history.extend(&first, &up_to(17), MAX_REMEMBERED);
        assert!(!is_unchanged(&history, &first, (before, &up_to(17)), "90"), "9 is in no ring");
        let before = since(&history, 17);
        let mut all = up_to(17);
        all.push(Change::new(ChangeId::from_bits(18), ChangedKey::All));
        history.extend(&first, &all, MAX_REMEMBERED);
        assert!(!is_unchanged(&history, &first, (before, &all), "90"));
        let after = history.place(&first, &all).unwrap();
        assert!(is_unchanged(&history, &first, (after, &all), "90"));
        let second = lineage();
        history.extend(&second, &up_to(17), MAX_REMEMBERED);
        let known = since(&history, 16);
        assert!(!is_unchanged(&history, &first, (known, &up_to(17)), "90"));
        assert!(is_unchanged(&history, &second, (known, &up_to(17)), "90"));
    }

    /// Of a change before a gap, an id that comes again by chance says nothing.
    #[test]
    fn an_id_of_another_history_is_not_looked_for() {
        let (lineage, mut history) = (lineage(), History::default());
        history.extend(&lineage, &up_to(8), MAX_REMEMBERED);
        let before = since(&history, 8);
        history.extend(&lineage, &up_to(38), MAX_REMEMBERED);
        let known = since(&history, 38);
        let again = change(8);
        let mut after = ring(32, 38);
        after.push(again);
        history.extend(&lineage, &after, MAX_REMEMBERED);
        assert!(!is_unchanged(&history, &lineage, (before, &after), "90"));
        assert!(is_unchanged(&history, &lineage, (known, &after), "90"));
        assert_eq!(history.place(&lineage, &up_to(8)), None, "a ring of before, which came late");
        // Nor is a ring joined to the history that shares one id with it.
        let shared = [Change::new(ChangeId::from_bits(60), ChangedKey::All), again];
        let era = history.era;
        history.extend(&lineage, &ChangeRing::from_changes(shared).unwrap(), MAX_REMEMBERED);
        assert_ne!(history.era, era);
    }

    /// Bug: what was read longer ago than the ids of changes are remembered counted as changed. Effect: where
    /// misses are filled, each fill a change, many hits became reads of the store. Fix: changes are numbered.
    #[test]
    fn what_was_read_long_ago_is_still_known_to_be_unchanged() {
        let (lineage, mut history) = (lineage(), History::default());
        history.extend(&lineage, &up_to(8), 500);
        let before = since(&history, 8);
        for last in 9..=100_000 {
            history.extend(&lineage, &ring(last - 7, last), 500);
        }
        assert_eq!(history.recent.len(), 500);
        assert!(is_unchanged(&history, &lineage, (before, &up_to(100_000)), "elsewhere"));
        assert!(!is_unchanged(&history, &lineage, (before, &up_to(100_000)), "99"));
    }

    #[test]
    fn the_numbers_begin_anew_before_they_overflow() {
        let (lineage, mut history) = (lineage(), History::default());
        history.extend(&lineage, &up_to(8), MAX_REMEMBERED);
        history.end = Sequence::MAX - 9;
        history.extend(&lineage, &up_to(9), MAX_REMEMBERED);
        history.extend(&lineage, &up_to(10), MAX_REMEMBERED);
        let before = since(&history, 10);
        assert_eq!(before.change, Sequence::MAX - 7);
        history.extend(&lineage, &up_to(11), MAX_REMEMBERED);
        assert!(!is_unchanged(&history, &lineage, (before, &up_to(11)), "90"));
        assert!(is_unchanged(&history, &lineage, (since(&history, 10), &up_to(11)), "90"));
        assert_eq!(history.end, 8);
    }

    #[test]
    fn little_is_remembered_of_a_region_with_few_entries() {
        let (lineage, mut history) = (lineage(), History::default());
        for last in 8..1_000 {
            history.extend(&lineage, &ring(last - 7, last), 100_000);
        }
        assert_eq!(history.recent.len(), MAX_REMEMBERED);
        assert!(history.is_too_large(3));
        history.extend(&lineage, &ring(993, 1_000), 3);
        assert!(!history.is_too_large(3));
        assert_eq!(history.recent.len(), FEW_REMEMBERED);
        assert!(history.recent.capacity() <= 4 * FEW_REMEMBERED);
        assert!(history.latest.bytes() <= 128);
    }
}

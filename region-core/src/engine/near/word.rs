//! The words that trust hangs on: they change with everything that ends it.

use crate::sync::atomic::{AtomicU64, Ordering};

/// The bits that count own changes under way.
const UNDER_WAY_BITS: u32 = 24;

/// One epoch, in the bits above.
const EPOCH: u64 = 1 << UNDER_WAY_BITS;

/// Added to a mark where pushes are not relied on: more own changes than are ever under way.
const UNCOVERED: u64 = EPOCH / 2;

/// An epoch, and the number of own changes under way.
///
/// Every event only makes it greater. So a sum of words is the same as before if and only if each of
/// them is, although they are not read at one moment.
#[derive(Debug, Default)]
pub(super) struct Word(AtomicU64);

/// The value of a word, or the sum of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark(u64);

impl Word {
    /// Raises the epoch: something may have changed. Returns the new value.
    pub(super) fn raise(&self) -> Mark {
        Mark(self.0.fetch_add(EPOCH, Ordering::SeqCst)).raised()
    }

    /// Counts an own change that is about to be sent, and raises the epoch.
    pub(super) fn begin_change(&self) {
        self.0.fetch_add(EPOCH + 1, Ordering::SeqCst);
    }

    /// Ends the count of a change, and raises the epoch.
    pub(super) fn end_change(&self) {
        self.0.fetch_add(EPOCH - 1, Ordering::SeqCst);
    }

    #[inline]
    pub(super) fn mark(&self) -> Mark {
        Mark(self.0.load(Ordering::SeqCst))
    }
}

impl Mark {
    /// No sum of marks that something was verified at: it counts a change under way.
    pub(super) const UNSETTLED: Self = Self(1);

    /// This mark where pushes are not relied on. Nothing is trusted at it, and it equals no mark at which something
    /// was verified.
    #[inline]
    pub(super) const fn uncovered(self) -> Self {
        Self(self.0.wrapping_add(UNCOVERED))
    }

    /// Returns true if no own change is under way, and pushes are relied on.
    pub(super) const fn is_settled(self) -> bool {
        self.0.is_multiple_of(EPOCH)
    }

    /// The mark once the epoch has been raised and nothing else has happened since this one.
    pub(super) const fn raised(self) -> Self {
        Self(self.0.wrapping_add(EPOCH))
    }

    /// The mark while one own change is under way and nothing else has happened since this one.
    pub(super) const fn during_change(self) -> Self {
        Self(self.0.wrapping_add(EPOCH + 1))
    }

    /// The mark once that change has ended.
    pub(super) const fn after_change(self) -> Self {
        Self(self.0.wrapping_add(2 * EPOCH))
    }

    #[inline]
    pub(super) const fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// Returns true if this mark of the same words was taken after `other`, or at the same state.
    pub(super) const fn is_no_earlier_than(self, other: Self) -> bool {
        self.0.wrapping_sub(other.0) <= u64::MAX / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_raises_the_epoch_at_both_ends_and_is_counted_between() {
        let word = Word::default();
        let before = word.mark();
        assert!(before.is_settled());
        word.begin_change();
        assert_eq!(word.mark(), before.during_change());
        assert!(!word.mark().is_settled());
        word.end_change();
        assert_eq!(word.mark(), before.after_change());
        assert!(word.mark().is_settled());
    }

    /// Whatever happens besides an own change, before or after its end, its marks are not met again.
    #[test]
    fn no_other_event_makes_the_mark_of_a_lone_change() {
        let word = Word::default();
        let before = word.mark();
        let mut seen = vec![];
        word.begin_change();
        let raised = word.raise();
        seen.push(raised);
        word.begin_change();
        seen.push(word.mark());
        word.end_change();
        seen.push(word.mark());
        word.end_change();
        seen.push(word.mark());
        for mark in &seen {
            assert_ne!(*mark, before);
            assert_ne!(*mark, before.during_change());
            assert_ne!(*mark, before.after_change());
        }
        assert!(seen.windows(2).all(|pair| pair[1].is_no_earlier_than(pair[0])));
        assert!(!before.is_no_earlier_than(seen[0]));
    }

    #[test]
    fn a_sum_changes_with_each_of_its_words() {
        let words = [Word::default(), Word::default(), Word::default()];
        let sum = || words.iter().fold(Mark::default(), |sum, word| sum.plus(word.mark()));
        for word in &words {
            let before = sum();
            word.begin_change();
            assert!(!sum().is_settled());
            word.end_change();
            assert!(sum().is_settled());
            assert_ne!(sum(), before);
        }
    }
}

//! The counts that were answered. A server whose history goes on answers each of them once, and keeps
//! the highest.

/// The largest distance between the counts of writes that are in flight together.
const WINDOW: u64 = 4096;

/// The counts that were answered to the writes of the present connections.
///
/// A server may be put back to an earlier state without a sign of it: its keys are restored from a backup,
/// or it follows another server for a moment, which takes over its connections too. If that happens while
/// nothing is connected, the highest count is missing when connections are opened again; and if it happens
/// under writes that are in flight, one of these gets a count that an earlier one, now lost, had got.
#[derive(Debug)]
pub(crate) struct AnsweredCounts {
    count_id: u128,
    highest: u64,
    /// One bit for each of the last counts, at its remainder.
    answered: [u64; (WINDOW / 64) as usize],
}

/// A count that a server must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedCount {
    pub(crate) count_id: u128,
    pub(crate) at_least: u64,
}

impl AnsweredCounts {
    pub(crate) const fn new() -> Self {
        Self { count_id: 0, highest: 0, answered: [0; (WINDOW / 64) as usize] }
    }

    /// Begins anew, with the count `count` of the connections `count_id`.
    pub(crate) fn start(&mut self, count_id: u128, count: u64) {
        *self = Self { count_id, highest: count, ..Self::new() };
    }

    /// The count that the server must still show; `None` if none was ever answered.
    pub(crate) fn expected(&self) -> Option<ExpectedCount> {
        let Self { count_id, highest: at_least, .. } = *self;
        (at_least > 0).then_some(ExpectedCount { count_id, at_least })
    }

    /// Notes an answer. Returns whether it is the first with this count.
    #[must_use]
    pub(crate) fn note(&mut self, count_id: u128, count: u64) -> bool {
        if count_id != self.count_id {
            // It belongs to earlier connections, whose end has been checked.
            return true;
        }
        for skipped in (self.highest + 1..=count).rev().take(WINDOW as usize) {
            self.set(skipped, false);
        }
        self.highest = self.highest.max(count);
        if count + WINDOW <= self.highest {
            return true;
        }
        self.set(count, true)
    }

    /// Changes the bit of a count. Returns whether it was unset.
    fn set(&mut self, count: u64, bit: bool) -> bool {
        let (word, mask) = ((count % WINDOW / 64) as usize, 1 << (count % 64));
        let was_unset = self.answered[word] & mask == 0;
        self.answered[word] =
            if bit { self.answered[word] | mask } else { self.answered[word] & !mask };
        was_unset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_answered_once() {
        let mut counts = AnsweredCounts::new();
        assert_eq!(counts.expected(), None);
        counts.start(7, 3);
        for count in [4, 6, 5, 9, 7, 8, 9 + WINDOW] {
            assert!(counts.note(7, count), "{count}");
        }
        assert_eq!(counts.expected(), Some(ExpectedCount { count_id: 7, at_least: 9 + WINDOW }));
        assert!(!counts.note(7, 9 + WINDOW));
        assert!(counts.note(7, 10 + WINDOW), "the bit of 10 is not its own");
        assert!(!counts.note(7, 10 + WINDOW));
        assert!(counts.note(7, 3), "too old to tell");
        assert!(counts.note(8, 10 + WINDOW), "of other connections");
    }

    #[test]
    fn a_leap_forgets_what_it_passes() {
        let mut counts = AnsweredCounts::new();
        counts.start(7, 1);
        for count in 2..100 {
            assert!(counts.note(7, count));
        }
        assert!(counts.note(7, 10 * WINDOW));
        for count in (10 * WINDOW - 100)..10 * WINDOW {
            assert!(counts.note(7, count), "{count}");
        }
    }
}

//! The counts that were answered. A server whose history goes on answers each of them once, and keeps
//! the highest.

/// The largest distance between the counts of writes that are in flight together.
const WINDOW: u64 = 4096;

/// The counts that were answered to the writes over one set of connections.
///
/// A server may be put back to an earlier state without a sign of it: its keys are restored from a backup,
/// or it follows another server for a moment, which takes over its connections too. If that happens while
/// nothing is connected, the highest count is missing when connections are opened again; and if it happens
/// under writes that are in flight, one of these gets a count that an earlier one, now lost, had got.
#[derive(Debug)]
pub(crate) struct AnsweredCounts {
    highest: u64,
    /// One bit for each of the last counts, at its remainder.
    answered: [u64; (WINDOW / 64) as usize],
}

impl AnsweredCounts {
    pub(crate) const fn new() -> Self {
        Self { highest: 0, answered: [0; (WINDOW / 64) as usize] }
    }

    /// The highest count that was answered; zero if none was.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    /// Goes on from `count`, which was answered when nothing was in flight.
    pub(crate) fn go_on_from(&mut self, count: u64) {
        self.highest = self.highest.max(count);
    }

    /// Notes an answer. Returns whether it is the first with this count.
    #[must_use]
    pub(crate) fn note(&mut self, count: u64) -> bool {
        for skipped in (self.highest + 1..=count).rev().take(WINDOW as usize) {
            self.set(skipped, false);
        }
        self.highest = self.highest.max(count);
        if count + WINDOW <= self.highest {
            // No write is in flight for so long.
            return false;
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
        assert_eq!(counts.highest(), 0);
        counts.go_on_from(3);
        for count in [4, 6, 5, 9, 7, 8, 9 + WINDOW] {
            assert!(counts.note(count), "{count}");
        }
        assert_eq!(counts.highest(), 9 + WINDOW);
        assert!(!counts.note(9 + WINDOW));
        assert!(counts.note(10 + WINDOW), "the bit of 10 is not its own");
        assert!(!counts.note(10 + WINDOW));
        assert!(!counts.note(3), "too old to tell");
    }

    #[test]
    fn a_leap_forgets_what_it_passes() {
        let mut counts = AnsweredCounts::new();
        counts.go_on_from(1);
        for count in 2..100 {
            assert!(counts.note(count));
        }
        assert!(counts.note(10 * WINDOW));
        for count in (10 * WINDOW - 100)..10 * WINDOW {
            assert!(counts.note(count), "{count}");
        }
    }
}

//! The pauses between a load's questions while another load holds the lease.

use std::time::Duration;

/// The first pause where the store tells nothing; it grows by half each time.
const FIRST_POLL: Duration = Duration::from_millis(4);

/// The longest such pause.
const LONGEST_POLL: Duration = Duration::from_millis(100);

/// The first pause where the store pushes what happens: only a push that is lost makes it pass. It doubles
/// each time.
const FIRST_FALLBACK: Duration = Duration::from_millis(500);

/// The longest such pause.
const LONGEST_FALLBACK: Duration = Duration::from_secs(2);

/// The least pause after the first push that did not end the wait; it doubles each time. So a region with
/// many changes is asked no more often than one without pushes.
const FIRST_LEAST: Duration = Duration::from_millis(1);

/// The first pause before late callers of a load in this process ask if it still holds its lease. It doubles
/// with each question. An invalidation during the load shows that much later to them, at most.
const FIRST_LATE: Duration = Duration::from_millis(10);

/// The longest such pause.
const LONGEST_LATE: Duration = Duration::from_millis(100);

/// The pause before late callers of a load ask, after so many that have asked.
pub(super) fn pause_of_late_callers(before: u32) -> Duration {
    FIRST_LATE.saturating_mul(1_u32.checked_shl(before).unwrap_or(u32::MAX)).min(LONGEST_LATE)
}

/// The way in which a load learns that it may ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    ByPush,
    /// Nobody tells.
    ByAnswerAlone,
}

/// The pause until the next question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// For so long a push is not acted upon.
    pub(super) least: Duration,
    /// After so long the store is asked without a push.
    pub(super) most: Duration,
}

/// The growing pauses of one load.
#[derive(Debug)]
pub(super) struct Pace {
    poll: Duration,
    fallback: Duration,
    least: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { poll: FIRST_POLL, fallback: FIRST_FALLBACK, least: Duration::ZERO }
    }

    /// The next pause.
    pub(super) fn next(&mut self, told: Told) -> Pause {
        match told {
            Told::ByAnswerAlone => {
                let most = self.poll;
                self.poll = (most * 3 / 2).min(LONGEST_POLL);
                Pause { least: most, most }
            }
            Told::ByPush => {
                let pause = Pause { least: self.least, most: self.fallback };
                self.least = (self.least * 2).clamp(FIRST_LEAST, LONGEST_POLL);
                self.fallback = (self.fallback * 2).min(LONGEST_FALLBACK);
                pause
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(pauses: impl Iterator<Item = Duration>) -> Vec<u128> {
        pauses.map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn polling_slows_down_to_its_longest_pause() {
        let mut pace = Pace::new();
        let pauses: Vec<_> = (0..10).map(|_| pace.next(Told::ByAnswerAlone)).collect();
        assert!(pauses.iter().all(|pause| pause.least == pause.most));
        let pauses = millis(pauses.iter().map(|pause| pause.most));
        assert_eq!(pauses, [4, 6, 9, 13, 20, 30, 45, 68, 100, 100]);
    }

    #[test]
    fn late_callers_ask_less_and_less_soon() {
        let pauses = millis((0..6).chain([31, 32, u32::MAX]).map(pause_of_late_callers));
        assert_eq!(pauses, [10, 20, 40, 80, 100, 100, 100, 100, 100]);
    }

    #[test]
    fn the_first_push_is_acted_upon_at_once_and_later_ones_less_and_less_soon() {
        let mut pace = Pace::new();
        let pauses: Vec<_> = (0..10).map(|_| pace.next(Told::ByPush)).collect();
        let least = millis(pauses.iter().map(|pause| pause.least));
        assert_eq!(least, [0, 1, 2, 4, 8, 16, 32, 64, 100, 100]);
        let most = millis(pauses.iter().map(|pause| pause.most));
        assert_eq!(most[..4], [500, 1000, 2000, 2000]);
    }
}

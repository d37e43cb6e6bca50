//! An estimate of the primary's clock, so that not every read has to ask for it.

use std::time::Duration;

use parking_lot::Mutex;
use region_core::Timestamp;
use tokio::time::Instant;

use crate::time_range::TimeRange;

/// A sample this old is not used any more: the server's clock may have been set since.
const OLD: Duration = Duration::from_secs(2);

/// The primary's clock, as it was last asked.
#[derive(Debug, Default)]
pub(crate) struct PrimaryClock(Mutex<Option<Sample>>);

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// The time that it showed at some moment after `asked` and before `answered`.
    time: Timestamp,
    asked: Instant,
    answered: Instant,
}

impl PrimaryClock {
    /// Notes an answer that has just come.
    pub(crate) fn note(&self, time: Timestamp, asked: Instant) {
        let sample = Sample { time, asked, answered: Instant::now() };
        let mut kept = self.0.lock();
        let is_better = kept.is_none_or(|kept| {
            kept.is_old() || kept.contradicts(&sample) || sample.uncertainty() <= kept.uncertainty()
        });
        if is_better {
            *kept = Some(sample);
        }
    }

    /// Returns the time now; `None` if the clock has not been asked lately.
    pub(crate) fn now(&self) -> Option<TimeRange> {
        let sample = (*self.0.lock()).filter(|sample| !sample.is_old())?;
        Some(sample.range())
    }

    /// Forgets the time: the next one may be of another server.
    pub(crate) fn forget(&self) {
        *self.0.lock() = None;
    }
}

impl Sample {
    /// The time now.
    fn range(&self) -> TimeRange {
        const TRUNCATED: Duration = Duration::from_millis(1);
        TimeRange {
            earliest: self.time.saturating_add(self.answered.elapsed()),
            latest: self.time.saturating_add(self.asked.elapsed() + TRUNCATED),
        }
    }

    /// Returns true if the clock was set between this sample and a later one, or shows the time of another server
    /// now. A clock that runs a little faster or slower than this process's is no reason.
    fn contradicts(&self, later: &Self) -> bool {
        const DRIFT: Duration = Duration::from_millis(50);
        let (mine, other) = (self.range(), later.range());
        mine.latest.saturating_add(DRIFT) < other.earliest
            || other.latest.saturating_add(DRIFT) < mine.earliest
    }

    fn is_old(&self) -> bool {
        self.asked.elapsed() > OLD
    }

    fn uncertainty(&self) -> Duration {
        self.answered - self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    async fn pass(by: u64) {
        tokio::time::advance(Duration::from_millis(by)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_true_time_lies_between() {
        let clock = PrimaryClock::default();
        assert_eq!(clock.now(), None);
        let asked = Instant::now();
        pass(10).await;
        clock.note(millis(1000), asked);
        pass(100).await;
        let now = clock.now().unwrap();
        assert_eq!((now.earliest, now.latest), (millis(1100), millis(1111)));
    }

    #[tokio::test(start_paused = true)]
    async fn quick_answers_are_preferred_while_they_are_young() {
        let clock = PrimaryClock::default();
        clock.note(millis(1000), Instant::now());
        let asked = Instant::now();
        pass(500).await;
        clock.note(millis(1400), asked);
        assert_eq!(clock.now().unwrap().earliest, millis(1500), "the slow answer is not used");
        pass(1900).await;
        assert_eq!(clock.now(), None);
        clock.note(millis(9000), asked);
        assert_eq!(clock.now().map(|now| now.earliest), None, "asked too long ago");
        clock.note(millis(9000), Instant::now());
        assert_eq!(clock.now().unwrap().earliest, millis(9000));
    }

    /// Bug: a slow answer was not used while a quicker one was young. Effect: after the server's clock had been set,
    /// expiry was judged by its former time for two seconds. Fix: an answer that cannot be true of the same
    /// clock replaces the former one at once.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_is_believed_at_once() {
        for set_to in [1, 50_000] {
            let clock = PrimaryClock::default();
            clock.note(millis(10_000), Instant::now());
            pass(500).await;
            let asked = Instant::now();
            pass(100).await;
            clock.note(millis(set_to), asked);
            let now = clock.now().unwrap();
            assert_eq!((now.earliest, now.latest), (millis(set_to), millis(set_to + 101)));
        }
    }
}

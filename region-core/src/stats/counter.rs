use crate::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::LoadTime;

/// A number of events.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

/// The live form of [`LoadTime`].
#[derive(Debug, Default)]
pub(crate) struct LoadTimer {
    count: AtomicU64,
    nanos: AtomicU64,
    longest: AtomicU64,
}

impl Counter {
    #[inline]
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl LoadTimer {
    /// Counts a load that took `time`.
    pub(crate) fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        self.longest.fetch_max(nanos, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> LoadTime {
        let nanos = |time: &AtomicU64| Duration::from_nanos(time.load(Ordering::Relaxed));
        LoadTime {
            count: self.count.load(Ordering::Relaxed),
            total: nanos(&self.nanos),
            longest: nanos(&self.longest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_times_have_a_mean_and_a_longest() {
        let timer = LoadTimer::default();
        assert_eq!(timer.get().mean(), None);
        timer.add(Duration::from_millis(1));
        timer.add(Duration::from_millis(5));
        let time = timer.get();
        assert_eq!((time.count, time.longest), (2, Duration::from_millis(5)));
        assert_eq!(time.mean(), Some(Duration::from_millis(3)));
    }
}

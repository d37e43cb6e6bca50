//! Records that loads leave behind: keys for which something happened lately, and the time that loads take.

use crate::sync::atomic::{AtomicUsize, Ordering};
use std::any::TypeId;
use std::collections::HashMap;
use std::time::Duration;

use crate::sync::Mutex;
use tokio::time::Instant;

use super::key::FlightKey;
use crate::path::RegionPath;

/// The greatest number of keys that are remembered. A key beyond it is not: it is loaded sooner than
/// it might be.
const CAPACITY: usize = 4096;

/// Keys, each until its own time.
#[derive(Default)]
pub(super) struct Recent {
    keys: Mutex<HashMap<FlightKey, Instant>>,
    /// The number of keys, so that callers need not look while there is none.
    count: AtomicUsize,
}

impl Recent {
    /// Remembers `key` until `until`.
    pub(super) fn remember(&self, key: &FlightKey, until: Option<Instant>) {
        let now = Instant::now();
        let Some(until) = until.filter(|until| *until > now) else { return };
        let mut keys = self.keys.lock();
        if keys.len() >= CAPACITY && !keys.contains_key(key) {
            keys.retain(|_, until| *until > now);
        }
        if keys.len() < CAPACITY || keys.contains_key(key) {
            keys.insert(key.clone(), until);
        }
        self.count.store(keys.len(), Ordering::Relaxed);
    }

    pub(super) fn forget(&self, key: &FlightKey) {
        if self.count.load(Ordering::Relaxed) > 0 {
            let mut keys = self.keys.lock();
            keys.remove(key);
            self.count.store(keys.len(), Ordering::Relaxed);
        }
    }

    /// Returns true if `key` is remembered and its time is not over.
    pub(super) fn contains(&self, key: &FlightKey) -> bool {
        let count = self.count.load(Ordering::Relaxed);
        count > 0 && self.keys.lock().get(key).is_some_and(|until| Instant::now() < *until)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }
}

/// The greatest number of regions and types whose load times are kept.
const TIMES: usize = 1024;

/// A new measurement counts for one part in so many.
const SMOOTHING: u32 = 4;

/// The time that a load takes, for each region and type: a moving average.
#[derive(Default)]
pub(super) struct LoadTimes(Mutex<HashMap<(RegionPath, TypeId), Duration>>);

impl LoadTimes {
    pub(super) fn of<V: 'static>(&self, region: &RegionPath) -> Option<Duration> {
        self.0.lock().get(&(region.clone(), TypeId::of::<V>())).copied()
    }

    /// Adds a measurement.
    pub(super) fn add<V: 'static>(&self, region: &RegionPath, time: Duration) {
        let key = (region.clone(), TypeId::of::<V>());
        let mut times = self.0.lock();
        if let Some(known) = times.get_mut(&key) {
            *known = (*known * (SMOOTHING - 1) + time) / SMOOTHING;
            return;
        }
        if times.len() >= TIMES {
            // Any will do: it is measured anew at the next load.
            let any = times.keys().next().cloned();
            any.and_then(|any| times.remove(&any));
        }
        times.insert(key, time);
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::KeySpace;
    use super::*;

    fn key(number: usize) -> FlightKey {
        FlightKey::new::<u32>(
            KeySpace::of_region(&RegionPath::parse("r").unwrap()),
            &number.to_string(),
        )
    }

    fn after(seconds: u64) -> Option<Instant> {
        Instant::now().checked_add(Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_has_its_time() {
        let recent = Recent::default();
        assert!(recent.is_empty());
        recent.remember(&key(1), after(1));
        recent.remember(&key(2), after(2));
        recent.remember(&key(3), after(0));
        assert!(recent.contains(&key(1)) && recent.contains(&key(2)) && !recent.contains(&key(3)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!recent.contains(&key(1)) && recent.contains(&key(2)));
        recent.forget(&key(2));
        assert!(!recent.contains(&key(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_keys_is_bounded() {
        let recent = Recent::default();
        for number in 0..2 * CAPACITY {
            recent.remember(&key(number), after(1));
        }
        assert_eq!(recent.keys.lock().len(), CAPACITY);
        assert!(recent.contains(&key(CAPACITY - 1)) && !recent.contains(&key(CAPACITY)));
        tokio::time::advance(Duration::from_secs(1)).await;
        recent.remember(&key(CAPACITY), after(1));
        assert_eq!(recent.keys.lock().len(), 1);
    }

    #[test]
    fn load_times_are_averaged_and_bounded() {
        const SECOND: Duration = Duration::from_secs(1);
        let times = LoadTimes::default();
        let region = |number: usize| RegionPath::parse(&format!("r:{number}")).unwrap();
        times.add::<u32>(&region(0), SECOND);
        times.add::<u32>(&region(0), 5 * SECOND);
        assert_eq!(times.of::<u32>(&region(0)), Some(2 * SECOND));
        assert_eq!(times.of::<u64>(&region(0)), None);
        for number in 0..2 * TIMES {
            times.add::<u32>(&region(number), SECOND);
        }
        assert_eq!(times.0.lock().len(), TIMES);
    }
}

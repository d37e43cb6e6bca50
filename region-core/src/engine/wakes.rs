//! Wakes loads that wait for another load's lease, by the pushes of the store.

use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
#[cfg(all(test, region_shuttle))]
mod models;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::pin::pin;
use std::sync::Arc;

use crate::sync::Mutex;
use tokio::sync::Notify;

use crate::path::{Prehashed, RegionPath};
use crate::store::{Event, Verb};

/// The number of counters that the regions share. Two regions with one counter wake each other's loads
/// only in the moment before they wait.
const COUNTERS: usize = 64;

/// The pushes heard so far, counted, and the regions that loads wait in.
#[derive(Debug)]
pub(crate) struct Wakes {
    /// The pushes about one region alone.
    regions: [AtomicU64; COUNTERS],
    /// The pushes that concern several regions.
    all: AtomicU64,
    /// In order, so that loads are woken in the same order in every run.
    waiting: Mutex<BTreeMap<RegionPath, Waiting>>,
    /// The number of regions in `waiting`, so that a push need not take the lock while there is none.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    loads: usize,
    woken: Arc<Notify>,
}

/// The pushes that had been heard at some moment and may concern one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    region: u64,
    all: u64,
}

/// One load's place among those that wait. Dropping it ends the wait.
struct Place<'a> {
    wakes: &'a Wakes,
    region: &'a RegionPath,
    woken: Arc<Notify>,
}

impl Wakes {
    /// The pushes heard so far that may concern `region`.
    pub(crate) fn heard_of(&self, region: &RegionPath) -> Heard {
        let region = self.counter(region).load(Ordering::SeqCst);
        Heard { region, all: self.all.load(Ordering::SeqCst) }
    }

    /// Waits for a push about `region` that had not been heard at `before`. It may return without one.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait.
    pub(crate) async fn heard_since(&self, before: Heard, region: &RegionPath) {
        let place = self.enter(region);
        loop {
            let mut woken = pin!(place.woken.notified());
            // From here on no push is missed: it is counted first, and then looks for those who wait.
            woken.as_mut().enable();
            if self.heard_of(region) != before {
                return;
            }
            woken.await;
        }
    }

    /// Takes one push. Called in the order of the store's connection, so it must not wait.
    pub(super) fn heard(&self, event: &Event) {
        match event {
            Event::Entries(region) | Event::Leases(region) => self.written(region),
            Event::Lineage(changed) => self.wake(|region| region.is_within(changed)),
            Event::All | Event::Lost(_) => self.wake(|_| true),
        }
    }

    /// Entries or leases of the region have changed. An own write is noted too: the store need not push it.
    pub(super) fn written(&self, region: &RegionPath) {
        self.counter(region).fetch_add(1, Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) > 0
            && let Some(waiting) = self.waiting.lock().get(region)
        {
            waiting.woken.notify_waiters();
        }
    }

    /// An own verb was done, which the store need not push either.
    pub(super) fn ended(&self, ended: &RegionPath, verb: Verb) {
        let covers_below = verb.changes_lineage();
        self.wake(|region| {
            let is_above = verb.covers_ancestors() && ended.is_within(region);
            is_above || covers_below && region.is_within(ended)
        });
    }

    fn wake(&self, is_concerned: impl Fn(&RegionPath) -> bool) {
        self.all.fetch_add(1, Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) > 0 {
            let waiting = self.waiting.lock();
            let concerned = waiting.iter().filter(|(region, _)| is_concerned(region));
            concerned.for_each(|(_, waiting)| waiting.woken.notify_waiters());
        }
    }

    fn enter<'a>(&'a self, region: &'a RegionPath) -> Place<'a> {
        let mut all = self.waiting.lock();
        let waiting = all.entry(region.clone()).or_default();
        waiting.loads += 1;
        let woken = Arc::clone(&waiting.woken);
        self.count.store(all.len(), Ordering::SeqCst);
        Place { wakes: self, region, woken }
    }

    fn leave(&self, region: &RegionPath) {
        let mut all = self.waiting.lock();
        if let Some(waiting) = all.get_mut(region) {
            waiting.loads -= 1;
            if waiting.loads == 0 {
                all.remove(region);
            }
        }
        self.count.store(all.len(), Ordering::SeqCst);
    }

    fn counter(&self, region: &RegionPath) -> &AtomicU64 {
        // The remainder is less than the number of counters, so it fits.
        &self.regions[(BuildHasherDefault::<Prehashed>::default().hash_one(region)
            % COUNTERS as u64) as usize]
    }
}

impl Default for Wakes {
    fn default() -> Self {
        Self {
            regions: std::array::from_fn(|_| AtomicU64::default()),
            all: AtomicU64::default(),
            waiting: Mutex::default(),
            count: AtomicUsize::default(),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.wakes.leave(self.region);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;
    use crate::store::Source;

    fn path(text: &str) -> RegionPath {
        RegionPath::parse(text).unwrap()
    }

    #[tokio::test]
    async fn pushes_wake_the_loads_of_the_regions_that_they_concern() {
        let table = [
            (Event::Entries(path("r.a")), true),
            (Event::Leases(path("r.a")), true),
            (Event::Lineage(path("r.a")), true),
            (Event::Lineage(path("r")), true),
            (Event::All, true),
            (Event::Lost(Source::unique()), true),
            (Event::Lineage(path("r.b")), false),
            (Event::Lineage(path("r.a.b")), false),
        ];
        for (event, wakes_load) in table {
            let (wakes, region) = (Wakes::default(), path("r.a"));
            let mut waiting = pin!(wakes.heard_since(wakes.heard_of(&region), &region));
            assert!(poll!(&mut waiting).is_pending());
            wakes.heard(&event);
            assert_eq!(poll!(&mut waiting).is_ready(), wakes_load, "{event:?}");
        }
    }

    #[tokio::test]
    async fn pushes_of_a_region_wake_no_load_of_another() {
        let (wakes, region) = (Wakes::default(), path("r.a"));
        let mut waiting = pin!(wakes.heard_since(wakes.heard_of(&region), &region));
        assert!(poll!(&mut waiting).is_pending());
        for number in 0..10 * COUNTERS {
            let other = path(&format!("r.b:{number}"));
            // One that shares the counter shows nothing.
            if !std::ptr::eq(wakes.counter(&other), wakes.counter(&region)) {
                wakes.heard(&Event::Entries(other));
            }
        }
        assert!(poll!(&mut waiting).is_pending());
    }

    /// A push may come between a load's question and its wait.
    #[tokio::test]
    async fn a_push_from_before_the_wait_is_not_missed() {
        let (wakes, region) = (Wakes::default(), path("r.a"));
        let before = wakes.heard_of(&region);
        wakes.heard(&Event::Leases(region.clone()));
        wakes.heard_since(before, &region).await;
    }

    #[tokio::test]
    async fn waits_that_have_ended_leave_nothing_behind() {
        let (wakes, region) = (Wakes::default(), path("r.a"));
        let before = wakes.heard_of(&region);
        {
            let mut first = pin!(wakes.heard_since(before, &region));
            let mut second = Box::pin(wakes.heard_since(before, &region));
            assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
            drop(second);
            assert_eq!(wakes.waiting.lock()[&region].loads, 1);
            wakes.heard(&Event::All);
            first.await;
        }
        assert!(wakes.waiting.lock().is_empty());
        assert_eq!(wakes.count.load(Ordering::SeqCst), 0);
    }
}

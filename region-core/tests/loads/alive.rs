//! A load goes on for as long as anyone waits for it.

use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{Policy, Region, RegionExt, RegionHandle};
use tokio::time::{Instant, sleep_until, timeout};

use super::kit::{Source, faulty, memory, process, region, within};

const LOAD: Duration = Duration::from_millis(100);
const TRIP: Duration = Duration::from_millis(2);

/// The time between a caller's arrival and its leaving, in milliseconds. Odd, so that none leaves at the moment
/// at which another arrives or a trip ends.
const STAYS: [Option<u64>; 5] = [None, Some(1), Some(3), Some(15), Some(61)];

/// Callers that arrive one after the other, and leave.
#[derive(Clone, Debug)]
struct Schedule {
    spacing: u64,
    stays: Vec<Option<u64>>,
}

impl Schedule {
    /// Every schedule of `callers`.
    fn all(callers: u32) -> impl Iterator<Item = Self> {
        let options = STAYS.len();
        let nth = move |n: usize, spacing| {
            let stay = |caller| STAYS[n / options.pow(caller) % options];
            Self { spacing, stays: (0..callers).map(stay).collect() }
        };
        let numbers = 0..options.pow(callers);
        numbers.flat_map(move |n| [2, 4, 20].map(|spacing| nth(n, spacing)))
    }

    fn arrival(&self, caller: usize) -> u64 {
        self.spacing * caller as u64
    }

    /// Returns whether a caller waits at every moment from the first arrival until a load could be done.
    fn has_no_gap(&self) -> bool {
        let mut until = 0;
        for (caller, stay) in self.stays.iter().enumerate() {
            let arrival = self.arrival(caller);
            if caller > 0 && arrival > until {
                return false;
            }
            match stay {
                None => return true,
                Some(stay) => until = until.max(arrival + stay),
            }
        }
        false
    }

    async fn run(self) {
        let store = faulty();
        for method in [Method::Read, Method::Begin, Method::Write] {
            store.inner().on(method).delay_before(TRIP);
        }
        let (region, source) = (region(store), Source::default());
        let started = Instant::now();
        let call = |(caller, stay): (usize, &Option<u64>)| {
            let (region, source) = (region.clone(), source.clone());
            let arrival = started + Duration::from_millis(self.arrival(caller));
            let leave = stay.map(|stay| arrival + Duration::from_millis(stay));
            tokio::spawn(async move {
                sleep_until(arrival).await;
                let call = region.get_or_compute("k", move || source.load(LOAD));
                match leave {
                    None => Some(*call.await.unwrap()),
                    Some(leave) => {
                        tokio::time::timeout_at(leave, call).await.ok().map(|it| *it.unwrap())
                    }
                }
            })
        };
        let calls: Vec<_> = self.stays.iter().enumerate().map(call).collect();
        for (caller, call) in calls.into_iter().enumerate() {
            let got = within(LOAD * 5, call).await.unwrap();
            assert!(got.is_some() || self.stays[caller].is_some(), "{self:?}: caller {caller}");
            assert!(got.is_none_or(|run| run == 1 || !self.has_no_gap()), "{self:?}: {got:?}");
        }
        if self.has_no_gap() {
            assert_eq!(source.begun(), 1, "{self:?}: somebody waited all the time");
        }
        // Whatever was left behind: a later caller is served at once, and no load goes on.
        let later = source.clone();
        let value = region.get_or_compute("k", move || later.load(LOAD));
        let value = within(LOAD * 2, value).await.unwrap();
        assert!(*value >= 1 && source.under_way() == 0, "{self:?}");
    }
}

/// Bug: a caller that came while a load was under way did not keep it alive unless it had joined it.
/// Effect: when the earlier callers left, the load was dropped and begun anew; with callers whose own
/// limits were shorter than the load nobody was ever served.
/// Fix: every caller, from its start on, and every flight that comes after another keep it alive.
#[tokio::test(start_paused = true)]
async fn whoever_asks_keeps_a_load_alive() {
    for callers in 1..=4 {
        for schedule in Schedule::all(callers) {
            schedule.run().await;
        }
    }
}

/// Bug and fix as above: 118 callers in a row, fourteen loads begun and dropped, nobody served.
#[tokio::test(start_paused = true)]
async fn callers_with_short_limits_are_served_by_one_load() {
    let store = faulty();
    store.inner().on(Method::Begin).delay_before(TRIP);
    let (region, source) = (region(store), Source::default());
    let started = Instant::now();
    let call = |caller: u64| {
        let (region, source) = (region.clone(), source.clone());
        tokio::spawn(async move {
            sleep_until(started + Duration::from_millis(10 * caller)).await;
            let call = region.get_or_compute("k", move || source.load(Duration::from_secs(1)));
            timeout(Duration::from_millis(85), call).await.is_ok()
        })
    };
    let mut served = 0;
    for call in (0..118).map(call).collect::<Vec<_>>() {
        served += usize::from(call.await.unwrap());
    }
    assert_eq!((source.begun(), source.finished()), (1, 1));
    assert!(served >= 18, "{served} served: those that were there at the end, and all later ones");
}

async fn spawn_loading(region: &RegionHandle, source: &Source, time: Duration) {
    let (region, loading) = (region.clone(), source.clone());
    tokio::spawn(async move { region.get_or_compute("k", move || loading.load(time)).await });
    within(LOAD, async {
        while source.begun() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// Bug: each caller that came during a long load sent a `begin` of its own.
/// Effect: a thousand late callers were a thousand trips.
/// Fix: they share the next question, which waits until the one under way is answered.
#[tokio::test(start_paused = true)]
async fn late_callers_share_their_questions() {
    let store = faulty();
    store.inner().on(Method::Begin).delay_before(TRIP);
    let (region, source) = (region(store.clone()), Source::default());
    spawn_loading(&region, &source, Duration::from_secs(1)).await;
    let before = store.count(Method::Begin);
    let mut late = Vec::new();
    for _ in 0..1000 {
        let (region, unused) = (region.clone(), source.clone());
        late.push(tokio::spawn(async move {
            region.get_or_compute("k", move || unused.load(LOAD)).await.map(|it| *it)
        }));
        tokio::task::yield_now().await;
    }
    for late in late {
        assert_eq!(late.await.unwrap().unwrap(), 1);
    }
    let questions = store.count(Method::Begin) - before;
    assert!(questions <= 3, "{questions} questions");
    assert_eq!(source.begun(), 1);
}

/// The sharing above never serves a value that was loaded before an invalidation: wherever in a row of
/// late callers it comes, those that start after it get a later load.
#[tokio::test(start_paused = true)]
async fn late_callers_never_get_what_was_invalidated_before_they_started() {
    for invalidated_after in 0..12_u64 {
        let store = faulty();
        for method in [Method::Read, Method::Begin] {
            store.inner().on(method).delay_after(TRIP);
        }
        let (region, source) = (region(store), Source::default());
        spawn_loading(&region, &source, LOAD).await;
        let mut late = Vec::new();
        for caller in 0..12_u64 {
            if caller == invalidated_after {
                region.invalidate().await.unwrap();
            }
            let (region, source) = (region.clone(), source.clone());
            late.push(tokio::spawn(async move {
                region.get_or_compute("k", move || source.load(LOAD)).await.map(|it| *it)
            }));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for (caller, late) in late.into_iter().enumerate() {
            let run = late.await.unwrap().unwrap();
            let is_old = run == 1 && caller as u64 >= invalidated_after;
            assert!(!is_old, "caller {caller}, invalidated before {invalidated_after}");
        }
        assert_eq!(source.begun(), 2, "invalidated before {invalidated_after}");
    }
}

/// The same where another process has taken the lease since: late callers take that one's value, although a load of
/// their own process is under way too.
#[tokio::test(start_paused = true)]
async fn late_callers_never_follow_a_load_whose_lease_is_anothers() {
    let store = memory();
    let [here, there] = [1, 2].map(|seed| process(seed, store.clone(), Policy::new()));
    let source = Source::default();
    spawn_loading(&here, &source, 2 * LOAD).await;
    here.invalidate().await.unwrap();
    spawn_loading(&there, &source, LOAD).await;
    while source.begun() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let late = source.clone();
    let value = here.get_or_compute("k", move || late.load(LOAD)).await.unwrap();
    assert_eq!((*value, source.begun()), (2, 2));
}

/// A load that nobody waits for any more is dropped, and its lease released at once.
#[tokio::test(start_paused = true)]
async fn an_abandoned_load_leaves_no_lease() {
    let store = faulty();
    let (first, second) = (region(store.clone()), region(store));
    let source = Source::default();
    let abandoned = source.clone();
    let call = first.get_or_compute("k", move || abandoned.load(Duration::from_secs(60)));
    assert!(timeout(LOAD, call).await.is_err());
    let load = || async { Ok::<_, Infallible>(7usize) };
    assert_eq!(*within(LOAD, second.get_or_compute("k", load)).await.unwrap(), 7);
    assert_eq!((source.under_way(), source.finished()), (0, 0));
}

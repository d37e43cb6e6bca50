//! Loads that wait for another process's load are woken by what the store pushes.

use std::io;
use std::time::Duration;

use region_core::testing::{Faulty, Method, Recorder};
use region_core::{Policy, Region, RegionExt, RegionHandle};
use region_memory::MemoryStore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::kit::{LEASE, Source, memory, process, region, within};

/// Less than the first pause of any polling.
const NOW: Duration = Duration::from_millis(1);
/// As long as that polling would come often.
const LOAD: Duration = Duration::from_secs(5);

type Waiting = Recorder<Faulty<MemoryStore>>;

/// One process that loads, and another one that waits for it.
struct Two {
    loading: RegionHandle,
    waiting: RegionHandle,
    store: Waiting,
    source: Source,
}

impl Two {
    fn new() -> Self {
        let shared = memory();
        let store = Recorder::new(Faulty::new(shared.client()));
        let loading = process(1, shared, Policy::new());
        let waiting = process(2, store.clone(), Policy::new());
        Self { loading, waiting, store, source: Source::default() }
    }

    /// Begins the load of `LOAD`, and the wait for it.
    async fn start(&self) -> (JoinHandle<usize>, JoinHandle<usize>) {
        let loading = self.load(&self.loading, LOAD);
        (loading, self.wait().await)
    }

    /// Begins to wait for the other process, once that loads.
    async fn wait(&self) -> JoinHandle<usize> {
        sleep(NOW).await;
        let waiting = self.load(&self.waiting, NOW);
        sleep(NOW).await;
        waiting
    }

    /// A load of the other process that fails.
    fn fail(&self) -> JoinHandle<usize> {
        let region = self.loading.clone();
        tokio::spawn(async move {
            let load = || async {
                sleep(LOAD).await;
                Err::<usize, _>(io::Error::other("the load fails"))
            };
            region.get_or_compute("k", load).await.map_or(0, |value| *value)
        })
    }

    fn load(&self, region: &RegionHandle, time: Duration) -> JoinHandle<usize> {
        let (region, source) = (region.clone(), self.source.clone());
        tokio::spawn(async move {
            *region.get_or_compute("k", move || source.load(time)).await.unwrap()
        })
    }

    fn questions(&self) -> u64 {
        self.store.count(Method::Begin)
    }
}

/// Bug: a process that waited for another's load asked the store ten times a second.
/// Effect: fifty trips for this load, and half a tenth of a second lost after it, on average.
/// Fix: the push of the fill wakes it.
#[tokio::test(start_paused = true)]
async fn a_fill_wakes_those_who_wait_in_other_processes() {
    let two = Two::new();
    let (loading, waiting) = two.start().await;
    loading.await.unwrap();
    let filled = Instant::now();
    assert_eq!(waiting.await.unwrap(), 1);
    assert!(filled.elapsed() <= NOW, "{:?} after the fill", filled.elapsed());
    // One that is answered before it listens, one that is covered, a few in case that pushes are lost, and
    // the last.
    assert!(two.questions() <= 8, "{} questions", two.questions());
    assert_eq!(two.source.begun(), 1);
}

/// Bug: each late caller of a load read the store first.
/// Effect: a thousand callers during a load elsewhere were a thousand trips.
/// Fix: where a load is under way for want of a value, they wait for it at once.
#[tokio::test(start_paused = true)]
async fn late_callers_of_a_load_elsewhere_make_no_trips_of_their_own() {
    let two = Two::new();
    // Trips take time, so that callers come while they are under way.
    for method in [Method::Read, Method::Begin] {
        two.store.inner().on(method).delay_before(2 * NOW);
    }
    let (loading, waiting) = two.start().await;
    sleep(LOAD / 2).await;
    let before = (two.store.count(Method::Read), two.questions());
    let late = (0..1000).map(|_| two.load(&two.waiting, NOW)).collect::<Vec<_>>();
    sleep(LOAD / 5).await;
    assert_eq!(two.store.count(Method::Read), before.0);
    assert!(two.questions() - before.1 <= 3, "{} questions", two.questions() - before.1);
    loading.await.unwrap();
    for late in late.into_iter().chain([waiting]) {
        assert_eq!(late.await.unwrap(), 1);
    }
    assert_eq!(two.store.count(Method::Read), before.0);
    assert!(two.questions() - before.1 <= 6, "{} questions", two.questions() - before.1);
    assert_eq!(two.source.begun(), 1);
}

/// What ends a lease without a value wakes them too: they load themselves.
#[tokio::test(start_paused = true)]
async fn whatever_ends_a_lease_wakes_those_who_wait() {
    for end in ["abandoned", "failed", "removed", "invalidated", "touched", "expired"] {
        let two = Two::new();
        let loading = if end == "failed" { two.fail() } else { two.load(&two.loading, LOAD) };
        let waiting = two.wait().await;
        sleep(LOAD / 2).await;
        match end {
            "abandoned" => loading.abort(),
            "failed" => assert_eq!(loading.await.unwrap(), 0),
            "removed" => drop(two.loading.remove("k").await.unwrap()),
            "invalidated" => two.loading.invalidate().await.unwrap(),
            "touched" => two.loading.touch().await.unwrap(),
            _ => two.loading.expire().await.unwrap(),
        }
        let run = within(10 * NOW, waiting).await.unwrap();
        assert_eq!(run, if end == "failed" { 1 } else { 2 }, "{end}");
        assert!(two.questions() <= 8, "{end}: {} questions", two.questions());
    }
}

/// A push may be lost, and a store may never push: the store is asked again in any case.
#[tokio::test(start_paused = true)]
async fn without_pushes_those_who_wait_ask_again() {
    for (how, most) in [("lost", Duration::from_secs(2)), ("late", LEASE), ("cut", 4 * NOW)] {
        let two = Two::new();
        match how {
            "lost" => two.store.inner().on_push().lose(),
            "late" => two.store.inner().on_push().delay(10 * LEASE),
            _ => {}
        }
        let (loading, waiting) = two.start().await;
        if how == "cut" {
            two.store.inner().cut_pushes();
            sleep(NOW).await;
            let before = two.questions();
            assert!(before >= 3, "a lost connection is a reason to ask: {before}");
        }
        loading.await.unwrap();
        assert_eq!(within(most, waiting).await.unwrap(), 1, "{how}");
        assert!(two.questions() <= 10, "{how}: {} questions", two.questions());
    }
}

/// Changes of other keys in the region wake them as well, but less and less often.
#[tokio::test(start_paused = true)]
async fn a_busy_region_is_asked_no_more_often_than_by_polling() {
    let two = Two::new();
    let (loading, waiting) = two.start().await;
    let mut writes = 0;
    while !loading.is_finished() {
        two.loading.set("another", &writes).await.unwrap();
        writes += 1;
        sleep(NOW).await;
    }
    assert_eq!(within(Duration::from_millis(110), waiting).await.unwrap(), 1);
    assert!(writes > 1000 && two.questions() < 100, "{} of {writes}", two.questions());
}

/// Nobody is listened to for the sake of loads that wait for nobody.
#[tokio::test(start_paused = true)]
async fn a_process_that_never_waited_does_not_listen() {
    let store = Recorder::new(memory());
    let region = region(store.clone());
    let source = Source::default();
    region.get_or_compute("k", move || source.load(NOW)).await.unwrap();
    assert_eq!(store.count(Method::Listen), 0);
}

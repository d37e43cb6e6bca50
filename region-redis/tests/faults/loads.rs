//! Loads over a real server: how long one goes on, and how long its callers wait for the server.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use region_core::testing::{Faulty, Method, Recorder};
use region_core::{Error, Region, RegionCache, RegionExt, RegionHandle, Result, Store};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::kit::{RECOVERY, connect, until, unwatched};

servers::on_both! {
    whoever_asks_keeps_a_load_alive
    an_abandoned_load_is_taken_over_at_once
    a_fill_wakes_those_who_wait_in_other_processes
    limits_do_not_add_up_while_the_server_hangs
    a_read_and_its_begin_share_one_limit
}

fn region(store: impl Store) -> RegionHandle {
    RegionCache::builder(store).root("r").build().unwrap().region("a").unwrap()
}

/// Loads that wait until they are let go, and how many there were.
#[derive(Clone)]
struct LoadGate {
    begun: Arc<AtomicU64>,
    under_way: Arc<AtomicU64>,
    is_open: watch::Sender<bool>,
}

struct UnderWay(Arc<AtomicU64>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl LoadGate {
    fn new() -> Self {
        let (begun, under_way) = Default::default();
        Self { begun, under_way, is_open: watch::Sender::new(false) }
    }

    /// The number of the load, once the gate is open.
    async fn load(self) -> Result<u64, Infallible> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(Arc::clone(&self.under_way));
        let _ = self.is_open.subscribe().wait_for(|is_open| *is_open).await;
        Ok(number)
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    async fn until_begun(&self) {
        until("a load to begin", || self.begun() > 0).await;
    }

    async fn until_dropped(&self) {
        until("the load to be dropped", || self.under_way.load(Ordering::SeqCst) == 0).await;
    }

    /// A call that has been made when this returns, and goes on in a task of its own.
    fn call(&self, region: &RegionHandle, key: &'static str) -> JoinHandle<Result<u64>> {
        let (region, gate) = (region.clone(), self.clone());
        let mut call = Box::pin(async move {
            let load = move || gate.load();
            region.get_or_compute(key, load).await.map(|value| *value)
        });
        assert!((&mut call).now_or_never().is_none(), "a server answers later than that");
        tokio::spawn(call)
    }
}

/// When a caller goes away.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    Never,
    /// As soon as the next caller has asked.
    AfterTheNext,
    /// Once all have asked and the load has begun.
    AfterAll,
}

/// Callers of one key, one after the other.
#[derive(Clone, Debug)]
struct Schedule {
    callers: Vec<Leaves>,
    /// The number of trips to the server between two callers: the first is in its read, in its
    /// `begin`, or in its load when the second asks.
    trips: usize,
}

impl Schedule {
    /// Every schedule of so many callers of whom at least one stays.
    fn all(callers: u32) -> Vec<Self> {
        const WAYS: [Leaves; 3] = [Leaves::Never, Leaves::AfterTheNext, Leaves::AfterAll];
        let nth = |n: usize| (0..callers).map(move |at| WAYS[n / WAYS.len().pow(at) % WAYS.len()]);
        let numbers = 0..WAYS.len().pow(callers);
        let schedules = numbers
            .flat_map(|n| [0, 1, 2, 4].map(|trips| Self { callers: nth(n).collect(), trips }));
        schedules.filter(|schedule| schedule.callers.contains(&Leaves::Never)).collect()
    }

    /// One, unless a caller leaves while the next is still in its read: where the load begins and ends within
    /// that read, the next caller has not heard of it.
    fn most_loads(&self) -> u64 {
        let leaves_early = |leaves: &&Leaves| **leaves == Leaves::AfterTheNext;
        let early = self.callers.iter().filter(leaves_early).count();
        if self.trips == 0 { 1 + early as u64 } else { 1 }
    }

    async fn run(&self, region: &RegionHandle) {
        let gate = LoadGate::new();
        let mut calls: Vec<JoinHandle<Result<u64>>> = Vec::new();
        for at in 0..self.callers.len() {
            calls.push(gate.call(region, "k"));
            if at > 0 && self.callers[at - 1] == Leaves::AfterTheNext {
                calls[at - 1].abort();
            }
            for _ in 0..self.trips {
                region.get::<u64>("another").await.unwrap();
            }
        }
        gate.until_begun().await;
        for (call, leaves) in calls.iter().zip(&self.callers) {
            if *leaves != Leaves::Never {
                call.abort();
            }
        }
        // Those that have left are gone when the server has answered once more.
        region.get::<u64>("another").await.unwrap();
        gate.is_open.send_replace(true);
        for (call, leaves) in calls.into_iter().zip(&self.callers) {
            if *leaves == Leaves::Never {
                let number = call.await.unwrap().unwrap();
                assert_eq!(
                    number,
                    gate.begun(),
                    "{self:?}: the last load is the one that was kept"
                );
            }
        }
        let begun = gate.begun();
        assert!(
            begun <= self.most_loads(),
            "{self:?}: {begun} loads, but somebody waited all the time"
        );
        assert!(region.remove("k").await.unwrap(), "{self:?}: the value was not stored");
    }
}

/// Bug: a load was dropped with the callers that had begun it, though a later one waited for it.
/// Effect: the later caller had to begin again; callers less patient than the load were never served.
/// Fix: whoever asks while a load is under way keeps it alive, from the call on.
async fn whoever_asks_keeps_a_load_alive(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let region = region(connect(&server.url()).await);
    for callers in 2..=3 {
        for schedule in Schedule::all(callers) {
            schedule.run(&region).await;
        }
    }
}

/// A load that nobody waits for any more is dropped, and another process that waits for it begins its
/// own at once, not when the lease has ended.
async fn an_abandoned_load_is_taken_over_at_once(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let first = region(connect(&server.url()).await);
    let second = region(connect(&server.url()).await);
    for key in ["a", "b", "c"] {
        let (abandoned, next) = (LoadGate::new(), LoadGate::new());
        let calls = [(); 3].map(|()| abandoned.call(&first, key));
        abandoned.until_begun().await;
        next.is_open.send_replace(true);
        let waiting = next.call(&second, key);
        calls.iter().for_each(JoinHandle::abort);
        abandoned.until_dropped().await;
        let served = tokio::time::timeout(RECOVERY / 2, waiting).await;
        assert_eq!(served.expect("served before the lease is over").unwrap().unwrap(), 1);
        assert_eq!((abandoned.begun(), next.begun()), (1, 1), "{key}");
    }
}

/// A load in one process, for which another one waits: the number of questions that this one asks, and the
/// time from the answer of the fill until it has the value.
async fn waited_for(
    loading: &RegionHandle,
    (waiting, store): (&RegionHandle, &Recorder<RedisStore>),
    key: &'static str,
) -> (u64, Duration) {
    let (gate, unused) = (LoadGate::new(), LoadGate::new());
    let before = store.count(Method::Begin);
    let loaded = gate.call(loading, key);
    gate.until_begun().await;
    let waited = unused.call(waiting, key);
    until("a question", || store.count(Method::Begin) > before).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    gate.is_open.send_replace(true);
    let (loaded, waited) = (timed(loaded), timed(waited));
    let ((one, loaded), (other, waited)) = tokio::join!(loaded, waited);
    assert_eq!((one, other, unused.begun()), (1, 1, 0));
    (store.count(Method::Begin) - before, waited.saturating_duration_since(loaded))
}

async fn timed(call: JoinHandle<Result<u64>>) -> (u64, Instant) {
    let value = call.await.unwrap().unwrap();
    (value, Instant::now())
}

/// Bug: a process that waited for another's load asked the server until the value was there.
/// Effect: it asked up to ten times a second, and had the value a twentieth of a second late.
/// Fix: the push of the fill wakes it.
async fn a_fill_wakes_those_who_wait_in_other_processes(flavor: Flavor) {
    const KEYS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let server = TestServer::start(flavor);
    let loading = region(connect(&server.url()).await);
    let store = Recorder::new(connect(&server.url()).await);
    let waiting = region(store.clone());
    let mut times = Vec::new();
    let mut questions = Vec::new();
    for key in KEYS {
        let (asked, time) = waited_for(&loading, (&waiting, &store), key).await;
        questions.push(asked);
        times.push(time);
    }
    times.sort();
    // The first is asked once more, for nobody listened before.
    let few = questions.iter().filter(|asked| **asked <= 3).count();
    assert!(few >= KEYS.len() / 2, "{questions:?} questions; served {times:?} after the fill");
}

/// The limit on a call here: far more than a busy machine adds.
const LIMIT: Duration = Duration::from_secs(2);

async fn connect_patiently(server: &TestServer) -> region_redis::RedisStore {
    // Else the server would be found to be gone meanwhile, and calls fail at once.
    unwatched(&server.url()).call_timeout(LIMIT).connect().await.unwrap()
}

/// A load that loads within itself, and so on; answers how many there were.
fn nested(
    region: RegionHandle,
    levels: u32,
) -> futures_util::future::BoxFuture<'static, Result<u32>> {
    Box::pin(async move {
        if levels == 0 {
            return Ok(0);
        }
        let inner = region.clone();
        let load = move || async move { Ok::<_, Error>(nested(inner, levels - 1).await? + 1) };
        region.get_or_compute(&format!("level{levels}"), load).await.map(|value| *value)
    })
}

/// Bug: a read that had timed out was followed by a `begin` that did too, at every nesting level.
/// Effect: three nested loads took six times the limit of a call.
/// Fix: no `begin` after a read that has failed, and loads within the load know of it.
async fn limits_do_not_add_up_while_the_server_hangs(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = Recorder::new(connect_patiently(&server).await);
    let region = region(store.clone());
    server.pause();
    let start = Instant::now();
    assert_eq!(nested(region, 3).await.unwrap(), 3);
    let taken = start.elapsed();
    server.resume();
    assert!(taken >= LIMIT && taken < LIMIT * 2, "{taken:?}");
    assert_eq!((store.count(Method::Read), store.count(Method::Begin)), (1, 0));
}

/// Bug: a read and then a `begin` each waited for the limit on a call.
/// Effect: an operation took up to twice its limit.
/// Fix: one deadline for the whole operation.
async fn a_read_and_its_begin_share_one_limit(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = Recorder::new(Faulty::new(connect_patiently(&server).await));
    let region = region(store.clone());
    // The read takes most of the limit, and then the server answers nothing any more.
    store.inner().on(Method::Read).delay_after(LIMIT * 9 / 10);
    let start = Instant::now();
    let call = tokio::spawn(async move {
        region.get_or_compute("k", || async { Ok::<_, Infallible>(7_u32) }).await
    });
    until("the read to be answered", || {
        server.command(&["INFO", "commandstats"]).text().contains("cmdstat_hmget")
    })
    .await;
    // An answer to what was sent later: that to the read is on its way.
    server.command(&["PING"]);
    server.pause();
    assert_eq!(*call.await.unwrap().unwrap(), 7);
    let taken = start.elapsed();
    server.resume();
    assert_eq!(store.count(Method::Begin), 1);
    assert!(taken < LIMIT * 3 / 2, "{taken:?}");
}

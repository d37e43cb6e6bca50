//! Loads: who keeps one alive, what a failed one leaves behind, and loads within loads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use region_cache::{MemoryStore, Policy, Region, RegionExt, RegionHandle, TokioClock};
use servers::{Flavor, TestServer};

use crate::kit::{LoadGate, builder, cache, cache_with, loaded, ms, region, timed};
use crate::way::{Act, From, Way, holds};

/// Far less than the lease of a load that failed.
const SOON: Duration = Duration::from_secs(4);

fn memory() -> RegionHandle {
    cache(MemoryStore::new()).region("r").unwrap()
}

async fn yields(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// Bug: a load was dropped with the callers that had begun it, though a later one waited.
/// Effect: the later caller had to begin again.
/// Fix: whoever asks while a load is under way keeps it alive.
#[tokio::test]
async fn any_caller_that_stays_keeps_the_load_alive() {
    for callers in 2..=4_u32 {
        for staying in 1..(1 << callers) {
            for steps in [0, 1, 2, 3, 7] {
                cancel_some(callers, staying, steps).await;
            }
        }
    }
}

async fn cancel_some(callers: u32, staying: u32, steps: usize) {
    let (region, gate) = (memory(), LoadGate::new());
    let mut tasks = Vec::new();
    for _ in 0..callers {
        let (region, load) = (region.clone(), gate.load(7_u32));
        tasks.push(tokio::spawn(async move { region.get_or_compute("k", load).await }));
        yields(steps).await;
    }
    let mut stayed = Vec::new();
    for (caller, task) in tasks.into_iter().enumerate() {
        if staying & (1 << caller) != 0 {
            stayed.push(task);
        } else {
            task.abort();
        }
        yields(steps).await;
    }
    yields(20).await;
    gate.open();
    for task in stayed {
        let (value, _) = timed(task).await;
        assert_eq!(*value.unwrap().unwrap(), 7);
    }
    let case = format!("{callers} callers, {staying:b} stay, {steps} steps between");
    assert!(gate.begun() == 1 && gate.dropped() == 0, "{case}: {} loads", gate.begun());
}

/// Bug: callers with limits shorter than the load each dropped it when they left.
/// Effect: 118 callers in a row, 14 loads begun and dropped, nobody ever served.
/// Fix: while somebody waits the load goes on.
#[tokio::test(start_paused = true)]
async fn callers_less_patient_than_the_load_are_served_in_the_end() {
    let store = MemoryStore::builder().clock(TokioClock::new()).build();
    let region = cache(store).region("r").unwrap();
    let served = serve_impatient(&region, Duration::from_secs(60), Duration::from_secs(2)).await;
    assert_eq!(served, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_less_patient_than_the_load_are_served_on_a_server() {
    let server = TestServer::start(Flavor::Redis);
    let region = region(&server.url(), "r").await;
    let served = serve_impatient(&region, ms(3000), ms(1000)).await;
    assert_eq!(served, 1);
}

/// Returns the number of loads that serve callers which wait only `patience`, a new one each half of it.
async fn serve_impatient(region: &RegionHandle, load: Duration, patience: Duration) -> u64 {
    let begun = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut callers = tokio::task::JoinSet::new();
    let callers_needed = 4 * load.as_millis() / patience.as_millis();
    for _ in 0..callers_needed {
        let (region, begun) = (region.clone(), Arc::clone(&begun));
        callers.spawn(async move {
            let load = move || async move {
                begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                tokio::time::sleep(load).await;
                loaded(7_u32).await
            };
            tokio::time::timeout(patience, region.get_or_compute("k", load)).await.is_ok()
        });
        tokio::time::sleep(patience / 2).await;
    }
    let served = callers.join_all().await;
    assert!(served.iter().any(|served| *served), "nobody was served");
    begun.load(std::sync::atomic::Ordering::SeqCst)
}

/// Bug: a value too large for the store left its lease behind.
/// Effect: every other process waited ten seconds, again and again.
/// Fix: a load that ends in any way gives its lease back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversize_value_does_not_make_others_wait() {
    let server = TestServer::start(Flavor::Redis);
    let small = || builder(&server.url()).max_entry_bytes(1000);
    let a = cache(small().connect().await.unwrap()).region("r").unwrap();
    let b = cache(small().connect().await.unwrap()).region("r").unwrap();
    for _ in 0..3 {
        let gate = LoadGate::new();
        let load = gate.load(vec![1_u8; 5000]);
        let first = tokio::spawn({
            let a = a.clone();
            async move { a.get_or_compute("k", load).await.map(drop) }
        });
        gate.until_begun(1).await;
        let waiting = tokio::spawn({
            let b = b.clone();
            async move { timed(b.get_or_compute("k", || loaded(vec![1_u8; 5000]))).await }
        });
        gate.open();
        // Its caller gets the value or a clear error; both are fine.
        let _ = first.await.unwrap();
        let (_, took) = waiting.await.unwrap();
        assert!(took < SOON, "the other process waited {took:?}");
    }
}

/// As above, for a server that runs out of memory during the load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_does_not_make_others_wait() {
    let server = TestServer::start_with(Flavor::Redis, &["--maxmemory-policy", "noeviction"]);
    let a = region(&server.url(), "r").await;
    let b = region(&server.url(), "r").await;
    let gate = LoadGate::new();
    let load = gate.load(7_u32);
    let first = tokio::spawn(async move { a.get_or_compute("k", load).await });
    gate.until_begun(1).await;
    let waiting = tokio::spawn(async move { timed(b.get_or_compute("k", || loaded(8_u32))).await });
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    gate.open();
    assert_eq!(*first.await.unwrap().unwrap(), 7);
    let (value, took) = waiting.await.unwrap();
    assert_eq!(*value.unwrap(), 8);
    assert!(took < SOON, "the other process waited {took:?}");
}

/// Bug: a `begin` whose reply was lost, or whose caller left, kept its lease.
/// Effect: every process waited ten seconds for nobody.
/// Fix: whatever may have been taken is given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_begin_leaves_no_lease() {
    for leaves in [Leaves::Waits, Leaves::IsDropped] {
        let server = TestServer::start(Flavor::Redis);
        let way = Way::to(server.port()).await;
        let a = builder(&way.url()).call_timeout(ms(500)).watch(ms(100), ms(500));
        let a = a.connect().await.unwrap();
        let a = cache(a).region("r").unwrap();
        let b = region(&server.url(), "r").await;
        // From the answer to the first script on that names the region, nothing comes back that way.
        let (mut asked, mut first) = (None, true);
        way.rule(move |connection, from, bytes| {
            let is_begin = holds(bytes, "EVAL") && holds(bytes, "{fg}.r");
            if from == From::Client && first && is_begin {
                (asked, first) = (Some(connection), false);
            }
            match from == From::Server && asked == Some(connection) {
                true => Act::Swallow,
                false => Act::Pass,
            }
        });
        let gate = LoadGate::new();
        let (asking, load) = (a.clone(), gate.load(7_u32));
        let first = tokio::spawn(async move { asking.get_or_compute("k", load).await });
        crate::kit::until("the lease to be taken", || {
            !crate::kit::keys(&server, "rc1:l*").is_empty()
        })
        .await;
        if leaves == Leaves::IsDropped {
            first.abort();
        }
        let (value, took) = timed(b.get_or_compute("k", || loaded(8_u32))).await;
        assert_eq!(*value.unwrap(), 8);
        assert!(took < SOON, "{leaves:?}: the other process waited {took:?}");
        gate.open();
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    Waits,
    IsDropped,
}

/// Bug: a runtime that went away took the load's task with it.
/// Effect: waiters on other runtimes hung, and other processes waited for the lease.
/// Fix: the task's end, however it comes, frees its waiters and its lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_goes_away_frees_all_that_wait() {
    let server = TestServer::start(Flavor::Redis);
    let b = region(&server.url(), "r").await;
    for region in [memory(), region(&server.url(), "r").await] {
        let other = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let gate = LoadGate::new();
        let load = gate.load(7_u32);
        let leaving = region.clone();
        other.spawn(async move { leaving.get_or_compute("k", load).await });
        gate.until_begun(1).await;
        let joined = tokio::spawn({
            let region = region.clone();
            async move { timed(region.get_or_compute("k", || loaded(8_u32))).await }
        });
        let waiting = tokio::spawn({
            let b = b.clone();
            async move { timed(b.get_or_compute("k", || loaded(9_u32))).await }
        });
        yields(50).await;
        other.shutdown_background();
        let (_, took) = joined.await.unwrap();
        assert!(took < SOON, "a waiter of this process waited {took:?}");
        let (value, took) = waiting.await.unwrap();
        assert!(value.is_ok() && took < SOON, "the other process waited {took:?}");
        b.remove("k").await.unwrap();
    }
}

/// Bug: one oversize value failed the write of all values of a load.
/// Effect: the others were loaded again and again.
/// Fix: it alone is not stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_oversize_value_keeps_only_itself_from_being_stored() {
    let server = TestServer::start(Flavor::Redis);
    let store = builder(&server.url()).max_entry_bytes(1000).connect().await.unwrap();
    let a = cache(store).region("r").unwrap();
    let load = |keys: Vec<String>| async move {
        let value = |key: &String| if key == "large" { vec![1_u8; 5000] } else { vec![1_u8] };
        loaded(keys.iter().map(|key| (key.clone(), value(key))).collect::<HashMap<_, _>>()).await
    };
    let values = a.get_or_compute_many(&["a", "large", "z"], load).await.unwrap();
    assert!(values.iter().all(Option::is_some));
    let b = region(&server.url(), "r").await;
    let stored = b.get_many::<Vec<u8>>(&["a", "large", "z"]).await.unwrap();
    let stored: Vec<_> = stored.iter().map(Option::is_some).collect();
    assert_eq!(stored, [true, false, true]);
}

fn of_memory_and(server: &RegionHandle) -> [RegionHandle; 2] {
    [memory(), server.clone()]
}

type Asked = std::pin::Pin<Box<dyn Future<Output = region_cache::Result<u32>> + Send>>;

/// Asks for the first key, whose load asks for the next, and so on; how many there are.
fn ask_in_turn(region: RegionHandle, keys: &'static [&'static str]) -> Asked {
    Box::pin(async move {
        let Some((key, rest)) = keys.split_first() else { return Ok(0) };
        let inner = region.clone();
        let load = move || async move { ask_in_turn(inner, rest).await.map(|value| value + 1) };
        region.get_or_compute(key, load).await.map(|value| *value)
    })
}

/// Bug: a load that asked for its own key waited for itself.
/// Effect: it hung for ever, as did two that asked for each other's.
/// Fix: a clear error at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_waits_for_itself_is_an_error() {
    let server = TestServer::start(Flavor::Redis);
    for region in of_memory_and(&region(&server.url(), "r").await) {
        let (value, took) = timed(ask_in_turn(region.clone(), &["a", "a"])).await;
        assert!(value.is_err() && took < SOON, "{value:?}");
        let (value, _) = timed(ask_in_turn(region.clone(), &["b", "c", "d", "b"])).await;
        assert!(value.is_err(), "{value:?}");
        // The next caller is served.
        assert_eq!(timed(ask_in_turn(region.clone(), &["a", "b"])).await.0.unwrap(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_that_wait_for_each_other_are_an_error() {
    let server = TestServer::start(Flavor::Redis);
    for region in of_memory_and(&region(&server.url(), "r").await) {
        let both = Arc::new(tokio::sync::Barrier::new(2));
        let ask = |own: &'static str, others: &'static str| {
            let (region, inner, both) = (region.clone(), region.clone(), Arc::clone(&both));
            let load = move || async move {
                both.wait().await;
                let value = inner.get_or_compute(others, || loaded(1_u32)).await?;
                Ok::<_, region_cache::Error>(*value + 1)
            };
            async move { region.get_or_compute(own, load).await }
        };
        let start = Instant::now();
        let (one, other) = tokio::join!(timed(ask("x", "y")), timed(ask("y", "x")));
        assert!(start.elapsed() < SOON);
        assert!(one.0.is_err() || other.0.is_err(), "one of them has to be told");
    }
}

/// Loads that only look like a circle are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_that_share_an_inner_load_are_no_circle() {
    let server = TestServer::start(Flavor::Redis);
    for region in of_memory_and(&region(&server.url(), "r").await) {
        let asks = (0..20).map(|n| {
            let keys: &[&str] = if n % 2 == 0 { &["p", "q", "s"] } else { &["t", "q", "s"] };
            tokio::spawn(ask_in_turn(region.clone(), keys))
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(timed(ask).await.0.unwrap().unwrap(), 3);
        }
    }
}

/// Bug: a read and then a `begin` each waited for the limit on calls, at each level of nesting.
/// Effect: 1.5 s at 250 ms with three levels.
/// Fix: one limit for all of it; what has just failed is not asked again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_do_not_add_up_in_nested_loads() {
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let limit = ms(600);
    let store = builder(&way.url())
        .call_timeout(limit)
        .watch(ms(500), Duration::from_secs(30))
        .max_lag(Duration::from_secs(30))
        .connect()
        .await
        .unwrap();
    let policy = Policy::new().load_timeout(Duration::from_secs(15));
    let region = cache_with(store, policy).region("r").unwrap();
    way.silence();
    for keys in [&["a"][..], &["b", "c", "d"][..]] {
        let (value, took) = timed(ask_in_turn(region.clone(), keys)).await;
        assert_eq!(value.unwrap() as usize, keys.len());
        assert!(took < limit + ms(550), "{} levels took {took:?}", keys.len());
    }
}

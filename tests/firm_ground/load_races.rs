//! Events between two steps of a load.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use region_cache::{MemoryStore, Policy, Region, RegionExt};
use servers::{Flavor, TestServer};

use crate::kit::{
    LoadGate, builder, cache, cache_with, connect, loaded, ms, region, timed, until, until_ok,
};
use crate::way::{Act, From, Way, holds};

/// Far less than the lease of a load that failed.
const SOON: Duration = Duration::from_secs(4);

/// A `begin` that arrives after its caller, its connection and its release have gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_begin_that_arrives_late_leaves_no_lease() {
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let store = builder(&way.url()).call_timeout(ms(400)).watch(ms(50), ms(300));
    let a = cache(store.connect().await.unwrap()).region("r").unwrap();
    let b = region(&server.url(), "r").await;
    a.set("other", &1_u8).await.unwrap();
    let before = way.connections();
    way.rule(|_, from, bytes| {
        let is_script = holds(bytes, "EVAL") && holds(bytes, "{fg}.r");
        if from == From::Client && is_script { Act::Hold(0) } else { Act::Pass }
    });
    assert_eq!(*timed(a.get_or_compute("k", || loaded(7_u8))).await.0.unwrap(), 7);
    until("the connection to be given up", || way.connections() > before).await;
    way.rule(|_, _, _| Act::Pass);
    until_ok(|| async { a.set("other", &2_u8).await }).await;
    way.release();
    until("what was held to arrive", || way.holding() == 0).await;
    until("the old connection to close", || crate::kit::clients(&server) <= 2).await;
    let (value, took) = timed(b.get_or_compute("k", || loaded(8_u8))).await;
    assert_eq!(*value.unwrap(), 8);
    assert!(took < SOON, "the other process waited {took:?}");
}

/// The same key under another type, through another handle or another cache: it waits for itself too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_is_found_through_other_types_and_handles() {
    let server = TestServer::start(Flavor::Redis);
    for region in [cache(MemoryStore::new()).region("r").unwrap(), region(&server.url(), "r").await]
    {
        let inner = region.clone();
        let load = move || async move {
            inner.get_or_compute("k", || loaded("x".to_owned())).await.map(|value| value.len())
        };
        assert!(timed(region.get_or_compute("k", load)).await.0.is_err(), "another type");
        let inner = region.with_policy(Policy::new().ttl(ms(5000))).unwrap();
        let load = move || async move {
            inner.get_or_compute("h", || loaded(1_u8)).await.map(|value| *value)
        };
        assert!(timed(region.get_or_compute("h", load)).await.0.is_err(), "another handle");
        let inner = region.clone();
        let load = move |_: Vec<String>| {
            let inner = inner.clone();
            async move {
                let value = inner.get_or_compute("m2", || loaded(1_u8)).await?;
                Ok::<_, region_cache::Error>(HashMap::from([("m1".to_owned(), *value)]))
            }
        };
        let many = region.get_or_compute_many(&["m1", "m2"], load);
        assert!(timed(many).await.0.is_err(), "one of many");
    }
}

/// A load that gave up waiting waits no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_gave_up_waiting_is_no_part_of_a_circle() {
    let region = cache(MemoryStore::new()).region("r").unwrap();
    let gate = LoadGate::new();
    let (ask_b, load_b) = (region.clone(), region.clone());
    let pass = gate.clone();
    // `a` asks for `b`, gives up, and goes on; `b` then asks for `a`.
    let load_a = move || async move {
        let wait =
            ask_b.get_or_compute::<u8, _, _, _>("b", std::future::pending::<std::io::Result<u8>>);
        let _ = tokio::time::timeout(ms(50), wait).await;
        pass.pass().await;
        loaded(1_u8).await
    };
    let first = tokio::spawn({
        let region = region.clone();
        async move { region.get_or_compute("a", load_a).await }
    });
    gate.until_begun(1).await;
    let load = move || async move {
        load_b.get_or_compute("a", || loaded(9_u8)).await.map(|value| *value + 1)
    };
    let second = tokio::spawn(async move { region.get_or_compute("b", load).await });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    gate.open();
    assert_eq!(*timed(first).await.0.unwrap().unwrap(), 1);
    assert_eq!(*timed(second).await.0.unwrap().unwrap(), 2);
}

/// Who has only begun to ask when the others leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_is_still_reading_keeps_the_load_alive() {
    let server = TestServer::start(Flavor::Redis);
    let way = Way::to(server.port()).await;
    let region = region(&way.url(), "r").await;
    for answers in 0..3 {
        let (key, gate) = (format!("k{answers}"), LoadGate::new());
        let ask = |gate: &LoadGate| {
            let (region, key, load) = (region.clone(), key.clone(), gate.load(7_u8));
            tokio::spawn(async move { region.get_or_compute(&key, load).await })
        };
        let first = ask(&gate);
        gate.until_begun(1).await;
        // The second caller waits for its first, second, .. answer when the first leaves.
        let mut left = answers;
        let name = key.clone();
        let mut asked = HashSet::new();
        way.rule(move |connection, from, bytes| {
            if from == From::Client && holds(bytes, &name) {
                asked.insert(connection);
            }
            if from == From::Server && asked.remove(&connection) {
                if left == 0 {
                    return Act::Hold(0);
                }
                left -= 1;
            }
            Act::Pass
        });
        let second = ask(&gate);
        for _ in 0..50 {
            if way.holding() > 0 {
                break;
            }
            tokio::time::sleep(ms(5)).await;
        }
        first.abort();
        tokio::time::sleep(ms(50)).await;
        way.release();
        gate.open();
        assert_eq!(*timed(second).await.0.unwrap().unwrap(), 7);
        assert_eq!((gate.begun(), gate.dropped()), (1, 0), "after {answers} answers");
    }
}

/// A load that panics, fails or takes too long frees those that wait in other processes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_fails_in_any_way_frees_other_processes() {
    let server = TestServer::start(Flavor::Redis);
    let policy = Policy::new().load_timeout(ms(600));
    for way in 0..5 {
        let a = cache_with(connect(&server.url()).await, policy.clone()).region("r").unwrap();
        // The fourth time the store ends with the load.
        let _kept = (way != 4).then(|| a.clone());
        let b = region(&server.url(), "r").await;
        let (key, gate) = (format!("k{way}"), LoadGate::new());
        let pass = gate.clone();
        let load = move || async move {
            pass.pass().await;
            match way {
                0 | 4 => Err(std::io::Error::other("no row")),
                1 => panic!("the loader panics"),
                _ => std::future::pending().await,
            }
        };
        let name = key.clone();
        let first = tokio::spawn(async move { a.get_or_compute::<u8, _, _, _>(&name, load).await });
        gate.until_begun(1).await;
        let waiting =
            tokio::spawn(async move { timed(b.get_or_compute(&key, || loaded(8_u8))).await });
        tokio::time::sleep(ms(30)).await;
        gate.open();
        if way == 3 {
            first.abort();
        }
        let (value, took) = waiting.await.unwrap();
        assert!(*value.unwrap() == 8 && took < SOON, "{way}: the other process waited {took:?}");
    }
}

//! Loads that wait for each other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{Error, ErrorKind, Region, RegionHandle, Result};
use tokio::sync::Barrier;

use super::kit::{faulty, memory, region, within};

const LIMIT: Duration = Duration::from_secs(2);

/// The error of a cycle, wherever in the chain of loaders' errors it is.
fn cycle_in(error: &Error) -> String {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<Error>()
            && error.kind() == ErrorKind::LoadCycle
        {
            return error.to_string();
        }
        source = error.source();
    }
    panic!("no cycle: {error}")
}

/// Loads the first of `keys` by loading the next, and so on; the last is loaded by none.
fn load_along(region: RegionHandle, keys: &'static [&'static str]) -> BoxLoad {
    Box::pin(async move {
        let Some((first, rest)) = keys.split_first() else { return Ok(0) };
        let inner = region.clone();
        let load = move || async move { Ok::<_, Error>(load_along(inner, rest).await? + 1) };
        region.get_or_compute(first, load).await.map(|value| *value)
    })
}

type BoxLoad = std::pin::Pin<Box<dyn Future<Output = Result<u32>> + Send>>;

/// Bug: a load that asked for its own key waited for itself.
/// Effect: it and all who waited for it hung for ever.
/// Fix: the process knows which load waits for which; the call that would close a cycle is an error.
#[tokio::test(start_paused = true)]
async fn a_load_that_asks_for_its_own_key_is_an_error() {
    let cases: [(&[&str], &str); 3] = [
        (&["x", "x"], "r.a \"x\" -> r.a \"x\""),
        (&["x", "y", "x"], "r.a \"x\" -> r.a \"y\" -> r.a \"x\""),
        (&["x", "y", "z", "y"], "r.a \"y\" -> r.a \"z\" -> r.a \"y\""),
    ];
    for (keys, chain) in cases {
        let region = region(memory());
        let error = within(LIMIT, load_along(region.clone(), keys)).await.unwrap_err();
        let text = cycle_in(&error);
        assert!(text.contains(&chain[..chain.len() / 2]), "{text}");
        assert_eq!(text.matches(" -> ").count(), chain.matches(" -> ").count(), "{text}");
        // Nothing is left behind: the keys can be loaded.
        assert_eq!(within(LIMIT, load_along(region, &["x", "y", "z"])).await.unwrap(), 3);
    }
}

/// The same without a store to ask.
#[tokio::test(start_paused = true)]
async fn a_load_that_asks_for_its_own_key_is_an_error_during_an_outage() {
    let store = faulty();
    store.inner().on_any().fail(ErrorKind::Unavailable);
    let region = region(store);
    for keys in [&["x", "x"][..], &["x", "y", "z", "x"]] {
        let error = within(LIMIT, load_along(region.clone(), keys)).await.unwrap_err();
        cycle_in(&error);
    }
    assert_eq!(within(LIMIT, load_along(region, &["x", "y", "z"])).await.unwrap(), 3);
}

/// Loads `key`; its loader waits at the barrier and then asks for `other`.
fn crossing(
    region: &RegionHandle,
    barrier: &Arc<Barrier>,
    key: &'static str,
    other: &'static str,
) -> tokio::task::JoinHandle<Result<u32>> {
    let (region, barrier) = (region.clone(), Arc::clone(barrier));
    tokio::spawn(async move {
        let inner = region.clone();
        let load = move || async move {
            barrier.wait().await;
            let load = || async { Ok::<_, Error>(1) };
            inner.get_or_compute::<u32, _, _, _>(other, load).await.map(|value| *value)
        };
        region.get_or_compute(key, load).await.map(|value| *value)
    })
}

/// Bug, effect and fix as above, for loads in several tasks, and in caches of their own.
#[tokio::test(start_paused = true)]
async fn loads_that_ask_for_each_other_are_an_error() {
    let rings: [&[&str]; 3] = [&["x", "y"], &["x", "y", "z"], &["a", "b", "c", "d", "e"]];
    for ring in rings {
        for is_one_cache in [true, false] {
            let store = memory();
            let one = region(store.clone());
            let barrier = Arc::new(Barrier::new(ring.len()));
            let call = |at: usize| {
                let region = if is_one_cache { one.clone() } else { region(store.clone()) };
                crossing(&region, &barrier, ring[at], ring[(at + 1) % ring.len()])
            };
            let calls: Vec<_> = (0..ring.len()).map(call).collect();
            let mut failed = 0;
            for call in calls {
                if let Err(error) = within(LIMIT, call).await.unwrap() {
                    cycle_in(&error);
                    failed += 1;
                }
            }
            assert!(failed > 0, "{ring:?}, one cache: {is_one_cache}");
        }
    }
}

/// A loader of several keys that asks for one of them waits for itself.
#[tokio::test(start_paused = true)]
async fn loads_of_several_keys_take_part_in_cycles() {
    let region = region(memory());
    let inner = region.clone();
    let load = move |_| {
        let region = inner.clone();
        async move {
            let load = || async { Ok::<_, Error>(1u32) };
            region.get_or_compute("y", load).await?;
            Ok::<_, Error>(HashMap::from([("x".to_owned(), 1u32), ("y".to_owned(), 2)]))
        }
    };
    let many = region.get_or_compute_many(&["x", "y"], load);
    let error = within(LIMIT, many).await.unwrap_err();
    assert!(cycle_in(&error).contains("r.a \"x\", \"y\""), "{error}");
}

/// Loads that share an inner load, or wait for one another without a cycle, are no error.
#[tokio::test(start_paused = true)]
async fn loads_that_share_an_inner_load_are_no_cycle() {
    let store = faulty();
    store.inner().on(Method::Begin).delay_before(Duration::from_millis(2));
    let region = region(store);
    let keys: [&[&str]; 6] =
        [&["a", "z"], &["b", "z"], &["c", "a", "z"], &["d", "c", "a"], &["z"], &["e", "b", "z"]];
    let calls: Vec<_> =
        keys.into_iter().map(|keys| tokio::spawn(load_along(region.clone(), keys))).collect();
    for call in calls {
        within(LIMIT, call).await.unwrap().unwrap();
    }
}

//! Handles that remember, for the time of one request.

#![cfg(feature = "testing")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use region_core::testing::{Faulty, Method, Recorder};
use region_core::{
    ErrorKind, LoadOptions, Loaded, Memo, Outcome, Policy, Region, RegionCache, RegionExt,
    RegionHandle, TokioClock,
};
use region_memory::MemoryStore;
use tokio::time::{advance, sleep};

type Calls = Recorder<Faulty<MemoryStore>>;

const LOAD: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

fn cache() -> (Calls, RegionCache) {
    let store = MemoryStore::builder().clock(TokioClock::new()).build();
    let store = Recorder::new(Faulty::new(store));
    let policy = Policy::new().ttl(100 * SECOND);
    let cache = RegionCache::builder(store.clone()).root("r").policy(policy).build().unwrap();
    (store, cache)
}

/// A store with `k` set to 1 in `a.b`, the handle of that region, and a memo of it.
async fn region() -> (Calls, RegionHandle, Memo<RegionHandle>) {
    let (store, cache) = cache();
    let region = cache.region("a.b").unwrap();
    region.set("k", &1u32).await.unwrap();
    let memo = cache.root().memo().region("a.b").unwrap();
    store.clear();
    (store, region, memo)
}

async fn get(region: &impl Region, key: &str) -> Option<u32> {
    region.get::<u32>(key).await.unwrap().map(|value| *value)
}

async fn compute(region: &impl Region, key: &str, value: u32) -> u32 {
    let load = move || async move { Ok::<_, Infallible>(value) };
    *region.get_or_compute(key, load).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_key_is_looked_up_once() {
    let (store, region, memo) = region().await;
    for _ in 0..3 {
        assert_eq!((get(&memo, "k").await, get(&memo, "none").await), (Some(1), None));
        assert_eq!(memo.get_many::<u32>(&["k", "none", "k"]).await.unwrap().len(), 3);
        assert_eq!(compute(&memo, "k", 9).await, 1);
    }
    assert_eq!((store.count(Method::Read), store.total()), (2, 2));
    let answer = memo.get_answer::<u32>("k").await.unwrap();
    assert_eq!(answer.outcome(), Outcome::Remembered);
    assert!(memo.contains("k").await.unwrap());
    assert_eq!(store.total(), 2);
    // Of several keys those that are not known yet are read together.
    region.set_many(&[("x", &1u32), ("y", &2u32)]).await.unwrap();
    store.clear();
    let many = memo.get_many::<u32>(&["y", "k", "x", "y"]).await.unwrap();
    let many: Vec<_> = many.into_iter().map(|value| *value.unwrap()).collect();
    assert_eq!(many, [2, 1, 1, 2]);
    assert_eq!((get(&memo, "x").await, get(&memo, "y").await), (Some(1), Some(2)));
    assert_eq!(store.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_what_it_says() {
    let (_, region, memo) = region().await;
    assert_eq!(get(&memo, "k").await, Some(1));
    region.set("k", &2u32).await.unwrap();
    assert_eq!(get(&memo, "k").await, Some(1), "another handle's change is not seen");
    region.invalidate().await.unwrap();
    advance(1000 * SECOND).await;
    assert_eq!(get(&memo, "k").await, Some(1), "nor does its ttl matter");
    assert_eq!(get(memo.inner(), "k").await, None);
    assert_eq!(get(&region.memo(), "k").await, None, "the next request");
}

#[tokio::test(start_paused = true)]
async fn own_writes_are_seen() {
    let (_, region, memo) = region().await;
    let seen = async |expected| {
        assert_eq!(get(&memo, "k").await, expected);
        assert_eq!(memo.get_many::<u32>(&["k"]).await.unwrap()[0].as_deref().copied(), expected);
    };
    seen(Some(1)).await;
    memo.set("k", &2u32).await.unwrap();
    seen(Some(2)).await;
    memo.transaction_of(3).await;
    seen(Some(3)).await;
    assert!(memo.remove("k").await.unwrap());
    seen(None).await;
    assert!(memo.set_if_absent("k", &4u32).await.unwrap());
    seen(Some(4)).await;
    assert_eq!(memo.take::<u32>("k").await.unwrap().as_deref(), Some(&4));
    seen(None).await;
    assert_eq!(compute(&memo, "k", 5).await, 5);
    seen(Some(5)).await;
    let load = |_| async { Ok::<_, Infallible>(Loaded::new(6u32)) };
    let options = LoadOptions::new().reload();
    memo.get_or_compute_with("k", options, load).await.unwrap();
    seen(Some(6)).await;
    // Another type of the key too.
    assert_eq!(memo.get::<String>("k").await.unwrap(), None);
    memo.set("k", &"text".to_owned()).await.unwrap();
    assert_eq!(memo.get::<String>("k").await.unwrap().as_deref().map(String::as_str), Some("text"));
    seen(None).await;
    assert_eq!(
        region.get::<String>("k").await.unwrap().as_deref().map(String::as_str),
        Some("text")
    );
}

trait TransactionOf {
    async fn transaction_of(&self, value: u32);
}

impl<R: Region> TransactionOf for Memo<R> {
    async fn transaction_of(&self, value: u32) {
        let mut transaction = self.transaction();
        transaction.set("k", value);
        transaction.commit().await.unwrap();
    }
}

/// A verb forgets what it covers, above and below, and what depends on it; also if it fails or is dropped.
#[tokio::test(start_paused = true)]
async fn verbs_forget() {
    let (store, cache) = cache();
    let root = cache.root().memo();
    let (page, prices) = (root.region("page").unwrap(), root.region("prices").unwrap());
    let inner = page.region("x.y").unwrap();
    for round in 0..5u32 {
        let load = move |_| async move { Ok::<_, Infallible>(Loaded::new(round)) };
        let options = LoadOptions::new().depends_on(&prices);
        let loaded = page.get_or_compute_with("k", options, load).await.unwrap();
        assert_eq!(loaded.as_deref(), Some(&round), "what it depended on has ended");
        inner.set("k", &round).await.unwrap();
        prices.set("k", &round).await.unwrap();
        assert_eq!((get(&inner, "k").await, get(&prices, "k").await), (Some(round), Some(round)));
        match round {
            0 => prices.invalidate().await.unwrap(),
            1 => prices.touch().await.unwrap(),
            2 => root.expire().await.unwrap(),
            _ => root.invalidate_and_touch().await.unwrap(),
        }
        assert_eq!(get(&prices, "k").await, None, "round {round}");
        let expected = if round < 2 { Some(round) } else { None };
        assert_eq!(get(&inner, "k").await, expected, "round {round}");
    }

    prices.set("k", &7u32).await.unwrap();
    assert_eq!(get(&prices, "k").await, Some(7));
    store.inner().on(Method::End).nth(1).lose_reply();
    let error = prices.invalidate().await.unwrap_err();
    assert_eq!((error.kind(), get(&prices, "k").await), (ErrorKind::Timeout, None));

    prices.set("k", &8u32).await.unwrap();
    assert_eq!(get(&prices, "k").await, Some(8));
    let pause = store.inner().on(Method::End).nth(1).pause_after();
    let ending = tokio::spawn({
        let prices = prices.clone();
        async move { prices.invalidate().await }
    });
    pause.reached().await;
    ending.abort();
    assert!(ending.await.unwrap_err().is_cancelled());
    assert_eq!(get(&prices, "k").await, None);
}

/// A read that began before an own write ends is not remembered past it.
#[tokio::test(start_paused = true)]
async fn reads_that_a_write_overtakes_are_not_remembered() {
    let (store, _, memo) = region().await;
    let other = memo.clone();
    let pause = store.inner().on(Method::Read).nth(1).pause_after();
    let reading = tokio::spawn(async move { get(&other, "k").await });
    pause.reached().await;
    memo.set("k", &2u32).await.unwrap();
    pause.release();
    assert_eq!(reading.await.unwrap(), Some(1), "the read began first");
    assert_eq!(get(&memo, "k").await, Some(2));

    // The same while the write is under way.
    let pause = store.inner().on(Method::Write).nth(1).pause();
    let writing = tokio::spawn({
        let memo = memo.clone();
        async move { memo.set("k", &3u32).await.unwrap() }
    });
    pause.reached().await;
    assert_eq!(get(&memo, "k").await, Some(2));
    let many = memo.get_many::<u32>(&["k", "other"]).await.unwrap();
    assert_eq!(many[0].as_deref(), Some(&2));
    pause.release();
    writing.await.unwrap();
    assert_eq!(get(&memo, "k").await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn callers_join_lookups_and_loads() {
    let (store, _, memo) = region().await;
    let reads = [(); 5].map(|()| get(&memo, "k"));
    assert_eq!(futures_util::future::join_all(reads).await, [Some(1); 5]);
    assert_eq!(store.count(Method::Read), 1);

    let load = |value: u32| {
        move || async move {
            sleep(LOAD).await;
            Ok::<_, Infallible>(value)
        }
    };
    let calls = (0..5).map(|value| memo.get_or_compute_answer("new", load(value)));
    let answers = futures_util::future::join_all(calls).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| **answer.value() == 0));
    assert_eq!(answers[0].outcome(), Outcome::Loaded);
    assert!(answers[1..].iter().all(|answer| answer.outcome() == Outcome::Remembered));

    // A read does not wait for a load, and the first caller may go away.
    let first = tokio::spawn({
        let (memo, load) = (memo.clone(), load(7));
        async move { memo.get_or_compute("slow", load).await }
    });
    sleep(LOAD / 4).await;
    assert_eq!(get(&memo, "slow").await, None);
    let second = tokio::spawn({
        let (memo, load) = (memo.clone(), load(8));
        async move { memo.get_or_compute("slow", load).await.map(|value| *value) }
    });
    sleep(LOAD / 4).await;
    first.abort();
    assert_eq!(second.await.unwrap().unwrap(), 7);
}

/// An error is everyone's who waited, and the next call tries again.
#[tokio::test(start_paused = true)]
async fn errors_are_not_remembered() {
    let (_, _, memo) = region().await;
    let fail = || async {
        sleep(LOAD).await;
        Err::<u32, _>(std::io::Error::other("down"))
    };
    let calls = [(); 3].map(|()| memo.get_or_compute("new", fail));
    for failed in futures_util::future::join_all(calls).await {
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Load);
    }
    assert_eq!(compute(&memo, "new", 7).await, 7);
    // A miss is remembered, and loaded by who can.
    assert_eq!(get(&memo, "other").await, None);
    assert_eq!(compute(&memo, "other", 8).await, 8);
    assert_eq!(get(&memo, "other").await, Some(8));
}

#[tokio::test(start_paused = true)]
async fn absences_and_batches_are_remembered() {
    let (store, cache) = cache();
    let memo = cache.root().memo();
    let absent = || {
        let load = |_| async { Ok::<_, Infallible>(Loaded::<u32>::absent()) };
        memo.get_or_compute_with("k", LoadOptions::new(), load)
    };
    assert_eq!(absent().await.unwrap(), None);
    store.clear();
    assert_eq!((absent().await.unwrap(), get(&memo, "k").await), (None, None));
    assert_eq!(store.total(), 0);
    assert_eq!(compute(&memo, "k", 3).await, 3, "a value is wanted");

    let load = |keys: Vec<String>| async {
        let found = keys.into_iter().filter(|key| key != "left out");
        Ok::<_, Infallible>(found.map(|key| (key, 5u32)).collect::<HashMap<_, _>>())
    };
    let keys = ["k", "x", "left out"];
    for _ in 0..2 {
        let values = memo.get_or_compute_many(&keys, load).await.unwrap();
        let values: Vec<_> = values.iter().map(|value| value.as_deref().copied()).collect();
        assert_eq!(values, [Some(3), Some(5), None]);
    }
    store.clear();
    assert_eq!(get(&memo, "x").await, Some(5));
    assert_eq!(store.total(), 0);
    assert_eq!(compute(&memo, "left out", 6).await, 6);
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_bounded_and_ends_with_the_handles() {
    const MOST: usize = 10;
    let (store, cache) = cache();
    let memo = cache.root().memo().with_max_keys(MOST);
    for _ in 0..2 {
        for key in 0..2 * MOST {
            assert_eq!(get(&memo, &key.to_string()).await, None);
        }
    }
    assert_eq!(store.count(Method::Read), (3 * MOST) as u64, "the first ten are remembered");

    cache.root().set("k", &1u32).await.unwrap();
    let memo = cache.root().memo();
    let kept = memo.get::<u32>("k").await.unwrap().unwrap();
    let deeper = memo.region("a").unwrap();
    drop(memo);
    assert_eq!(Arc::strong_count(&kept), 2);
    drop(deeper);
    assert_eq!(Arc::strong_count(&kept), 1);
}

/// Handles with another policy decode otherwise, and share nothing but what is forgotten.
#[tokio::test(start_paused = true)]
async fn policies_are_told_apart() {
    let (_, _, memo) = region().await;
    let next = memo.with_policy(Policy::new().version(2)).unwrap();
    assert_eq!((get(&memo, "k").await, get(&next, "k").await), (Some(1), None));
    next.set("k", &2u32).await.unwrap();
    assert_eq!((get(&memo, "k").await, get(&next, "k").await), (None, Some(2)));
}

/// A load that asks for its own key through a memo is an error, as without one.
#[tokio::test(start_paused = true)]
async fn cycles_are_noticed() {
    let (_, _, memo) = region().await;
    let inside = memo.clone();
    let load = move || async move {
        inside
            .get_or_compute("self", || async { Ok::<_, Infallible>(1u32) })
            .await
            .map(|value| *value)
    };
    let error = tokio::time::timeout(SECOND, memo.get_or_compute("self", load)).await;
    let error = error.unwrap().unwrap_err();
    assert!(error.to_string().contains("load"), "{error}");
    // What a load reads is remembered too.
    let inside = memo.clone();
    let load = move || async move { Ok::<_, Infallible>(get(&inside, "k").await.unwrap() + 1) };
    assert_eq!(*memo.get_or_compute("sum", load).await.unwrap(), 2);
}

//! What each situation counts as.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{
    ErrorKind, Event, LoadOptions, Loaded, NearCache, Op, Policy, Put, Region, RegionCache,
    RegionExt, SetOptions, Store, Verb, Write,
};

use super::kit::{cache, counted, faulty, memory, reads};

const SECOND: Duration = Duration::from_secs(1);

/// One key read in one situation, with `get` and with `get_many`.
async fn assert_read(cache: &RegionCache, key: &str, expected: &[(&str, u64)]) {
    let region = cache.region("a").unwrap();
    let before = reads(&cache.stats());
    assert_eq!(counted(cache, region.get::<u32>(key)).await, expected, "get of {key}");
    assert_eq!(counted(cache, region.get_many::<u32>(&[key])).await, expected, "get_many of {key}");
    assert_eq!(reads(&cache.stats()), before + 2, "{key}");
}

#[tokio::test(start_paused = true)]
async fn a_read_from_the_store_counts_once_and_by_reason() {
    let (store, policy) = (faulty(), Policy::new().ttl(SECOND).stale_for(9 * SECOND));
    let cache = cache(store.clone(), policy);
    let region = cache.region("a").unwrap();
    region.set("stale", &1u32).await.unwrap();
    tokio::time::advance(2 * SECOND).await;
    region.set("fresh", &1u32).await.unwrap();
    region.set("text", &"one".to_owned()).await.unwrap();
    let other_version = region.with_policy(Policy::new().version(7)).unwrap();
    other_version.set("version", &1u32).await.unwrap();
    let bad = [Op::Put(Put::new("bad", "no envelope")), Op::Put(Put::new("short", "x"))];
    store.write(region.path(), Write::new(&bad)).await.unwrap();

    assert_read(&cache, "fresh", &[("store hit", 1)]).await;
    assert_read(&cache, "none", &[("absent", 1)]).await;
    assert_read(&cache, "stale", &[("expired", 1)]).await;
    assert_read(&cache, "text", &[("other type", 1)]).await;
    assert_read(&cache, "version", &[("other type", 1)]).await;
    assert_read(&cache, "bad", &[("bad bytes", 1)]).await;
    assert_read(&cache, "short", &[("bad bytes", 1)]).await;
    store.on(Method::Read).fail(ErrorKind::Unavailable);
    assert_read(&cache, "fresh", &[("unavailable", 1)]).await;
}

/// Ended values are told from those that never were, for as long as the store has not freed it. Asking if
/// there is a value counts nothing.
#[tokio::test(start_paused = true)]
async fn what_has_ended_counts_as_fenced_or_expired_while_it_is_there() {
    let store = memory();
    let cache = cache(store.clone(), Policy::new());
    let region = cache.region("a").unwrap();
    let load = || async { Ok::<_, Infallible>(2u32) };
    let short = SetOptions::new().ttl(SECOND);
    let set = async |key| region.set_with(key, &1u32, short).await.unwrap();

    set("k").await;
    tokio::time::advance(SECOND).await;
    assert_read(&cache, "k", &[("expired", 1)]).await;
    assert_read(&cache, "never", &[("absent", 1)]).await;
    for verb in [Verb::Expire, Verb::Invalidate] {
        set("k").await;
        set("other").await;
        store.end(cache.root().path(), verb.into()).await.unwrap();
        assert_read(&cache, "k", &[("fenced", 1)]).await;
        assert_read(&cache, "never", &[("absent", 1)]).await;
        assert_eq!(counted(&cache, region.contains("k")).await, []);
        let keys = ["never", "other", "k"];
        let many = counted(&cache, region.get_many::<u32>(&keys)).await;
        assert_eq!(many, [("absent", 1), ("fenced", 2)]);
        let one = counted(&cache, region.get_or_compute("k", load)).await;
        assert_eq!(one, [("fenced", 1), ("load", 1)]);
        assert_read(&cache, "k", &[("store hit", 1)]).await;
    }

    // A region's own entries are dropped at once, and a removed one is.
    region.invalidate().await.unwrap();
    assert_read(&cache, "k", &[("absent", 1)]).await;
    set("k").await;
    region.remove("k").await.unwrap();
    assert_read(&cache, "k", &[("absent", 1)]).await;

    set("k").await;
    cache.root().invalidate().await.unwrap();
    store.reclaim();
    assert_read(&cache, "k", &[("absent", 1)]).await;
}

/// A load begins with a read, which counts as any other.
#[tokio::test(start_paused = true)]
async fn the_read_before_a_load_has_each_reason() {
    let reasons =
        ["absent", "expired", "fenced", "bad bytes", "other type", "dependency", "unavailable"];
    for reason in reasons {
        // Each form has a store of its own: what one writes may free what the other is to find.
        let (cache, region) = region_with_a_miss(reason).await;
        let load = || async { Ok::<_, Infallible>(2u32) };
        let of_one = counted(&cache, region.get_or_compute("k", load)).await;
        assert_eq!(of_one, [(reason, 1), ("load", 1)], "one key");

        let (cache, region) = region_with_a_miss(reason).await;
        let load = |keys: Vec<String>| async {
            Ok::<_, Infallible>(keys.into_iter().map(|key| (key, 2u32)).collect::<HashMap<_, _>>())
        };
        let of_many = counted(&cache, region.get_or_compute_many(&["k"], load)).await;
        assert_eq!(of_many, [(reason, 1), ("load", 1)], "several keys");
    }
}

/// A region whose key `"k"` is missed for this reason.
async fn region_with_a_miss(reason: &str) -> (RegionCache, impl Region) {
    let store = faulty();
    let cache = cache(store.clone(), Policy::new().stale_for(9 * SECOND));
    let region = cache.region("a").unwrap();
    match reason {
        "absent" => {}
        "bad bytes" => {
            let bad = [Op::Put(Put::new("k", "no envelope"))];
            drop(store.write(region.path(), Write::new(&bad)).await.unwrap());
        }
        "other type" => region.set("k", &"one".to_owned()).await.unwrap(),
        "dependency" => {
            let prices = cache.region("prices").unwrap();
            let options = LoadOptions::new().depends_on(&prices);
            let depending = |_| async { Ok::<_, Infallible>(Loaded::new(1u32)) };
            region.get_or_compute_with("k", options, depending).await.unwrap();
            prices.invalidate().await.unwrap();
        }
        _ => region.set_with("k", &1u32, SetOptions::new().ttl(SECOND)).await.unwrap(),
    }
    match reason {
        "expired" => tokio::time::advance(2 * SECOND).await,
        "fenced" => cache.root().invalidate().await.unwrap(),
        "unavailable" => drop(store.on(Method::Read).fail(ErrorKind::Unavailable)),
        _ => {}
    }
    (cache, region)
}

/// A caller that comes during the load, and need not read the key, counts as the read that began the load.
#[tokio::test(start_paused = true)]
async fn callers_of_one_load_count_the_same_reason() {
    let cache = cache(faulty(), Policy::new());
    let region = cache.region("a").unwrap();
    let load = || async {
        tokio::time::sleep(SECOND).await;
        Ok::<_, Infallible>(2u32)
    };
    for (end, reason) in [(Verb::Invalidate, "fenced"), (Verb::Touch, "absent")] {
        region.set("k", &1u32).await.unwrap();
        match end {
            Verb::Invalidate => cache.root().invalidate().await.unwrap(),
            _ => region.touch().await.unwrap(),
        }
        let late = async {
            tokio::time::sleep(SECOND / 2).await;
            tokio::join!(region.get_or_compute("k", load), region.get_or_compute("k", load))
        };
        let calls = async {
            tokio::join!(region.get_or_compute("k", load), region.get_or_compute("k", load), late)
        };
        let counted = counted(&cache, calls).await;
        assert!(counted.contains(&(reason, 4)), "{counted:?}");
        assert!(counted.contains(&("load", 1)), "{counted:?}");
    }
}

/// A value near that is found to be of another lineage is no miss by itself: the store is asked, and what it
/// shows is counted, once.
#[tokio::test(start_paused = true)]
async fn a_value_near_that_was_fenced_counts_once() {
    let store = memory();
    let other = cache(store.client(), Policy::new());
    let cache = cache(store, Policy::new().near(NearCache::On));
    let region = cache.region("a").unwrap();
    region.set("k", &1u32).await.unwrap();
    region.get::<u32>("k").await.unwrap();
    assert_read(&cache, "k", &[("near hit", 1)]).await;
    other.root().invalidate().await.unwrap();
    let fenced = counted(&cache, region.get::<u32>("k")).await;
    assert_eq!(fenced, [("fenced", 1), ("doubt", 1), ("verification", 1)]);
    assert_read(&cache, "k", &[("fenced", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn loads_count_their_read_and_their_time() {
    let cache = cache(memory(), Policy::new().ttl(SECOND).stale_for(9 * SECOND));
    let region = cache.region("a").unwrap();
    let load = || async {
        tokio::time::sleep(2 * SECOND).await;
        Ok::<_, Infallible>(1u32)
    };
    let missing = counted(&cache, region.get_or_compute("k", load)).await;
    assert_eq!(missing, [("absent", 1), ("load", 1)]);
    assert_eq!(counted(&cache, region.get_or_compute("k", load)).await, [("store hit", 1)]);
    tokio::time::advance(2 * SECOND).await;
    let failing = || async { Err::<u32, _>("the source is down") };
    let stale = counted(&cache, region.get_or_compute("k", failing)).await;
    assert_eq!(stale, [("stale hit", 1), ("expired", 1), ("load", 1)]);
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures), (2, 1));
    assert_eq!((stats.load_time.count, stats.load_time.total), (2, 2 * SECOND));
    assert_eq!((stats.load_time.longest, stats.load_time.mean()), (2 * SECOND, Some(SECOND)));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_load_is_counted() {
    let store = memory();
    let (here, there) = (cache(store.client(), Policy::new()), cache(store, Policy::new()));
    let (mine, theirs) = (here.region("a").unwrap(), there.region("a").unwrap());
    let load = || async {
        tokio::time::sleep(SECOND).await;
        Ok::<_, Infallible>(1u32)
    };
    let (first, waits) = (mine.get_or_compute("k", load), theirs.get_or_compute("k", load));
    let (joins, late) = (mine.get_or_compute("k", load), tokio::time::sleep(SECOND / 2));
    let (first, joined, waited, ()) = tokio::join!(
        first,
        joins,
        async { (tokio::time::sleep(SECOND / 4).await, waits.await).1 },
        late
    );
    assert_eq!((*first.unwrap(), *joined.unwrap(), *waited.unwrap()), (1, 1, 1));
    let (mine, theirs) = (here.stats(), there.stats());
    assert_eq!((mine.loads, mine.joined_loads, mine.lease_waits), (1, 1, 0));
    assert_eq!((theirs.loads, theirs.joined_loads, theirs.lease_waits), (0, 0, 1));
    assert_eq!((reads(&mine), reads(&theirs)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn absence_is_no_hit_and_no_miss_for_who_asks_for_it() {
    let cache = cache(memory(), Policy::new().ttl(SECOND));
    let region = cache.region("a").unwrap();
    let load = |_| async { Ok::<_, Infallible>(Loaded::<u32>::absent()) };
    let options = LoadOptions::new;
    let first = counted(&cache, region.get_or_compute_with("k", options(), load)).await;
    assert_eq!(first, [("absent", 1), ("load", 1)]);
    let second = counted(&cache, region.get_or_compute_with("k", options(), load)).await;
    assert_eq!(second, [("absent hit", 1)]);
    assert_eq!(counted(&cache, region.get::<u32>("k")).await, [("absent", 1)]);
    let near = region.with_policy(Policy::new().near(NearCache::On)).unwrap();
    assert_eq!(counted(&cache, near.get::<u32>("k")).await, [("absent", 1)]);
    let again = counted(&cache, near.get_or_compute_with("k", options(), load)).await;
    assert_eq!(again, [("near absence", 1), ("absent hit", 1)]);
    let miss = [("near absence", 1), ("absent", 1)];
    assert_eq!(counted(&cache, near.get::<u32>("k")).await, miss);
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_has_ended_is_the_reason() {
    let cache = cache(memory(), Policy::new());
    let (page, prices) = (cache.region("a").unwrap(), cache.region("prices").unwrap());
    let load = |_| async { Ok::<_, Infallible>(Loaded::new(1u32)) };
    let options = LoadOptions::new().depends_on(&prices);
    page.get_or_compute_with("k", options, load).await.unwrap();
    assert_read(&cache, "k", &[("store hit", 1)]).await;
    prices.invalidate().await.unwrap();
    assert_read(&cache, "k", &[("dependency", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn near_hits_doubts_and_evictions_are_counted() {
    const BOUND: u64 = 64 * 1024;
    let store = faulty();
    let builder = RegionCache::builder(store.clone()).root("r").near(BOUND);
    let cache = builder.build().unwrap();
    let region = cache.region("a").unwrap();
    region.set("k", &1u32).await.unwrap();
    // The store pushes the own change too.
    region.get::<u32>("k").await.unwrap();
    assert_read(&cache, "k", &[("near hit", 1)]).await;

    store.push(Event::Entries(region.path().clone()));
    let doubted = [("near hit", 1), ("doubt", 1), ("retrusted", 1), ("verification", 1)];
    assert_eq!(counted(&cache, region.get::<u32>("k")).await, doubted);
    store.push(Event::Entries(region.path().clone()));
    assert_eq!(counted(&cache, region.get_many::<u32>(&["k"])).await, doubted);

    let other = RegionCache::builder(store.inner().client()).root("r").build().unwrap();
    other.region("a").unwrap().set("k", &2u32).await.unwrap();
    let changed = counted(&cache, region.get::<u32>("k")).await;
    assert_eq!(changed, [("store hit", 1), ("doubt", 1), ("verification", 1)]);

    store.push(Event::All);
    store.on(Method::Read).fail(ErrorKind::Unavailable);
    let outage = counted(&cache, region.get::<u32>("k")).await;
    assert_eq!(outage, [("unavailable", 1), ("doubt", 1), ("verification", 1)]);
    store.heal();

    assert_eq!(cache.stats().near_evictions, 0);
    for n in 0..1_000 {
        region.set(&format!("k{n}"), &"x".repeat(100)).await.unwrap();
    }
    let held = cache.near_use().entries;
    let evicted = region.stats().near_evictions;
    assert!(evicted > 0 && held + evicted >= 1_000 - 10, "{held} held, {evicted} evicted");
    assert_eq!(cache.stats().near_evictions, evicted);
}

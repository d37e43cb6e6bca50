//! Hits, and what they may not serve.

use std::convert::Infallible;
use std::time::Duration;

use region_core::testing::Method;
use region_core::{NearCache, Policy, Region, RegionCache, RegionExt, SetOptions};

use super::kit::{Process, Pushes, keys, memory, two};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_hit_asks_the_store_nothing() {
    let (here, there) = two();
    there.region("a").set("k", &7u32).await.unwrap();
    let mine = here.region("a");
    assert_eq!(here.get(&mine).await, (Some(7), vec![keys(&["k"])]));
    here.assert_near(&mine, 7).await;
    let stats = here.cache.stats();
    assert_eq!((stats.hits, stats.near_hits, stats.misses), (2, 1, 0));
    // Another handle of the same region, and of another policy, shares it.
    here.assert_near(&here.region("a"), 7).await;
    here.assert_near(&mine.with_policy(Policy::new().ttl(SECOND)).unwrap(), 7).await;
}

#[tokio::test]
async fn the_policy_decides_for_each_region() {
    let store = memory();
    let here = Process::new(&store, Pushes::OfOthers, Policy::new());
    let off = here.region("a").with_policy(Policy::new().near(NearCache::Off)).unwrap();
    off.set("k", &7u32).await.unwrap();
    for _ in 0..2 {
        assert_eq!(here.get(&off).await, (Some(7), vec![keys(&["k"])]));
    }
    let plain = RegionCache::builder(store).root("r").build().unwrap();
    let on = plain.region("a").unwrap().with_policy(Policy::new().near(NearCache::On)).unwrap();
    for _ in 0..2 {
        assert_eq!(on.get::<u32>("k").await.unwrap().as_deref(), Some(&7));
    }
    assert_eq!((plain.stats().hits, plain.stats().near_hits), (2, 1));
    assert!(plain.near_use().bytes > 0);
}

#[tokio::test]
async fn many_keys_are_looked_for_near_first() {
    let (here, there) = two();
    let mine = here.region("a");
    for key in ["a", "b", "c"] {
        there.region("a").set(key, &key.to_owned()).await.unwrap();
    }
    mine.get::<String>("b").await.unwrap();
    here.calls.clear();
    for asked in [vec![keys(&["a", "c"])], vec![]] {
        let values = mine.get_many::<String>(&["a", "b", "c"]).await.unwrap();
        let values: Vec<_> = values.iter().map(|value| value.as_deref().unwrap()).collect();
        assert_eq!(values, ["a", "b", "c"]);
        assert_eq!(here.reads(), asked);
        here.calls.clear();
    }
}

/// A value of another type, format version or serializer is never taken for one that is asked for.
#[tokio::test]
async fn a_value_is_found_as_what_it_is_alone() {
    let (here, _) = two();
    let mine = here.region("a");
    mine.set("k", &7u32).await.unwrap();
    here.assert_near(&mine, 7).await;
    assert_eq!(mine.get::<String>("k").await.unwrap(), None);
    let later = mine.with_policy(Policy::new().version(2)).unwrap();
    assert_eq!(later.get::<u32>("k").await.unwrap(), None);
    here.assert_near(&mine, 7).await;
}

#[tokio::test(start_paused = true)]
async fn a_value_ends_with_its_own_lifetime() {
    let (here, there) = two();
    let mine = here.region("a");
    let write = there.region("a");
    write.set_with("k", &7u32, SetOptions::new().ttl(2 * SECOND)).await.unwrap();
    here.assert_value(&mine, Some(7)).await;
    tokio::time::advance(SECOND).await;
    here.assert_near(&mine, 7).await;
    tokio::time::advance(SECOND).await;
    here.assert_value(&mine, None).await;
    // What this process has put itself too.
    mine.set_with("k", &8u32, SetOptions::new().ttl(2 * SECOND)).await.unwrap();
    tokio::time::advance(SECOND).await;
    here.assert_near(&mine, 8).await;
    tokio::time::advance(SECOND).await;
    here.assert_value(&mine, None).await;
}

/// The time that an answer is on its way is part of the value's lifetime.
#[tokio::test(start_paused = true)]
async fn a_lifetime_counts_from_before_the_read() {
    let (here, there) = two();
    let mine = here.region("a");
    there.region("a").set_with("k", &7u32, SetOptions::new().ttl(2 * SECOND)).await.unwrap();
    let pause = here.faulty.on(Method::Read).nth(1).pause_after();
    let reading = tokio::spawn({
        let mine = mine.clone();
        async move { mine.get::<u32>("k").await }
    });
    pause.reached().await;
    tokio::time::advance(SECOND).await;
    pause.release();
    assert_eq!(reading.await.unwrap().unwrap().as_deref(), Some(&7));
    here.assert_near(&mine, 7).await;
    tokio::time::advance(SECOND).await;
    here.assert_value(&mine, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_value_ends_with_its_region() {
    let here = Process::new(&memory(), Pushes::OfOthers, Policy::new().region_ttl(2 * SECOND));
    let mine = here.region("a");
    mine.set("k", &7u32).await.unwrap();
    tokio::time::advance(SECOND).await;
    here.assert_near(&mine, 7).await;
    tokio::time::advance(SECOND).await;
    here.assert_value(&mine, None).await;
}

#[tokio::test]
async fn a_load_looks_near_and_leaves_its_value_there() {
    let (here, there) = two();
    let mine = here.region("a");
    let load = |value| move || async move { Ok::<u32, Infallible>(value) };
    assert_eq!(*mine.get_or_compute("k", load(1)).await.unwrap(), 1);
    here.calls.clear();
    assert_eq!(*mine.get_or_compute("k", load(2)).await.unwrap(), 1);
    assert_eq!(here.calls.total(), 0);
    here.assert_near(&mine, 1).await;
    there.region("a").invalidate().await.unwrap();
    assert_eq!(*mine.get_or_compute("k", load(3)).await.unwrap(), 3);
    here.assert_near(&mine, 3).await;
    assert_eq!(here.count(Method::Begin), 0);
}

/// The store is asked for the entries alone while the region's lineage is trusted.
#[tokio::test]
async fn a_trusted_lineage_is_assumed_by_reads() {
    use region_core::testing::Request;
    let (here, there) = two();
    let mine = here.region("a");
    mine.set("k", &7u32).await.unwrap();
    let assumed = |here: &Process| match &here.calls.calls()[0].request {
        Request::Read { lineage, .. } => lineage.is_some(),
        request => panic!("{request:?}"),
    };
    here.calls.clear();
    mine.get::<u32>("another").await.unwrap();
    assert!(assumed(&here));
    there.cache.root().expire().await.unwrap();
    here.calls.clear();
    mine.get::<u32>("another").await.unwrap();
    assert!(!assumed(&here));
}

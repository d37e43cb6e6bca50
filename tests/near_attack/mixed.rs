//! Caches over one server that have different roots, serializers, types and versions.

use std::sync::Arc;

use region_cache::{
    Json, MemoryStore, Policy, Postcard, RedisStore, Region, RegionCache, RegionExt, RegionHandle,
    Store,
};
use servers::{Flavor, TestServer};

use crate::kit::{connect, ms, until_near, until_value, value};

fn cache(store: impl Store, root: &str, policy: Policy) -> (RegionCache, RegionHandle) {
    let cache = RegionCache::builder(store).root(root).policy(policy).near(1 << 20);
    let cache = cache.build().unwrap();
    let region = cache.region("r").unwrap();
    (cache, region)
}

/// Two stores of one server, or two clones of one store.
async fn stores(is_shared: bool, server: &TestServer) -> [RedisStore; 2] {
    let one = connect(&server.url()).await;
    let other = if is_shared { one.clone() } else { connect(&server.url()).await };
    [one, other]
}

/// The same path below two roots is two regions; what one is told concerns the other in nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_with_other_roots_have_nothing_in_common() {
    for (flavor, is_shared) in [(Flavor::Redis, true), (Flavor::Valkey, false)] {
        let server = TestServer::start(flavor);
        let [one, other] = stores(is_shared, &server).await;
        let (cache_a, a) = cache(one, "a", Policy::new());
        // A root whose name begins with the other's.
        let (cache_b, b) = cache(other, "ab", Policy::new());
        a.set("k", &1_u64).await.unwrap();
        assert_eq!(value(&b, "k").await, None);
        b.set("k", &2_u64).await.unwrap();
        until_near(&cache_a, &a).await;
        until_near(&cache_b, &b).await;
        let before = cache_a.stats();
        for _ in 0..5 {
            b.set("k", &3_u64).await.unwrap();
            b.invalidate_and_touch().await.unwrap();
            b.set("k", &4_u64).await.unwrap();
            assert_eq!(value(&a, "k").await, Some(1));
            assert_eq!(value(&b, "k").await, Some(4));
        }
        let after = cache_a.stats();
        assert_eq!(after.near_hits - before.near_hits, 5, "{flavor:?}");
    }
}

/// Code that disagrees on serializer or version sees misses, at once where the other writes and soon where it reads,
/// and never what it held near before.
async fn disagree([one, other]: [RedisStore; 2], policies: [Policy; 2]) {
    let [first, second] = policies;
    let (cache_a, a) = cache(one, "na", first);
    let (cache_b, b) = cache(other, "na", second);
    for round in 0..5_u64 {
        a.set("k", &round).await.unwrap();
        until_near(&cache_a, &a).await;
        until_value("what is foreign", &b, None).await;
        b.set("k", &(round + 100)).await.unwrap();
        until_near(&cache_b, &b).await;
        until_value("what is foreign", &a, None).await;
        // Neither comes back by what the other does beside it.
        a.set("other", &1_u64).await.unwrap();
        assert_eq!(value(&a, "k").await, None);
        until_value("its own", &b, Some(round + 100)).await;
        let load = || async { Ok::<_, std::io::Error>(7_u64) };
        assert_eq!(*a.get_or_compute("k", load).await.unwrap(), 7);
        until_value("what is foreign", &b, None).await;
        assert_eq!(value(&a, "k").await, Some(7));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_that_disagree_on_serializer_or_version_see_misses() {
    let server = TestServer::start(Flavor::Redis);
    for is_shared in [true, false] {
        let serializers = [Policy::new().serializer(Postcard), Policy::new().serializer(Json)];
        disagree(stores(is_shared, &server).await, serializers).await;
        let versions = [Policy::new().version(1), Policy::new().version(2)];
        disagree(stores(is_shared, &server).await, versions).await;
    }
}

/// Handles of one cache, and caches over one store, that read another type at the same key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_changes_its_type_is_never_what_it_was() {
    let server = TestServer::start(Flavor::Valkey);
    for is_shared in [true, false] {
        let [one, other] = stores(is_shared, &server).await;
        let (cache_a, a) = cache(one, "na", Policy::new());
        let (_, b) = cache(other, "na", Policy::new());
        for round in 0..10_u64 {
            a.set("k", &round).await.unwrap();
            until_near(&cache_a, &a).await;
            let written_by = if round.is_multiple_of(2) { &a } else { &b };
            written_by.set("k", &format!("text {round}")).await.unwrap();
            assert_eq!(value(written_by, "k").await, None);
            until_value("the number", &a, None).await;
            let text: Option<Arc<String>> = a.get("k").await.unwrap();
            assert_eq!(text.unwrap().as_str(), format!("text {round}"));
            // Both forms were asked for: only the last written is ever there.
            let text: Option<Arc<String>> = a.get("k").await.unwrap();
            assert!(text.is_some());
            assert_eq!(value(&a, "k").await, None);
        }
    }
}

/// A program whose next version holds values for a shorter time serves nothing longer than its own policy says, and
/// the former one not longer than the entry lives.
#[tokio::test(start_paused = true)]
async fn a_lifetime_is_that_of_the_entry_whatever_the_readers_policy() {
    let store = MemoryStore::builder().clock(region_cache::TokioClock::new()).build();
    let (cache_a, a) = cache(store.client(), "na", Policy::new().ttl(ms(60_000)));
    let (_, b) = cache(store.client(), "na", Policy::new().ttl(ms(1_000)));
    a.set("k", &1_u64).await.unwrap();
    until_near(&cache_a, &a).await;
    b.set("k", &2_u64).await.unwrap();
    assert_eq!(value(&a, "k").await, Some(2));
    until_near(&cache_a, &a).await;
    tokio::time::advance(ms(1_001)).await;
    assert_eq!(value(&a, "k").await, None);
    assert_eq!(value(&b, "k").await, None);
}

//! Large values, and many keys.

use std::sync::Arc;

use region_cache::{RedisStore, Region, RegionCache, RegionExt, RegionHandle};
use servers::{Flavor, TestServer};

use crate::kit::{builder, ms, until_near};

servers::on_both! {
    a_value_larger_than_the_near_cache_is_never_near_and_never_old
    values_of_the_connection_for_large_entries_are_near_and_followed
    values_near_end_with_the_connection_for_large_entries
    thousands_of_keys_are_near_and_a_change_of_one_costs_one_key
}

const MEGABYTE: usize = 1 << 20;

/// The bound of near caches that hold all that a case has; each of their parts holds a large value.
const AMPLE: usize = 64 * MEGABYTE;

/// Large enough for a connection of its own, and small enough to be held near.
const LARGE: usize = 60_000;

async fn connect(server: &TestServer) -> RedisStore {
    let builder = builder(&server.url()).large_entries(16 * 1024);
    builder.call_timeout(ms(10_000)).connect().await.unwrap()
}

/// Two caches that hold `bytes` bytes near.
async fn caches(server: &TestServer, bytes: usize) -> [(RegionCache, RegionHandle); 2] {
    let cache = async || {
        let cache = RegionCache::builder(connect(server).await).root("na").near(bytes as u64);
        let cache = cache.build().unwrap();
        let region = cache.region("r").unwrap();
        (cache, region)
    };
    [cache().await, cache().await]
}

fn text(mark: char, len: usize) -> String {
    std::iter::repeat_n(mark, len).collect()
}

async fn first_and_len(region: &RegionHandle, key: &str) -> Option<(char, usize)> {
    let value: Option<Arc<String>> = region.get(key).await.unwrap();
    value.map(|value| (value.chars().next().unwrap(), value.len()))
}

/// Reads `key` until it begins with `mark`.
async fn until_first(region: &RegionHandle, key: &str, mark: char) {
    let deadline = std::time::Instant::now() + crate::kit::PATIENCE;
    while first_and_len(region, key).await.is_none_or(|(first, _)| first != mark) {
        assert!(std::time::Instant::now() < deadline, "{key} never begins with {mark}");
        tokio::time::sleep(ms(5)).await;
    }
}

async fn a_value_larger_than_the_near_cache_is_never_near_and_never_old(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let [(cache, region), (_, theirs)] = caches(&server, MEGABYTE).await;
    region.set("k", &1_u64).await.unwrap();
    until_near(&cache, &region).await;
    for mark in ['a', 'b', 'c'] {
        theirs.set("huge", &text(mark, 3 * MEGABYTE)).await.unwrap();
        until_first(&region, "huge", mark).await;
        assert_eq!(first_and_len(&region, "huge").await, Some((mark, 3 * MEGABYTE)));
        assert!(cache.near_use().bytes <= MEGABYTE as u64, "{:?}", cache.near_use());
        // What is small stays.
        until_near(&cache, &region).await;
        let before = cache.stats().near_evictions;
        region.set("huge", &text('o', 2 * MEGABYTE)).await.unwrap();
        assert_eq!(first_and_len(&region, "huge").await, Some(('o', 2 * MEGABYTE)));
        assert_eq!(cache.stats().near_evictions, before);
    }
}

async fn values_of_the_connection_for_large_entries_are_near_and_followed(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let [(cache, region), (_, theirs)] = caches(&server, AMPLE).await;
    theirs.set("large", &text('0', LARGE)).await.unwrap();
    for mark in ['a', 'b', 'c', 'd'] {
        for _ in 0..3 {
            assert!(first_and_len(&region, "large").await.is_some());
        }
        let before = cache.stats().near_hits;
        assert!(first_and_len(&region, "large").await.is_some());
        assert_eq!(cache.stats().near_hits, before + 1, "it is near");
        match mark {
            'a' | 'c' => theirs.set("large", &text(mark, LARGE)).await.unwrap(),
            _ => {
                theirs.invalidate().await.unwrap();
                theirs.set("large", &text(mark, LARGE)).await.unwrap();
            }
        }
        until_first(&region, "large", mark).await;
    }
}

async fn values_near_end_with_the_connection_for_large_entries(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let [(_, region), (_, theirs)] = caches(&server, AMPLE).await;
    theirs.set("large", &text('0', LARGE)).await.unwrap();
    for mark in ['a', 'b', 'c'] {
        for _ in 0..3 {
            assert!(first_and_len(&region, "large").await.is_some());
        }
        let clients = server.command(&["CLIENT", "LIST"]).text();
        let cache = |line: &&str| line.contains("name=region-cache");
        for line in clients.lines().filter(cache) {
            let id = line.split_whitespace().find_map(|field| field.strip_prefix("id=")).unwrap();
            server.command(&["CLIENT", "KILL", "ID", id]);
        }
        let value = text(mark, LARGE);
        while theirs.set("large", &value).await.is_err() {}
        until_first(&region, "large", mark).await;
    }
}

async fn thousands_of_keys_are_near_and_a_change_of_one_costs_one_key(flavor: Flavor) {
    const KEYS: usize = 2_500;
    let server = TestServer::start(flavor);
    let [(cache, region), (_, theirs)] = caches(&server, AMPLE).await;
    let names: Vec<String> = (0..KEYS).map(|at| format!("k{at}")).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    for some in keys.chunks(500) {
        let values: Vec<(&str, &u64)> = some.iter().map(|key| (*key, &1_u64)).collect();
        theirs.set_many(&values).await.unwrap();
    }
    let read = async || {
        let read: Vec<Option<Arc<u64>>> = region.get_many(&keys).await.unwrap();
        read.into_iter().map(|value| *value.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(read().await, vec![1; KEYS]);
    assert_eq!(read().await, vec![1; KEYS]);
    for round in 2..6_u64 {
        let at = round as usize * 7;
        theirs.set(keys[at], &round).await.unwrap();
        crate::kit::until_near_key(&cache, &region, keys[at], round).await;
        let before = cache.stats();
        let values = read().await;
        assert_eq!(values[at], round);
        assert_eq!(values.iter().filter(|value| **value == 1).count(), KEYS - (round as usize - 1));
        let after = cache.stats();
        assert_eq!(after.near_hits - before.near_hits, KEYS as u64, "round {round}");
    }
}

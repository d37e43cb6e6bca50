//! Values held near while another server is promoted.

use std::time::{Duration, Instant};

use region_core::{Policy, Region, RegionCache, RegionExt, RegionHandle};
use region_redis::RedisStore;
use servers::Flavor;

use super::kit::{connect, failed_over, moved, start};
use crate::kit::{RECOVERY, bounded};

servers::on_both! {
    what_is_held_near_follows_a_failover
}

fn region(store: &RedisStore) -> (RegionCache, RegionHandle) {
    let builder = RegionCache::builder(store.clone()).root("r").policy(Policy::new());
    let cache = builder.near(1 << 20).build().unwrap();
    let region = cache.region("a").unwrap();
    (cache, region)
}

async fn get(region: &RegionHandle) -> Option<u32> {
    bounded(region.get::<u32>("k")).await.unwrap().map(|value| *value)
}

async fn until_value(region: &RegionHandle, value: u32) {
    let deadline = Instant::now() + RECOVERY;
    while get(region).await != Some(value) {
        assert!(Instant::now() < deadline, "it is not {value}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Sets the value, and tries until that succeeds.
async fn set(region: &RegionHandle, value: u32) {
    let deadline = Instant::now() + RECOVERY;
    while let Err(error) = bounded(region.set("k", &value)).await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn what_is_held_near_follows_a_failover(flavor: Flavor) {
    let mut servers = start(flavor);
    let (reader, writer) = (connect(&servers).await, connect(&servers).await);
    let ((cache, mine), (_, others)) = (region(&reader), region(&writer));
    set(&others, 1).await;
    until_value(&mine, 1).await;
    let hits = cache.stats().near_hits;
    until_value(&mine, 1).await;
    assert!(cache.stats().near_hits > hits, "it is held near");
    let port = servers.servers[0].port();
    servers.servers[0].kill();
    let promoted = failed_over(&servers, port);
    moved(&writer, promoted).await;
    set(&others, 2).await;
    moved(&reader, promoted).await;
    until_value(&mine, 2).await;
    // The new primary pushes too.
    for value in 3..20 {
        set(&others, value).await;
        until_value(&mine, value).await;
        let hits = cache.stats().near_hits;
        until_value(&mine, value).await;
        assert!(cache.stats().near_hits >= hits);
    }
}

//! The near cache over a cluster.

use std::time::Instant;

use region_core::{Policy, Region, RegionCache, RegionExt, RegionHandle};
use region_redis::RedisStore;
use servers::{Cluster, Flavor};

use crate::kit::{RECOVERY, bounded, connect, roots, slot_of};

servers::on_both! {
    near_values_across_a_move
    near_values_across_a_failover
}

fn cache(store: &RedisStore, root: &str) -> RegionCache {
    let builder = RegionCache::builder(store.clone()).root(root).policy(Policy::new());
    builder.near(1 << 20).build().unwrap()
}

/// Reads `k` near: again and again without a trip.
async fn hold(cache: &RegionCache, region: &RegionHandle, value: u32) {
    let (before, deadline) = (cache.stats().near_hits, Instant::now() + RECOVERY);
    while cache.stats().near_hits < before + 3 {
        if let Ok(Some(found)) = bounded(region.get::<u32>("k")).await {
            assert_eq!(*found, value);
        }
        assert!(Instant::now() < deadline, "nothing is held near");
    }
}

async fn until_set(region: &RegionHandle, value: u32) {
    let deadline = Instant::now() + RECOVERY;
    while let Err(error) = bounded(region.set("k", &value)).await {
        assert!(Instant::now() < deadline, "not back: {error}");
    }
}

/// Reads `k` until another process's change shows.
async fn until_seen(region: &RegionHandle, value: u32) {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let found = bounded(region.get::<u32>("k")).await;
        if matches!(&found, Ok(Some(found)) if **found == value) {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?} is not {value}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn near_values_across_a_move(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let [root, ..] = roots(&cluster);
    let slot = slot_of(&cluster, &root);
    let caches =
        [connect(&cluster).await, connect(&cluster).await].map(|store| cache(&store, &root));
    let [mine, others] = caches.each_ref().map(|cache| cache.region("a").unwrap());
    until_set(&others, 1).await;
    hold(&caches[0], &mine, 1).await;
    for (value, to) in [(2, 1), (3, 2)] {
        tokio::task::block_in_place(|| cluster.move_slot(slot, &cluster.nodes[to]));
        until_set(&others, value).await;
        until_seen(&mine, value).await;
        hold(&caches[0], &mine, value).await;
    }
}

async fn near_values_across_a_failover(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor);
    let [root, ..] = roots(&cluster);
    let (slot, port) = (slot_of(&cluster, &root), cluster.nodes[0].port());
    let caches =
        [connect(&cluster).await, connect(&cluster).await].map(|store| cache(&store, &root));
    let [mine, others] = caches.each_ref().map(|cache| cache.region("a").unwrap());
    until_set(&others, 1).await;
    hold(&caches[0], &mine, 1).await;
    cluster.at_mut(port).kill();
    let _ = cluster.wait_for_other_primary(slot, port);
    until_set(&others, 2).await;
    until_seen(&mine, 2).await;
    hold(&caches[0], &mine, 2).await;
}

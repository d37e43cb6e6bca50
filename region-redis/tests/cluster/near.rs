//! The near cache over a cluster.

use std::time::Instant;

use region_core::{Policy, Region, RegionCache, RegionExt, RegionHandle};
use region_redis::RedisStore;
use servers::{Cluster, Flavor};

use crate::kit::{RECOVERY, bounded, connect, get, roots, slot_of, until_ok};

servers::on_both! {
    near_values_across_a_move
    near_values_of_many_slots_across_a_move
    near_values_across_a_move_where_nodes_do_not_list_their_slots
    near_values_across_a_failover
    near_values_of_a_slot_that_is_taken_away
}

pub(crate) fn cache(store: &RedisStore, root: &str) -> RegionCache {
    let builder = RegionCache::builder(store.clone()).root(root).policy(Policy::new());
    builder.near(1 << 20).build().unwrap()
}

/// Reads `k` near: again and again without a trip.
pub(crate) async fn hold(cache: &RegionCache, region: &RegionHandle, value: u32) {
    let (before, deadline) = (cache.stats().near_hits, Instant::now() + RECOVERY);
    while cache.stats().near_hits < before + 3 {
        if let Ok(Some(found)) = bounded(region.get::<u32>("k")).await {
            assert_eq!(*found, value);
        }
        assert!(Instant::now() < deadline, "nothing is held near");
    }
}

pub(crate) async fn until_set(region: &RegionHandle, value: u32) {
    let deadline = Instant::now() + RECOVERY;
    while let Err(error) = bounded(region.set("k", &value)).await {
        assert!(Instant::now() < deadline, "not back: {error}");
    }
}

/// Reads `k` until another process's change shows.
pub(crate) async fn until_seen(region: &RegionHandle, value: u32) {
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
    move_with(&Cluster::start(flavor), 0).await;
}

/// Then a node is asked for the list of its slots.
async fn near_values_of_many_slots_across_a_move(flavor: Flavor) {
    move_with(&Cluster::start(flavor), 300).await;
}

async fn near_values_across_a_move_where_nodes_do_not_list_their_slots(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    for node in &cluster.nodes {
        node.command(&["ACL", "SETUSER", "default", "-cluster|nodes"]);
    }
    move_with(&cluster, 300).await;
}

/// Values are held near while `further` other roots are in use.
async fn move_with(cluster: &Cluster, further: usize) {
    let [root, ..] = roots(cluster);
    let slot = slot_of(cluster, &root);
    let stores = [connect(cluster).await, connect(cluster).await];
    for at in 0..further {
        until_ok(async || get(&stores[0], &format!("further{at}"), "k").await).await;
    }
    let caches = stores.each_ref().map(|store| cache(store, &root));
    let [mine, others] = caches.each_ref().map(|cache| cache.region("a").unwrap());
    until_set(&others, 1).await;
    hold(&caches[0], &mine, 1).await;
    for (value, to) in [(2, 1), (3, 2)] {
        tokio::task::block_in_place(|| cluster.move_slot(slot, &cluster.nodes[to]));
        until_set(&others, value).await;
        until_seen(&mine, value).await;
        hold(&caches[0], &mine, value).await;
    }
    let asked =
        cluster.nodes[..3].iter().map(|node| node.command(&["INFO", "commandstats"]).text());
    let asked = asked.filter(|stats| stats.contains("cmdstat_cluster|nodes:")).count();
    assert_eq!(asked, if further > 0 { 3 } else { 0 }, "nodes asked for their lists");
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

/// Nobody deletes the keys of the slot, so the node that loses it pushes nothing; and it goes on with its other slots.
async fn near_values_of_a_slot_that_is_taken_away(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    for node in &cluster.nodes {
        // The other slots are served while this one has no node.
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let [root, ..] = roots(&cluster);
    let is_beside = |other: &String| {
        let slot = slot_of(&cluster, other);
        slot != slot_of(&cluster, &root)
            && cluster.primary_of(slot).port() == cluster.nodes[0].port()
    };
    let beside = (0..).map(|number| format!("beside{number}")).find(is_beside).unwrap();
    let stores = [connect(&cluster).await, connect(&cluster).await];
    let caches = stores.each_ref().map(|store| cache(store, &root));
    let neighbour = cache(&stores[0], &beside).region("a").unwrap();
    let [mine, others] = caches.each_ref().map(|cache| cache.region("a").unwrap());
    until_set(&others, 1).await;
    until_set(&neighbour, 1).await;
    hold(&caches[0], &mine, 1).await;
    let slot = slot_of(&cluster, &root).to_string();
    let [from, to, third] = [0, 1, 2].map(|at| &cluster.nodes[at]);
    for node in [from, to, third] {
        assert_eq!(node.command(&["CLUSTER", "DELSLOTS", &slot]).text(), "OK");
    }
    assert_eq!(to.command(&["CLUSTER", "ADDSLOTS", &slot]).text(), "OK");
    assert_eq!(to.command(&["CLUSTER", "BUMPEPOCH"]).text().split(' ').next(), Some("BUMPED"));
    until_set(&others, 2).await;
    until_seen(&mine, 2).await;
    hold(&caches[0], &mine, 2).await;
    assert_eq!(bounded(neighbour.get::<u32>("k")).await.unwrap().as_deref(), Some(&1));
    assert!(stores[0].stats().nodes.iter().all(|node| node.connects == 1));
}

//! Operators change the cluster, or what its nodes are set to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use region_core::{ReadFrom, Verb};
use region_redis::RedisStore;
use servers::{Cluster, Flavor};

use crate::kit::{
    Load, RECOVERY, bounded, builder, connect, end, get, get_from, put, roots, set, slot_of, until,
    until_ok,
};

servers::on_both! {
    slots_are_moved_to_a_node_that_was_added
    a_slot_that_no_node_has_concerns_no_other
    invalidations_wait_for_replicas_across_a_failover
    nodes_that_serve_reads_in_spite_of_being_cut_off_are_not_read
    a_replica_goes_to_another_primary
    one_node_is_flushed
}

fn configure(cluster: &Cluster, name: &str, value: &str) {
    for node in &cluster.nodes {
        assert_eq!(node.command(&["CONFIG", "SET", name, value]).text(), "OK");
    }
}

async fn slots_are_moved_to_a_node_that_was_added(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    let [root, elsewhere, _] = roots(&cluster);
    let slots = [&root, &elsewhere].map(|root| slot_of(&cluster, root));
    let loads = [Load::start(&store, &root, 4), Load::start(&store, &elsewhere, 2)];
    // It is in no URL.
    let added = tokio::task::block_in_place(|| cluster.add_node(flavor));
    for (slot, load) in slots.into_iter().zip(&loads) {
        load.more(50).await;
        tokio::task::block_in_place(|| cluster.move_slot(slot, cluster.at(added)));
        load.more(50).await;
    }
    let url = cluster.at(added).url();
    assert!(store.stats().nodes.iter().any(|node| node.server == url && node.is_up));
    // It is the only one that has them: they are lost with it, and with nobody else's.
    let third = roots(&cluster)[2].clone();
    configure(&cluster, "cluster-require-full-coverage", "no");
    cluster.at_mut(added).kill();
    until("the loss to show", || !store.stats().nodes.iter().all(|node| node.is_up)).await;
    bounded(get(&store, &root, "k")).await.unwrap_err();
    until_ok(async || bounded(set(&store, &third, "k", "1")).await).await;
    tokio::task::block_in_place(|| cluster.at_mut(added).restart());
    for load in loads {
        load.more(50).await;
        load.stop().await;
    }
}

/// Reads until that fails for this reason.
async fn until_fails(store: &RedisStore, root: &str, why: &str) {
    let deadline = Instant::now() + RECOVERY;
    loop {
        let read = bounded(get(store, root, "k")).await;
        if let Err(error) = &read {
            assert!(error.is_outage() && error.can_retry(), "{error}");
            if error.to_string().contains(why) {
                return;
            }
        }
        assert!(Instant::now() < deadline, "{read:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn a_slot_that_no_node_has_concerns_no_other(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    configure(&cluster, "cluster-require-full-coverage", "no");
    let store = connect(&cluster).await;
    let [root, elsewhere, _] = roots(&cluster);
    let slot = slot_of(&cluster, &root);
    put(&store, &root, "k", "old").await;
    let load = Load::start(&store, &elsewhere, 2);
    let number = slot.to_string();
    for node in &cluster.nodes {
        assert_eq!(node.command(&["CLUSTER", "DELSLOTS", &number]).text(), "OK");
    }
    let fresh = connect(&cluster).await;
    for store in [&store, &fresh] {
        until_fails(store, &root, "no node for slot").await;
        let error = bounded(end(store, &root, Verb::Invalidate)).await.unwrap_err();
        assert!(error.is_outage(), "{error}");
    }
    load.more(50).await;
    // Another node gets it, without its data.
    assert_eq!(cluster.nodes[1].command(&["CLUSTER", "ADDSLOTS", &number]).text(), "OK");
    assert_eq!(until_ok(async || bounded(get(&fresh, &root, "k")).await).await, None);
    until_ok(async || bounded(set(&store, &root, "k", "new")).await).await;
    let found = until_ok(async || bounded(get(&fresh, &root, "k")).await).await;
    assert_eq!(found.as_deref(), Some("new"));
    load.stop().await;
}

/// Sets and invalidates over and over, and checks that nothing comes back.
async fn invalidate_again_and_again(
    store: RedisStore,
    region: String,
    is_over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) {
    while !is_over.load(Ordering::SeqCst) {
        let _ = bounded(set(&store, &region, "k", "gone")).await;
        if bounded(end(&store, &region, Verb::Invalidate)).await.is_ok() {
            for _ in 0..3 {
                if let Ok(found) = bounded(get(&store, &region, "k")).await {
                    assert_eq!(found, None, "{region}");
                }
            }
            done.fetch_add(1, Ordering::SeqCst);
        }
        // Calls that fail at once would leave the processor to nobody.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn invalidations_wait_for_replicas_across_a_failover(flavor: Flavor) {
    const WITHIN: Duration = Duration::from_secs(1);
    let cluster = Cluster::start(flavor);
    let store = builder(&cluster.url()).wait_for_replicas(1, WITHIN).connect().await.unwrap();
    let [root, ..] = roots(&cluster);
    let slot = slot_of(&cluster, &root);
    let (is_over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (is_over, done) = (Arc::clone(&is_over), Arc::clone(&done));
            let region = format!("{root}.part:{task}");
            tokio::spawn(invalidate_again_and_again(store.clone(), region, is_over, done))
        })
        .collect();
    let more = async || {
        let before = done.load(Ordering::SeqCst);
        until("invalidations", || done.load(Ordering::SeqCst) >= before + 20).await;
    };
    for _ in 0..3 {
        more().await;
        tokio::task::block_in_place(|| cluster.fail_over(slot));
        tokio::task::block_in_place(|| cluster.wait_until_ok());
    }
    more().await;
    is_over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
}

/// Others may have gone on without them, and invalidated what they would serve.
async fn nodes_that_serve_reads_in_spite_of_being_cut_off_are_not_read(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor);
    configure(&cluster, "cluster-allow-reads-when-down", "yes");
    let (store, late) = (connect(&cluster).await, connect(&cluster).await);
    let [root, _, third] = roots(&cluster);
    for root in [&root, &third] {
        put(&store, root, "k", "1").await;
    }
    let dead = [cluster.nodes[2].port(), cluster.replica_of(&cluster.nodes[2]).port()];
    for port in dead {
        cluster.at_mut(port).kill();
    }
    for store in [&store, &late] {
        until_fails(store, &root, "CLUSTERDOWN").await;
        for root in [&root, &third] {
            bounded(get(store, root, "k")).await.unwrap_err();
            let error = bounded(set(store, root, "k", "2")).await.unwrap_err();
            assert!(error.is_outage(), "{error}");
        }
    }
    for port in dead {
        tokio::task::block_in_place(|| cluster.at_mut(port).restart());
    }
    for root in [&root, &third] {
        until_ok(async || bounded(set(&store, root, "k", "3")).await).await;
        let found = until_ok(async || bounded(get(&late, root, "k")).await).await;
        assert_eq!(found.as_deref(), Some("3"));
    }
}

async fn a_replica_goes_to_another_primary(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor);
    tokio::task::block_in_place(|| {
        let spare = cluster.add_node(flavor);
        cluster.make_replica(spare, cluster.nodes[0].port());
    });
    let url = format!("{}?replicas=read", cluster.url());
    let store = builder(&url).connect().await.unwrap();
    let [_, root, _] = roots(&cluster);
    put(&store, &root, "k", "0").await;
    let orphan = cluster.nodes[1].port();
    let lost = cluster.replica_of(&cluster.nodes[1]).port();
    let mut round = 0;
    let check = async |round: u32| {
        let value = round.to_string();
        until_ok(async || bounded(set(&store, &root, "k", &value)).await).await;
        let read = async || bounded(get_from(&store, &root, "k", ReadFrom::Replica)).await;
        assert_eq!(until_ok(read).await, Some(value), "{root}");
    };
    cluster.at_mut(lost).kill();
    let migrated = || {
        let role = cluster.nodes[1].command(&["ROLE"]);
        let replica = role.list().get(2)?.list().first()?.list().get(1)?.text();
        replica.parse::<u16>().ok()
    };
    let deadline = Instant::now() + RECOVERY;
    let replica = loop {
        round += 1;
        check(round).await;
        // The former one is gone, and may still be listed.
        if let Some(replica) = migrated().filter(|replica| *replica != lost) {
            break cluster.at(replica).url();
        }
        assert!(Instant::now() < deadline, "no replica comes to {orphan}");
    };
    until("the store to read from it", || {
        let replicas = store.stats().replicas;
        replicas.iter().any(|one| one.server == replica && one.is_recent)
    })
    .await;
    for more in 1..100 {
        check(round + more).await;
    }
}

async fn one_node_is_flushed(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let (store, other) = (connect(&cluster).await, connect(&cluster).await);
    let [root, elsewhere, _] = roots(&cluster);
    let loads = [Load::start(&store, &root, 4), Load::start(&store, &elsewhere, 2)];
    for round in 0..10 {
        for root in [&root, &elsewhere] {
            until_ok(async || set(&other, root, "k", "1").await).await;
        }
        end(&store, &format!("{root}.a"), Verb::Invalidate).await.unwrap();
        cluster.nodes[0].command(&["FLUSHALL"]);
        loads[0].more(20).await;
        for store in [&store, &other] {
            assert_eq!(get(store, &root, "k").await.unwrap(), None, "round {round}");
            let found = get(store, &elsewhere, "k").await.unwrap();
            assert_eq!(found.as_deref(), Some("1"), "round {round}");
        }
    }
    for load in loads {
        load.more(20).await;
        load.stop().await;
    }
}

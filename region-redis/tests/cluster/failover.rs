//! Primaries that are killed or hang.

use std::time::{Duration, Instant};

use region_core::Verb;
use region_redis::RedisStore;
use servers::{Certificates, Cluster, Flavor};

use crate::kit::{Load, bounded, connect, end, get, put, roots, set, slot_of, until, until_ok};

servers::on_both! {
    a_killed_primary_undoes_no_invalidation
    a_primary_that_is_demoted_is_left
    a_hung_node_concerns_no_other
    a_primary_that_is_cut_off_undoes_no_invalidation
}

/// The number of regions whose invalidation the replica does not see.
const REGIONS: usize = 20;

async fn a_killed_primary_undoes_no_invalidation(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    let [root, elsewhere, _] = roots(&cluster);
    let (slot, port) = (slot_of(&cluster, &root), cluster.nodes[0].port());
    let loads = [Load::start(&store, &root, 2), Load::start(&store, &elsewhere, 2)];
    let region = |at: usize| format!("{root}.kept:{at}");
    for at in 0..REGIONS {
        put(&store, &region(at), "k", "old").await;
    }
    let written = cluster.nodes[0].command(&["WAIT", "1", "10000"]);
    assert_eq!(written.text(), "1");
    for load in &loads {
        load.more(50).await;
    }
    // The replica comes back to its primary only after a moment.
    cluster.nodes[0].command(&["CLIENT", "KILL", "TYPE", "replica"]);
    for at in 0..REGIONS {
        end(&store, &region(at), Verb::Invalidate).await.unwrap();
    }
    cluster.at_mut(port).kill();
    let promoted = cluster.wait_for_other_primary(slot, port);
    assert_ne!(promoted, port);
    for at in 0..REGIONS {
        let found = until_ok(async || bounded(get(&store, &region(at), "k")).await).await;
        assert_eq!(found, None, "{}", region(at));
    }
    for load in &loads {
        load.more(50).await;
    }
    cluster.at_mut(port).restart();
    cluster.wait_until_ok();
    for load in loads {
        load.more(50).await;
        load.stop().await;
    }
}

/// An operator changes the roles: the former primary goes on, as a replica.
async fn a_primary_that_is_demoted_is_left(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    let [root, ..] = roots(&cluster);
    let (slot, port) = (slot_of(&cluster, &root), cluster.nodes[0].port());
    let load = Load::start(&store, &root, 4);
    load.more(50).await;
    let promoted = tokio::task::block_in_place(|| cluster.fail_over(slot));
    assert_ne!(promoted, port);
    load.more(100).await;
    load.stop().await;
    let (nodes, promoted) = (store.stats().nodes, cluster.at(promoted).url());
    assert!(nodes.iter().any(|node| node.server == promoted), "{nodes:?}");
}

/// For as long as the former primary answers it does so from what it has. Once a process has left it, all of what that
/// was told to have done is done on the new one.
async fn a_primary_that_is_cut_off_undoes_no_invalidation(flavor: Flavor) {
    let certificates = Certificates::new();
    let cluster = tokio::task::block_in_place(|| Cluster::start_divisible(flavor, &certificates));
    let store = connect(&cluster).await;
    let [root, elsewhere, _] = roots(&cluster);
    let (slot, former) = (slot_of(&cluster, &root), &cluster.nodes[0]);
    let region = |at: usize| format!("{root}.kept:{at}");
    until_ok(async || set(&store, &elsewhere, "k", "1").await).await;
    for at in 0..REGIONS {
        until_ok(async || set(&store, &region(at), "k", "old").await).await;
    }
    assert_eq!(former.command(&["WAIT", "1", "10000"]).text(), "1");
    cluster.cut_off(former);
    // Acknowledged by a primary that nobody else takes for one, before and after its replica has taken over.
    for at in 0..REGIONS / 2 {
        until_ok(async || bounded(end(&store, &region(at), Verb::Invalidate)).await).await;
    }
    let promoted =
        tokio::task::block_in_place(|| cluster.wait_for_other_primary(slot, former.port()));
    for at in REGIONS / 2..REGIONS {
        until_ok(async || bounded(end(&store, &region(at), Verb::Invalidate)).await).await;
    }
    let promoted = cluster.at(promoted).url();
    until("the process to leave the former primary", || {
        let nodes = store.stats().nodes;
        nodes.iter().any(|node| node.server == promoted && node.is_up)
    })
    .await;
    let other = connect(&cluster).await;
    for at in 0..REGIONS {
        for store in [&store, &other] {
            let found = until_ok(async || bounded(get(store, &region(at), "k")).await).await;
            assert_eq!(found, None, "{}", region(at));
        }
    }
    until_ok(async || bounded(set(&store, &region(0), "k", "new")).await).await;
    cluster.rejoin(former);
    tokio::task::block_in_place(|| cluster.wait_until_ok());
    for at in 0..REGIONS {
        let found = until_ok(async || bounded(get(&other, &region(at), "k")).await).await;
        assert_eq!(found.as_deref(), (at == 0).then_some("new"), "{}", region(at));
    }
}

/// Reads over both stores in turns, for a while. Returns the longest that 99 of 100 reads take over each.
async fn p99_of_both(stores: [&RedisStore; 2], region: &str, lasting: Duration) -> [Duration; 2] {
    let mut taken = [Vec::new(), Vec::new()];
    let start = Instant::now();
    while start.elapsed() < lasting || taken[0].len() < 1000 {
        for (store, taken) in stores.iter().zip(&mut taken) {
            let start = Instant::now();
            assert_eq!(get(store, region, "k").await.unwrap().as_deref(), Some("1"));
            taken.push(start.elapsed());
        }
    }
    taken.map(|mut taken| {
        taken.sort_unstable();
        taken[taken.len() * 99 / 100]
    })
}

async fn a_hung_node_concerns_no_other(flavor: Flavor) {
    /// Below this a difference is that of a clock.
    const UNNOTICED: Duration = Duration::from_millis(1);
    let cluster = Cluster::start(flavor);
    for node in &cluster.nodes {
        // Else no node serves anything until the replica has taken over.
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let store = connect(&cluster).await;
    // It never calls the node that hangs. Else it has the same machine at the same time.
    let control = connect(&cluster).await;
    let [root, elsewhere, third] = roots(&cluster);
    for root in [&root, &elsewhere, &third] {
        put(&store, root, "k", "1").await;
    }
    let loads = [Load::start(&store, &root, 8), Load::start(&store, &third, 2)];
    loads[0].more(50).await;
    assert_eq!(get(&control, &elsewhere, "k").await.unwrap().as_deref(), Some("1"));
    cluster.nodes[0].pause();
    let [hung, normal] = p99_of_both([&store, &control], &elsewhere, Duration::from_secs(4)).await;
    cluster.nodes[0].resume();
    assert!(hung <= normal * 2 + UNNOTICED, "p99 {hung:?}, normally {normal:?}");
    cluster.wait_until_ok();
    for load in loads {
        load.more(50).await;
        load.stop().await;
    }
}

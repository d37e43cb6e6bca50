//! Primaries that are killed or hang.

use std::time::{Duration, Instant};

use region_core::Verb;
use region_redis::RedisStore;
use servers::{Cluster, Flavor};

use crate::kit::{Load, bounded, connect, end, get, put, roots, slot_of, until_ok};

servers::on_both! {
    a_killed_primary_undoes_no_invalidation
    a_primary_that_is_demoted_is_left
    a_hung_node_concerns_no_other
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

/// The longest that 99 of 100 reads take.
async fn p99(store: &RedisStore, region: &str) -> Duration {
    let mut taken = Vec::new();
    for _ in 0..300 {
        let start = Instant::now();
        assert_eq!(get(store, region, "k").await.unwrap().as_deref(), Some("1"));
        taken.push(start.elapsed());
    }
    taken.sort_unstable();
    taken[taken.len() * 99 / 100]
}

async fn a_hung_node_concerns_no_other(flavor: Flavor) {
    /// Below this a difference is that of a busy machine.
    const UNNOTICED: Duration = Duration::from_millis(20);
    let cluster = Cluster::start(flavor);
    for node in &cluster.nodes {
        // Else no node serves anything until the replica has taken over.
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let store = connect(&cluster).await;
    let [root, elsewhere, third] = roots(&cluster);
    for root in [&root, &elsewhere, &third] {
        put(&store, root, "k", "1").await;
    }
    let loads = [Load::start(&store, &root, 8), Load::start(&store, &third, 2)];
    loads[0].more(50).await;
    let normal = p99(&store, &elsewhere).await.max(p99(&store, &elsewhere).await);
    cluster.nodes[0].pause();
    let (start, mut worst) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < Duration::from_secs(3) {
        worst = worst.max(p99(&store, &elsewhere).await);
    }
    cluster.nodes[0].resume();
    assert!(worst <= normal * 4 + UNNOTICED, "p99 {worst:?}, normally {normal:?}");
    cluster.wait_until_ok();
    for load in loads {
        load.more(50).await;
        load.stop().await;
    }
}

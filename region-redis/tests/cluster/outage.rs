//! A cluster that is down, and comes back.

use region_core::{Store, StoreProblem, Verb};
use region_redis::OnInvalidationFailure;
use servers::{Cluster, Flavor};

use crate::kit::{bounded, builder, end, get, put, roots, set, until, until_ok};

servers::on_both! {
    a_cluster_that_is_down_comes_back
}

async fn a_cluster_that_is_down_comes_back(flavor: Flavor) {
    let mut cluster = Cluster::start(flavor);
    let store = builder(&cluster.url()).on_invalidation_failure(OnInvalidationFailure::Queue);
    let store = store.connect().await.unwrap();
    let roots = roots(&cluster);
    for root in &roots {
        put(&store, root, "k", "1").await;
        put(&store, &format!("{root}.a"), "k", "1").await;
    }
    let dead = [cluster.nodes[0].port(), cluster.replica_of(&cluster.nodes[0]).port()];
    for port in dead {
        cluster.at_mut(port).kill();
    }
    // Without all slots no node serves any.
    until("the store to notice", || store.stats().nodes.iter().all(|node| !node.is_up)).await;
    for root in &roots {
        assert!(bounded(get(&store, root, "k")).await.is_err());
        bounded(end(&store, &format!("{root}.a"), Verb::Invalidate)).await.unwrap();
    }
    assert!(store.stats().has_queued);
    let told = store.health();
    for problem in [StoreProblem::PrimaryDown, StoreProblem::InvalidationsQueued] {
        assert!(told.problems().contains(&problem), "{told:?}");
    }
    for port in dead {
        cluster.at_mut(port).restart();
    }
    cluster.wait_until_ok();
    for root in &roots {
        let found = until_ok(async || bounded(get(&store, &format!("{root}.a"), "k")).await).await;
        assert_eq!(found, None, "{root}: what was queued is done first");
        until_ok(async || bounded(set(&store, root, "k", "2")).await).await;
        assert_eq!(get(&store, root, "k").await.unwrap().as_deref(), Some("2"));
    }
    assert!(!store.stats().has_queued);
    until("the store to be well", || store.health().problems().is_empty()).await;
}

//! Slots that are moved from node to node.

use region_core::{ErrorKind, Verb};
use servers::{Cluster, Flavor};

use crate::kit::{Load, bounded, connect, end, get, put, roots, set, slot_of, until_ok};

servers::on_both! {
    a_slot_is_moved_under_load
    half_a_slot_is_never_seen
}

async fn a_slot_is_moved_under_load(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let store = connect(&cluster).await;
    let [root, elsewhere, _] = roots(&cluster);
    let slot = slot_of(&cluster, &root);
    for at in 0..50 {
        put(&store, &format!("{root}.kept:{at}"), "k", "v").await;
    }
    let loads = [Load::start(&store, &root, 4), Load::start(&store, &elsewhere, 2)];
    for to in [1, 2, 0] {
        loads[0].more(100).await;
        tokio::task::block_in_place(|| cluster.move_slot(slot, &cluster.nodes[to]));
        loads[0].more(100).await;
        loads[1].more(20).await;
    }
    for load in loads {
        load.stop().await;
    }
    cluster.wait_until_ok();
    // Another process has made no changes that it would have to repeat: it finds all.
    let other = connect(&cluster).await;
    for at in 0..50 {
        let found = until_ok(async || get(&other, &format!("{root}.kept:{at}"), "k").await).await;
        assert!(found.is_none_or(|found| found == "v"));
    }
}

/// While the keys of a slot are on two nodes, a call sees all that concerns it or fails.
async fn half_a_slot_is_never_seen(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let (store, other) = (connect(&cluster).await, connect(&cluster).await);
    let [root, ..] = roots(&cluster);
    let slot = slot_of(&cluster, &root);
    let region = |at: usize| format!("{root}.a:{at}.b");
    for at in 0..10 {
        put(&store, &region(at), "k", "v").await;
    }
    let to = &cluster.nodes[1];
    cluster.begin_to_move(slot, to);
    loop {
        let moved = cluster.move_keys(slot, to, 3);
        for at in 0..10 {
            match bounded(get(&other, &region(at), "k")).await {
                Ok(found) => assert_eq!(found.as_deref(), Some("v")),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
            }
        }
        // What was refused has changed nothing.
        let error = bounded(set(&other, &region(0), "k", "w")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let error = bounded(end(&other, &region(1), Verb::Invalidate)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        if moved == 0 {
            break;
        }
    }
    cluster.end_move(slot, to);
    for at in 0..10 {
        let found = until_ok(async || bounded(get(&other, &region(at), "k")).await).await;
        // The store that has put them cannot know that all of its puts have moved: it takes the late ones back.
        assert!(found.is_none_or(|found| found == "v"), "{}", region(at));
    }
    until_ok(async || bounded(end(&store, &root, Verb::Invalidate)).await).await;
    assert_eq!(until_ok(async || get(&other, &region(2), "k").await).await, None);
}

//! Roots that lie on different nodes.

use std::collections::HashSet;

use region_core::{PageTerms, ReadFrom, Store, Verb};
use servers::{Cluster, Flavor};

use crate::kit::{builder, connect, end, get, get_from, path, put, roots, until, until_ok};

servers::on_both! {
    roots_are_spread_over_nodes
    own_changes_are_seen_in_replicas_of_their_slots
}

async fn roots_are_spread_over_nodes(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let (one, other) = (connect(&cluster).await, connect(&cluster).await);
    let roots = roots(&cluster);
    for root in &roots {
        for child in ["a", "b"] {
            let region = format!("{root}.{child}");
            put(&one, &region, "k", "1").await;
            assert_eq!(get(&other, &region, "k").await.unwrap().as_deref(), Some("1"));
        }
        let children = other.children(&path(root), PageTerms::default()).await.unwrap();
        assert_eq!(children.items.len(), 2, "{root}");
        assert_eq!(other.len(&path(&format!("{root}.a"))).await.unwrap(), 1);
    }
    let stats = one.stats();
    let nodes: HashSet<_> = stats.nodes.iter().map(|node| node.server.clone()).collect();
    assert_eq!(nodes.len(), 3, "{stats:?}");
    assert!(stats.primary.is_up && one.primary().is_none());
    end(&one, &roots[0], Verb::Invalidate).await.unwrap();
    for (at, root) in roots.iter().enumerate() {
        let expected = (at != 0).then_some("1");
        let found = get(&other, &format!("{root}.a"), "k").await.unwrap();
        assert_eq!(found.as_deref(), expected, "{root}");
    }
    until_ok(async || one.reclaim().await).await;
    let left = |root: &str| {
        let keys = cluster.nodes[0].command(&["KEYS", &format!("rc1:d{{{root}}}*")]);
        keys.list().len()
    };
    until("the invalidated regions to be freed", || left(&roots[0]) == 0).await;
}

async fn own_changes_are_seen_in_replicas_of_their_slots(flavor: Flavor) {
    let cluster = Cluster::start(flavor);
    let url = format!("{}?replicas=read", cluster.url());
    let store = builder(&url).connect().await.unwrap();
    let roots = roots(&cluster);
    for root in &roots {
        put(&store, root, "k", "0").await;
    }
    until("the replicas to follow", || {
        let replicas = store.stats().replicas;
        replicas.len() == 3 && replicas.iter().all(|replica| replica.is_up && replica.is_recent)
    })
    .await;
    let reads = || -> u64 {
        let stats =
            cluster.nodes.iter().skip(3).map(|node| node.command(&["INFO", "commandstats"]));
        let calls = |stats: String| {
            let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_hmget:calls="));
            line.and_then(|line| line.split(',').next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        stats.map(|stats| calls(stats.text())).sum()
    };
    let before = reads();
    for round in 1..=100 {
        for root in &roots {
            let value = round.to_string();
            put(&store, root, "k", &value).await;
            let found = get_from(&store, root, "k", ReadFrom::Replica).await.unwrap();
            assert_eq!(found, Some(value), "{root}");
        }
    }
    assert!(reads() > before, "replicas are read");
}

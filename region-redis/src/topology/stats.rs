//! The counts of a store, from those of its links.

use std::sync::atomic::Ordering;

use crate::net::link::Link;
use crate::net::origin::Place;
use crate::protocol::layout::Slot;
use crate::stats::{ServerStats, StoreStats};
use crate::topology::cluster::ClusterHandle;
use crate::topology::shard::Shard;

impl StoreStats {
    pub(crate) fn of_shard(shard: &Shard) -> Self {
        Self {
            primary: ServerStats::of(&shard.primary, true),
            nodes: Vec::new(),
            replicas: replicas_of(shard).collect(),
            has_queued: shard.recovery.has_queued(),
        }
    }

    pub(crate) fn of_cluster(cluster: &ClusterHandle) -> Self {
        let shards = cluster.shards();
        let primaries = shards.iter().map(|shard| ServerStats::of(&shard.primary, true));
        let any = Place::Primary(Slot::of_tag(""));
        let nodes = with_connects(cluster, any, by_server(primaries));
        let mut primary = ServerStats::none(cluster.name());
        nodes.iter().for_each(|node| primary.add(node));
        let replicas = by_server(shards.iter().flat_map(|shard| replicas_of(shard)));
        Self {
            primary,
            nodes,
            replicas: with_connects(cluster, any.of_replica(), replicas),
            has_queued: shards.iter().any(|shard| shard.recovery.has_queued()),
        }
    }
}

/// Adds the attempts to connect, which the shards make together.
fn with_connects(
    cluster: &ClusterHandle,
    place: Place,
    mut nodes: Vec<ServerStats>,
) -> Vec<ServerStats> {
    nodes.iter_mut().for_each(|node| node.connects = cluster.connects_to(&node.server, place));
    nodes
}

fn replicas_of(shard: &Shard) -> impl Iterator<Item = ServerStats> {
    let replicas = shard.replicas().into_iter();
    replicas.map(|replica| ServerStats::of(&replica.link, shard.is_recent(&replica)))
}

/// Adds up what is of the same server.
fn by_server(all: impl Iterator<Item = ServerStats>) -> Vec<ServerStats> {
    let mut sums: Vec<ServerStats> = Vec::new();
    for stats in all {
        match sums.iter_mut().find(|sum| sum.server == stats.server) {
            Some(sum) => sum.add(&stats),
            None => sums.push(stats),
        }
    }
    sums.sort_by(|one, other| one.server.cmp(&other.server));
    sums
}

impl ServerStats {
    fn of(link: &Link, is_recent: bool) -> Self {
        let stats = &link.shared().stats;
        Self {
            server: link.target().to_string(),
            is_up: link.is_up(),
            is_recent,
            connects: stats.connects.load(Ordering::Relaxed),
            timeouts: stats.timeouts.load(Ordering::Relaxed),
            last_error: stats.last_error.lock().clone(),
        }
    }

    /// The sum over no servers.
    fn none(name: &str) -> Self {
        let server = name.to_owned();
        Self { server, is_up: true, is_recent: true, connects: 0, timeouts: 0, last_error: None }
    }

    fn add(&mut self, other: &Self) {
        self.is_up &= other.is_up;
        self.is_recent &= other.is_recent;
        self.connects += other.connects;
        self.timeouts += other.timeouts;
        if other.last_error.is_some() {
            self.last_error.clone_from(&other.last_error);
        }
    }
}

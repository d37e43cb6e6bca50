//! The parts that the cases are written in.

use region_redis::{RedisStore, RedisStoreBuilder};
use servers::{Flavor, SentinelSet, SentinelSettings};

use crate::kit::{builder, until, until_ok};

pub(crate) fn start(flavor: Flavor) -> SentinelSet {
    start_with(flavor, &SentinelSettings::default())
}

pub(crate) fn start_with(flavor: Flavor, settings: &SentinelSettings) -> SentinelSet {
    tokio::task::block_in_place(|| SentinelSet::start(flavor, settings))
}

pub(crate) fn of(set: &SentinelSet) -> RedisStoreBuilder {
    builder(&set.sentinels.url())
}

pub(crate) async fn connect(set: &SentinelSet) -> RedisStore {
    until_ok(|| of(set).connect()).await
}

/// Waits until all sentinels name another primary than the one behind `port`. Returns its port.
pub(crate) fn failed_over(set: &SentinelSet, port: u16) -> u16 {
    tokio::task::block_in_place(|| set.sentinels.wait_until_other_than(port))
}

/// Waits until so many replicas can be read from.
pub(crate) async fn with_replicas(store: &RedisStore, number: usize) {
    until("the replicas", || {
        let replicas = store.stats().replicas;
        replicas.len() == number && replicas.iter().all(|one| one.is_up && one.is_recent)
    })
    .await;
}

/// Waits until the store is connected to the primary behind `port`.
pub(crate) async fn moved(store: &RedisStore, port: u16) {
    until("the store to follow", || {
        let primary = store.stats().primary;
        primary.is_up && primary.server.ends_with(&format!(":{port}"))
    })
    .await;
}

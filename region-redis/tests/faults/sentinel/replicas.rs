//! Replicas that sentinels know.

use region_core::{ReadFrom, Verb};
use servers::{Flavor, Proxy};

use super::kit::{connect, failed_over, moved, start, with_replicas};
use crate::kit::{end, get_from, set, until_ok};

servers::on_both! {
    own_changes_are_seen_on_replicas
    replicas_come_and_go
}

/// The number of changes of each kind.
const CHANGES: u32 = 100;

async fn own_changes_are_seen_on_replicas(flavor: Flavor) {
    let mut servers = start(flavor);
    let store = connect(&servers).await;
    with_replicas(&store, 2).await;
    let see_own_changes = async || {
        for change in 0..CHANGES {
            let value = change.to_string();
            // A change that is late on a busy machine may be made again.
            until_ok(|| set(&store, "r", "k", &value)).await;
            let found = get_from(&store, "r", "k", ReadFrom::Replica).await.unwrap();
            assert_eq!(found.as_deref(), Some(value.as_str()));
            until_ok(|| end(&store, "r", Verb::Invalidate)).await;
            assert_eq!(get_from(&store, "r", "k", ReadFrom::Replica).await.unwrap(), None);
        }
    };
    see_own_changes().await;
    // One lags, unsaid.
    let way = Proxy::start(servers.servers[0].port()).await;
    tokio::task::block_in_place(|| servers.servers[1].follow(way.port()));
    way.silence();
    see_own_changes().await;
    way.restore();
    let port = servers.servers[0].port();
    servers.servers[0].kill();
    let promoted = failed_over(&servers, port);
    moved(&store, promoted).await;
    until_ok(|| set(&store, "r", "k", "new")).await;
    with_replicas(&store, 1).await;
    see_own_changes().await;
}

async fn replicas_come_and_go(flavor: Flavor) {
    let servers = start(flavor);
    let store = connect(&servers).await;
    with_replicas(&store, 2).await;
    let mut third = tokio::task::block_in_place(|| servers.servers[0].replica());
    with_replicas(&store, 3).await;
    let names = |store: &region_redis::RedisStore| {
        let replicas = store.stats().replicas.into_iter();
        replicas.map(|replica| replica.server).collect::<Vec<_>>()
    };
    assert!(names(&store).contains(&third.url()));
    third.kill();
    with_replicas(&store, 2).await;
    assert!(!names(&store).contains(&third.url()));
    tokio::task::block_in_place(|| third.restart());
    with_replicas(&store, 3).await;
    set(&store, "r", "k", "1").await.unwrap();
    let found = get_from(&store, "r", "k", ReadFrom::Replica).await.unwrap();
    assert_eq!(found.as_deref(), Some("1"));
}

//! Markers that are read from a replica.

use region_core::{Policy, ReadFrom, Verb};
use region_redis::RedisStore;
use servers::{Flavor, TestServer};

use super::kit::{Page, VERBS, near};
use crate::kit::{builder, calls_of, connect, replica_by_proxy, synced, until};

servers::on_both! {
    a_lagging_replica_does_not_show_an_ended_dependency
    a_value_loaded_anew_is_seen_although_the_replica_lags
    another_process_sees_the_end_once_the_replica_does
}

async fn reader(primary: &TestServer, replica: &TestServer) -> RedisStore {
    let builder = builder(&primary.url()).replica(&replica.url()).unwrap();
    let store = builder.connect().await.unwrap();
    until("the replica to be of use", || store.stats().replicas[0].is_recent).await;
    store
}

fn from_replica(policy: Policy) -> Policy {
    policy.read_from(ReadFrom::Replica)
}

/// Loads, and has the replica get what was stored.
async fn replicated(primary: &TestServer, replica: &TestServer, page: &Page) -> u32 {
    let loaded = page.load(page.options()).await;
    synced(primary, replica).await;
    assert_eq!(page.get().await, Some(loaded));
    loaded
}

/// Promise 4: what this process has ended is not seen any more, although the replica, which still has the
/// marker, serves reads.
async fn a_lagging_replica_does_not_show_an_ended_dependency(flavor: Flavor) {
    for policy in [Policy::new(), near()] {
        for verb in VERBS {
            let primary = TestServer::start(flavor);
            let (replica, replication) = replica_by_proxy(&primary, flavor).await;
            let page = Page::new(reader(&primary, &replica).await, from_replica(policy.clone()));
            let loaded = replicated(&primary, &replica, &page).await;
            let before = calls_of(&replica, "hmget");
            let other = Page::new(reader(&primary, &replica).await, from_replica(Policy::new()));
            assert_eq!(other.get().await, Some(loaded));
            assert!(calls_of(&replica, "hmget") > before, "reads go to the replica");
            replication.silence();
            page.end(verb).await.unwrap();
            assert_eq!(page.get().await, None, "{verb:?}");
            assert_eq!(page.load(page.options()).await, loaded + 1, "{verb:?}");
        }
    }
}

/// Promise 4: neither the marker nor the value that this process has put last is taken for missing, and a
/// load declares no marker that the replica alone still has.
async fn a_value_loaded_anew_is_seen_although_the_replica_lags(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let (replica, replication) = replica_by_proxy(&primary, flavor).await;
    let page = Page::new(reader(&primary, &replica).await, from_replica(Policy::new()));
    let loaded = replicated(&primary, &replica, &page).await;
    replication.silence();
    for (round, verb) in VERBS.into_iter().enumerate() {
        page.end(verb).await.unwrap();
        let new = loaded + 1 + round as u32;
        assert_eq!(page.load(page.options()).await, new, "{verb:?}");
        assert_eq!(page.get().await, Some(new), "{verb:?}");
        // Whoever reads from the primary finds the same.
        let other = Page::new(connect(&primary.url()).await, Policy::new());
        assert_eq!(other.get().await, Some(new), "{verb:?}");
    }
}

/// Promise 5, as far as replicas go: another process may read the replica's copy until that is left out for
/// its lag, or has caught up.
async fn another_process_sees_the_end_once_the_replica_does(flavor: Flavor) {
    for policy in [Policy::new(), near()] {
        let primary = TestServer::start(flavor);
        let (replica, replication) = replica_by_proxy(&primary, flavor).await;
        let theirs = Page::new(connect(&primary.url()).await, Policy::new());
        let page = theirs.beside(reader(&primary, &replica).await, from_replica(policy));
        let loaded = replicated(&primary, &replica, &page).await;
        theirs.end(Verb::Touch).await.unwrap();
        page.until_missing(loaded).await;
        let loaded = replicated(&primary, &replica, &page).await;
        // The replica lags, and is left out.
        replication.silence();
        theirs.end(Verb::Touch).await.unwrap();
        page.until_missing(loaded).await;
        let new = page.load(page.options()).await;
        assert_eq!((new, theirs.get().await), (loaded + 1, Some(new)));
    }
}

//! Another server takes over.

use std::time::Duration;

use region_core::{ErrorKind, LeaseToken, Store, Verb};
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{bounded, builder, connect, get, path, remove, set, until_ok};

crate::on_both! {
    failover_to_a_replica_that_missed_invalidations
    a_demoted_primary_is_left
    a_primary_that_lost_data_unsaid_is_told_again
    invalidations_wait_for_replicas
}

/// A primary behind an address, and a replica that stops following when told to.
struct Pair {
    primary: TestServer,
    replica: TestServer,
    replication: Proxy,
    address: Proxy,
}

impl Pair {
    async fn start(flavor: Flavor) -> Self {
        let primary = TestServer::start(flavor);
        let replica = TestServer::start(flavor);
        let replication = Proxy::start(primary.port()).await;
        tokio::task::block_in_place(|| replica.follow(replication.port()));
        let address = Proxy::start(primary.port()).await;
        Self { primary, replica, replication, address }
    }

    /// Waits until the replica has what was written so far.
    async fn sync(&self) {
        let offset = |server: &TestServer, at: usize| {
            server.command(&["ROLE"]).list()[at].text().parse::<u64>().unwrap_or_default()
        };
        let written = offset(&self.primary, 1);
        crate::kit::until("the replica to have all", || offset(&self.replica, 4) >= written).await;
    }

    fn fail_over(&mut self) {
        self.primary.kill();
        self.replica.command(&["REPLICAOF", "NO", "ONE"]);
        self.address.redirect(self.replica.port());
    }
}

async fn failover_to_a_replica_that_missed_invalidations(flavor: Flavor) {
    let mut pair = Pair::start(flavor).await;
    let store = connect(&pair.address.url()).await;
    let other = connect(&pair.address.url()).await;
    for region in ["r.gone.below", "r.stale", "r.touched", "r.removed", "r.set", "r.kept"] {
        set(&other, region, "k", "old").await.unwrap();
    }
    pair.sync().await;
    // It would take back what it has put, which may be lost.
    drop(other);
    pair.replication.silence();
    store.end(&path("r.gone"), Verb::Invalidate.into()).await.unwrap();
    store.end(&path("r.stale"), Verb::Expire.into()).await.unwrap();
    store.end(&path("r.touched.below"), Verb::Touch.into()).await.unwrap();
    remove(&store, "r.removed", "k").await.unwrap();
    set(&store, "r.set", "k", "new").await.unwrap();
    pair.fail_over();
    for region in ["r.gone.below", "r.stale", "r.touched", "r.removed", "r.set"] {
        assert_eq!(until_ok(|| get(&store, region, "k")).await, None, "{region}");
    }
    assert_eq!(get(&store, "r.kept", "k").await.unwrap().as_deref(), Some("old"));
    // Another process, which knows nothing of them, sees them too.
    let other = connect(&pair.address.url()).await;
    assert_eq!(get(&other, "r.gone.below", "k").await.unwrap(), None);
}

/// It refuses writes, and what it holds is another's from then on.
async fn a_demoted_primary_is_left(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let other = TestServer::start(flavor);
    let store = connect(&primary.url()).await;
    set(&store, "r", "k", "1").await.unwrap();
    primary.follow(other.port());
    let error = bounded(set(&store, "r", "k", "2")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = bounded(get(&store, "r", "k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    primary.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(until_ok(|| get(&store, "r", "k")).await, None, "the other had nothing");
}

/// Demoted, filled from a server that missed the invalidation, and promoted again, all before the
/// next sign of life: the next read has to notice.
async fn a_primary_that_lost_data_unsaid_is_told_again(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let store = builder(&primary.url())
        .watch(Duration::from_secs(60), Duration::from_secs(1))
        .max_lag(Duration::from_secs(120))
        .connect()
        .await
        .unwrap();
    set(&store, "r.a", "k", "old").await.unwrap();
    let replica = primary.replica();
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    store.end(&path("r"), Verb::Invalidate.into()).await.unwrap();
    primary.follow(replica.port());
    primary.command(&["REPLICAOF", "NO", "ONE"]);
    // What a load begins with has to notice too.
    let token = LeaseToken::from_bits(1);
    let duration = Duration::from_secs(9);
    let terms = region_core::LeaseTerms::new(token, duration);
    let region = path("r.a");
    let begun = until_ok(|| store.begin(&region, &["k"], terms)).await;
    assert_eq!(begun.keys[0].entry, None);
    assert_eq!(until_ok(|| get(&store, "r.a", "k")).await, None);
    let other = connect(&primary.url()).await;
    assert_eq!(get(&other, "r.a", "k").await.unwrap(), None);
}

async fn invalidations_wait_for_replicas(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let replica = primary.replica();
    let store = connect(&primary.url()).await;
    let within = Duration::from_millis(500);
    set(&store, "r", "k", "1").await.unwrap();
    // A replica that has just come up acknowledges its first second late.
    let patience = Duration::from_secs(5);
    let reached = store.end_and_wait(&path("r"), Verb::Invalidate, 1, patience).await.unwrap();
    assert_eq!(reached, 1);
    replica.pause();
    let reached = store.end_and_wait(&path("r"), Verb::Invalidate, 1, within).await.unwrap();
    assert_eq!(reached, 0);
    let strict = builder(&primary.url()).wait_for_replicas(1, within).connect().await.unwrap();
    let error = strict.end(&path("r"), Verb::Invalidate.into()).await.unwrap_err();
    assert!(error.can_retry() && error.to_string().contains("0 of 1 replicas"), "{error}");
    replica.resume();
    strict.end(&path("r"), Verb::Invalidate.into()).await.unwrap();
}

//! Reads from replicas.

use std::time::Duration;

use region_core::{ReadFrom, Store, Verb};
use region_redis::RedisStore;
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{LIMIT, bounded, builder, get_from, path, remove, replica_by_proxy, set, until};

servers::on_both! {
    reads_go_to_the_replica
    a_replica_is_read_where_role_is_not_permitted
    a_lagging_replica_is_not_believed
    a_hung_replica_costs_no_more_than_the_limit
    a_replica_that_lags_too_far_is_left_out
    a_dead_replica_comes_back
    queued_invalidations_keep_replicas_unread
    a_replica_that_has_the_first_of_a_replay_is_not_believed
    a_replica_of_another_history_is_not_recent
}

async fn connect(primary: &str, replica: &str) -> RedisStore {
    let store = builder(primary).replica(replica).unwrap().connect().await.unwrap();
    until("the replica to be of use", || store.stats().replicas[0].is_recent).await;
    store
}

async fn from_replica(store: &RedisStore, region: &str, key: &str) -> Option<String> {
    bounded(get_from(store, region, key, ReadFrom::Replica)).await.unwrap()
}

/// Returns the number of read commands that a server has done.
fn reads(server: &TestServer) -> u64 {
    let info = server.command(&["INFO", "commandstats"]).text();
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_hmget:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or_default()
}

async fn reads_go_to_the_replica(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let replica = primary.replica();
    let store = connect(&primary.url(), &replica.url()).await;
    set(&store, "r", "k", "1").await.unwrap();
    primary.command(&["WAIT", "1", "5000"]);
    let (at_primary, at_replica) = (reads(&primary), reads(&replica));
    for _ in 0..100 {
        assert_eq!(from_replica(&store, "r", "k").await.as_deref(), Some("1"));
    }
    assert!(reads(&replica) >= at_replica + 95, "the replica answers");
    assert!(reads(&primary) <= at_primary + 5, "the primary is spared");
}

/// Bug: where `ROLE` is refused, as several providers do, a server showed no sign of life.
/// Effect: no replica was read, and the count of writes was not kept alive.
/// Fix: `INFO replication` tells the role.
async fn a_replica_is_read_where_role_is_not_permitted(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let replica = primary.replica();
    let url = |server: &TestServer| {
        let user = ["ACL", "SETUSER", "app", "on", ">secret", "~rc1:*", "+@all", "-role"];
        server.command(&user);
        format!("redis://app:secret@127.0.0.1:{}", server.port())
    };
    let store = connect(&url(&primary), &url(&replica)).await;
    set(&store, "r", "k", "1").await.unwrap();
    primary.command(&["WAIT", "1", "5000"]);
    let at_replica = reads(&replica);
    for _ in 0..100 {
        assert_eq!(from_replica(&store, "r", "k").await.as_deref(), Some("1"));
    }
    assert!(reads(&replica) >= at_replica + 95, "the replica answers");
}

/// The replica follows by a way that lets nothing pass: it shows what was, and says it is up.
async fn a_lagging_replica_is_not_believed(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let (replica, replication) = replica_by_proxy(&primary, flavor).await;
    let store = connect(&primary.url(), &replica.url()).await;
    for key in ["set", "removed", "other"] {
        set(&store, "r.a", key, "old").await.unwrap();
    }
    set(&store, "r.b", "k", "old").await.unwrap();
    primary.command(&["WAIT", "1", "5000"]);
    replication.silence();
    set(&store, "r.a", "set", "new").await.unwrap();
    assert_eq!(from_replica(&store, "r.a", "set").await.as_deref(), Some("new"));
    remove(&store, "r.a", "removed").await.unwrap();
    assert_eq!(from_replica(&store, "r.a", "removed").await, None);
    let before = reads(&replica);
    assert_eq!(from_replica(&store, "r.b", "k").await.as_deref(), Some("old"));
    assert!(reads(&replica) > before, "what was not changed is still read there");
    for verb in [Verb::Expire, Verb::Touch, Verb::Invalidate] {
        set(&store, "r.a", "other", "old").await.unwrap();
        store.end(&path("r.a"), verb.into()).await.unwrap();
        assert_eq!(from_replica(&store, "r.a", "other").await, None, "{verb:?}");
    }
    store.end(&path("r"), Verb::Invalidate.into()).await.unwrap();
    assert_eq!(from_replica(&store, "r.b", "k").await, None);
}

async fn a_hung_replica_costs_no_more_than_the_limit(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let replica = primary.replica();
    let store = connect(&primary.url(), &replica.url()).await;
    set(&store, "r", "k", "1").await.unwrap();
    replica.pause();
    for _ in 0..20 {
        assert_eq!(from_replica(&store, "r", "k").await.as_deref(), Some("1"));
    }
    until("the replica to be left out", || !store.stats().replicas[0].is_up).await;
    replica.resume();
    until("the replica to come back", || store.stats().replicas[0].is_recent).await;
    assert_eq!(from_replica(&store, "r", "k").await.as_deref(), Some("1"));
}

async fn a_replica_that_lags_too_far_is_left_out(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let (replica, replication) = replica_by_proxy(&primary, flavor).await;
    let reader = connect(&primary.url(), &replica.url()).await;
    let writer = crate::kit::connect(&primary.url()).await;
    set(&writer, "r", "k", "old").await.unwrap();
    primary.command(&["WAIT", "1", "5000"]);
    replication.silence();
    set(&writer, "r", "k", "new").await.unwrap();
    until("the replica to be left out", || !reader.stats().replicas[0].is_recent).await;
    assert_eq!(from_replica(&reader, "r", "k").await.as_deref(), Some("new"));
    replication.restore();
    until("the replica to come back", || reader.stats().replicas[0].is_recent).await;
}

async fn a_dead_replica_comes_back(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let mut replica = primary.replica();
    let store = connect(&primary.url(), &replica.url()).await;
    set(&store, "r", "k", "1").await.unwrap();
    replica.kill();
    for _ in 0..20 {
        assert_eq!(from_replica(&store, "r", "k").await.as_deref(), Some("1"));
    }
    replica.restart();
    until("the replica to come back", || store.stats().replicas[0].is_recent).await;
    let before = reads(&replica);
    until("the replica to be asked", || {
        let store = store.clone();
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(from_replica(&store, "r", "k"))
        });
        reads(&replica) > before
    })
    .await;
}

/// A value whose invalidation could not reach the primary must not be read from a replica either.
async fn queued_invalidations_keep_replicas_unread(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let replica = primary.replica();
    let address = Proxy::start(primary.port()).await;
    let store = builder(&address.url())
        .replica(&replica.url())
        .unwrap()
        .on_invalidation_failure(region_redis::OnInvalidationFailure::Queue)
        .connect()
        .await
        .unwrap();
    until("the replica to be of use", || store.stats().replicas[0].is_recent).await;
    set(&store, "r", "k", "old").await.unwrap();
    primary.command(&["WAIT", "1", "5000"]);
    address.silence();
    bounded(store.end(&path("r"), Verb::Invalidate.into())).await.unwrap();
    let read = bounded(get_from(&store, "r", "k", ReadFrom::Replica)).await;
    assert!(read.is_err(), "an error, not the old value: {read:?}");
    address.restore();
    tokio::time::sleep(LIMIT + Duration::from_millis(500)).await;
    assert_eq!(from_replica(&store, "r", "k").await, None);
}

/// Bug: after a replay the count began at one, although the server stood higher. Effect: a replica that had
/// only the first of the replayed invalidations was believed. Fix: it begins where the server stands when
/// all is done.
async fn a_replica_that_has_the_first_of_a_replay_is_not_believed(flavor: Flavor) {
    const REGIONS: usize = 200;
    let primary = TestServer::start(flavor);
    let (replica, replication) = replica_by_proxy(&primary, flavor).await;
    let address = Proxy::start(primary.port()).await;
    let store = builder(&address.url())
        .replica(&replica.url())
        .unwrap()
        .max_lag(Duration::from_secs(300))
        .connect_timeout(Duration::from_secs(5))
        .on_invalidation_failure(region_redis::OnInvalidationFailure::Queue)
        .connect()
        .await
        .unwrap();
    until("the replica to be of use", || store.stats().replicas[0].is_recent).await;
    let name = |n: usize| format!("r.n:{n}");
    set(&store, &name(REGIONS - 1), "k", "old").await.unwrap();
    primary.command(&["WAIT", "1", "5000"]);
    let counts = || replica.command(&["KEYS", "rc1:w*"]);
    let before = counts();
    address.silence();
    for n in 0..REGIONS {
        bounded(store.end(&path(&name(n)), Verb::Invalidate.into())).await.unwrap();
    }
    address.restore();
    address.limit(16_000);
    until("the replica to have the new count", || {
        let now = counts();
        now != before && !now.list().is_empty()
    })
    .await;
    replication.silence();
    until("the replay to end", || !store.stats().has_queued && store.stats().primary.is_up).await;
    assert!(store.stats().replicas[0].is_recent, "as far as its lag goes it may be read");
    assert_eq!(from_replica(&store, &name(REGIONS - 1), "k").await, None);
}

/// Bug: offsets were compared across histories. Effect: after a failover a replica that still followed the
/// former primary was read without end. Fix: replication ids are compared too.
async fn a_replica_of_another_history_is_not_recent(flavor: Flavor) {
    let former = TestServer::start(flavor);
    let present = TestServer::start(flavor);
    let replica = former.replica();
    let address = Proxy::start(former.port()).await;
    let writer = crate::kit::connect(&former.url()).await;
    for n in 0..200 {
        set(&writer, "r", "k", &format!("old {n}")).await.unwrap();
    }
    let reader = connect(&address.url(), &replica.url()).await;
    // It goes on following the former primary, and is further than the present one.
    address.redirect(present.port());
    let writer = crate::kit::connect(&present.url()).await;
    set(&writer, "r", "k", "new").await.unwrap();
    until("the replica to be left out", || {
        reader.stats().primary.is_up && !reader.stats().replicas[0].is_recent
    })
    .await;
    assert_eq!(from_replica(&reader, "r", "k").await.as_deref(), Some("new"));
}

//! Trust ends when a connection that would tell of changes falls silent, or tells too late.

use std::sync::Arc;
use std::time::{Duration, Instant};

use region_core::{
    Event, NearCache, Policy, ReadFrom, ReadTerms, Region, RegionCache, RegionExt, Result, Source,
    Store,
};
use region_redis::RedisStore;
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{
    Events, RECOVERY, SLACK, builder, path, replica_by_proxy, set, stolen, synced, until_ok,
};

servers::on_both! {
    a_silent_connection_loses_trust
    a_silent_connection_for_large_entries_loses_trust
    a_silent_replica_loses_trust
    a_replica_that_stops_following_loses_trust
    an_old_value_of_a_lagging_replica_is_not_kept
    a_connection_that_is_busy_keeps_its_trust
}

const EVERY: Duration = Duration::from_millis(200);
const SILENCE: Duration = Duration::from_millis(300);
const MAX_LAG: Duration = Duration::from_secs(1);

async fn source_of(store: &RedisStore, key: &str, from: ReadFrom) -> Result<Option<Source>> {
    store.read(&path("r"), &[key], ReadTerms::new(from)).await.map(|read| read.source)
}

/// Fails unless the loss of `source` is told within `limit`.
async fn assert_lost(events: &mut Events, source: Source, limit: Duration) {
    let (start, stolen) = (Instant::now(), stolen());
    events.wait_for(&Event::Lost(source)).await;
    let taken = start.elapsed().saturating_sub(crate::kit::stolen().saturating_sub(stolen));
    assert!(taken <= limit + SLACK, "told after {taken:?}, not {limit:?}");
}

async fn a_silent_connection_loses_trust(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = builder(&proxy.url()).watch(EVERY, SILENCE).connect().await.unwrap();
    let mut events = Events::of(&store);
    let source = source_of(&store, "k", ReadFrom::Primary).await.unwrap().unwrap();
    proxy.silence();
    assert_lost(&mut events, source, EVERY + SILENCE).await;
}

async fn a_silent_connection_for_large_entries_loses_trust(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = builder(&proxy.url()).watch(EVERY, SILENCE).connect().await.unwrap();
    set(&store, "r", "large", &"x".repeat(100_000)).await.unwrap();
    let mut events = Events::of(&store);
    let small = source_of(&store, "k", ReadFrom::Primary).await.unwrap().unwrap();
    let large = source_of(&store, "large", ReadFrom::Primary).await.unwrap().unwrap();
    assert_ne!(small, large);
    proxy.silence_one(1);
    assert_lost(&mut events, large, EVERY + SILENCE).await;
    assert_eq!(source_of(&store, "k", ReadFrom::Primary).await.unwrap(), Some(small));
}

/// Reads from the replica until it has answered; returns its source, which is not that of the primary.
async fn replicas_source(store: &RedisStore) -> Source {
    let primary = until_ok(|| source_of(store, "k", ReadFrom::Primary)).await;
    until_ok(async || {
        let source = source_of(store, "k", ReadFrom::Replica).await?;
        let not_yet = || region_core::Error::new(region_core::ErrorKind::Unavailable, "primary");
        source.filter(|_| source != primary).ok_or_else(not_yet)
    })
    .await
}

async fn a_silent_replica_loses_trust(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let replica = primary.replica();
    let proxy = Proxy::start(replica.port()).await;
    let store = builder(&primary.url()).replica(&proxy.url()).unwrap();
    let store = store.watch(EVERY, SILENCE).max_lag(MAX_LAG).connect().await.unwrap();
    let mut events = Events::of(&store);
    let source = replicas_source(&store).await;
    proxy.silence();
    assert_lost(&mut events, source, EVERY + SILENCE).await;
}

/// Bug: a replica that had lost its primary was not read from any more, but what had been read was trusted still.
/// Effect: no push came, and near values were served for ever. Fix: its source is lost once it lags too far.
async fn a_replica_that_stops_following_loses_trust(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let (replica, replication) = replica_by_proxy(&primary, flavor).await;
    let store = builder(&primary.url()).replica(&replica.url()).unwrap();
    let store = store.watch(EVERY, SILENCE).max_lag(MAX_LAG).connect().await.unwrap();
    let mut events = Events::of(&store);
    let source = replicas_source(&store).await;
    replication.silence();
    // The replica misses this, and its push.
    let other = builder(&primary.url()).connect().await.unwrap();
    set(&other, "r", "k", "1").await.unwrap();
    assert_lost(&mut events, source, MAX_LAG + 2 * EVERY).await;
    // It is told once, and the replica's next source is another.
    replication.restore();
    assert_ne!(replicas_source(&store).await, source);
}

/// A connection whose answers take long is not silent, and a quiet one is asked.
/// A lagging replica may still show a value after its invalidation. It is held near no longer than the replica may
/// lag, and does not come back.
async fn an_old_value_of_a_lagging_replica_is_not_kept(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let (replica, replication) = replica_by_proxy(&primary, flavor).await;
    let store = builder(&primary.url()).replica(&replica.url()).unwrap();
    let store = store.watch(EVERY, SILENCE).max_lag(MAX_LAG).connect().await.unwrap();
    let (store, writer) = (Arc::new(store), builder(&primary.url()).connect().await.unwrap());
    let policy = Policy::new().near(NearCache::On).read_from(ReadFrom::Replica);
    let here = RegionCache::builder(Arc::clone(&store)).root("r").policy(policy).build().unwrap();
    let there = RegionCache::builder(writer).root("r").build().unwrap();
    let (mine, theirs) = (here.region("a").unwrap(), there.region("a").unwrap());
    let deadline = Instant::now() + RECOVERY;
    loop {
        replicas_source(&store).await;
        theirs.set("k", &1u32).await.unwrap();
        synced(&primary, &replica).await;
        replication.silence();
        theirs.invalidate().await.unwrap();
        // Not on a machine so busy that the replica is known to lag already.
        if mine.get::<u32>("k").await.unwrap().is_some() {
            break;
        }
        replication.restore();
        assert!(Instant::now() < deadline, "no old value is shown");
    }
    let (start, stolen) = (Instant::now(), stolen());
    while mine.get::<u32>("k").await.unwrap().is_some() {
        let stolen = crate::kit::stolen().saturating_sub(stolen);
        let taken = start.elapsed().saturating_sub(stolen);
        assert!(taken <= MAX_LAG + 2 * EVERY + SLACK, "it is kept for {taken:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    replication.restore();
    replicas_source(&store).await;
    assert_eq!(mine.get::<u32>("k").await.unwrap(), None);
}

async fn a_connection_that_is_busy_keeps_its_trust(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = builder(&server.url()).watch(EVERY, SILENCE).connect().await.unwrap();
    let mut events = Events::of(&store);
    let source = source_of(&store, "k", ReadFrom::Primary).await.unwrap();
    assert_eq!(events.next_within((EVERY + SILENCE) * 3).await, None);
    assert_eq!(source_of(&store, "k", ReadFrom::Primary).await.unwrap(), source);
}

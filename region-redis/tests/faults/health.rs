//! Each problem that a store tells of itself: it comes with its cause, alone, and ends with it.

use std::time::{Duration, Instant};

use region_core::{ReadFrom, Store, StoreProblem, Verb};
use region_redis::{OnInvalidationFailure, RedisStore};
use servers::{Flavor, Proxy, TestServer};
use tokio::runtime::Runtime;

use crate::kit::{
    Events, RECOVERY, bounded, builder, connect, end, get, get_from, replica_by_proxy, set, until,
    until_ok,
};

servers::on_both! {
    a_dead_primary_is_told_until_it_is_back
    a_hung_primary_is_told_until_it_is_back
    a_dead_or_hung_replica_is_told_until_it_is_back
    a_replica_that_lags_is_told_until_it_has_caught_up
    queued_invalidations_are_told_until_they_are_replayed
    a_server_that_refuses_to_push_is_told_while_somebody_listens
    a_cut_connection_is_a_problem_no_longer_than_it_is_gone
}

/// Waits until the store tells exactly these problems.
async fn until_told(store: &RedisStore, problems: &[StoreProblem]) {
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        let health = store.health();
        assert!(asked.elapsed() < Duration::from_secs(1), "it waits for something");
        if health.problems() == problems {
            return;
        }
        assert!(start.elapsed() < RECOVERY, "{health:?}, not {problems:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn a_dead_primary_is_told_until_it_is_back(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let _events = Events::of(&store);
    set(&store, "r", "k", "1").await.unwrap();
    until_told(&store, &[]).await;
    server.kill();
    until_told(&store, &[StoreProblem::PrimaryDown]).await;
    server.restart();
    until_told(&store, &[]).await;
    until_ok(|| get(&store, "r", "k")).await;
}

async fn a_hung_primary_is_told_until_it_is_back(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    server.pause();
    until_told(&store, &[StoreProblem::PrimaryDown]).await;
    assert!(bounded(get(&store, "r", "k")).await.is_err());
    server.resume();
    until_told(&store, &[]).await;
    until_ok(|| get(&store, "r", "k")).await;
}

async fn a_dead_or_hung_replica_is_told_until_it_is_back(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let mut replica = primary.replica();
    let builder = builder(&primary.url()).replica(&replica.url()).unwrap();
    let store = until_ok(|| builder.clone().connect()).await;
    until_told(&store, &[]).await;
    replica.kill();
    until_told(&store, &[StoreProblem::ReplicaDown]).await;
    replica.restart();
    until_told(&store, &[]).await;
    replica.pause();
    until_told(&store, &[StoreProblem::ReplicaDown]).await;
    assert!(bounded(get_from(&store, "r", "k", ReadFrom::Replica)).await.is_ok());
    replica.resume();
    until_told(&store, &[]).await;
}

async fn a_replica_that_lags_is_told_until_it_has_caught_up(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let (replica, replication) = replica_by_proxy(&primary, flavor).await;
    let builder = builder(&primary.url()).replica(&replica.url()).unwrap();
    let store = until_ok(|| builder.clone().connect()).await;
    until_told(&store, &[]).await;
    replication.silence();
    // What it has not got yet.
    set(&store, "r", "k", "1").await.unwrap();
    until_told(&store, &[StoreProblem::ReplicaLags]).await;
    replication.restore();
    until_told(&store, &[]).await;
}

async fn queued_invalidations_are_told_until_they_are_replayed(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let builder = builder(&proxy.url()).on_invalidation_failure(OnInvalidationFailure::Queue);
    let store = until_ok(|| builder.clone().connect()).await;
    set(&store, "r", "k", "old").await.unwrap();
    proxy.silence();
    until_told(&store, &[StoreProblem::PrimaryDown]).await;
    bounded(end(&store, "r", Verb::Invalidate)).await.unwrap();
    let both = [StoreProblem::PrimaryDown, StoreProblem::InvalidationsQueued];
    until_told(&store, &both).await;
    proxy.restore();
    until_told(&store, &[]).await;
    assert_eq!(until_ok(|| get(&store, "r", "k")).await, None, "it was replayed");
}

/// Bug: only a connection that had been silent for too long counted. Effect: where a server did not permit
/// `CLIENT TRACKING`, each near hit asked the server first, and the store was well. Fix: a refusal counts while the
/// connection lives and somebody listens.
async fn a_server_that_refuses_to_push_is_told_while_somebody_listens(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let user = |tracking: &str| {
        let rights = ["ACL", "SETUSER", "app", "on", ">secret", "~rc1:*", "+@all", tracking];
        assert_eq!(server.command(&rights).text(), "OK");
    };
    user("-client|tracking");
    let store = connect(&format!("redis://app:secret@127.0.0.1:{}", server.port())).await;
    until_ok(|| get(&store, "r", "k")).await;
    until_told(&store, &[]).await;
    let events = Events::of(&store);
    get(&store, "r", "k").await.unwrap();
    until_told(&store, &[StoreProblem::PushesLost]).await;
    drop(events);
    until_told(&store, &[]).await;
    let _events = Events::of(&store);
    until_told(&store, &[StoreProblem::PushesLost]).await;
    user("+client|tracking");
    server.command(&["CLIENT", "KILL", "USER", "app"]);
    until_ok(|| get(&store, "r", "k")).await;
    until_told(&store, &[]).await;
}

async fn a_cut_connection_is_a_problem_no_longer_than_it_is_gone(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    let _events = Events::of(&store);
    get(&store, "r", "k").await.unwrap();
    for _ in 0..5 {
        proxy.cut();
        until("the connection to be lost", || !store.stats().primary.is_up).await;
        until_told(&store, &[]).await;
    }
    get(&store, "r", "k").await.unwrap();
    until_told(&store, &[]).await;
}

/// The tasks of a store may stand still while its servers push: whoever asks from elsewhere is told.
#[test]
fn a_runtime_that_stands_still_has_lost_its_pushes() {
    let server = TestServer::start(Flavor::Redis);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (store, _events) = runtime.block_on(async {
        let store = connect(&server.url()).await;
        let events = Events::of(&store);
        get(&store, "r", "k").await.unwrap();
        until_told(&store, &[]).await;
        (store, events)
    });
    // Nothing drives the connection now.
    let elsewhere = Runtime::new().unwrap();
    elsewhere.block_on(until_told(&store, &[StoreProblem::PushesLost]));
    runtime.block_on(async {
        until_ok(|| get(&store, "r", "k")).await;
        until_told(&store, &[]).await;
    });
}

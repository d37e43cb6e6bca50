//! Invalidations that wait for replicas.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use region_core::Verb;
use servers::{Flavor, TestServer};

use crate::kit::{SLACK, builder, connect, end, get, path, set, until_ok};

servers::on_both! {
    twenty_at_once_are_all_acknowledged
    each_is_answered_by_its_own_number_of_replicas
    other_calls_do_not_wait_behind_one
    the_longest_wait_is_accepted
}

/// A primary with one replica that is known to acknowledge: in its first second it does not.
async fn acknowledging(flavor: Flavor) -> (TestServer, TestServer) {
    let primary = TestServer::start(flavor);
    let replica = primary.replica();
    let store = connect(&primary.url()).await;
    let patience = Duration::from_secs(10);
    let reached = store.end_and_wait(&path("r"), Verb::Invalidate, 1, patience).await.unwrap();
    assert_eq!(reached, 1);
    (primary, replica)
}

/// Bug: each invalidation sent a WAIT of its own, one behind the other on one connection.
/// Effect: of twenty at once nineteen timed out, and were not even sent to the server in time.
/// Fix: they are sent at once, and all that wait share one WAIT after the other.
async fn twenty_at_once_are_all_acknowledged(flavor: Flavor) {
    let (primary, _replica) = acknowledging(flavor).await;
    let within = Duration::from_secs(2);
    let strict = builder(&primary.url()).wait_for_replicas(1, within).connect().await.unwrap();
    let regions: Vec<_> = (0..20).map(|n| format!("r.n:{n}")).collect();
    for ended in join_all(regions.iter().map(|region| end(&strict, region, Verb::Expire))).await {
        ended.unwrap();
    }
    // More replicas than there are: each waits to its limit, all at the same time.
    let start = Instant::now();
    let two = Duration::from_millis(700);
    let paths: Vec<_> = regions.iter().map(|region| path(region)).collect();
    let waits = paths.iter().map(|path| strict.end_and_wait(path, Verb::Touch, 2, two));
    for reached in join_all(waits).await {
        assert_eq!(reached.unwrap(), 1);
    }
    let taken = start.elapsed();
    assert!(taken >= two && taken < two + SLACK, "{taken:?}");
}

async fn each_is_answered_by_its_own_number_of_replicas(flavor: Flavor) {
    let (primary, _replica) = acknowledging(flavor).await;
    let store = connect(&primary.url()).await;
    let (many, few) = (path("r.many"), path("r.few"));
    let long = Duration::from_secs(3);
    let start = Instant::now();
    let (of_two, of_one) =
        tokio::join!(store.end_and_wait(&many, Verb::Invalidate, 2, long), async {
            let reached = store.end_and_wait(&few, Verb::Invalidate, 1, long).await;
            (reached, start.elapsed())
        },);
    let (reached, taken) = of_one;
    assert_eq!((of_two.unwrap(), reached.unwrap()), (1, 1));
    assert!(taken < long / 2, "who waits for one replica does not wait for two: {taken:?}");
    assert!(start.elapsed() >= long);
}

async fn other_calls_do_not_wait_behind_one(flavor: Flavor) {
    let primary = TestServer::start(flavor);
    let store = connect(&primary.url()).await;
    set(&store, "r.a", "k", "old").await.unwrap();
    let region = path("r.a");
    let long = Duration::from_secs(5);
    let waiting = store.end_and_wait(&region, Verb::Invalidate, 1, long);
    let others = async {
        // The invalidation itself does not wait for anything.
        until_ok(|| async {
            match get(&store, "r.a", "k").await? {
                None => Ok(()),
                Some(_) => Err(region_core::Error::new(region_core::ErrorKind::Store, "too early")),
            }
        })
        .await;
        set(&store, "r.a", "k", "new").await.unwrap();
        assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("new"));
    };
    tokio::select! {
        reached = waiting => panic!("answered before the others: {reached:?}"),
        () = others => {}
    }
}

/// Bug: the limit was added to the present time.
/// Effect: `Duration::MAX` panicked.
/// Fix: a wait has a longest limit.
async fn the_longest_wait_is_accepted(flavor: Flavor) {
    let (primary, _replica) = acknowledging(flavor).await;
    let store = connect(&primary.url()).await;
    let reached = store.end_and_wait(&path("r"), Verb::Invalidate, 1, Duration::MAX).await.unwrap();
    assert_eq!(reached, 1);
}

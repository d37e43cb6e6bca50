//! Servers that are dead, hung or flapping.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use region_core::{ErrorKind, Store, Verb};
use region_redis::{OnInvalidationFailure, OnTimeout, RedisStoreBuilder};
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{LIMIT, Load, bounded, builder, connect, end, get, path, set, until, until_ok};

servers::on_both! {
    killed_and_restarted_empty
    killed_and_restarted_with_an_old_dump
    stopped_under_load
    cut_off_in_the_middle_of_answers
    reset_during_each_operation
    silent_connections_are_replaced
    invalidations_are_queued_and_replayed
    queued_invalidations_are_seen_whenever_the_way_opens
    what_is_queued_during_a_preparation_is_replayed_first
    a_full_queue_is_an_error
    while_down_calls_fail_at_once
    connections_are_dropped_on_a_timeout
    scripts_and_data_are_flushed_under_load
    clients_are_killed_under_load
    a_store_may_be_made_before_its_server
}

async fn killed_and_restarted_empty(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    set(&store, "r.a", "k", "1").await.unwrap();
    server.kill();
    let error = bounded(get(&store, "r.a", "k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.can_retry());
    server.restart();
    assert_eq!(until_ok(|| get(&store, "r.a", "k")).await, None);
    set(&store, "r.a", "k", "2").await.unwrap();
    assert_eq!(get(&store, "r.a", "k").await.unwrap().as_deref(), Some("2"));
}

/// A server that goes back to its last dump forgets changes that this process remembers.
async fn killed_and_restarted_with_an_old_dump(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let other = connect(&server.url()).await;
    for region in ["r.gone", "r.stale", "r.touched.below", "r.touched", "r.set", "r.kept"] {
        set(&other, region, "k", "old").await.unwrap();
    }
    server.command(&["SAVE"]);
    // It would take back what it has put, which may be lost.
    drop(other);
    store.end(&path("r.gone"), Verb::Invalidate.into()).await.unwrap();
    store.end(&path("r.stale"), Verb::Expire.into()).await.unwrap();
    store.end(&path("r.touched.below"), Verb::Touch.into()).await.unwrap();
    set(&store, "r.set", "k", "new").await.unwrap();
    server.restart();
    for region in ["r.gone", "r.stale", "r.touched", "r.set"] {
        assert_eq!(until_ok(|| get(&store, region, "k")).await, None, "{region}");
    }
    assert_eq!(get(&store, "r.kept", "k").await.unwrap().as_deref(), Some("old"));
}

/// Ten seconds of silence: no call exceeds its limit, connections are not heaped up, and the store
/// comes back by itself.
async fn stopped_under_load(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let load = Load::start(&store, 32);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = store.stats().primary.connects;
    server.pause();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let attempts = store.stats().primary.connects - before;
    assert!((5..=60).contains(&attempts), "{attempts} attempts in ten seconds");
    server.resume();
    until("the store to come back", || store.stats().primary.is_up).await;
    let done = load.done.load(Ordering::SeqCst);
    until("calls to succeed", || load.done.load(Ordering::SeqCst) > done + 100).await;
    load.stop().await;
}

/// Whatever part of an answer arrives, it is an error or the right answer.
async fn cut_off_in_the_middle_of_answers(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    until_ok(|| set(&store, "r.a", "k", "value")).await;
    for bytes in (0..160).step_by(7) {
        proxy.cut_after(bytes);
        // The watch may be what is cut: then nothing is lost.
        if let Ok(found) = bounded(get(&store, "r.a", "k")).await {
            assert_eq!(found.as_deref(), Some("value"), "cut after {bytes} bytes");
        }
        proxy.restore();
        assert_eq!(until_ok(|| get(&store, "r.a", "k")).await.as_deref(), Some("value"));
    }
}

/// A write whose connection is reset has happened or not; an invalidation is done in the end.
async fn reset_during_each_operation(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    for round in 0..20 {
        let (old, new) = (format!("old {round}"), format!("new {round}"));
        until_ok(|| set(&store, "r.a", "k", &old)).await;
        let (written, ()) = tokio::join!(bounded(set(&store, "r.a", "k", &new)), async {
            tokio::time::sleep(Duration::from_micros(round * 50)).await;
            proxy.cut();
        });
        let found = until_ok(|| get(&store, "r.a", "k")).await.unwrap();
        match written {
            Ok(()) => assert_eq!(found, new),
            Err(error) => {
                assert!(error.can_retry(), "{error}");
                assert!(found == new || found == old, "{found}");
            }
        }
        let region = path("r");
        let (_, ()) = tokio::join!(
            async { until_ok(|| store.end(&region, Verb::Invalidate.into())).await },
            async {
                tokio::time::sleep(Duration::from_micros(round * 50)).await;
                proxy.cut();
            }
        );
        assert_eq!(until_ok(|| get(&store, "r.a", "k")).await, None);
    }
}

/// A peer that is gone without a word: the connection stays open, and nothing answers.
async fn silent_connections_are_replaced(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    set(&store, "r", "k", "1").await.unwrap();
    proxy.silence();
    assert!(bounded(get(&store, "r", "k")).await.is_err());
    until("the watch to notice", || !store.stats().primary.is_up).await;
    let start = Instant::now();
    assert_eq!(get(&store, "r", "k").await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(start.elapsed() < LIMIT / 2, "at once");
    proxy.restore();
    assert_eq!(until_ok(|| get(&store, "r", "k")).await.as_deref(), Some("1"));
}

/// Settings of a store that queues invalidations which cannot reach the server.
fn queueing(url: &str) -> RedisStoreBuilder {
    builder(url).on_invalidation_failure(OnInvalidationFailure::Queue)
}

async fn invalidations_are_queued_and_replayed(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = queueing(&proxy.url()).connect().await.unwrap();
    for region in ["r.gone.below", "r.touched", "r.kept"] {
        set(&store, region, "k", "old").await.unwrap();
    }
    proxy.silence();
    bounded(store.end(&path("r.gone"), Verb::Invalidate.into())).await.unwrap();
    bounded(store.end(&path("r.gone"), Verb::Expire.into())).await.unwrap();
    bounded(store.end(&path("r.touched.child"), Verb::Touch.into())).await.unwrap();
    assert!(store.stats().has_queued);
    proxy.restore();
    // The very first answer has to know.
    assert_eq!(until_ok(|| get(&store, "r.gone.below", "k")).await, None);
    assert_eq!(get(&store, "r.touched", "k").await.unwrap(), None);
    assert_eq!(get(&store, "r.kept", "k").await.unwrap().as_deref(), Some("old"));
    assert!(!store.stats().has_queued);
}

/// The way opens at any moment around the end of the call that is queued: no read after it may go by
/// a connection that was made ready before.
async fn queued_invalidations_are_seen_whenever_the_way_opens(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = queueing(&proxy.url()).connect().await.unwrap();
    let other = connect(&server.url()).await;
    for round in 0..12 {
        set(&other, "r.a", "k", "old").await.unwrap();
        proxy.silence();
        let region = path("r");
        let (ended, ()) = tokio::join!(store.end(&region, Verb::Invalidate.into()), async {
            tokio::time::sleep(LIMIT / 2 + LIMIT / 12 * round).await;
            proxy.restore();
        });
        ended.unwrap();
        assert_eq!(until_ok(|| get(&store, "r.a", "k")).await, None, "{round}");
    }
}

/// Invalidations are queued at every moment of a slow preparation of new connections, after it has replayed what was
/// queued before included: no read after one goes by these connections until that one is replayed too.
async fn what_is_queued_during_a_preparation_is_replayed_first(flavor: Flavor) {
    const TRIP: Duration = Duration::from_millis(100);
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let builder = queueing(&proxy.url()).call_timeout(4 * TRIP).connect_timeout(100 * TRIP);
    let store = builder.connect().await.unwrap();
    let other = connect(&server.url()).await;
    let regions: Vec<_> = (0..8).map(|n| format!("r.n:{n}")).collect();
    // The next is queued after the replay of the one before, and before that counts as done.
    for apart in 9..15 {
        for region in &regions {
            set(&other, region, "k", "old").await.unwrap();
        }
        proxy.delay_answers(TRIP);
        proxy.cut();
        let rounds = regions.iter().zip(0_u32..).map(async |(region, n)| {
            tokio::time::sleep(TRIP / 8 * apart * n).await;
            end(&store, region, Verb::Invalidate).await.unwrap();
            assert_eq!(until_ok(|| get(&store, region, "k")).await, None, "{region}, {apart}");
        });
        join_all(rounds).await;
        proxy.restore();
        until_ok(|| get(&store, "r", "k")).await;
    }
}

async fn a_full_queue_is_an_error(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let store = queueing(&server.url()).max_queued(1).connect().await.unwrap();
    server.kill();
    bounded(store.end(&path("r.a"), Verb::Invalidate.into())).await.unwrap();
    bounded(store.end(&path("r.a"), Verb::Touch.into())).await.unwrap();
    let error = bounded(store.end(&path("r.b"), Verb::Invalidate.into())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("queue of invalidations is full"), "{error}");
}

async fn while_down_calls_fail_at_once(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    server.kill();
    until("the store to notice", || !store.stats().primary.is_up).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (start, before) = (Instant::now(), store.stats().primary.connects);
    for _ in 0..1000 {
        assert_eq!(get(&store, "r", "k").await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    let attempts = store.stats().primary.connects - before;
    assert!(attempts <= 20, "calls do not connect: {attempts}");
}

/// The politeness of the library this one grew from.
async fn connections_are_dropped_on_a_timeout(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let rare = Duration::from_secs(5);
    let builder = builder(&server.url()).on_timeout(OnTimeout::Drop).watch(rare, rare);
    let store = builder.max_lag(rare * 2).connect().await.unwrap();
    server.pause();
    let error = bounded(get(&store, "r", "k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(!store.stats().primary.is_up);
    let start = Instant::now();
    assert!(get(&store, "r", "k").await.is_err());
    assert!(start.elapsed() < LIMIT / 2, "at once");
    server.resume();
    until_ok(|| get(&store, "r", "k")).await;
}

async fn scripts_and_data_are_flushed_under_load(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let load = Load::start(&store, 16);
    for _ in 0..30 {
        server.command(&["SCRIPT", "FLUSH"]);
        tokio::time::sleep(Duration::from_millis(10)).await;
        server.command(&["FLUSHALL"]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Neither is an error.
    load.assert_failed_at_most(0);
    load.stop().await;
}

async fn clients_are_killed_under_load(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    let load = Load::start(&store, 16);
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
    // Only writes on the way fail.
    load.assert_failed_at_most(5 * 16);
    let done = load.done.load(Ordering::SeqCst);
    until("calls to succeed", || load.done.load(Ordering::SeqCst) > done + 100).await;
    load.stop().await;
}

async fn a_store_may_be_made_before_its_server(flavor: Flavor) {
    let mut server = TestServer::start(flavor);
    server.kill();
    let store = builder(&server.url()).build().unwrap();
    assert!(bounded(get(&store, "r", "k")).await.is_err());
    let refused = bounded(builder(&server.url()).connect()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    server.restart();
    assert_eq!(until_ok(|| get(&store, "r", "k")).await, None);
}

//! The further connections: for large entries, and for what waits on the server.

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use region_core::{ErrorKind, Lease, LeaseTerms, LeaseToken, Store, TakeLease, Verb};
use region_redis::OnInvalidationFailure;
use servers::{Flavor, Proxy, TestServer};

use crate::kit::{builder, connect, end, get, path, set, until, until_ok};

servers::on_both! {
    a_silent_large_connection_is_replaced_alone
    a_silent_waiting_connection_is_replaced_alone
    a_refused_further_connection_leaves_the_main_one_alone
    a_slow_answer_is_no_silence
    too_many_calls_are_no_outage
    all_connections_lead_to_one_server
    a_late_large_write_does_not_undo_a_newer_one
    a_late_large_begin_takes_no_lease
}

/// More than goes over the main connection.
static LARGE: LazyLock<String> = LazyLock::new(|| "x".repeat(100_000));

/// Bug: only the main connection was watched.
/// Effect: large reads over a connection that had died silently timed out for a quarter of an hour.
/// Fix: each connection is watched, and replaced without the others.
async fn a_silent_large_connection_is_replaced_alone(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    set(&store, "r", "small", "1").await.unwrap();
    until_ok(|| set(&store, "r", "large", &LARGE)).await;
    assert_eq!(proxy.connections(), 2);
    let before = store.stats().primary.connects;
    proxy.silence_one(1);
    assert_eq!(get(&store, "r", "large").await.unwrap_err().kind(), ErrorKind::Timeout);
    let small = async {
        loop {
            assert_eq!(get(&store, "r", "small").await.unwrap().as_deref(), Some("1"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::select! {
        found = until_ok(|| get(&store, "r", "large")) => found,
        () = small => None,
    };
    assert_eq!(found.as_ref(), Some(&*LARGE));
    assert_eq!(store.stats().primary.connects, before, "the main connection is the same");
    assert_eq!(proxy.connections(), 3);
}

async fn a_silent_waiting_connection_is_replaced_alone(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let _replica = server.replica();
    let proxy = Proxy::start(server.port()).await;
    let store = connect(&proxy.url()).await;
    let (region, patience) = (path("r"), Duration::from_secs(10));
    let acknowledged = || store.end_and_wait(&region, Verb::Invalidate, 1, patience);
    assert_eq!(acknowledged().await.unwrap(), 1);
    assert_eq!(proxy.connections(), 2);
    let before = store.stats().primary.connects;
    proxy.silence_one(1);
    assert_eq!(acknowledged().await.unwrap(), 1);
    assert_eq!(store.stats().primary.connects, before, "the main connection is the same");
    assert_eq!(proxy.connections(), 3);
}

/// Bug: a further connection that the server refused counted as a broken main one.
/// Effect: with all connections of the server taken, 136 of 200 small writes failed.
/// Fix: its refusal concerns it alone, and large entries go by the main connection meanwhile.
async fn a_refused_further_connection_leaves_the_main_one_alone(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let store = connect(&server.url()).await;
    server.command(&["CONFIG", "SET", "maxclients", "1"]);
    let before = store.stats().primary.connects;
    for round in 0..20 {
        let small = (0..10).map(|n| async move { (n, round.to_string()) });
        let small = small.map(|write| async {
            let (n, value) = write.await;
            set(&store, &format!("r.n:{n}"), "k", &value).await
        });
        let (written, all) = tokio::join!(set(&store, "r", "large", &LARGE), join_all(small));
        written.unwrap();
        all.into_iter().for_each(|written| written.unwrap());
        assert_eq!(get(&store, "r", "large").await.unwrap().as_ref(), Some(&*LARGE));
    }
    assert_eq!(store.stats().primary.connects, before);
}

/// Bug: whatever did not answer in time was taken for silent, large answers on their way included.
/// Effect: a slow link lost its connections again and again.
/// Fix: what arrives is a sign of life.
async fn a_slow_answer_is_no_silence(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let other = connect(&server.url()).await;
    let value = "x".repeat(1_000_000);
    set(&other, "r", "k", &value).await.unwrap();
    let proxy = Proxy::start(server.port()).await;
    let patience = Duration::from_secs(30);
    let silence = Duration::from_millis(400);
    let builder = builder(&proxy.url()).call_timeout(patience).max_lag(patience);
    let store = builder.watch(Duration::from_millis(100), silence).connect().await.unwrap();
    let before = store.stats().primary.connects;
    proxy.limit(500_000);
    // This store does not know yet that it is large: it goes over the main connection.
    assert_eq!(get(&store, "r", "k").await.unwrap().as_ref(), Some(&value));
    assert_eq!(get(&store, "r", "k").await.unwrap().as_ref(), Some(&value));
    assert_eq!(store.stats().primary.connects, before);
}

/// Bug: more calls than may be in flight counted as an outage of the server.
/// Effect: invalidations were queued, and all connections dropped, while the server was well.
/// Fix: it is an error of its own kind that says to try again.
async fn too_many_calls_are_no_outage(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let builder = builder(&proxy.url()).max_in_flight(1);
    let builder = builder.on_invalidation_failure(OnInvalidationFailure::Queue);
    let store = builder.connect().await.unwrap();
    let before = store.stats().primary.connects;
    // A few dozen calls fit into the limit of one.
    proxy.limit(10_000);
    let ends = join_all((0..300).map(|_| end(&store, "r.a", Verb::Expire))).await;
    let overloaded = |ended: &region_core::Result<()>| {
        ended.as_ref().is_err_and(|error| {
            error.kind() == ErrorKind::Overloaded && error.is_outage() && error.can_retry()
        })
    };
    let refused = ends.iter().filter(|ended| overloaded(ended)).count();
    // Most of them; after one that timed out in flight the server counts as down for those that began later.
    assert!(refused > 0, "none of 300 refused");
    let again = store.stats().primary.connects - before;
    assert!(again <= 1, "dropped by {again} calls; only the last may have timed out");
    proxy.restore();
    until_ok(|| get(&store, "r.a", "k")).await;
}

/// Bug: a further connection was used whatever server it led to.
/// Effect: with an address that leads elsewhere from some moment on, large entries were on another
/// server than small ones.
/// Fix: it has to lead to the same process as the main one; if not, both are replaced.
async fn all_connections_lead_to_one_server(flavor: Flavor) {
    let (first, second) = (TestServer::start(flavor), TestServer::start(flavor));
    let proxy = Proxy::start(first.port()).await;
    let store = connect(&proxy.url()).await;
    set(&store, "r", "small", "1").await.unwrap();
    proxy.lead_to(second.port());
    until_ok(|| set(&store, "r", "large", &LARGE)).await;
    assert_eq!(get(&store, "r", "large").await.unwrap(), Some(LARGE.clone()));
    assert_eq!(get(&store, "r", "small").await.unwrap(), None);
    let keys = second.command(&["KEYS", "rc1:d*"]);
    assert_eq!(keys.list().len(), 1, "{keys:?}");
    until("the first server to be left", || {
        let clients = first.command(&["CLIENT", "LIST"]).text();
        !clients.contains("name=region-cache")
    })
    .await;
}

/// Bug: a large write that timed out was still on its way over its own connection.
/// Effect: it arrived after a newer small write of the same key, and the older value won.
/// Fix: what is sent after it goes under another number, and the late write is refused.
async fn a_late_large_write_does_not_undo_a_newer_one(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let patient = builder(&proxy.url()).watch(Duration::from_millis(100), Duration::from_secs(20));
    let store = patient.max_lag(Duration::from_secs(40)).connect().await.unwrap();
    set(&store, "r", "other", &LARGE).await.unwrap();
    assert_eq!(proxy.connections(), 2);
    // It needs two seconds, four times the limit of a call.
    proxy.limit(50_000);
    let before = proxy.request_bytes();
    let error = set(&store, "r", "k", &LARGE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    until_ok(|| set(&store, "r", "k", "new")).await;
    let arrived = || proxy.request_bytes() > before + LARGE.len() as u64;
    assert!(!arrived(), "the newer write comes first");
    until("the late write to arrive", arrived).await;
    let refused = || server.command(&["INFO", "errorstats"]).text().contains("REGIONLOST");
    until("the late write to be refused", refused).await;
    proxy.limit(u64::MAX);
    assert_eq!(until_ok(|| get(&store, "r", "k")).await.as_deref(), Some("new"));
}

/// Bug: a call that takes leases and had been given up was still on its way over a connection for large entries.
/// Effect: it took them after they had been given back over the main connection, and nobody held them; or it took
/// one again that its load had lost. Fix: what is sent after it goes under another number, and it is refused.
async fn a_late_large_begin_takes_no_lease(flavor: Flavor) {
    let server = TestServer::start(flavor);
    let proxy = Proxy::start(server.port()).await;
    let patient = builder(&proxy.url()).watch(Duration::from_millis(100), Duration::from_secs(20));
    let store = patient.max_lag(Duration::from_secs(40)).connect().await.unwrap();
    set(&store, "r", "large", &LARGE).await.unwrap();
    let keys: Vec<_> = (0..1000).map(|at| format!("{at:0100}")).collect();
    let keys: Vec<_> = keys.iter().map(String::as_str).chain(["large"]).collect();
    let terms = |token| {
        let terms = LeaseTerms::new(LeaseToken::from_bits(token), Duration::from_secs(60));
        terms.take(TakeLease::Always)
    };
    // It needs two seconds, four times the limit of a call.
    proxy.limit(50_000);
    let before = proxy.request_bytes();
    let begun = store.begin(&path("r"), &keys, terms(1)).await;
    assert_eq!(begun.unwrap_err().kind(), ErrorKind::Timeout);
    store.release(&path("r"), &["large"], LeaseToken::from_bits(1));
    until_ok(|| set(&store, "r", "small", "1")).await;
    let arrived = || proxy.request_bytes() > before + LARGE.len() as u64;
    assert!(!arrived(), "the lease is given back first");
    until("the late call to arrive", arrived).await;
    let refused = || server.command(&["INFO", "errorstats"]).text().contains("REGIONLOST");
    until("the late call to be refused", refused).await;
    let begun = connect(&server.url()).await.begin(&path("r"), &["large"], terms(2)).await;
    assert_eq!(begun.unwrap().keys[0].lease, Lease::Granted);
}
